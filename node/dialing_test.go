package node

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/relay"
)

// joinedTown is a town whose node has joined a gateway that has gone from where it was.
func joinedTown(t *testing.T, w *town) *identity.Identity {
	t.Helper()
	key, err := identity.New()
	need(t, err)
	need(t, (&joined{Addresses: []string{office1}, Pin: key.Pin()}).write(w.dir))
	return key
}

func (w *town) dials() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dialed)
}

// linked waits for a link.
func (w *town) linked(within time.Duration) relay.Link {
	w.t.Helper()
	select {
	case l := <-w.links:
		return l
	case <-time.After(within):
		w.t.Fatalf("no link within %v; dialed %v", within, w.dials())
		return nil
	}
}

func (w *town) stored() []string {
	w.t.Helper()
	g, err := readJoined(w.dir)
	need(w.t, err)
	return g.Addresses
}

func TestHintAfterMove(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		key := joinedTown(t, w)
		w.open(office1, key, nil)
		w.announce(record("Office", key, office1), record("Lie", key, "192.0.2.66:1"))
		w.start()
		link := w.linked(time.Minute)
		time.Sleep(time.Hour)
		// The gateway gets another address.
		w.shut(office1)
		w.open(office2, key, nil)
		w.announce(record("Office", key, office2))
		link.Close("")
		began := time.Now()
		w.linked(time.Minute)
		if took := time.Since(began); took < linkLost || took > linkLost+10*time.Second {
			t.Errorf("the next link stands after %v, want a little more than %v", took, linkLost)
		}
		synctest.Wait()
		if want := []string{office2, office1}; !slices.Equal(w.stored(), want) {
			t.Errorf("stored %v, want %v", w.stored(), want)
		}
		if address, connected := w.node.Gateway(); address != office2 || !connected {
			t.Errorf("Gateway() = %s, %v, want the new address", address, connected)
		}
		// What is announced is of no interest while the link stands, and a restart begins
		// with what is stored.
		before := len(w.dials())
		time.Sleep(time.Hour)
		if after := w.dials(); len(after) != before {
			t.Errorf("dialed %v while the link stood", after[before:])
		}
		w.stop()
		w.start()
		w.linked(time.Second)
		if after := w.dials(); !slices.Equal(after[before:], []string{office2}) {
			t.Errorf("after a restart dialed %v", after[before:])
		}
		if len(w.visited()) > 0 || len(w.node.FoundGateways()) > 0 {
			t.Errorf("a node with a gateway looked for another one: visited %v", w.visited())
		}
	})
}

// Records that lie cost dials and nothing else: the gateway's own address has every
// second turn, however many they are.
func TestHintLies(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		key := joinedTown(t, w)
		thief, err := identity.New()
		need(t, err)
		var lies []discovery.Record
		for i := range 60 {
			address := fmt.Sprintf("198.51.100.%d:1", i)
			w.open(address, thief, nil)
			lies = append(lies, record(fmt.Sprint("Lie ", i), key, address))
		}
		w.announce(append(lies, record("Stranger", thief, office2))...)
		w.start()
		go func() { // and they change all the time
			for i := range 20 {
				time.Sleep(time.Second)
				w.announce(record(fmt.Sprint("More ", i), key, fmt.Sprintf("198.51.100.%d:2", i)))
			}
		}()
		time.Sleep(10 * time.Minute)
		dials := w.dials()
		own := 0
		for _, a := range dials {
			if a == office1 {
				own++
			}
		}
		if own < len(dials)*2/5 || len(dials) > 100 || slices.Contains(dials, office2) {
			t.Errorf("%d dials, %d of them at the gateway's address: %v", len(dials), own, dials)
		}
		if len(w.links) > 0 || !slices.Equal(w.stored(), []string{office1}) {
			t.Errorf("%d links, stored %v: somebody with another key was believed", len(w.links), w.stored())
		}
		w.node.uplink.mu.Lock()
		n := len(w.node.uplink.hints)
		w.node.uplink.mu.Unlock()
		if n > maxHints {
			t.Errorf("%d hints, want at most %d", n, maxHints)
		}
		if found := w.node.FoundGateways(); len(found) > 0 || len(w.visited()) > 0 {
			t.Errorf("a node with a gateway found %d others and spoke to %v", len(found), w.visited())
		}
		// Amid all of them it finds the right one in the end.
		w.open(office2, key, nil)
		w.announce(record("Office", key, office2))
		w.linked(48 * time.Hour)
		synctest.Wait()
		if want := []string{office2, office1}; !slices.Equal(w.stored(), want) {
			t.Errorf("stored %v, want %v", w.stored(), want)
		}
	})
}

// The gateway may have changed its key by now, as it had announced over the link.
func TestHintOfNextKey(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		key, err := identity.New()
		need(t, err)
		next, err := identity.New()
		need(t, err)
		need(t, (&joined{Addresses: []string{office1}, Pin: key.Pin(), Next: &access.NextKey{Pin: next.Pin(), From: time.Now().Add(time.Hour)}}).write(w.dir))
		w.open(office2, next, nil)
		w.announce(record("Office", next, office2))
		w.start()
		time.Sleep(time.Hour - time.Minute)
		if dials := w.dials(); slices.Contains(dials, office2) {
			t.Error("a key was believed before its time")
		}
		w.linked(10 * time.Minute)
	})
}

// A node without a browser dials the addresses that it has, in turn.
func TestNoHints(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		key, err := identity.New()
		need(t, err)
		need(t, (&joined{Addresses: []string{"192.0.2.8:1", "192.0.2.9:1"}, Pin: key.Pin()}).write(w.dir))
		w.announce(record("Office", key, office2))
		before := w.config
		w.config = func(c *Config) { before(c); c.Find = nil }
		w.start()
		time.Sleep(time.Hour)
		dials := w.dials()
		if len(dials) < 10 || slices.Contains(dials, office2) {
			t.Errorf("dialed %v", dials)
		}
		for i := range dials[1:] {
			if dials[i] == dials[i+1] {
				t.Errorf("dialed %s twice running", dials[i])
			}
		}
	})
}
