package gateway

import (
	"context"
	"sync"
	"time"
)

// snapshots are the nodes whose scanners are to be stored. A node is stored once
// however often its scanners changed in the meantime, and never by the goroutine
// that reads its events: a slow disk must not look like a silent node.
type snapshots struct {
	ready chan struct{} // holds a word while something is due

	mu  sync.Mutex
	due map[*node]bool
}

func newSnapshots() *snapshots {
	return &snapshots{ready: make(chan struct{}, 1), due: map[*node]bool{}}
}

func (s *snapshots) add(n *node) {
	s.mu.Lock()
	s.due[n] = true
	s.mu.Unlock()
	s.wake()
}

func (s *snapshots) wake() {
	select {
	case s.ready <- struct{}{}:
	default: // one word is enough
	}
}

func (s *snapshots) take() []*node {
	s.mu.Lock()
	defer s.mu.Unlock()
	nodes := make([]*node, 0, len(s.due))
	for n := range s.due {
		nodes = append(nodes, n)
	}
	clear(s.due)
	return nodes
}

const (
	storeLimit = 5 * time.Second // for one node, or for all that is left at the end
	storeAgain = 5 * time.Second // after a failure
)

// remember has the node's scanners stored soon.
func (g *Gateway) remember(n *node) { g.snapshot.add(n) }

// storeSnapshots writes what is due until ctx ends, then the rest.
func (g *Gateway) storeSnapshots(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeLimit)
			defer cancel()
			g.storeDue(last)
			return nil
		case <-g.snapshot.ready:
		}
		if g.storeDue(ctx) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(storeAgain):
			g.snapshot.wake()
		}
	}
}

// storeDue reports whether all could be written; what could not stays due.
func (g *Gateway) storeDue(ctx context.Context) bool {
	ok := true
	for _, n := range g.snapshot.take() {
		if err := g.store(ctx, n); err != nil {
			g.log.Warn("cannot store a node's scanners", "node", n.id, "error", err)
			g.snapshot.add(n)
			ok = false
		}
	}
	return ok
}

func (g *Gateway) store(ctx context.Context, n *node) error {
	ctx, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	if g.registry.record(n).Barred() != nil {
		return g.cfg.State.Scanners().Delete(ctx, n.id)
	}
	return g.cfg.State.Scanners().Put(ctx, n.id, g.registry.scannersOf(n))
}
