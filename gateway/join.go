package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// postJoin enrols the node whose key the connection has proven. The same node may
// ask again with the same token, because its first answer may have been lost.
func (g *Gateway) postJoin(w http.ResponseWriter, r *http.Request) error {
	caller := access.CallerOf(r.Context())
	id, err := scan.NodeID(caller.Key)
	if err != nil {
		return err
	}
	var body api.JoinRequest
	if err := access.ReadPeerJSON(r, &body); err != nil {
		return err
	}
	name := clean(body.Name, 4*maxName)
	if err := checkName(name); err != nil {
		return err
	}
	if err := g.mayJoin(id); err != nil {
		return err // and the token stays good for another node
	}
	if err := g.tokens.Redeem(r.Context(), body.Token, id); err != nil {
		return err
	}
	token, _, _ := strings.Cut(body.Token, ".")
	n, err := g.enrol(r.Context(), state.Node{
		ID: id, Key: caller.Key, Name: name, Version: clean(body.Version, maxVersion),
		Token: token, Joined: scan.At(g.now()),
	})
	if err != nil {
		return err
	}
	g.log.Info("node enrolled", "node", id, "token", token)
	return access.WriteJSON(w, http.StatusCreated, g.registry.describe(n))
}

// mayJoin refuses a node that was revoked and one whose routing prefix another has.
func (g *Gateway) mayJoin(id string) error {
	if n, ok := g.registry.get(id); ok {
		if !g.registry.record(n).Revoked.IsZero() {
			return problem.NodeRevoked.Error()
		}
		return nil
	}
	if g.registry.taken(id) {
		return problem.NodePrefixTaken.Error()
	}
	return nil
}

// enrol stores the node. The state, whose keys are the prefixes, has the last word
// on whether the prefix is free. A node that is enrolled already stays as it is.
func (g *Gateway) enrol(ctx context.Context, record state.Node) (*node, error) {
	stored, err := g.cfg.State.Nodes().Create(ctx, record)
	if errors.Is(err, access.ErrConflict) {
		stored, err = g.cfg.State.Nodes().Get(ctx, scan.Prefix(record.ID))
	}
	if err != nil {
		return nil, fmt.Errorf("enrolling node %s: %w", record.ID, err)
	}
	g.applied(stored)
	switch {
	case stored.ID != record.ID:
		return nil, problem.NodePrefixTaken.Error()
	case !stored.Revoked.IsZero():
		return nil, problem.NodeRevoked.Error()
	}
	n, ok := g.registry.get(record.ID)
	if !ok {
		return nil, fmt.Errorf("enrolling node %s: it is not in the registry", record.ID)
	}
	return n, nil
}
