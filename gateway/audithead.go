package gateway

import (
	"context"
	"crypto/ed25519"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/audit"
	"github.com/platen-scan/platen/internal/identity"
)

// noteAudit keeps the newest signed head of a node's audit log. A log that lost its last
// records is whole for itself: only who kept a head elsewhere can tell. What is found is
// logged and recorded, once; the node may link all the same.
func (g *Gateway) noteAudit(ctx context.Context, n *node, key ed25519.PublicKey, text string) {
	kept := g.registry.record(n).Audit
	if text == "" || text == kept {
		return
	}
	head, err := audit.ParseHead(text)
	if err == nil {
		err = head.Verify(identity.PinOf(key))
	}
	if err != nil {
		g.log.Warn("a node's audit head cannot be believed", "node", n.id, "error", err)
		return
	}
	if before, err := audit.ParseHead(kept); err == nil {
		if err := head.Follows(before); err != nil {
			g.log.Error("a node's audit log lost records", "node", n.id, "error", err)
			g.record(ctx, audit.Entry{Action: "node.audit", Result: audit.Failed, Who: "gateway", Target: n.id, Detail: err.Error()})
		}
	}
	if _, err := g.editNode(ctx, n, func(r *state.Node) { r.Audit = text }); err != nil {
		g.log.Warn("cannot keep a node's audit head", "node", n.id, "error", err)
	}
}

// record writes what the gateway finds by itself into its audit log.
func (g *Gateway) record(ctx context.Context, e audit.Entry) {
	if g.cfg.Audit == nil {
		return
	}
	if err := g.cfg.Audit.Append(ctx, e); err != nil {
		g.log.Error("writing the audit log failed", "error", err)
	}
}
