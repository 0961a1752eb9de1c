package gateway

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"slices"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// maxPresents is how many scanners of others one node may present, from the API.
const maxPresents = 64

// enrolled is access.Config.PeerNode.
func (g *Gateway) enrolled(_ context.Context, key ed25519.PublicKey) (id, name string, err error) {
	n, err := g.registry.allowed(key)
	if err != nil {
		return "", "", err
	}
	return n.id, g.registry.record(n).Name, nil
}

// presents reports whether an administrator has let a node present a scanner:
// access.Config.NodeMay.
func (r *registry) presents(node, scanner string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := r.byPrefix[scan.Prefix(node)]
	return n != nil && n.id == node && n.record.Barred() == nil && slices.Contains(n.record.Presents, scanner)
}

// postPresents takes in which scanners a node wants to present, and answers which it may.
// The others are shown to people with the node. They may be of nodes that are not known yet.
func (g *Gateway) postPresents(w http.ResponseWriter, r *http.Request) error {
	n, err := g.registry.allowed(access.CallerOf(r.Context()).Key)
	if err != nil {
		return err
	}
	var body api.PresentRequest
	if err := access.ReadPeerJSON(r, &body); err != nil {
		return err
	}
	asked, err := checkPresents(n, body.Scanners, "scanners")
	if err != nil {
		return err
	}
	answer := api.PresentAnswer{Allowed: []string{}, Waiting: []string{}}
	for _, id := range asked {
		if g.registry.presents(n.id, id) {
			answer.Allowed = append(answer.Allowed, id)
		} else {
			answer.Waiting = append(answer.Waiting, id)
		}
	}
	g.registry.asks(n, asked)
	return access.WriteJSON(w, http.StatusOK, answer)
}

// checkPresents answers the scanners in order. A node needs no leave for its own.
func checkPresents(n *node, scanners []string, member string) ([]string, error) {
	if len(scanners) > maxPresents {
		return nil, problem.New(problem.InvalidJSON, "A node presents at most %d scanners.", maxPresents).At(member)
	}
	for _, id := range scanners {
		if _, kind, err := scan.ParseID(id); err != nil || kind != scan.KindScanner {
			return nil, problem.BadID.Error().At(member)
		}
		if n.owns(id) {
			return nil, problem.New(problem.InvalidJSON, "The node cannot present its own scanner %s: it shares it.", id).At(member)
		}
	}
	sorted := slices.Sorted(slices.Values(scanners))
	if len(slices.Compact(slices.Clone(sorted))) != len(sorted) {
		return nil, problem.New(problem.InvalidJSON, "A scanner is there twice.").At(member)
	}
	return sorted, nil
}

// asks keeps what a node wants to present, until it asks for something else, is barred or
// leaves, and tells of it.
func (r *registry) asks(n *node, scanners []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.record.Barred() != nil {
		return // it has just been barred
	}
	before := without(n.asked, n.record.Presents)
	n.asked = scanners
	if !slices.Equal(before, without(n.asked, n.record.Presents)) {
		r.publishNodeLocked(n)
	}
}

// without are the members of a that are not in b, in order; nil for none.
func without(a, b []string) []string {
	var rest []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			rest = append(rest, s)
		}
	}
	return rest
}
