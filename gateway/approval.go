package gateway

import (
	"context"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// joinHold is how long a node that asks for news of its approval is kept waiting.
const joinHold = 20 * time.Second

// ask lets a node without a token into the waiting room.
func (g *Gateway) ask(w http.ResponseWriter, r *http.Request, record state.Node, commit string) error {
	if !access.IsJoinCommit(commit) {
		return problem.New(problem.InvalidJSON, "A node that joins has a token or a commitment.").At("commit")
	}
	waiter, err := g.waiting.begin(r.Context(), record, addressOf(r), commit)
	if err != nil {
		return err
	}
	access.Note(r.Context(), waiter.ID, "asks for approval")
	return access.WriteJSON(w, http.StatusAccepted, api.JoinWait{Nonce: waiter.Ours})
}

// addressOf is the address that a request came from, without its port.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	return addr.Unmap().WithZone("").String()
}

// waiter is the caller's place in the waiting room.
func (g *Gateway) waiter(r *http.Request) (w waiter, revision uint64, err error) {
	key := access.CallerOf(r.Context()).Key
	id := ""
	err = g.waiting.each(r.Context(), func(w waiter) {
		if w.Key.Equal(key) {
			id = w.ID
		}
	})
	if err != nil {
		return w, 0, err
	}
	return g.waiting.get(r.Context(), id)
}

// postReveal opens the node's commitment. From now on people see the node, and both
// ends show the same symbols.
func (g *Gateway) postReveal(w http.ResponseWriter, r *http.Request) error {
	var body api.JoinReveal
	if err := access.ReadPeerJSON(r, &body); err != nil {
		return err
	}
	waiter, revision, err := g.waiter(r)
	if err != nil {
		return err
	}
	if !access.Reveals(waiter.Commit, body.Nonce) {
		return problem.New(problem.BadRequest, "It is not what the node had committed to.").At("nonce")
	}
	if waiter.Nonce == "" {
		waiter.Nonce = body.Nonce
		if err := g.waiting.put(r.Context(), waiter, revision); err != nil {
			return err
		}
		d := g.waiting.describe(waiter)
		g.events.publish(scan.Event{Type: scan.EventNodeState, Node: &d})
		g.log.Info("a node waits for approval", "node", waiter.ID, "address", waiter.Address)
	}
	return access.WriteJSON(w, http.StatusAccepted, api.JoinWait{Nonce: waiter.Ours, Check: waiter.check(g.cfg.Identity)})
}

// getJoinState tells a node whether a person has let it in. It is held while nothing
// is decided.
func (g *Gateway) getJoinState(w http.ResponseWriter, r *http.Request) error {
	hold, cancel := context.WithTimeout(r.Context(), joinHold)
	defer cancel()
	at := g.events.head() // before the first look, so that no news falls between
	waiter, _, err := g.waiter(r)
	for more := true; more && err == nil; {
		if at, more = g.newsOf(hold, waiter.ID, at); more {
			_, _, err = g.waiting.get(hold, waiter.ID)
		}
	}
	switch {
	case r.Context().Err() != nil:
		return r.Context().Err()
	case err == nil:
		return access.WriteJSON(w, http.StatusAccepted, api.JoinWait{Nonce: waiter.Ours, Check: waiter.check(g.cfg.Identity)})
	case !errors.Is(err, problem.NotFound.Error()):
		return err
	}
	n, err := g.registry.allowed(access.CallerOf(r.Context()).Key)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, g.registry.describe(n))
}

// newsOf waits for an event of the node after a place and answers the place after that
// event; more is false if the wait ended without one.
func (g *Gateway) newsOf(ctx context.Context, id string, at uint64) (next uint64, more bool) {
	for {
		events, changed, err := g.events.after(at)
		if err != nil {
			return g.events.head(), true // it fell behind: there may have been one
		}
		at += uint64(len(events))
		if slices.ContainsFunc(events, func(e scan.Event) bool { return e.Node != nil && e.Node.ID == id }) {
			return at, true
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return at, false
		case <-g.stopping:
			return at, false
		}
	}
}

// approveNode lets a waiting node in, if the person has compared the symbols.
func (g *Gateway) approveNode(w http.ResponseWriter, r *http.Request) error {
	var body api.NodeApproval
	if err := access.ReadJSON(r, &body); err != nil {
		return err
	}
	ctx := r.Context()
	waiter, _, err := g.waiting.get(ctx, r.PathValue("node"))
	if err != nil {
		return err
	}
	check := waiter.check(g.cfg.Identity)
	if check == "" {
		return problem.NotFound.Error()
	}
	if subtle.ConstantTimeCompare([]byte(check), []byte(body.Check)) != 1 {
		return problem.CheckWrong.Error().At("check")
	}
	record := state.Node{ID: waiter.ID, Key: waiter.Key, Name: waiter.Name, Version: waiter.Version, Joined: scan.At(g.now())}
	if err := g.mayJoin(record); err != nil {
		return err
	}
	n, err := g.enrol(ctx, record)
	if err != nil {
		return err
	}
	if err := g.waiting.forget(ctx, waiter.ID); err != nil {
		return err
	}
	g.registry.publish(n) // who waits for news looks now
	access.Note(ctx, n.id, record.Name)
	return access.WriteJSON(w, http.StatusOK, g.registry.describe(n))
}

// refuseWaiting blocks the key of a node that waits, if the ID is that of one: it gets
// a record, to be revoked.
func (g *Gateway) refuseWaiting(ctx context.Context, id string) error {
	waiter, _, err := g.waiting.get(ctx, id)
	if errors.Is(err, problem.NotFound.Error()) {
		return nil
	}
	if err != nil {
		return err
	}
	now := scan.At(g.now())
	stored, err := g.nodes.Create(ctx, state.Node{
		ID: waiter.ID, Key: waiter.Key, Name: waiter.Name, Version: waiter.Version, Joined: now, Revoked: now,
	})
	switch {
	case err == nil:
		g.applied(stored)
	case !errors.Is(err, access.ErrConflict): // else it has a record from before
		return err
	}
	if err := g.waiting.forget(ctx, waiter.ID); err != nil {
		return err
	}
	if n, ok := g.registry.get(id); ok {
		g.registry.publish(n)
	}
	return nil
}
