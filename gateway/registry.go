package gateway

import (
	"context"
	"crypto/ed25519"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// registry is what the gateway knows of its nodes: their records, which of them
// hold links, and their scanners. All of it is in memory; the records come from
// the state and go there first.
type registry struct {
	now    func() time.Time
	events *hub

	mu       sync.RWMutex
	byPrefix map[string]*node
	byKey    map[string]*node   // by the node's keys: the one it has and the one that follows
	ordered  []*node            // by ID, and so by the IDs of what they own
	linked   map[netip.Addr]int // how many links come from an address
}

// node is one enrolled node. Its ID and prefix never change; the registry's mu
// guards the rest.
type node struct {
	id, prefix string

	record  state.Node
	link    *held   // takes new requests; nil: offline
	bulk    *held   // stands beside link, for bodies; nil: none
	links   []*held // all that stand, the newest last, but bulk before link
	since   time.Time
	changed chan struct{} // closed when link changes; nil while nobody waits
	bodies  int           // under way
	asked   []string      // scanners that it wants to present, in order

	flows    flows         // what its links carry
	greeting chan struct{} // holds a word while a hello is under way: one at a time

	scanners []scan.Scanner // by ID, as the node told of them last
}

// held is a link that the gateway serves.
type held struct {
	relay.Link
	since  time.Time
	signer *identity.Identity // with the key that the link began with
	ctx    context.Context    // ends with following the node's events over this link
	end    context.CancelCauseFunc

	chosen  chan struct{} // closed when it takes requests: at once, or when the link that it stood beside is gone
	stalled atomic.Int64  // when it gave nothing of a body that another link had, in Unix nanoseconds
}

func newRegistry(nodes []state.Node, scanners map[string][]scan.Scanner, events *hub, now func() time.Time) *registry {
	r := &registry{now: now, events: events, byPrefix: map[string]*node{}, byKey: map[string]*node{}, linked: map[netip.Addr]int{}}
	for _, record := range nodes {
		n := r.insertLocked(record)
		if record.Barred() == nil {
			n.scanners = sortedScanners(scanners[record.ID])
		}
	}
	return r
}

func (r *registry) insertLocked(record state.Node) *node {
	n := &node{id: record.ID, prefix: scan.Prefix(record.ID), since: r.now(), greeting: make(chan struct{}, 1)}
	r.byPrefix[n.prefix] = n
	r.setRecordLocked(n, record)
	at, _ := slices.BinarySearchFunc(r.ordered, n.id, func(n *node, id string) int { return strings.Compare(n.id, id) })
	r.ordered = slices.Insert(r.ordered, at, n)
	return n
}

// setRecordLocked takes in a record and the keys that it admits.
func (r *registry) setRecordLocked(n *node, record state.Node) {
	r.forgetKeysLocked(n)
	n.record = record
	for _, key := range []ed25519.PublicKey{record.Key, record.NextKey} {
		if len(key) == ed25519.PublicKeySize {
			r.byKey[string(key)] = n
		}
	}
}

func (r *registry) forgetKeysLocked(n *node) {
	for _, key := range []ed25519.PublicKey{n.record.Key, n.record.NextKey} {
		if r.byKey[string(key)] == n {
			delete(r.byKey, string(key))
		}
	}
}

// apply takes in a record as the state has it, which may have come from another
// gateway; an older one than is known changes nothing. It answers the node's links,
// which are to be cut if the record bars the node, and whether it lost a scanner that it
// presented.
func (r *registry) apply(record state.Node) (n *node, links []*held, changed, lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = r.byPrefix[scan.Prefix(record.ID)]
	var before scan.Node
	switch {
	case n == nil:
		n = r.insertLocked(record)
	case record.Revision <= n.record.Revision:
		return n, nil, false, false
	default:
		before = n.describeLocked()
		lost = len(without(n.record.Presents, record.Presents)) > 0
		r.setRecordLocked(n, record)
	}
	if record.Barred() != nil {
		r.withdrawLocked(n)
	}
	if !reflect.DeepEqual(n.describeLocked(), before) {
		r.publishNodeLocked(n)
	}
	return n, slices.Clone(n.links), true, lost
}

// remove forgets a node whose record was deleted with a revision, and answers its
// links, which are to be cut.
func (r *registry) remove(prefix string, revision uint64) (n *node, links []*held) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = r.byPrefix[prefix]
	if n == nil || revision < n.record.Revision {
		return nil, nil
	}
	r.forgetKeysLocked(n)
	delete(r.byPrefix, prefix)
	r.ordered = slices.DeleteFunc(r.ordered, func(other *node) bool { return other == n })
	n.record.Revoked = scan.At(r.now()) // for those who still hold the node
	r.withdrawLocked(n)
	r.publishNodeLocked(n)
	return n, slices.Clone(n.links)
}

// withdrawLocked takes a node out of everything that is shown but the list of nodes.
func (r *registry) withdrawLocked(n *node) {
	n.bulk = nil
	r.setLinkLocked(n, nil)
	for _, s := range n.scanners {
		r.publishScannerLocked(n, scan.EventDeviceGone, s)
	}
	n.scanners, n.asked = nil, nil
}

// get finds a node by its ID, barred ones too.
func (r *registry) get(id string) (*node, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := r.byPrefix[scan.Prefix(id)]
	return n, n != nil && n.id == id
}

// taken reports whether a node other than id has its routing prefix.
func (r *registry) taken(id string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := r.byPrefix[scan.Prefix(id)]
	return n != nil && n.id != id
}

// owner finds the node that owns an object, by the routing prefix of its ID.
func (r *registry) owner(id string) (*node, error) {
	prefix, _, err := scan.ParseID(id)
	if err != nil {
		return nil, problem.BadID.Error()
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := r.byPrefix[prefix]
	if n == nil {
		return nil, problem.NotFound.Error()
	}
	return n, n.record.Barred()
}

// allowed finds the node that may hold a link with this key.
func (r *registry) allowed(key ed25519.PublicKey) (*node, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := r.byKey[string(key)]
	if n == nil {
		return nil, problem.NodeUnknown.Error()
	}
	return n, n.record.Barred()
}

// holder is the node that may prove the key; nil: none has it.
func (r *registry) holder(key ed25519.PublicKey) *node {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byKey[string(key)]
}

// record is the node's record as it is now.
func (r *registry) record(n *node) state.Node {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return n.record
}

// all are the nodes that are not barred, by ID.
func (r *registry) all() []*node {
	r.mu.RLock()
	defer r.mu.RUnlock()
	nodes := make([]*node, 0, len(r.ordered))
	for _, n := range r.ordered {
		if n.record.Barred() == nil {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// describe is the node as clients see it.
func (r *registry) describe(n *node) scan.Node {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return n.describeLocked()
}

// page lists nodes after an ID, at most limit of them, and says if there are more.
func (r *registry) page(after string, limit int) (nodes []scan.Node, more bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	nodes = []scan.Node{}
	at, found := slices.BinarySearchFunc(r.ordered, after, func(n *node, id string) int { return strings.Compare(n.id, id) })
	if found {
		at++
	}
	for _, n := range r.ordered[at:] {
		if len(nodes) == limit {
			return nodes, true
		}
		nodes = append(nodes, n.describeLocked())
	}
	return nodes, false
}

func (n *node) describeLocked() scan.Node {
	d := scan.Node{
		ID: n.id, Name: n.record.Name, Version: n.record.Version, Joined: n.record.Joined,
		State: scan.NodeOffline, Since: scan.At(n.since), Scanners: len(n.scanners),
		Labels: n.record.Labels, Draining: n.record.Draining,
		Presents: n.record.Presents, Wants: without(n.asked, n.record.Presents),
		Fault: n.record.Fault,
	}
	switch {
	case !n.record.Revoked.IsZero():
		d.State, d.Since = scan.NodeRevoked, n.record.Revoked
	case !n.record.Quarantined.IsZero():
		d.State, d.Since = scan.NodeQuarantined, n.record.Quarantined
	case n.link != nil:
		d.State = scan.NodeOnline
		if n.record.Draining {
			d.State = scan.NodeDraining
		}
		if kind := n.link.Kind(); kind == relay.KindQUIC || kind == relay.KindTCP {
			d.Road = string(kind)
		}
	}
	return d
}

// publish tells of a node.
func (r *registry) publish(n *node) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	r.publishNodeLocked(n)
}

func (r *registry) publishNodeLocked(n *node) {
	d := n.describeLocked()
	r.events.publish(scan.Event{Type: scan.EventNodeState, Node: &d})
}

// How long a request waits for a node that has only just lost its link, or that
// this gateway has not seen since it started: nodes come back within that time.
const (
	recently = 10 * time.Second
	patience = 3 * time.Second
)

// linkTo is the node's link for a new request, but not the one that just failed
// the caller. It waits a little for a node that is likely to come back.
func (r *registry) linkTo(ctx context.Context, n *node, failed *held) (*held, error) {
	return r.await(ctx, n, func() *held {
		if n.link == failed {
			return nil
		}
		return n.link
	})
}

// await waits for the link of a node that pickLocked, which needs mu, finds.
func (r *registry) await(ctx context.Context, n *node, pickLocked func() *held) (*held, error) {
	var end <-chan time.Time
	for {
		link, changed, err := r.linkOrWait(n, pickLocked)
		if link != nil || err != nil {
			return link, err
		}
		if end == nil {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			end = timer.C
		}
		select {
		case <-changed:
		case <-end:
			return nil, r.offline(n)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (r *registry) linkOrWait(n *node, pickLocked func() *held) (*held, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := n.record.Barred(); err != nil {
		return nil, nil, err
	}
	if link := pickLocked(); link != nil {
		return link, nil, nil
	}
	if n.link == nil && r.now().Sub(n.since) > recently {
		return nil, nil, r.offlineLocked(n)
	}
	if n.changed == nil {
		n.changed = make(chan struct{})
	}
	return nil, n.changed, nil
}
