package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// postJoin enrols the node whose key the connection has proven, if it has a token, or
// lets it ask for a person's approval. The same node may ask again with the same
// token, because its first answer may have been lost.
func (g *Gateway) postJoin(w http.ResponseWriter, r *http.Request) error {
	var body api.JoinRequest
	if err := access.ReadPeerJSON(r, &body); err != nil {
		return err
	}
	record, err := g.newRecord(access.CallerOf(r.Context()), body)
	if err != nil {
		return err
	}
	if err := g.mayJoin(record); err != nil {
		return err // and the token stays good for another node
	}
	access.Note(r.Context(), record.ID, record.Name)
	if body.Token == "" {
		return g.ask(w, r, record, body.Commit)
	}
	if record.Labels, err = g.tokens.Redeem(r.Context(), body.Token, record.ID); err != nil {
		return err
	}
	record.Token, _, _ = strings.Cut(body.Token, ".")
	n, err := g.enrol(r.Context(), record)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusCreated, g.registry.describe(n))
}

// newRecord is what will be known of a node that wants to join.
func (g *Gateway) newRecord(caller access.Caller, body api.JoinRequest) (state.Node, error) {
	id, err := identity.ParseChain(caller.Key, body.Chain)
	if err != nil {
		return state.Node{}, problem.New(problem.BadRequest, "How the node's key follows from its first one is not shown as it must be.").At("chain")
	}
	name := clean(body.Name, 4*maxName)
	if err := checkName(name); err != nil {
		return state.Node{}, err
	}
	return state.Node{ID: id, Key: caller.Key, Name: name, Version: clean(body.Version, maxVersion), Joined: scan.At(g.now())}, nil
}

// mayJoin refuses a node that is barred and one whose routing prefix another has. So
// is one that comes with a key that it had before.
func (g *Gateway) mayJoin(record state.Node) error {
	n, ok := g.registry.get(record.ID)
	if !ok {
		if g.registry.taken(record.ID) {
			return problem.NodePrefixTaken.Error()
		}
		return nil
	}
	known := g.registry.record(n)
	if err := known.Barred(); err != nil {
		return err
	}
	if !admits(known, record.Key) {
		return problem.New(problem.NodePrefixTaken, "The node is enrolled with another key.")
	}
	return nil
}

// enrol stores the node. The state, whose keys are the prefixes, has the last word on
// whether the prefix is free. A node that is enrolled already stays as it is, but
// whatever number it gives back with its next link is right.
func (g *Gateway) enrol(ctx context.Context, record state.Node) (*node, error) {
	stored, err := g.nodes.Create(ctx, record)
	if errors.Is(err, access.ErrConflict) {
		stored, err = g.nodes.Get(ctx, scan.Prefix(record.ID))
	}
	if err != nil {
		return nil, fmt.Errorf("enrolling node %s: %w", record.ID, err)
	}
	g.applied(stored)
	if stored.ID != record.ID || !admits(stored, record.Key) {
		return nil, problem.NodePrefixTaken.Error()
	}
	if err := stored.Barred(); err != nil {
		return nil, err
	}
	n, ok := g.registry.get(record.ID)
	if !ok {
		return nil, fmt.Errorf("enrolling node %s: it is not in the registry", record.ID)
	}
	_, err = g.editNode(ctx, n, func(r *state.Node) {
		if r.Sequence != 0 || r.Offer != 0 {
			r.Trust, r.Offer = true, 0
		}
	})
	if err != nil {
		return nil, err
	}
	g.log.Info("node enrolled", "node", record.ID, "token", record.Token)
	return n, nil
}
