package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const maxName = 80 // characters, from the API

// after is the place in a list that is ordered by ID.
type after struct {
	ID string `json:"a"`
}

// place reads the parameters of a list that is ordered by ID.
func (g *Gateway) place(r *http.Request, list string) (limit int, from after, err error) {
	limit, cursor, err := access.Page(r)
	if err == nil && cursor != "" {
		err = g.cursors.open(list, cursor, &from)
	}
	return limit, from, err
}

func (g *Gateway) listNodes(w http.ResponseWriter, r *http.Request) error {
	limit, from, err := g.place(r, "nodes")
	if err != nil {
		return err
	}
	nodes, more := g.registry.page(from.ID, limit)
	list := api.NodeList{Items: nodes}
	if more {
		if list.Next, err = g.cursors.seal("nodes", after{nodes[len(nodes)-1].ID}); err != nil {
			return err
		}
	}
	return access.WriteJSON(w, http.StatusOK, list)
}

func (g *Gateway) nodeOf(r *http.Request) (*node, error) {
	n, ok := g.registry.get(r.PathValue("node"))
	if !ok {
		return nil, problem.NotFound.Error()
	}
	return n, nil
}

func (g *Gateway) getNode(w http.ResponseWriter, r *http.Request) error {
	n, err := g.nodeOf(r)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, g.registry.describe(n))
}

func (g *Gateway) patchNode(w http.ResponseWriter, r *http.Request) error {
	n, err := g.nodeOf(r)
	if err != nil {
		return err
	}
	var edit api.NodeEdit
	if err := access.ReadJSON(r, &edit); err != nil {
		return err
	}
	if err := checkName(edit.Name); err != nil {
		return err
	}
	if !g.registry.record(n).Revoked.IsZero() {
		return problem.NodeRevoked.Error()
	}
	if _, err := g.editNode(r.Context(), n, func(record *state.Node) { record.Name = edit.Name }); err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, g.registry.describe(n))
}

func checkName(name string) error {
	printable := !strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f })
	if n := utf8.RuneCountInString(name); n < 1 || n > maxName || !printable || strings.TrimSpace(name) == "" {
		return problem.New(problem.InvalidJSON, "A name has 1 to %d printable characters.", maxName).At("name")
	}
	return nil
}

// deleteNode revokes: the record stays, so that the key stays refused.
func (g *Gateway) deleteNode(w http.ResponseWriter, r *http.Request) error {
	n, err := g.nodeOf(r)
	if err != nil {
		return err
	}
	_, err = g.editNode(r.Context(), n, func(record *state.Node) {
		if record.Revoked.IsZero() {
			record.Revoked = scan.At(g.now())
		}
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// editTries is how often an edit is tried against others of the same record.
const editTries = 5

// editNode changes a node's record, in the state and then here. change is called
// with the record as it is now, more than once if others change it too.
func (g *Gateway) editNode(ctx context.Context, n *node, change func(*state.Node)) (state.Node, error) {
	record := g.registry.record(n)
	for range editTries {
		change(&record)
		edited, err := g.cfg.State.Nodes().Update(ctx, record)
		if err == nil {
			g.applied(edited)
			return edited, nil
		}
		if !errors.Is(err, access.ErrConflict) {
			return state.Node{}, fmt.Errorf("changing node %s: %w", n.id, err)
		}
		if record, err = g.cfg.State.Nodes().Get(ctx, n.prefix); err != nil {
			return state.Node{}, fmt.Errorf("changing node %s: %w", n.id, err)
		}
		g.applied(record)
	}
	return state.Node{}, problem.Unavailable.Error()
}

// applied takes in a record that the state has. A revoked node's links are cut at
// once and its scanners forgotten.
func (g *Gateway) applied(record state.Node) {
	n, links, changed := g.registry.apply(record)
	if changed && !record.Revoked.IsZero() {
		cut(links, problem.NodeRevoked)
		g.remember(n)
	}
}

// newJoinToken makes a token that enrols one node.
func (g *Gateway) newJoinToken(ctx context.Context, label string) (api.JoinToken, error) {
	return g.tokens.Create(ctx, g.cfg.Addresses, g.cfg.Identity.Pin(), label)
}

func (g *Gateway) postJoinToken(w http.ResponseWriter, r *http.Request) error {
	var body api.JoinTokenRequest
	if err := access.ReadJSON(r, &body); err != nil {
		return err
	}
	if body.Label != "" {
		if err := checkName(body.Label); err != nil {
			return problem.From(err).At("label")
		}
	}
	token, err := g.newJoinToken(r.Context(), body.Label)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/join-tokens/"+token.Id)
	return access.WriteJSON(w, http.StatusCreated, token)
}

func (g *Gateway) listJoinTokens(w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := access.Page(r)
	if err != nil {
		return err
	}
	items, next, err := g.tokens.List(r.Context(), limit, cursor)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, api.JoinTokenList{Items: items, Next: next})
}

func (g *Gateway) deleteJoinToken(w http.ResponseWriter, r *http.Request) error {
	if err := g.tokens.Delete(r.Context(), r.PathValue("token")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
