package tracking

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/problem"
)

// Many nodes ask two servers at the same time, until nothing is left.
func TestPagesAtTheSameTime(t *testing.T) {
	w := newWorld(t)
	servers := []*Server{w.server(), w.server()}
	const quantity = 2000
	k := w.key(license.Page, paged(quantity, 10))
	w.add(servers[0], k)
	w.project(servers[0])
	place := placeOf(w.gateway)
	nodes := make([]*node, 12)
	var wait sync.WaitGroup
	for i := range nodes {
		nodes[i] = newNode(t)
		wait.Go(func() {
			n := nodes[i]
			for round := range 40 {
				s := servers[(i+round)%2]
				answer, err := s.Lease(context.Background(), place, n.wish(7))
				if err != nil {
					if !errors.Is(err, problem.LicensePages.Error()) {
						t.Error(err)
					}
					return
				}
				n.put(answer.Blocks)
				pages, _ := n.left(k)
				n.scan(k, int(min(pages, 7))) // and nothing beyond
				if err := n.report(s, place); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	used, has := int64(0), int64(0)
	for _, n := range nodes {
		pages, _ := n.left(k)
		used, has = used+int64(len(n.rows)), has+pages
	}
	if used+has != quantity {
		t.Errorf("%d are scanned and nodes have %d, of %d", used, has, quantity)
	}
	w.wantItem(w.server(), k, used, has)
}

// The same browsers come to two servers at the same time: each has one seat.
func TestSameBrowsersAtTheSameTime(t *testing.T) {
	w := newWorld(t)
	servers := []*Server{w.server(), w.server()}
	k := w.key(license.Browser, func(k *license.Key) { k.Quantity = 60 })
	w.add(servers[0], k)
	var wait sync.WaitGroup
	for i := range 60 {
		for _, s := range servers {
			for range 2 {
				wait.Go(func() {
					if _, err := s.take(context.Background(), k, client(i), app); err != nil {
						t.Errorf("browser %d: %v", i, err)
					}
				})
			}
		}
	}
	wait.Wait()
	item, err := w.server().Item(t.Context(), k.ID)
	if err != nil || item.Used != 60 {
		t.Errorf("%d seats are used, %v; want 60", item.Used, err)
	}
	if _, err := servers[0].take(t.Context(), k, client(60), app); !errors.Is(err, problem.LicenseSeats.Error()) {
		t.Errorf("one more browser: %v", err)
	}
}
