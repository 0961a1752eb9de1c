package access

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// originRoutes are for the persons who allow foreign pages, and for our own pages only:
// no page lets itself in.
func (g *Guard) originRoutes() []Route {
	const origins = "/api/v1/origins"
	looks, decides := AtLeast(api.RoleOperator).Direct().OwnPages(), AtLeast(api.RoleAdmin).Direct().OwnPages()
	return []Route{
		{Method: http.MethodGet, Path: origins, Policy: looks, Handle: g.listOrigins},
		{Method: http.MethodPost, Path: origins, Policy: decides, MaxBody: maxSignInBody, Audit: "origin.allow", Handle: g.allowOrigin},
		{Method: http.MethodDelete, Path: origins + "/{origin}", Policy: decides, Audit: "origin.withdraw", Handle: g.withdrawOrigin},
	}
}

func (g *Guard) listOrigins(w http.ResponseWriter, r *http.Request) error {
	consents, err := g.Origins.consented(r.Context())
	if err != nil {
		return err
	}
	list := api.OriginList{Items: []api.AllowedOrigin{}}
	fixed, all := g.Origins.configured()
	if all {
		list.Items = append(list.Items, api.AllowedOrigin{Origin: "*", Source: api.AllowedOriginSourceConfiguration})
	}
	for _, o := range fixed {
		list.Items = append(list.Items, api.AllowedOrigin{Origin: o.String(), Source: api.AllowedOriginSourceConfiguration})
	}
	for _, o := range slices.SortedFunc(maps.Keys(consents), func(a, b Origin) int { return strings.Compare(a.String(), b.String()) }) {
		list.Items = append(list.Items, consents[o].describe(o))
	}
	return WriteJSON(w, http.StatusOK, list)
}

func (c consent) describe(o Origin) api.AllowedOrigin {
	return api.AllowedOrigin{Id: o.id(), Origin: o.String(), Source: api.AllowedOriginSourcePerson, By: c.By, Created: scan.At(c.Created)}
}

// allowOrigin keeps a person's word. Who says it again is told who said it first.
func (g *Guard) allowOrigin(w http.ResponseWriter, r *http.Request) error {
	var body api.OriginRequest
	if err := ReadJSON(r, &body); err != nil {
		return err
	}
	o, err := ParseOrigin(body.Origin)
	if err != nil {
		return problem.New(problem.InvalidJSON, "It begins with http:// or https://, and nothing follows the host and port.").At("origin")
	}
	c := consent{Origin: o.String(), By: CallerOf(r.Context()).who(), Created: g.Now()}
	err = PutRecord(r.Context(), g.Records, originKey+o.id(), c, g.Now().Add(claimFor), 0)
	if errors.Is(err, ErrConflict) {
		c, err = g.consent(r.Context(), o.id())
	}
	if err != nil {
		return err
	}
	g.Origins.edited()
	Note(r.Context(), o.id(), o.String())
	return WriteJSON(w, http.StatusCreated, c.describe(o))
}

// withdrawOrigin ends the origin's sessions too, even where the configuration lets its
// pages ask for new ones.
func (g *Guard) withdrawOrigin(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("origin")
	c, err := g.consent(ctx, id)
	if errors.Is(err, ErrNoRecord) {
		fixed, _ := g.Origins.configured()
		if slices.ContainsFunc(fixed, func(o Origin) bool { return o.id() == id }) {
			return problem.OriginFixed.Error()
		}
		return problem.NotFound.Error()
	}
	if err != nil {
		return fmt.Errorf("reading an allowed origin: %w", err)
	}
	if err := g.Records.Delete(ctx, originKey+id); err != nil {
		return fmt.Errorf("deleting an allowed origin: %w", err)
	}
	g.Origins.edited()
	if err := g.endSessions(ctx, func(s session) bool { return s.Origin == c.Origin }); err != nil {
		return err
	}
	g.Origins.drop() // what a gateway's grants or direct roads let in has no session here
	Note(ctx, id, c.Origin)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Guard) consent(ctx context.Context, id string) (c consent, err error) {
	c, _, err = GetRecord[consent](ctx, g.Records, originKey+id)
	return c, err
}
