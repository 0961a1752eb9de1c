package tracking

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const day = 24 * time.Hour

func paged(quantity int64, over int) func(*license.Key) {
	return func(k *license.Key) { k.Quantity, k.OverUse = quantity, over }
}

// wants asks for pages at a node, and puts what it gets into its wallet.
func (w *world) wants(s *Server, n *node, pages int) error {
	w.t.Helper()
	a, err := w.ask(s, n.wish(pages))
	n.putBlocks(a.Blocks)
	return err
}

func (w *world) wantItem(s *Server, k license.Key, used, reserved int64) {
	w.t.Helper()
	item, err := s.Item(w.t.Context(), k.ID)
	if err != nil || item.Used != used || item.Reserved != reserved {
		w.t.Errorf("item: %d used, %d reserved, %v; want %d and %d", item.Used, item.Reserved, err, used, reserved)
	}
}

func TestPagesAreHandedOutAndCounted(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	k := w.key(license.Page, paged(300, 0))
	w.add(s, k)
	w.project(s)
	n, place := newNode(t), placeOf(w.gateway)
	wantCode(t, "Lease", w.wants(s, n, 10), "")
	w.wantItem(s, k, 0, 50)
	for range 3 { // asking again is no reason for more
		wantCode(t, "Lease", w.wants(s, n, 40), "")
	}
	w.wantItem(s, k, 0, 50)
	if done := n.scan(k, 20); done != 20 {
		t.Fatalf("%d pages, want 20", done)
	}
	w.wantItem(s, k, 0, 50) // nobody knows of them
	wantCode(t, "Report", n.report(s, place), "")
	w.wantItem(s, k, 20, 30)
	n.scan(k, 10)
	wantCode(t, "Report of the tenth page before the last 20", n.report(s, place), "") // few are left: more come with the mark
	w.wantItem(s, k, 30, 70)
	if pages, _ := n.left(k); pages != 70 {
		t.Errorf("the node has %d pages, want 70", pages)
	}
	s = w.server()
	wantCode(t, "Lease of many", w.wants(s, n, 200), "")
	w.wantItem(s, k, 30, 200)
	wantCode(t, "Lease of more than there are", w.wants(s, n, 400), "") // it gets what is there
	w.wantItem(s, k, 30, 270)
	other := newNode(t)
	wantCode(t, "Lease for another node", w.wants(s, other, 1), problem.LicensePages)
	if done := n.scan(k, 500); done != 270 {
		t.Errorf("%d pages, want 270", done)
	}
	wantCode(t, "Report", n.report(s, place), "")
	w.wantItem(s, k, 300, 0)
	wantCode(t, "Lease of one more", w.wants(s, n, 1), problem.LicensePages)
	_, err := s.Lease(t.Context(), place, api.LeaseRequest{HandshakeCode: code, Origin: app})
	wantCode(t, "Lease without a node", err, problem.LicensePages)
}

func TestOverUseOfPages(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	k := w.key(license.Page, paged(60, 10))
	w.add(s, k)
	w.project(s)
	a, b, place := newNode(t), newNode(t), placeOf(w.gateway)
	wantCode(t, "Lease", w.wants(s, a, 50), "")
	wantCode(t, "Lease of the rest", w.wants(s, b, 50), "")
	if pages, over := a.left(k); pages != 50 || over != 2 {
		t.Errorf("the first node has %d pages and %d beyond, want 50 and 2", pages, over)
	}
	if pages, over := b.left(k); pages != 10 || over != 4 {
		t.Errorf("the second node has %d pages and %d beyond, want 10 and 4", pages, over)
	}
	if done := a.scan(k, 99) + b.scan(k, 99); done != 66 {
		t.Errorf("jobs ended after %d pages, want 66", done)
	}
	wantCode(t, "Report", errors.Join(a.report(s, place), b.report(s, place)), "")
	w.wantItem(s, k, 66, 0)
	wantCode(t, "the next job", w.wants(s, a, 1), problem.LicensePages)
	if last := w.uses[len(w.uses)-1]; last != "66/60" {
		t.Errorf("observed %q at last, want 66/60", last)
	}
}

func TestPeriods(t *testing.T) {
	for _, tt := range []struct {
		period license.Period
		next   func(time.Time) time.Time
	}{
		{license.Day, func(t time.Time) time.Time { return t.AddDate(0, 0, 1).Truncate(day) }},
		{license.Month, func(t time.Time) time.Time { return time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC) }},
		{license.Year, func(t time.Time) time.Time { return time.Date(t.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			s := w.server()
			k := w.key(license.Page, paged(50, 0), func(k *license.Key) { k.Period, k.Expires = tt.period, k.Expires.AddDate(3, 0, 0) })
			w.add(s, k)
			w.project(s)
			n, place := newNode(t), placeOf(w.gateway)
			wantCode(t, "Lease", w.wants(s, n, 50), "")
			n.scan(k, 50)
			wantCode(t, "Report", n.report(s, place), "")
			next := tt.next(time.Now().UTC())
			time.Sleep(time.Until(next.Add(-time.Second)))
			wantCode(t, string(tt.period)+": a second before the next", w.wants(s, n, 1), problem.LicensePages)
			time.Sleep(time.Second)
			wantCode(t, string(tt.period)+": in the next", w.wants(s, n, 1), "")
			for _, b := range n.wallet[1:] {
				if b.Until.After(tt.next(next)) {
					t.Errorf("%s: a block until %v", tt.period, b.Until)
				}
			}
			w.wantItem(s, k, 0, 50)
		})
	}
}

// The record of a node that scans much on one day stays small, and over-use is there at the end.
func TestManyBlocksOfOneDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.server()
		k := w.key(license.Page, paged(5000, 10), func(k *license.Key) { k.Period = license.Day })
		w.add(s, k)
		w.project(s)
		n, place := newNode(t), placeOf(w.gateway)
		done := 0
		for range 400 {
			if w.wants(s, n, 20) != nil {
				break
			}
			done += n.scan(k, 20)
			wantCode(t, "Report", n.report(s, place), "")
			time.Sleep(time.Minute)
			h, _, err := get[holding](t.Context(), w.records, accountOf(k, time.Now()).pages+n.id.NodeID())
			if err != nil || len(h.Blocks) > 4 {
				t.Fatalf("%d blocks in the node's record, %v", len(h.Blocks), err)
			}
		}
		if done != 5000 {
			t.Fatalf("%d pages, want 5000", done)
		}
		w.wantItem(s, k, 5000, 0)
		if _, over := n.left(k); over < 100 {
			t.Errorf("%d pages of over-use are left to the node", over)
		}
	})
}

// A node keeps the pages that it has, as long as it is heard of.
func TestBlocksAreExtended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.server()
		k := w.key(license.Page, paged(200, 0))
		w.add(s, k)
		w.project(s)
		n := newNode(t)
		for range 30 {
			wantCode(t, "Lease", w.wants(s, n, 5), "")
			if pages, _ := n.left(k); pages != 50 || len(n.wallet) != 1 {
				t.Fatalf("%d pages in %d blocks, want 50 in one", pages, len(n.wallet))
			}
			time.Sleep(23 * time.Hour)
		}
		w.wantItem(s, k, 0, 50)
	})
}

// What a node has not used comes back: at once when it has reported of later, else a day
// after it could use it.
func TestUnusedPagesComeBack(t *testing.T) {
	const grace = 12 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.server()
		k := w.key(license.Page, paged(100, 0), func(k *license.Key) { k.Grace = int64(grace.Seconds()) })
		w.add(s, k)
		w.project(s)
		gone, other, place := newNode(t), newNode(t), placeOf(w.gateway)
		wantCode(t, "Lease", w.wants(s, gone, 100), "")
		gone.scan(k, 30)
		time.Sleep(license.BlockTime + grace + lateFor - time.Minute)
		wantCode(t, "Lease for another node before", w.wants(s, other, 10), problem.LicensePages)
		time.Sleep(2 * time.Minute)
		wantCode(t, "Lease for another node after", w.wants(s, other, 10), "")
		w.wantItem(s, k, 0, 50)
		// The other one comes back after all: what it has scanned counts.
		wantCode(t, "Report of long ago", gone.report(s, place), "")
		w.wantItem(s, k, 30, 100-30)
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.server()
		k := w.key(license.Page, paged(100, 0), func(k *license.Key) { k.Grace = int64(grace.Seconds()) })
		w.add(s, k)
		w.project(s)
		idle, other, place := newNode(t), newNode(t), placeOf(w.gateway)
		wantCode(t, "Lease", w.wants(s, idle, 100), "")
		idle.scan(k, 30)
		time.Sleep(license.BlockTime + grace + time.Minute)
		idle.commit(api.Receipt{Job: idle.rows[0].Job, N: 31}) // of Platen's own page
		wantCode(t, "Report", idle.report(s, place), "")
		wantCode(t, "Lease for another node", w.wants(s, other, 10), "")
		w.wantItem(s, k, 30, 70)
	})
}

// Row 3: a node is offline for hours, goes on with what it has, and is accounted for then.
func TestHoursOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.server()
		k := w.key(license.Page, paged(1000, 0), func(k *license.Key) { k.Grace = int64((48 * time.Hour).Seconds()) })
		w.add(s, k)
		w.project(s)
		line := &line{Server: s}
		desk := license.NewDesk(license.DeskConfig{
			Place: func() license.Place { return placeOf(w.gateway) }, End: "gw", Vendors: func() []string { return []string{w.vendor.Pin()} },
			Own: func() access.Terms { return access.Terms{} }, Server: line, Clock: time.Now,
		})
		n, place := newNode(t), placeOf(w.gateway)
		job := func(pages int) (done int, err error) {
			p, err := desk.Permit(t.Context(), access.Caller{Origin: app, Terms: access.Terms{HandshakeCode: code}}, "", n.id.NodeID(), pages)
			if err != nil {
				return 0, err
			}
			n.put(p.Blocks)
			return n.scan(k, pages), nil
		}
		if done, err := job(120); done != 120 || err != nil {
			t.Fatalf("%d pages, %v", done, err)
		}
		wantCode(t, "Report", n.report(s, place), "")
		line.cut = true
		offline, last := 0, error(nil)
		for range 100 { // hours
			time.Sleep(time.Hour)
			done, err := job(3)
			offline += done
			last = err
		}
		has := 50 // and what came with the mark
		if offline < has || offline > 1000 {
			t.Errorf("%d pages offline", offline)
		}
		wantCode(t, "a job 100 hours offline", last, problem.TrackingOffline)
		line.cut = false
		time.Sleep(time.Minute)
		wantCode(t, "Report of all that", n.report(s, place), "")
		if done, err := job(60); done != 60 || err != nil {
			t.Errorf("online again: %d pages, %v", done, err)
		}
		wantCode(t, "Report", n.report(s, place), "")
		item, err := s.Item(t.Context(), k.ID)
		if want := int64(120 + offline + 60); err != nil || item.Used != want {
			t.Errorf("%d pages are used, %v; want %d", item.Used, err, want)
		}
		if pages, _ := n.left(k); pages != item.Reserved {
			t.Errorf("%d are reserved, the node has %d", item.Reserved, pages)
		}
	})
}

// Row 4: two gateways on one state hand out no page twice, also of one node that goes from
// one to the other.
func TestTwoGatewaysOneLicence(t *testing.T) {
	w := newWorld(t)
	second := newIdentity(t)
	both := func(k *license.Key) { k.Gateways = []string{w.gateway.Pin(), second.Pin()} }
	a, b := w.server(), w.server(func(c *Config) { c.Identity = second })
	k := w.key(license.Page, paged(500, 0), both)
	w.add(a, k)
	w.project(a)
	n := newNode(t)
	first, err := w.askFor(a, placeOf(w.gateway), n.wish(20))
	if err != nil {
		t.Fatal(err)
	}
	moved, err := w.askFor(b, placeOf(second), n.wish(20))
	if err != nil || len(moved.Blocks) != 1 || moved.Blocks[0].ID != first.Blocks[0].ID {
		t.Fatalf("at the other gateway the node has %+v, %v; want the same block", moved.Blocks, err)
	}
	n.putBlocks(moved.Blocks)
	n.scan(k, 45)
	wantCode(t, "Report at one", n.report(a, placeOf(w.gateway)), "")
	n.scan(k, 45)
	wantCode(t, "Report at the other", n.report(b, placeOf(second)), "")
	item, err := a.Item(t.Context(), k.ID)
	if pages, _ := n.left(k); err != nil || item.Used != 90 || item.Reserved != pages {
		t.Errorf("%d used and %d reserved, %v; want 90 and the %d of the node", item.Used, item.Reserved, err, pages)
	}

	// The licence is copied to a gateway that has nothing to do with these.
	thief := newIdentity(t)
	c := newWorld(t)
	c.vendor, c.gateway = w.vendor, thief
	far := c.server()
	_, err = far.Add(t.Context(), k.Text)
	wantCode(t, "Add of a copied licence", err, problem.LicenseElsewhere)
	_, err = far.Lease(t.Context(), placeOf(thief), api.LeaseRequest{Key: k.Text, Origin: app, Node: n.id.NodeID(), Pages: 1})
	wantCode(t, "Lease of a copied licence", err, problem.LicenseElsewhere)
}

func TestRevisionsKeepBlocks(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	k := w.key(license.Page, paged(100, 0))
	w.add(s, k)
	w.project(s)
	n := newNode(t)
	wantCode(t, "Lease", w.wants(s, n, 100), "")
	more := k
	more.Revision, more.Quantity = 2, 150
	w.add(s, w.issued(more))
	wantCode(t, "Lease of a higher revision", w.wants(s, n, 150), "")
	w.wantItem(s, k, 0, 150)
	fewer := more
	fewer.Revision, fewer.Quantity = 3, 40
	w.add(s, w.issued(fewer))
	n.scan(more, 30)
	wantCode(t, "Report", n.report(s, placeOf(w.gateway)), "")
	_, err := s.Lease(t.Context(), placeOf(w.gateway), n.wish(1))
	wantCode(t, "Lease of a revision with fewer pages than are reserved", err, "")
	w.wantItem(s, k, 30, 120)
}

// A server whose ledger has its pages in another order, as a standby's, counts no page
// twice and forgets none.
func TestLedgerInAnotherOrder(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	k := w.key(license.Page, paged(300, 0))
	w.add(s, k)
	w.project(s)
	n, other, place := newNode(t), newNode(t), placeOf(w.gateway)
	for range 3 { // so that the node's pages come late in this ledger
		wantCode(t, "Lease", w.wants(s, other, 20), "")
		other.scan(k, 20)
		wantCode(t, "Report", other.report(s, place), "")
	}
	wantCode(t, "Lease", w.wants(s, n, 40), "")
	n.scan(k, 10)
	wantCode(t, "Report", n.report(s, place), "")
	n.scan(k, 10)

	standby := newWorld(t)
	standby.vendor, standby.gateway = w.vendor, w.gateway
	err := w.records.List(t.Context(), "license.", func(key string, value []byte) error {
		_, err := standby.records.Create(t.Context(), key, value, time.Time{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s = standby.server()
	n.reported, other.reported = 0, 0
	wantCode(t, "Report of all at the standby", n.report(s, place), "")
	standby.wantItem(s, k, 60+20, 300-60-20-(300-60-20-0)+mustReserved(t, s, k))
	wantCode(t, "Report of the other at the standby", other.report(s, place), "")
	item, err := s.Item(t.Context(), k.ID)
	if err != nil || item.Used != 80 {
		t.Errorf("%d are used, %v; want 80", item.Used, err)
	}
}

func mustReserved(t *testing.T, s *Server, k license.Key) int64 {
	t.Helper()
	item, err := s.Item(t.Context(), k.ID)
	if err != nil {
		t.Fatal(err)
	}
	return item.Reserved
}

// Servers are stopped and begin anew, records fail before and after writes, nodes lose
// answers and go from one gateway to another: no page is handed out twice, none is lost,
// and what is used is what the ledger has.
func TestPagesWhateverFails(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) { whateverFails(t, rand.New(rand.NewPCG(seed, 6))) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func whateverFails(t *testing.T, r *rand.Rand) {
	w := newWorld(t)
	s := w.server()
	quantity, over := 200+r.Int64N(800), []int{0, 10, 50}[r.IntN(3)]
	k := w.key(license.Page, paged(quantity, over))
	w.add(s, k)
	w.project(s)
	chance := 0
	begin := func() *Server {
		calm := chance
		chance = 0
		defer func() { chance = calm }()
		return w.server(func(c *Config) {
			c.Records = &faulty{w.records, func() (bool, bool) { return r.IntN(1000) < chance, r.IntN(1000) < chance }}
		})
	}
	servers := []*Server{begin(), begin()}
	nodes := []*node{newNode(t), newNode(t), newNode(t)}
	place := placeOf(w.gateway)
	chance = 60
	for range 400 {
		s, n := servers[r.IntN(2)], nodes[r.IntN(3)]
		switch r.IntN(6) {
		case 0, 1:
			answer, err := s.Lease(t.Context(), place, n.wish(1+r.IntN(80)))
			if err == nil && r.IntN(5) > 0 { // else the answer is lost
				n.put(answer.Blocks)
			}
		case 2, 3:
			n.scan(k, r.IntN(60))
		case 4:
			_ = n.report(s, place)
		case 5:
			if r.IntN(10) == 0 {
				servers[r.IntN(2)] = begin()
			}
			time.Sleep(time.Duration(r.IntN(3600)) * time.Second)
		}
		var p pool
		var err error
		if p, _, err = get[pool](t.Context(), w.records, accountOf(k, time.Now()).pool); err != nil {
			t.Fatal(err)
		}
		if p.Spent+p.Open > quantity+k.Over() || p.Spent+p.Open+p.Over > quantity+k.Over() || p.Open < 0 || p.Over < 0 {
			t.Fatalf("pool %+v of %d and %d", p, quantity, k.Over())
		}
	}
	chance = 0
	s = begin()
	total := int64(0)
	for _, n := range nodes {
		wantCode(t, "Report at last", n.report(s, place), "")
		total += int64(len(n.rows))
	}
	for _, n := range nodes {
		if err := w.wants(s, n, 1); err != nil && !errors.Is(err, problem.LicensePages.Error()) {
			t.Fatal(err)
		}
	}
	has := int64(0)
	for _, n := range nodes {
		pages, _ := n.left(k)
		has += pages
	}
	item, err := s.Item(t.Context(), k.ID)
	if err != nil || item.Used != total || item.Reserved != has || total > quantity+k.Over() {
		t.Errorf("%d used and %d reserved of %d, %v; nodes have scanned %d and have %d", item.Used, item.Reserved, quantity, err, total, has)
	}
	if blocks := ids(nodes); len(slices.Compact(slices.Sorted(slices.Values(blocks)))) != len(blocks) {
		t.Error("two nodes have the same block")
	}
}

func ids(nodes []*node) (ids []string) {
	for _, n := range nodes {
		for _, b := range n.wallet {
			ids = append(ids, b.ID)
		}
	}
	return ids
}
