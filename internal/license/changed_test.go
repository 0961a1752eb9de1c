package license_test

import (
	"context"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/problem"
)

// changing is an identity with each of the keys that it had, the last one the present.
func changing(t *testing.T, times int) []*identity.Identity {
	t.Helper()
	id := newIdentity()
	keys := []*identity.Identity{id.Frozen()}
	for range times {
		if _, err := id.Prepare(); err != nil {
			t.Fatal(err)
		}
		if err := id.Change(); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, id.Frozen())
	}
	return keys
}

// A gateway that changed its key is the place to which keys are bound under each of its
// keys: at its own desk and tracking server, and at a node that was shown how they follow.
// Who only says so is not.
func TestChangedKey(t *testing.T) {
	keys := changing(t, 2)
	present := keys[2]
	place := license.Place{Pin: present.Pin(), Earlier: present.Earlier()}
	liar := license.Place{Pin: present.Pin()}
	claim := license.Claim{Origin: shop, Client: license.ClientHash(shop, client)}
	now := func() time.Time { return start }
	for _, kind := range license.Kinds {
		for i, bound := range keys {
			text := issue(t, key(kind, func(k *license.Key) { k.Gateways = []string{bound.Pin()} }))
			d := newDesk(func(d *desk) {
				d.now, d.server.now, d.server.id = now, now, present
				d.cfg.Place = func() license.Place { return place }
			})
			p, err := d.Permit(t.Context(), caller(keyTerms(text)), "", node.NodeID(), 1)
			wantCode(t, "Permit", err, "")
			wantCode(t, "Judge", judgedFrom(p, claim, place, start), "")
			if err := judgedFrom(p, claim, liar, start); (err == nil) != (i == 2) {
				t.Errorf("%s, bound to key %d: a node that was not shown the change: %v", kind, i, err)
			}
			// What was leased to, and signed by, each key before.
			for j, then := range keys {
				s := newServer(then)
				s.now = now
				a, err := s.Lease(context.Background(), license.Place{Pin: then.Pin()}, leaseRequest(text, ""))
				wantCode(t, "Lease", err, "")
				err = judgedFrom(license.Permit{Key: text, Lease: a.Lease, Blocks: a.Blocks}, claim, place, start)
				if err != nil {
					t.Errorf("%s, bound to key %d, leased by key %d: %v", kind, i, j, err)
				}
			}
		}
	}
}

// A node that goes by its own desk knows which keys its gateway had, and takes what that one
// signed for a licence that is bound to an earlier one.
func TestChangedKeyOfItsGateway(t *testing.T) {
	keys := changing(t, 1)
	now := func() time.Time { return start }
	for name, known := range map[string][]string{"shown": {keys[0].Pin(), keys[1].Pin()}, "not shown": {keys[1].Pin()}} {
		d := newDesk(func(d *desk) {
			d.now, d.server.now, d.server.id = now, now, keys[1]
			d.cfg.Place = func() license.Place {
				return license.Place{Node: node.NodeID(), Pin: node.Pin(), Gateway: known}
			}
		})
		want := problem.Code("")
		if name == "not shown" {
			want = problem.LicenseElsewhere
		}
		text := issue(t, key(license.Browser, func(k *license.Key) { k.Gateways = []string{keys[0].Pin()} }))
		_, err := d.Permit(t.Context(), caller(keyTerms(text)), "", node.NodeID(), 1)
		wantCode(t, "Permit at a node, "+name, err, want)
		// It stays the gateway's licence: the node alone is not the place.
		text = issue(t, key(license.Server, func(k *license.Key) { k.Gateways = []string{keys[0].Pin()} }))
		_, err = d.Permit(t.Context(), caller(keyTerms(text)), "", node.NodeID(), 1)
		wantCode(t, "Permit of what is not counted, "+name, err, problem.LicenseElsewhere)
	}
}
