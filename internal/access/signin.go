package access

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	maxSignInBody = 4 << 10
	maxLabel      = 80 // characters
)

// SignInRoutes are the routes of services, pairings and sessions, the same at a node
// and at a gateway. Over a link only the first of them exists.
func SignInRoutes(g *Guard) []Route {
	const pairings, sessions = "/api/v1/pairings", "/api/v1/sessions"
	makes := AtLeast(api.RoleOperator).Direct()
	anybody := AtLeast(api.RoleKiosk).Direct()
	return []Route{
		{Method: http.MethodGet, Path: "/api/v1/service", Policy: Probe(), Handle: g.getService},
		{Method: http.MethodGet, Path: pairings, Policy: makes, Handle: g.listPairings},
		{Method: http.MethodPost, Path: pairings, Policy: makes.Limit(20, time.Minute), MaxBody: maxSignInBody, Handle: g.postPairing},
		{Method: http.MethodGet, Path: pairings + "/{pairing}", Policy: makes, Handle: g.getPairing},
		{Method: http.MethodDelete, Path: pairings + "/{pairing}", Policy: makes, Handle: g.deletePairing},
		{Method: http.MethodGet, Path: sessions, Policy: anybody, Handle: g.listSessions},
		{Method: http.MethodPost, Path: sessions, Policy: Anonymous().Direct(), MaxBody: maxSignInBody, Handle: g.postSession},
		{Method: http.MethodGet, Path: sessions + "/current", Policy: anybody, Handle: g.getCurrentSession},
		{Method: http.MethodDelete, Path: sessions + "/current", Policy: anybody, Handle: g.deleteCurrentSession},
		{Method: http.MethodDelete, Path: sessions + "/{session}", Policy: anybody, Handle: g.deleteSession},
	}
}

// getService tells an anonymous caller nothing but that Platen is here.
func (g *Guard) getService(w http.ResponseWriter, r *http.Request) error {
	s := api.Service{}
	if c := CallerOf(r.Context()); c.Session != "" && g.Service != nil {
		s = g.Service(c)
	}
	s.Product, s.Api = api.ServiceProductPlaten, api.ServiceApiN1
	return WriteJSON(w, http.StatusOK, s)
}

func (g *Guard) listPairings(w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := Page(r)
	if err != nil {
		return err
	}
	all, err := g.pairings(r.Context())
	if err != nil {
		return err
	}
	now := g.Now()
	open, next, err := pageOf(openOnly(all, now), func(p pairing) string { return p.ID }, limit, cursor)
	if err != nil {
		return err
	}
	list := api.PairingList{Items: []api.Pairing{}, Next: next}
	for _, p := range open {
		list.Items = append(list.Items, p.describe(now))
	}
	return WriteJSON(w, http.StatusOK, list)
}

func (g *Guard) postPairing(w http.ResponseWriter, r *http.Request) error {
	var body api.PairingRequest
	if err := ReadJSON(r, &body); err != nil {
		return err
	}
	caller := CallerOf(r.Context())
	role := body.Role
	if role == "" {
		role = lower(api.RoleUser, caller.Role)
	}
	if rank(role) == 0 {
		return problem.New(problem.InvalidJSON, "There is no such role.").At("role")
	}
	if !caller.May(role) {
		return problem.New(problem.PermissionDenied, "The role may not be above your own.").At("role")
	}
	if err := checkLabel("label", body.Label); err != nil {
		return err
	}
	p, err := g.newPairing(r.Context(), role, body.Label, g.pairingBase(r))
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/pairings/"+p.Id)
	return WriteJSON(w, http.StatusCreated, p)
}

// pairingBase is the address at which another device reaches this end; "" if this
// end does not know any.
func (g *Guard) pairingBase(r *http.Request) string {
	if g.PairingBase != nil {
		if base := g.PairingBase(); base != "" {
			return base
		}
	}
	at, err := ParseAuthority(r.Host, defaultPort(scheme(r)))
	if err != nil || isLoopbackName(at.Host) {
		return ""
	}
	return Origin{Scheme: scheme(r), Authority: at}.String()
}

// checkLabel bounds text that is shown to people.
func checkLabel(field, label string) error {
	if utf8.RuneCountInString(label) > maxLabel || strings.ContainsFunc(label, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return problem.New(problem.InvalidJSON, "It may have %d characters, all of them printable.", maxLabel).At(field)
	}
	return nil
}

func (g *Guard) getPairing(w http.ResponseWriter, r *http.Request) error {
	p, err := g.Pairing(r.Context(), r.PathValue("pairing"))
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, p)
}

func (g *Guard) deletePairing(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("pairing")
	_, err := g.editPairing(r.Context(), id, func(p *pairing) { p.State = api.PairingStateVoid })
	switch code := problem.From(err).Code; {
	case err == nil, code == problem.PairingUsed, code == problem.PairingExpired, code == problem.PairingTooMany:
		w.WriteHeader(http.StatusNoContent) // it signs nobody in any more
		return nil
	}
	return err
}

func (g *Guard) listSessions(w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := Page(r)
	if err != nil {
		return err
	}
	c := CallerOf(r.Context())
	var all []session
	err = g.Records.List(r.Context(), sessionKey, func(_ string, value []byte) error {
		var s session
		if err := json.Unmarshal(value, &s); err != nil {
			return err
		}
		if (c.May(api.RoleAdmin) || s.ID == c.Session) && g.Now().Before(g.expiry(s)) {
			all = append(all, s)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing sessions: %w", err)
	}
	page, next, err := pageOf(all, func(s session) string { return s.ID }, limit, cursor)
	if err != nil {
		return err
	}
	list := api.SessionList{Items: []api.Session{}, Next: next}
	for _, s := range page {
		list.Items = append(list.Items, g.describeSession(s))
	}
	return WriteJSON(w, http.StatusOK, list)
}

// postSession redeems a pairing. The session is the caller's only here: by cookie for
// our own pages, by token for programs that ask for one.
func (g *Guard) postSession(w http.ResponseWriter, r *http.Request) error {
	if r.TLS == nil && !g.AllowPlainHTTP && CallerOf(r.Context()).Road != RoadLoopback {
		return problem.PlainHTTPRefused.Error()
	}
	var body api.SessionRequest
	if err := ReadJSON(r, &body); err != nil {
		return err
	}
	if err := checkSessionRequest(body); err != nil {
		return err
	}
	p, err := g.redeem(r.Context(), body.Code, body.Secret)
	if err != nil {
		return err
	}
	s, token, err := g.createSession(r.Context(), p.Role, body.Device, body.Bearer)
	if err != nil {
		return err
	}
	answer := g.describeSession(s)
	answer.Check = p.Check
	if body.Bearer {
		answer.Token = token
	} else {
		http.SetCookie(w, sessionCookie(r, token, int(g.SessionLife.Seconds())))
	}
	w.Header().Set("Location", "/api/v1/sessions/"+s.ID)
	return WriteJSON(w, http.StatusCreated, answer)
}

func checkSessionRequest(body api.SessionRequest) error {
	if (body.Code == "") == (body.Secret == "") {
		return problem.New(problem.InvalidJSON, "Either the code or the secret is needed, and not both.").At("code")
	}
	if body.Code != "" && (len(body.Code) != 8 || strings.Trim(body.Code, "0123456789") != "") {
		return problem.New(problem.InvalidJSON, "A code has eight digits.").At("code")
	}
	if len(body.Secret) > 64 || body.Secret != "" && len(body.Secret) < 20 {
		return problem.New(problem.InvalidJSON, "A secret has 20 to 64 characters.").At("secret")
	}
	return checkLabel("device", body.Device)
}

// sessionCookie makes the cookie; maxAge -1 clears it.
func sessionCookie(r *http.Request, token string, maxAge int) *http.Cookie {
	at, _ := ParseAuthority(r.Host, defaultPort(scheme(r))) // the guard has parsed it
	return &http.Cookie{Name: cookieName(r, at), Value: token, Path: "/", MaxAge: maxAge,
		Secure: r.TLS != nil, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

func (g *Guard) getCurrentSession(w http.ResponseWriter, r *http.Request) error {
	c := CallerOf(r.Context())
	if c.Session == SessionLoopback {
		return WriteJSON(w, http.StatusOK, api.Session{Id: c.Session, Role: c.Role,
			Created: scan.At(g.started), Expires: scan.At(g.Now().Add(g.SessionLife))})
	}
	s, _, err := g.readSession(r.Context(), c.Session)
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, g.describeSession(s))
}

func (g *Guard) deleteCurrentSession(w http.ResponseWriter, r *http.Request) error {
	if c := CallerOf(r.Context()); c.Session != SessionLoopback {
		if err := g.EndSession(r.Context(), c.Session); err != nil {
			return err
		}
	}
	http.SetCookie(w, sessionCookie(r, "", -1))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Guard) deleteSession(w http.ResponseWriter, r *http.Request) error {
	c, id := CallerOf(r.Context()), r.PathValue("session")
	if id != c.Session && !c.May(api.RoleAdmin) {
		return problem.NotFound.Error() // nobody learns of another's session
	}
	if _, _, err := g.readSession(r.Context(), id); problem.From(err).Code == problem.SessionExpired {
		return problem.NotFound.Error()
	} else if err != nil {
		return err
	}
	if err := g.EndSession(r.Context(), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
