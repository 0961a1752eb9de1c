package access

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	maxPermissions = 1000
	maxNodeLabel   = 40 // characters
)

func (g *Guard) permissionRoutes() []Route {
	const permissions = "/api/v1/permissions"
	admin := AtLeast(api.RoleAdmin).Direct().OwnPages()
	return []Route{
		{Method: http.MethodGet, Path: permissions, Policy: admin, Handle: g.listPermissions},
		{Method: http.MethodPost, Path: permissions, Policy: admin, MaxBody: maxSignInBody, Audit: "permission.create", Handle: g.postPermission},
		{Method: http.MethodDelete, Path: permissions + "/{permission}", Policy: admin, Audit: "permission.delete", Handle: g.deletePermission},
	}
}

func (p permission) describe() api.Permission {
	return api.Permission{Id: p.ID, User: p.User, Group: p.Group, Role: p.Role, Scanner: p.Scanner, Node: p.Node, Label: p.Label, Actions: p.Actions}
}

func (g *Guard) listPermissions(w http.ResponseWriter, r *http.Request) error {
	all, err := g.readPermissions(r.Context())
	if err != nil {
		return err
	}
	list := api.PermissionList{Items: []api.Permission{}}
	for _, p := range all {
		list.Items = append(list.Items, p.describe())
	}
	return WriteJSON(w, http.StatusOK, list)
}

func (g *Guard) postPermission(w http.ResponseWriter, r *http.Request) error {
	var body api.PermissionRequest
	if err := ReadJSON(r, &body); err != nil {
		return err
	}
	if err := checkPermission(body); err != nil {
		return err
	}
	ctx := r.Context()
	if body.User != "" {
		if _, _, err := g.readUser(ctx, body.User); isNotFound(err) {
			return problem.New(problem.InvalidJSON, "There is no such user.").At("user")
		} else if err != nil {
			return err
		}
	}
	all, err := g.readPermissions(ctx)
	if err != nil {
		return err
	}
	if len(all) >= maxPermissions {
		return problem.New(problem.BadRequest, "There are %d permissions. Remove some.", len(all))
	}
	p := permission{ID: scan.RandomText(shortIDLength), User: body.User, Group: body.Group, Role: body.Role,
		Scanner: body.Scanner, Node: body.Node, Label: body.Label, Actions: body.Actions}
	if err := PutRecord(ctx, g.Records, permissionKey+p.ID, p, g.Now().Add(userFor), 0); err != nil {
		return err
	}
	g.permissions.forget()
	Note(ctx, p.ID, p.summary())
	w.Header().Set("Location", "/api/v1/permissions/"+p.ID)
	return WriteJSON(w, http.StatusCreated, p.describe())
}

// checkPermission judges what a client has sent.
func checkPermission(p api.PermissionRequest) error {
	if countGiven(p.User, p.Group, string(p.Role)) != 1 {
		return problem.New(problem.InvalidJSON, "Exactly one of user, group and role is needed.").At("user")
	}
	if countGiven(p.Scanner, p.Node, p.Label) != 1 {
		return problem.New(problem.InvalidJSON, "Exactly one of scanner, node and label is needed.").At("scanner")
	}
	if p.Role != "" && rank(p.Role) == 0 {
		return problem.New(problem.InvalidJSON, "There is no such role.").At("role")
	}
	if _, kind, err := scan.ParseID(p.Scanner); p.Scanner != "" && (err != nil || kind != scan.KindScanner) {
		return problem.BadID.Error().At("scanner")
	}
	if p.Node != "" && scan.ParseNodeID(p.Node) != nil {
		return problem.BadID.Error().At("node")
	}
	if len([]rune(p.Label)) > maxNodeLabel {
		return problem.New(problem.InvalidJSON, "It may have %d characters.", maxNodeLabel).At("label")
	}
	if err := CheckLabel("label", p.Label); err != nil {
		return err
	}
	if len(p.Actions) < 1 || len(p.Actions) > len(scan.Actions) {
		return problem.New(problem.InvalidJSON, "One to three actions are needed.").At("actions")
	}
	for _, a := range p.Actions {
		if !slices.Contains(scan.Actions, a) {
			return problem.New(problem.InvalidJSON, "An action is see, scan or configure.").At("actions")
		}
	}
	return CheckLabel("group", p.Group)
}

// countGiven is how many of the members have a value.
func countGiven(members ...string) (n int) {
	for _, m := range members {
		if m != "" {
			n++
		}
	}
	return n
}

func (g *Guard) deletePermission(w http.ResponseWriter, r *http.Request) error {
	ctx, key := r.Context(), permissionKey+r.PathValue("permission")
	p, _, err := GetRecord[permission](ctx, g.Records, key)
	if errors.Is(err, ErrNoRecord) {
		return problem.NotFound.Error()
	}
	if err == nil {
		err = g.Records.Delete(ctx, key)
	}
	if err != nil {
		return fmt.Errorf("deleting a permission: %w", err)
	}
	g.permissions.forget()
	Note(ctx, p.ID, p.summary())
	w.WriteHeader(http.StatusNoContent)
	return nil
}
