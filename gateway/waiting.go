package gateway

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Limits of nodes that wait for approval. Each time that a node asks is one chance in
// 2^20 for somebody who stands between it and its gateway (access.JoinCheck), also if it
// then falls silent: so every one counts until its hour is over.
const (
	waitLife       = time.Hour
	maxWaiting     = 100
	maxWaitingFrom = 5 // of one address; an IPv6 client is its /64
)

const waitKey = "waiting." // of records, before the node ID

// waiter is a node that has asked to be let in.
type waiter struct {
	ID      string            `json:"id"`
	Key     ed25519.PublicKey `json:"key"`
	Name    string            `json:"name"`
	Version string            `json:"version"`
	Address string            `json:"address"`
	Asked   time.Time         `json:"asked"`
	Tries   int               `json:"tries"` // how often it asked

	Commit string `json:"commit"`          // to Nonce
	Ours   string `json:"ours"`            // our nonce
	Nonce  string `json:"nonce,omitempty"` // the node's, once it has revealed it: from then on it is shown
}

func (w waiter) expires() time.Time { return w.Asked.Add(waitLife) }

// check is the four symbols; "" while the node has not revealed its nonce.
func (w waiter) check(gateway *identity.Identity) string {
	if w.Nonce == "" {
		return ""
	}
	return access.JoinCheck(gateway.Pin(), identity.PinOf(w.Key), w.Ours, w.Nonce)
}

// waitingRoom keeps the nodes that wait, in the state.
type waitingRoom struct {
	records  access.Records
	identity *identity.Identity
	now      func() time.Time
}

func (room *waitingRoom) get(ctx context.Context, id string) (w waiter, revision uint64, err error) {
	if scan.ParseNodeID(id) != nil {
		return w, 0, problem.NotFound.Error()
	}
	value, revision, err := room.records.Get(ctx, waitKey+id)
	if errors.Is(err, access.ErrNoRecord) {
		return w, 0, problem.NotFound.Error()
	}
	if err == nil {
		err = json.Unmarshal(value, &w)
	}
	if err != nil {
		return w, 0, fmt.Errorf("reading a waiting node: %w", err)
	}
	return w, revision, nil
}

// put writes a waiter over the revision, or anew for revision 0.
func (room *waitingRoom) put(ctx context.Context, w waiter, revision uint64) error {
	value, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("encoding a waiting node: %w", err)
	}
	if revision == 0 {
		_, err = room.records.Create(ctx, waitKey+w.ID, value, w.expires())
	} else {
		_, err = room.records.Update(ctx, waitKey+w.ID, value, w.expires(), revision)
	}
	if errors.Is(err, access.ErrConflict) {
		return problem.Unavailable.Error().After(time.Second) // it asked twice at one time
	}
	if err != nil {
		return fmt.Errorf("storing a waiting node: %w", err)
	}
	return nil
}

func (room *waitingRoom) forget(ctx context.Context, id string) error {
	if err := room.records.Delete(ctx, waitKey+id); err != nil {
		return fmt.Errorf("forgetting a waiting node: %w", err)
	}
	return nil
}

func (room *waitingRoom) each(ctx context.Context, yield func(waiter)) error {
	err := room.records.List(ctx, waitKey, func(_ string, value []byte) error {
		var w waiter
		if err := json.Unmarshal(value, &w); err != nil {
			return err
		}
		yield(w)
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing waiting nodes: %w", err)
	}
	return nil
}

// begin takes in that a node asks, and answers our nonce.
func (room *waitingRoom) begin(ctx context.Context, record state.Node, address, commit string) (waiter, error) {
	total, near := 0, 0
	err := room.each(ctx, func(w waiter) {
		total += w.Tries
		if sameClient(w.Address, address) {
			near += w.Tries
		}
	})
	if err != nil {
		return waiter{}, err
	}
	if total >= maxWaiting || near >= maxWaitingFrom {
		return waiter{}, problem.New(problem.TooManyRequests,
			"Too many nodes have asked for approval. Approve or refuse those that wait, or use a join token.").After(waitLife)
	}
	old, revision, err := room.get(ctx, record.ID)
	if err != nil && !errors.Is(err, problem.NotFound.Error()) {
		return waiter{}, err
	}
	w := waiter{
		ID: record.ID, Key: record.Key, Name: record.Name, Version: record.Version, Address: address,
		Asked: room.now(), Tries: old.Tries + 1, Commit: commit, Ours: access.JoinNonce(),
	}
	return w, room.put(ctx, w, revision)
}

// describe is a node that waits as clients see it.
func (room *waitingRoom) describe(w waiter) scan.Node {
	return scan.Node{
		ID: w.ID, Name: w.Name, Version: w.Version, State: scan.NodeWaiting, Since: scan.At(w.Asked), Joined: scan.At(w.Asked),
		Address: w.Address, Check: w.check(room.identity),
	}
}

// list is the nodes that wait and are to be shown, by ID.
func (room *waitingRoom) list(ctx context.Context) (nodes []scan.Node, err error) {
	err = room.each(ctx, func(w waiter) {
		if w.Nonce != "" {
			nodes = append(nodes, room.describe(w))
		}
	})
	return nodes, err
}

// node is the one with the ID, if it is to be shown; problem not-found.
func (room *waitingRoom) node(ctx context.Context, id string) (scan.Node, error) {
	w, _, err := room.get(ctx, id)
	if err == nil && w.Nonce == "" {
		err = problem.NotFound.Error()
	}
	return room.describe(w), err
}

// sameClient reports whether two addresses are of one client, as far as can be told.
func sameClient(a, b string) bool {
	client := func(s string) netip.Prefix {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}
		}
		bits := addr.BitLen()
		if addr.Is6() {
			bits = 64
		}
		return netip.PrefixFrom(addr, bits).Masked()
	}
	return client(a) == client(b)
}
