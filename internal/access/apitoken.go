package access

import (
	"net/http"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// apiTokenPrefix begins an API token's text, so that who searches files for forgotten
// secrets finds it.
const apiTokenPrefix = "platen-token."

const (
	day          = 24 * time.Hour
	apiTokenDays = 365
	maxTokenDays = 3650
	maxAPITokens = 1000
)

func (g *Guard) tokenRoutes() []Route {
	const tokens = "/api/v1/tokens"
	admin := AtLeast(api.RoleAdmin).Direct().OwnPages()
	return []Route{
		{Method: http.MethodGet, Path: tokens, Policy: admin, Handle: g.listTokens},
		{Method: http.MethodPost, Path: tokens, Policy: admin, MaxBody: maxSignInBody, Audit: "token.create", Handle: g.postToken},
		{Method: http.MethodDelete, Path: tokens + "/{token}", Policy: admin, Audit: "token.revoke", Handle: g.deleteToken},
	}
}

func isAPIToken(s session) bool { return s.Kind == api.SessionKindToken }

func describeToken(s session) api.Token {
	return api.Token{Id: s.ID, Label: s.Device, Role: s.Role, By: s.By,
		Created: scan.At(s.Created), Used: seenAt(s.Seen), Expires: scan.At(s.Ends)}
}

func (g *Guard) listTokens(w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := Page(r)
	if err != nil {
		return err
	}
	all, err := g.sessionsWhere(r.Context(), isAPIToken)
	if err != nil {
		return err
	}
	page, next, err := pageOf(all, func(s session) string { return s.ID }, limit, cursor)
	if err != nil {
		return err
	}
	list := api.TokenList{Items: []api.Token{}, Next: next}
	for _, s := range page {
		list.Items = append(list.Items, describeToken(s))
	}
	return WriteJSON(w, http.StatusOK, list)
}

// postToken makes a session that no page can have: it comes as a bearer token only, from
// no origin, and has an end of its own.
func (g *Guard) postToken(w http.ResponseWriter, r *http.Request) error {
	var body api.TokenRequest
	if err := ReadJSON(r, &body); err != nil {
		return err
	}
	ctx, c := r.Context(), CallerOf(r.Context())
	days := body.Days
	if days == 0 {
		days = apiTokenDays
	}
	switch {
	case body.Label == "":
		return problem.New(problem.InvalidJSON, "A label is needed.").At("label")
	case days < 1 || days > maxTokenDays:
		return problem.New(problem.InvalidJSON, "It is a number from 1 to %d.", maxTokenDays).At("days")
	}
	if err := CheckLabel("label", body.Label); err != nil {
		return err
	}
	if err := checkRole(c, body.Role); err != nil {
		return err
	}
	all, err := g.sessionsWhere(ctx, isAPIToken)
	if err != nil {
		return err
	}
	if len(all) >= maxAPITokens {
		return problem.New(problem.BadRequest, "There are %d API tokens. Revoke some.", len(all))
	}
	s, token, err := g.createSession(ctx, session{Kind: api.SessionKindToken, Role: body.Role, Device: body.Label,
		By: c.who(), Bearer: true, Ends: g.Now().Add(time.Duration(days) * day)})
	if err != nil {
		return err
	}
	Note(ctx, s.ID, "role "+string(s.Role))
	answer := describeToken(s)
	answer.Token = apiTokenPrefix + token
	w.Header().Set("Location", "/api/v1/tokens/"+s.ID)
	return WriteJSON(w, http.StatusCreated, answer)
}

// checkRole refuses a role that is none or above the caller's own.
func checkRole(c Caller, role api.Role) error {
	if rank(role) == 0 {
		return problem.New(problem.InvalidJSON, "There is no such role.").At("role")
	}
	if !c.May(role) {
		return problem.New(problem.PermissionDenied, "The role may not be above your own.").At("role")
	}
	return nil
}

func (g *Guard) deleteToken(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("token")
	s, _, err := g.readSession(ctx, id)
	switch {
	case problem.From(err).Code == problem.SessionExpired, err == nil && !isAPIToken(s):
		return problem.NotFound.Error()
	case err != nil:
		return err
	}
	if err := g.EndSession(ctx, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
