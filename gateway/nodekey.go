package gateway

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// admits reports whether the node may prove this key.
func admits(record state.Node, key ed25519.PublicKey) bool {
	return record.Key.Equal(key) || len(record.NextKey) > 0 && record.NextKey.Equal(key)
}

// postNodeKey takes the key that a node is going to have. Both are admitted until the
// new one has linked: the node may be killed at any moment of its change.
func (g *Gateway) postNodeKey(w http.ResponseWriter, r *http.Request) error {
	caller := access.CallerOf(r.Context())
	n, err := g.registry.allowed(caller.Key)
	if err != nil {
		return err
	}
	var body api.KeyRotation
	if err := access.ReadPeerJSON(r, &body); err != nil {
		return err
	}
	rotation, err := identity.ParseRotation(body.Rotation)
	if err != nil || rotation.Node != n.id || !rotation.Old.Equal(caller.Key) {
		return problem.New(problem.BadRequest, "It is no change of this node's key that both keys have signed.").At("rotation")
	}
	if other := g.registry.holder(rotation.New); other != nil && other != n {
		return problem.New(problem.NodePrefixTaken, "Another node has the new key.")
	}
	var refused error
	_, err = g.editNode(r.Context(), n, func(record *state.Node) {
		if refused = record.Barred(); refused == nil && !admits(*record, caller.Key) {
			refused = problem.NodeUnknown.Error()
		}
		if refused == nil && !record.NextKey.Equal(rotation.New) {
			record.Key, record.NextKey = caller.Key, rotation.New
		}
	})
	if err = errors.Join(refused, err); err != nil {
		return err
	}
	access.Note(r.Context(), n.id, identity.PinOf(rotation.New))
	g.log.Info("a node changes its key", "node", n.id, "pin", identity.PinOf(rotation.New))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// postLeave forgets the node that asks for it.
func (g *Gateway) postLeave(w http.ResponseWriter, r *http.Request) error {
	n, err := g.registry.allowed(access.CallerOf(r.Context()).Key)
	if err != nil {
		return err
	}
	record := g.registry.record(n)
	for range editTries {
		if err := record.Barred(); err != nil {
			return err
		}
		err := g.nodes.Delete(r.Context(), record)
		if err == nil {
			access.Note(r.Context(), n.id, record.Name)
			g.removed(n.prefix, record.Revision)
			g.log.Info("node left", "node", n.id)
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		if !errors.Is(err, access.ErrConflict) {
			return fmt.Errorf("deleting node %s: %w", n.id, err)
		}
		if record, err = g.nodes.Get(r.Context(), n.prefix); err != nil {
			return fmt.Errorf("deleting node %s: %w", n.id, err)
		}
		g.applied(record)
	}
	return problem.Unavailable.Error()
}
