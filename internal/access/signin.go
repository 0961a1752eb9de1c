package access

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const (
	maxSignInBody  = 4 << 10
	maxSessionBody = 32 << 10 // what an authenticator signs
	maxLabel       = 80       // characters
	guessesMinute  = 10       // sign-ins by code, secret or nothing, of one address
	signInsMinute  = 60       // and in the other ways, of an office behind one address
)

// SignInRoutes are the routes of services, sign-in, users, permissions and origins,
// the same at a node and at a gateway. Over a link only the first of them exists.
func SignInRoutes(g *Guard) []Route {
	open := []Route{
		{Method: http.MethodGet, Path: "/api/v1/service", Policy: Probe(), Handle: g.getService},
		{Method: http.MethodGet, Path: "/api/v1/sign-in", Policy: Anonymous().Direct(), Handle: g.getSignIn},
	}
	kept := []Route{{Method: http.MethodPost, Path: sessionsPath, Policy: Anonymous().Direct(), MaxBody: maxSessionBody,
		Audit: "session.create", Handle: g.postSession}}
	for _, more := range [][]Route{g.sessionRoutes(), g.pairingRoutes(), g.deviceRoutes(), g.tokenRoutes(),
		g.userRoutes(), g.permissionRoutes(), g.originRoutes(), g.ticketRoutes()} {
		kept = append(kept, more...)
	}
	for _, p := range g.Providers {
		kept = append(kept, p.Routes(g)...)
	}
	for i := range kept {
		kept[i].Handle = g.withRecords(kept[i].Handle)
	}
	return append(open, kept...)
}

// withRecords refuses what needs Records where there are none.
func (g *Guard) withRecords(next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if g.Records == nil {
			return problem.New(problem.Unavailable, "Nobody can sign in here.")
		}
		return next(w, r)
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

// getSignIn tells a page which ways in it can offer, and nothing of who went them.
func (g *Guard) getSignIn(w http.ResponseWriter, r *http.Request) error {
	origin := CallerOf(r.Context()).Origin
	s := api.SignIn{Pairing: g.Records != nil, Trusted: g.trustsCaller(r), OriginAllowed: origin != ""}
	if origin == "" {
		for _, p := range g.Providers { // their ways are for our own pages
			p.Offer(r, &s)
		}
	}
	return WriteJSON(w, http.StatusOK, s)
}

// trustsCaller reports whether the machine's own user asks, by whatever page.
func (g *Guard) trustsCaller(r *http.Request) bool {
	c := CallerOf(r.Context())
	return c.Session == SessionLoopback || g.trusts(r.Context(), r, c.Road, OwnOrigin(r).Authority)
}

// postSession signs in. The session is the caller's only here: by cookie for our own
// pages, by token for programs that ask for one and for foreign pages.
func (g *Guard) postSession(w http.ResponseWriter, r *http.Request) error {
	ctx, c := r.Context(), CallerOf(r.Context())
	if g.plain(r, c.Road) {
		return problem.PlainHTTPRefused.Error()
	}
	var body api.SessionRequest
	if err := ReadJSON(r, &body); err != nil {
		return err
	}
	if err := checkSessionRequest(body, c); err != nil {
		return err
	}
	s, check, err := g.signIn(r, c, body)
	if err != nil {
		return err
	}
	s.Device = cmp.Or(s.Device, strings.TrimSpace(body.Device)) // of a device grant the name that was allowed
	s.Origin, s.Bearer = c.Origin, body.Bearer || c.Origin != ""
	licensed, err := g.license(ctx, &s, body)
	if err != nil {
		return err
	}
	s, token, err := g.createSession(ctx, s)
	if err != nil {
		return err
	}
	answer := g.describeSession(ctx, s)
	answer.Check, answer.License = check, licensed
	if s.Bearer {
		answer.Token = token
	} else {
		http.SetCookie(w, sessionCookie(r, token, int(sessionLife/time.Second)))
	}
	detail := string(s.Kind) + ", role " + string(answer.Role)
	if s.User != "" {
		detail += ", user " + s.User
	}
	Note(ctx, s.ID, detail)
	w.Header().Set("Location", sessionsPath+"/"+s.ID)
	return WriteJSON(w, http.StatusCreated, answer)
}

// signIn judges what the request shows and answers whose session it is to be.
func (g *Guard) signIn(r *http.Request, c Caller, body api.SessionRequest) (s session, check string, err error) {
	ctx := r.Context()
	guess := body.DeviceCode == "" && !hasOIDC(body) && !hasPasskey(body)
	if err := g.countSignIn(r, guess); err != nil {
		return session{}, "", err
	}
	switch {
	case body.DeviceCode != "":
		s, err = g.redeemDevice(ctx, body.DeviceCode)
		return s, "", err
	case !guess:
		s, err = g.askProviders(ctx, r, body)
		return s, "", err
	}
	if body.Code == "" && body.Secret == "" {
		if c.Origin == "" || !g.trustsCaller(r) {
			return session{}, "", errNoWayIn()
		}
		return session{Kind: api.SessionKindOrigin, Role: api.RoleUser}, "", nil
	}
	p, err := g.redeem(ctx, body.Code, body.Secret)
	if err != nil {
		return session{}, "", err
	}
	if p.User != "" {
		_, err = g.unlocked(ctx, p.User)
		if isNotFound(err) {
			err = problem.PairingExpired.Error() // the user was removed meanwhile
		}
	}
	return session{Kind: api.SessionKindPairing, Role: p.Role, User: p.User}, p.Check, err
}

func (g *Guard) countSignIn(r *http.Request, guess bool) error {
	key, n := "sign-in ", signInsMinute
	if guess {
		key, n = "guess ", guessesMinute
	}
	if wait := g.rates.take(key+who("", r), rate.Every(time.Minute/time.Duration(n)), n, g.Now()); wait > 0 {
		return problem.TooManyRequests.Error().After(wait)
	}
	return nil
}

func (g *Guard) askProviders(ctx context.Context, r *http.Request, body api.SessionRequest) (session, error) {
	for _, p := range g.Providers {
		person, ok, err := p.SignIn(ctx, r, body, g)
		if err != nil {
			return session{}, err
		}
		if !ok {
			continue
		}
		u, err := g.unlocked(ctx, person.User)
		if isNotFound(err) {
			err = problem.SignInFailed.Error()
		}
		return session{Kind: person.Kind, Role: u.Role, User: u.ID}, err
	}
	return session{}, problem.New(problem.SignInFailed, "This way to sign in is not set up here.")
}

func hasOIDC(b api.SessionRequest) bool { return b.Oidc != (api.OIDCDone{}) }
func hasPasskey(b api.SessionRequest) bool {
	return b.Passkey.Flow != "" || len(b.Passkey.Credential) > 0
}

func errNoWayIn() error {
	return problem.New(problem.InvalidJSON, "Exactly one of code, secret, deviceCode, oidc and passkey is needed.").At("code")
}

func checkSessionRequest(body api.SessionRequest, c Caller) error {
	ways := countGiven(body.Code, body.Secret, body.DeviceCode)
	if hasOIDC(body) {
		ways++
	}
	if hasPasskey(body) {
		ways++
	}
	switch {
	case ways > 1:
		return errNoWayIn()
	case body.Code != "" && !isCode(body.Code):
		return problem.New(problem.InvalidJSON, "A code has eight symbols, 2 to 9 and A to Z without I and O.").At("code")
	case len(body.Secret) > 64 || body.Secret != "" && len(body.Secret) < 20:
		return problem.New(problem.InvalidJSON, "A secret has 20 to 64 characters.").At("secret")
	case len(body.DeviceCode) > 100 || body.DeviceCode != "" && len(body.DeviceCode) < 20:
		return problem.New(problem.InvalidJSON, "A device code has 20 to 100 characters.").At("deviceCode")
	case c.Origin != "" && (hasOIDC(body) || hasPasskey(body) || body.DeviceCode != ""):
		return problem.New(problem.OriginNotAllowed, "Pages of others sign in with a code or a secret.")
	}
	return CheckLabel("device", body.Device)
}

// CheckLabel bounds text that is shown to people. field is the member that holds it.
func CheckLabel(field, label string) error {
	if utf8.RuneCountInString(label) > maxLabel || strings.ContainsFunc(label, unprintable) {
		return problem.New(problem.InvalidJSON, "It may have %d characters, all of them printable.", maxLabel).At(field)
	}
	return nil
}

// unprintable characters could break a line of the log or turn a name around.
func unprintable(c rune) bool {
	return unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || c == utf8.RuneError
}

// sessionCookie makes the cookie; maxAge -1 clears it.
func sessionCookie(r *http.Request, token string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: cookieName(r, OwnOrigin(r).Authority), Value: token, Path: "/", MaxAge: maxAge,
		Secure: r.TLS != nil, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}
