package lts

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const (
	v1             = "/api/v1"
	maxLeaseBody   = 128 << 10 // with every change of the asker's key
	maxReceiptBody = 2 << 20   // 500 receipts with the longest texts
)

// NodeConfig is what answers gateways and nodes.
type NodeConfig struct {
	Tracking license.Tracking
	// Enrolled is the node that may prove the key, at a gateway; a problem for every other
	// one. nil: any gateway or node may ask.
	Enrolled func(ctx context.Context, key ed25519.PublicKey) (node string, err error)
	// Records remember who was given something: only those may report pages. nil where
	// Enrolled says who may.
	Records access.Records
	// Known are pins of those who may report although they were never given anything, as
	// that of the standby; nil: none are.
	Known func(pin string) bool
	// Counts reports whether pages of a node were counted here: more of them, which that node
	// signed, may come by whoever has them. nil: of none.
	Counts func(node string) bool
	Now    func() time.Time // nil: time.Now
}

type nodeSide struct {
	NodeConfig
	limits *limits

	mu    sync.Mutex
	peers map[string]bool // pins that are known, for certain
}

// NodeRoutes are those for gateways and nodes, on access.RoadNode.
func NodeRoutes(c NodeConfig) []access.Route {
	if c.Now == nil {
		c.Now = time.Now
	}
	n := &nodeSide{NodeConfig: c, limits: newLimits(), peers: map[string]bool{}}
	return []access.Route{
		{Method: http.MethodPost, Path: v1 + "/node/license/lease", Policy: access.NodeOnly(), MaxBody: maxLeaseBody, Handle: n.postLease},
		{Method: http.MethodPost, Path: v1 + "/node/license/receipts", Policy: access.NodeOnly(), MaxBody: maxReceiptBody, Handle: n.postReceipts},
	}
}

func (n *nodeSide) postLease(w http.ResponseWriter, r *http.Request) error {
	ctx, caller := r.Context(), access.CallerOf(r.Context())
	var wish api.LeaseRequest
	if err := access.ReadPeerJSON(r, &wish); err != nil {
		return err
	}
	place, err := n.placeOf(ctx, caller, wish)
	if err != nil {
		return err
	}
	known, err := n.known(ctx, place.Pin)
	if err != nil {
		return err
	}
	if err := n.limits.enter(place.Pin, caller.Address, known, n.Now()); err != nil {
		return err
	}
	answer, err := n.Tracking.Lease(ctx, place, wish)
	if err != nil {
		if !known && problem.From(err).Code.Status() < http.StatusInternalServerError { // else nothing was guessed
			n.limits.fail(caller.Address, n.Now())
		}
		return err
	}
	if err := n.remember(ctx, place.Pin); err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, answer)
}

// placeOf is who asks, by the key that the connection has proven and by nothing that the
// asker says alone.
func (n *nodeSide) placeOf(ctx context.Context, c access.Caller, wish api.LeaseRequest) (license.Place, error) {
	place := license.Place{Pin: identity.PinOf(c.Key)}
	if n.Enrolled != nil {
		id, err := n.Enrolled(ctx, c.Key)
		if err != nil {
			return place, err
		}
		place.Node = id
		return place, ownNode(place, wish)
	}
	id, earlier, err := identity.ParseEarlier(c.Key, wish.Chain)
	if err != nil {
		return place, problem.New(problem.BadRequest, "How the key follows from its first one is not shown as it must be.").At("chain")
	}
	place.Earlier = earlier
	if wish.By == "" {
		return place, nil
	}
	if wish.By != id {
		return place, problem.New(problem.BadRequest, "The connection proves the key of another node.").At("by")
	}
	place.Node = id
	return place, ownNode(place, wish)
}

// ownNode refuses a node that asks for pages of another one.
func ownNode(place license.Place, wish api.LeaseRequest) error {
	if wish.Node != "" && wish.Node != place.Node {
		return problem.New(problem.PermissionDenied, "A node asks for itself alone.").At("node")
	}
	return nil
}

func (n *nodeSide) postReceipts(w http.ResponseWriter, r *http.Request) error {
	ctx, caller := r.Context(), access.CallerOf(r.Context())
	var batch api.ReceiptBatch
	if err := access.ReadPeerJSONUpTo(maxReceiptBody, r, &batch); err != nil {
		return err
	}
	place := license.Place{Pin: identity.PinOf(caller.Key)}
	if n.Enrolled != nil {
		id, err := n.Enrolled(ctx, caller.Key)
		if err != nil {
			return err
		}
		if place.Node = id; batch.Node != id {
			return problem.New(problem.PermissionDenied, "A node reports its own pages alone.").At("node")
		}
	}
	known, err := n.known(ctx, place.Pin)
	if err != nil {
		return err
	}
	if n.Known == nil || !n.Known(place.Pin) {
		if err := n.limits.enter(place.Pin, caller.Address, known, n.Now()); err != nil {
			return err
		}
	}
	if !known && (n.Counts == nil || !n.Counts(batch.Node)) {
		return problem.New(problem.PermissionDenied, "Pages are taken from those to whom this server has leased something, and it has not leased anything to the key %s.", place.Pin)
	}
	pin, err := ledger.Signer(batch)
	if err != nil {
		return err
	}
	if pin == place.Pin {
		place.Node = batch.Node
	}
	mark, err := n.Tracking.Report(ctx, place, pin, batch)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, mark)
}

// peerPrefix begins the keys of records of those to whom something was leased.
const peerPrefix = "lts.peer."

func (n *nodeSide) known(ctx context.Context, pin string) (bool, error) {
	if n.Enrolled != nil || n.Known != nil && n.Known(pin) {
		return true, nil
	}
	n.mu.Lock()
	known := n.peers[pin]
	n.mu.Unlock()
	if known {
		return true, nil
	}
	_, _, err := n.Records.Get(ctx, peerPrefix+pin)
	if errors.Is(err, access.ErrNoRecord) {
		return false, nil
	}
	if err == nil {
		n.note(pin)
	}
	return err == nil, err
}

// remember notes that something was leased to a key. The record has its moment, for
// whoever looks into the state.
func (n *nodeSide) remember(ctx context.Context, pin string) error {
	if known, err := n.known(ctx, pin); known || err != nil {
		return err
	}
	at, err := n.Now().UTC().MarshalText()
	if err == nil {
		_, err = n.Records.Create(ctx, peerPrefix+pin, at, time.Time{})
	}
	if err != nil && !errors.Is(err, access.ErrConflict) {
		return err
	}
	n.note(pin)
	return nil
}

func (n *nodeSide) note(pin string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.peers) >= maxCounted {
		clear(n.peers) // the records have them all
	}
	n.peers[pin] = true
}
