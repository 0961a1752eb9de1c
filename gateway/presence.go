package gateway

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// maxLinks is how many links of one node may stand at once: the newest takes the
// requests, its companion bodies, and older ones only finish theirs.
const maxLinks = 6

// up takes in a link that has said hello. It becomes the one that takes the node's
// requests, or, if it is for bulk and such a one stands, its companion. older are those
// that take no new requests any more, excess the first of them, which are too many. A
// node that is barred gets none.
func (r *registry) up(n *node, h *held, bulk bool) (older, excess []*held, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := n.record.Barred(); err != nil {
		return nil, nil, err
	}
	r.linked[from(h)]++
	if bulk && n.link != nil {
		n.links = slices.Insert(n.links, slices.Index(n.links, n.link), h)
		n.bulk = h
		n.wakeLocked()
	} else {
		n.links = append(n.links, h)
		n.bulk = nil
		r.setLinkLocked(n, h)
	}
	for _, l := range n.links {
		if l != n.link && l != n.bulk {
			older = append(older, l)
		}
	}
	return older, older[:min(max(len(n.links)-maxLinks, 0), len(older))], nil
}

// down forgets a link that is gone. If it was the one that took requests, its companion
// takes its place; without one the node is shown as offline.
func (r *registry) down(n *node, h *held) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n.links = slices.DeleteFunc(n.links, func(l *held) bool { return l == h })
	if at := from(h); r.linked[at] > 1 {
		r.linked[at]--
	} else {
		delete(r.linked, at)
	}
	next := n.bulk
	switch h {
	case n.link:
		n.bulk = nil
		if next != nil && next.gone() {
			next = nil
		}
		r.setLinkLocked(n, next)
	case n.bulk:
		n.bulk = nil
		n.wakeLocked()
	}
}

func (r *registry) setLinkLocked(n *node, h *held) {
	was := n.link
	if was == nil && h == nil {
		return
	}
	n.link = h
	if h != nil {
		close(h.chosen)
	}
	n.wakeLocked()
	if was == nil || h == nil {
		n.since = r.now()
	}
	if n.record.Barred() != nil {
		return
	}
	r.publishNodeLocked(n)
	if h == nil {
		for _, s := range n.scanners {
			r.publishScannerLocked(n, scan.EventDeviceState, s)
		}
	}
}

// wakeLocked tells those who wait for a link to look again.
func (n *node) wakeLocked() {
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}

// gone reports whether the link is.
func (h *held) gone() bool {
	select {
	case <-h.Done():
		return true
	default:
		return false
	}
}

// from is the address that a link comes from; the zero Addr where it tells none.
func from(h *held) netip.Addr {
	at, err := netip.ParseAddrPort(h.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// Linked reports whether a link comes from the address: a node is there, or the router
// before it. It does not wait.
func (g *Gateway) Linked(address netip.Addr) bool {
	g.registry.mu.RLock()
	defer g.registry.mu.RUnlock()
	return g.registry.linked[address.Unmap().WithZone("")] > 0
}

// linksOf are the links of a node that stand; the last one takes its requests.
func (r *registry) linksOf(n *node) []*held {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(n.links)
}

// connected counts the nodes that have a link.
func (r *registry) connected() (count int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, n := range r.ordered {
		if n.link != nil {
			count++
		}
	}
	return count
}

// Summary counts the nodes by state.
func (g *Gateway) Summary() map[scan.NodeState]int {
	r := g.registry
	r.mu.RLock()
	defer r.mu.RUnlock()
	count := map[scan.NodeState]int{}
	for _, n := range r.ordered {
		count[n.describeLocked().State]++
	}
	return count
}

// behind counts the nodes that have not stored the gateway's next key.
func (r *registry) behind(next string) (count int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, n := range r.ordered {
		if n.record.Barred() == nil && n.record.Heard != next {
			count++
		}
	}
	return count
}

// takeBody counts a body that is about to come from the node; release ends it.
func (r *registry) takeBody(n *node) (release func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.bodies >= bodiesPerNode {
		return nil, problem.New(problem.TooManyRequests,
			"%q is sending %d files already.", n.record.Name, n.bodies).After(time.Second)
	}
	n.bodies++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		n.bodies--
	}, nil
}

// absent names the node in a list that lacks what it has.
func (r *registry) absent(n *node) api.Absent {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return n.absentLocked()
}

// online reports whether the node has a link.
func (r *registry) online(n *node) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return n.link != nil
}

// offlineRetry is when to look again for a node that is away.
const offlineRetry = 5 * time.Second

// offline is the problem of a node without a link, in words.
func (r *registry) offline(n *node) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.offlineLocked(n)
}

func (r *registry) offlineLocked(n *node) error {
	return problem.New(problem.NodeOffline, "%q has not been connected for %s.",
		n.record.Name, inWords(r.now().Sub(n.since))).After(offlineRetry)
}

// lost is the problem of a link that broke under a request that may have been
// carried out.
func (r *registry) lost(n *node) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return problem.New(problem.NodeOffline,
		"The connection to %q was lost in the middle of the request, which may have been carried out.", n.record.Name).After(time.Second)
}

// inWords says a span as people do.
func inWords(d time.Duration) string {
	count := func(n int, unit string) string {
		if n == 1 {
			return "one " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	switch {
	case d < 2*time.Second:
		return "a moment"
	case d < 2*time.Minute:
		return count(int(d/time.Second), "second")
	case d < 2*time.Hour:
		return count(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return count(int(d/time.Hour), "hour")
	}
	return count(int(d/(24*time.Hour)), "day")
}
