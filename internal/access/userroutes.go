package access

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func (g *Guard) userRoutes() []Route {
	const users = "/api/v1/users"
	admin := AtLeast(api.RoleAdmin).Direct().OwnPages()
	return []Route{
		{Method: http.MethodGet, Path: users, Policy: admin, Handle: g.listUsers},
		{Method: http.MethodPost, Path: users, Policy: admin, MaxBody: maxUserBody, Audit: "user.create", Handle: g.postUser},
		{Method: http.MethodPatch, Path: users + "/{user}", Policy: admin, MaxBody: maxUserBody, Audit: "user.edit", Handle: g.patchUser},
		{Method: http.MethodDelete, Path: users + "/{user}", Policy: admin, Audit: "user.delete", Handle: g.deleteUser},
	}
}

const maxUserBody = 32 << 10 // fifty groups in any script

func (g *Guard) listUsers(w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := Page(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	everybody, err := all[user](ctx, g.Records, userKey)
	if err != nil {
		return err
	}
	page, next, err := pageOf(everybody, func(u user) string { return u.ID }, limit, cursor)
	if err != nil {
		return err
	}
	list := api.UserList{Items: []api.User{}, Next: next}
	for _, u := range page {
		list.Items = append(list.Items, u.describe())
	}
	if err := g.countSignIns(ctx, list.Items); err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, list)
}

// countSignIns fills in the sessions, passkeys and last use of users.
func (g *Guard) countSignIns(ctx context.Context, users []api.User) error {
	byID := map[string]*api.User{}
	for i := range users {
		byID[users[i].Id] = &users[i]
	}
	sessions, err := g.sessionsWhere(ctx, func(s session) bool { return byID[s.User] != nil })
	if err != nil {
		return err
	}
	for _, s := range sessions {
		u := byID[s.User]
		u.Sessions++
		if u.Seen.Before(s.Seen) {
			u.Seen = scan.At(s.Seen)
		}
	}
	err = g.Records.List(ctx, passkeyKey, func(key string, _ []byte) error {
		id, _, _ := strings.Cut(strings.TrimPrefix(key, passkeyKey), ".")
		if u := byID[id]; u != nil {
			u.Passkeys++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("counting passkeys: %w", err)
	}
	return nil
}

func (g *Guard) postUser(w http.ResponseWriter, r *http.Request) error {
	var body api.UserRequest
	if err := ReadJSON(r, &body); err != nil {
		return err
	}
	if err := checkUser(body); err != nil {
		return err
	}
	u := user{ID: scan.RandomText(shortIDLength), Name: body.Name, Role: body.Role, Groups: body.Groups,
		Source: api.UserSourceLocal, Created: g.Now()}
	if err := g.writeUser(r.Context(), u, 0); err != nil {
		return err
	}
	Note(r.Context(), u.ID, "role "+string(u.Role))
	w.Header().Set("Location", "/api/v1/users/"+u.ID)
	return WriteJSON(w, http.StatusCreated, u.describe())
}

func checkUser(u api.UserRequest) error {
	if strings.TrimSpace(u.Name) == "" {
		return problem.New(problem.InvalidJSON, "A name is needed.").At("name")
	}
	if rank(u.Role) == 0 {
		return problem.New(problem.InvalidJSON, "There is no such role.").At("role")
	}
	if len(u.Groups) > maxGroups || slices.Contains(u.Groups, "") {
		return problem.New(problem.InvalidJSON, "There may be %d groups, none without a name.", maxGroups).At("groups")
	}
	for _, group := range u.Groups {
		if err := CheckLabel("groups", group); err != nil {
			return err
		}
	}
	return CheckLabel("name", u.Name)
}

func (g *Guard) patchUser(w http.ResponseWriter, r *http.Request) error {
	var body api.UserEdit
	if err := ReadJSON(r, &body); err != nil {
		return err
	}
	ctx, c, id := r.Context(), CallerOf(r.Context()), r.PathValue("user")
	var changed []string
	u, err := g.editUser(ctx, id, func(u *user) error {
		if u.Source == api.UserSourceOidc && (body.Role != "" || body.Groups != nil) {
			return problem.New(problem.SettingFixed, "The identity provider says role and groups at each sign-in.").At("role")
		}
		changed = u.apply(body)
		if id == c.User && (u.Locked || u.Role != api.RoleAdmin) {
			return errOwnUser()
		}
		asked := api.UserRequest{Name: u.Name, Role: u.Role}
		if body.Groups != nil {
			asked.Groups = *body.Groups
		}
		return checkUser(asked)
	})
	if err != nil {
		return err
	}
	Note(ctx, id, strings.Join(changed, ", "))
	users := []api.User{u.describe()}
	if err := g.countSignIns(ctx, users); err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, users[0])
}

// apply makes the edit and names what it changed, for the audit log.
func (u *user) apply(e api.UserEdit) (changed []string) {
	if e.Name != "" {
		u.Name, changed = e.Name, append(changed, "name")
	}
	if e.Role != "" {
		u.Role, changed = e.Role, append(changed, "role "+string(e.Role))
	}
	if e.Groups != nil {
		u.Groups, changed = *e.Groups, append(changed, "groups "+strings.Join(*e.Groups, " "))
	}
	if e.Locked != nil {
		u.Locked = *e.Locked
		changed = append(changed, fmt.Sprintf("locked %t", *e.Locked))
	}
	return changed
}

// errOwnUser keeps administrators from locking themselves out. Nobody else needs such
// care: the machine's own command line can always make an administrator.
func errOwnUser() error {
	return problem.New(problem.LastAdministrator, "Nobody can lock, demote or remove themselves. Let another administrator do it.")
}

func (g *Guard) deleteUser(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("user")
	if id == CallerOf(ctx).User {
		return errOwnUser()
	}
	if _, _, err := g.readUser(ctx, id); err != nil {
		return err
	}
	if err := g.Records.Delete(ctx, userKey+id); err != nil {
		return fmt.Errorf("deleting a user: %w", err)
	}
	g.users.forget() // whatever follows fails: their sessions are of nobody now
	if err := g.endSessions(ctx, func(s session) bool { return s.User == id }); err != nil {
		return err
	}
	if err := g.deletePasskeys(ctx, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Guard) deletePasskeys(ctx context.Context, id string) error {
	var keys []string
	err := g.Records.List(ctx, passkeyKey+id+".", func(key string, _ []byte) error {
		keys = append(keys, key)
		return nil
	})
	for _, key := range keys {
		if err == nil {
			err = g.Records.Delete(ctx, key)
		}
	}
	if err != nil {
		return fmt.Errorf("deleting passkeys: %w", err)
	}
	return nil
}
