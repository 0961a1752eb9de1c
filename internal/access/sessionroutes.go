package access

import (
	"net/http"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const sessionsPath = "/api/v1/sessions"

// sessionRoutes are for those who are signed in. Signing in is postSession.
func (g *Guard) sessionRoutes() []Route {
	anybody := AtLeast(api.RoleKiosk).Direct()
	return []Route{
		{Method: http.MethodGet, Path: sessionsPath, Policy: anybody, Handle: g.listSessions},
		{Method: http.MethodGet, Path: sessionsPath + "/current", Policy: anybody, Handle: g.getCurrentSession},
		{Method: http.MethodDelete, Path: sessionsPath + "/current", Policy: anybody, Audit: "session.end", Handle: g.deleteCurrentSession},
		{Method: http.MethodDelete, Path: sessionsPath + "/{session}", Policy: anybody, Audit: "session.end", Handle: g.deleteSession},
	}
}

// knowsOf reports whether the caller may see and end the session: an administrator may
// with every one, others with theirs. API tokens have a list of their own.
func (c Caller) knowsOf(s session) bool {
	return s.ID == c.Session || !isAPIToken(s) && (c.May(api.RoleAdmin) || s.Subject == c.Subject)
}

func (g *Guard) listSessions(w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := Page(r)
	if err != nil {
		return err
	}
	all, err := g.sessionsWhere(r.Context(), CallerOf(r.Context()).knowsOf)
	if err != nil {
		return err
	}
	page, next, err := pageOf(all, func(s session) string { return s.ID }, limit, cursor)
	if err != nil {
		return err
	}
	list := api.SessionList{Items: []api.Session{}, Next: next}
	for _, s := range page {
		list.Items = append(list.Items, g.describeSession(r.Context(), s))
	}
	return WriteJSON(w, http.StatusOK, list)
}

func (g *Guard) getCurrentSession(w http.ResponseWriter, r *http.Request) error {
	c := CallerOf(r.Context())
	if c.Session == SessionLoopback {
		return WriteJSON(w, http.StatusOK, api.Session{Id: c.Session, Kind: api.SessionKindLoopback, Role: c.Role,
			Created: scan.At(g.started), Expires: scan.At(g.Now().Add(sessionLife))})
	}
	s, _, err := g.readSession(r.Context(), c.Session)
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, g.describeSession(r.Context(), s))
}

func (g *Guard) deleteCurrentSession(w http.ResponseWriter, r *http.Request) error {
	c := CallerOf(r.Context())
	if c.Session != SessionLoopback {
		if err := g.EndSession(r.Context(), c.Session); err != nil {
			return err
		}
	}
	Note(r.Context(), c.Session, "")
	if c.Origin == "" {
		http.SetCookie(w, sessionCookie(r, "", -1))
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Guard) deleteSession(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("session")
	s, _, err := g.readSession(ctx, id)
	switch {
	case problem.From(err).Code == problem.SessionExpired, err == nil && !CallerOf(ctx).knowsOf(s):
		return problem.NotFound.Error() // nobody learns of another's session
	case err != nil:
		return err
	}
	if err := g.EndSession(ctx, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
