package access

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// pairingRoutes let operators sign other devices in, and users further devices of
// their own.
func (g *Guard) pairingRoutes() []Route {
	const pairings = "/api/v1/pairings"
	makes := AtLeast(api.RoleUser).Direct().OwnPages()
	return []Route{
		{Method: http.MethodGet, Path: pairings, Policy: makes, Handle: g.listPairings},
		{Method: http.MethodPost, Path: pairings, Policy: makes.Limit(20, time.Minute), MaxBody: maxSignInBody, Audit: "pairing.create", Handle: g.postPairing},
		{Method: http.MethodGet, Path: pairings + "/{pairing}", Policy: makes, Handle: g.getPairing},
		{Method: http.MethodDelete, Path: pairings + "/{pairing}", Policy: makes, Audit: "pairing.void", Handle: g.deletePairing},
	}
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
	now, c := g.Now(), CallerOf(r.Context())
	theirs := slices.DeleteFunc(openOnly(all, now), func(p pairing) bool { return !c.Sees(p.By) })
	open, next, err := pageOf(theirs, func(p pairing) string { return p.ID }, limit, cursor)
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
	ctx, c := r.Context(), CallerOf(r.Context())
	if err := CheckLabel("label", body.Label); err != nil {
		return err
	}
	role, err := g.pairingRole(ctx, c, body)
	if err != nil {
		return err
	}
	p, err := g.newPairing(ctx, pairing{Role: role, User: body.User, By: c.Subject, Label: body.Label}, g.pairingBase(r))
	if err != nil {
		return err
	}
	detail := "role " + string(role)
	if body.User != "" {
		detail = "user " + body.User
	}
	Note(ctx, p.Id, detail)
	w.Header().Set("Location", "/api/v1/pairings/"+p.Id)
	return WriteJSON(w, http.StatusCreated, p)
}

// pairingRole is the role that the new device is to have: that of the user it will be
// of, else one that is not above the caller's.
func (g *Guard) pairingRole(ctx context.Context, c Caller, body api.PairingRequest) (api.Role, error) {
	if body.User == "" {
		if !c.May(api.RoleOperator) {
			return "", problem.New(problem.PermissionDenied, "You can sign in further devices of your own: send the member user.").At("user")
		}
		if body.Role == "" {
			return lower(api.RoleUser, c.Role), nil
		}
		return body.Role, checkRole(c, body.Role)
	}
	if !c.May(api.RoleAdmin) && body.User != c.User {
		return "", problem.New(problem.PermissionDenied, "You can sign in devices of your own only.").At("user")
	}
	u, err := g.unlocked(ctx, body.User)
	switch {
	case isNotFound(err):
		return "", problem.New(problem.InvalidJSON, "There is no such user.").At("user")
	case err != nil:
		return "", err
	case body.Role != "" && body.Role != u.Role:
		return "", problem.New(problem.InvalidJSON, "The device will have the user's role.").At("role")
	}
	return u.Role, nil
}

// pairingBase is the address at which another device reaches this end; "" if this
// end does not know any.
func (g *Guard) pairingBase(r *http.Request) string {
	if g.PairingBase != nil {
		if base := g.PairingBase(); base != "" {
			return base
		}
	}
	own := OwnOrigin(r)
	if isLoopbackName(own.Host) {
		return ""
	}
	return own.String()
}

// theirPairing finds the pairing of the path if the caller may know of it.
func (g *Guard) theirPairing(r *http.Request) (pairing, error) {
	p, _, err := g.readPairing(r.Context(), r.PathValue("pairing"))
	if err == nil && !CallerOf(r.Context()).Sees(p.By) {
		err = problem.NotFound.Error()
	}
	return p, err
}

func (g *Guard) getPairing(w http.ResponseWriter, r *http.Request) error {
	p, err := g.theirPairing(r)
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, p.describe(g.Now()))
}

func (g *Guard) deletePairing(w http.ResponseWriter, r *http.Request) error {
	p, err := g.theirPairing(r)
	if err != nil {
		return err
	}
	_, err = g.editPairing(r.Context(), p.ID, func(p *pairing) { p.State = api.PairingStateVoid })
	switch code := problem.From(err).Code; {
	case err == nil, code == problem.PairingUsed, code == problem.PairingExpired, code == problem.PairingTooMany:
		w.WriteHeader(http.StatusNoContent) // it signs nobody in any more
		return nil
	}
	return err
}
