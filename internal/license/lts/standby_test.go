package lts

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// pair is a main server and its standby, and a gateway that asks them.
type pair struct {
	*world
	main, standby *end
	gateway       *identity.Identity
	remote        *license.Remote
	seats, pages  string // items
}

func newPair(t testing.TB) *pair {
	w := newWorld(t)
	p := &pair{world: w, main: w.end(newIdentity(t)), standby: w.end(newIdentity(t)), gateway: newIdentity(t)}
	p.startMain()
	w.start(p.standby, p.main, "")
	p.remote = remote(t, p.gateway, p.main, p.standby)
	for kind, item := range map[license.Kind]*string{license.Browser: &p.seats, license.Page: &p.pages} {
		quantity := map[license.Kind]int64{license.Browser: 3, license.Page: 300}[kind]
		added, err := p.main.server.Add(t.Context(), w.key(kind, quantity, p.main.id, p.standby.id))
		if err != nil {
			t.Fatal(err)
		}
		*item = added.Key.Id
		if _, err := p.main.server.CreateProject(t.Context(), api.ProjectRequest{Organisation: "ACME", Code: string(kind), Items: []string{*item}}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(holdTime) // there was no standby before
	return p
}

// startMain begins anew with the main server's records.
func (p *pair) startMain() { p.start(p.main, nil, p.standby.id.Pin()) }

func (p *pair) sync(want bool) {
	p.t.Helper()
	if err := p.standby.standby.Sync(p.t.Context()); (err == nil) != want {
		p.t.Fatalf("Sync() = %v", err)
	}
}

func (p *pair) seat(name string) (int64, error) {
	answer, err := p.remote.Lease(p.t.Context(), license.Place{}, api.LeaseRequest{HandshakeCode: "ACME-browser", Origin: app, Client: client(name)})
	if err != nil {
		return 0, err
	}
	l, err := license.ParseLease(answer.Lease)
	if err != nil {
		p.t.Fatal(err)
	}
	if l.Signer != p.remote.Pin() || l.For != p.gateway.Pin() {
		p.t.Errorf("the seat is signed by %s for %s", l.Signer, l.For)
	}
	return l.Seat, nil
}

func (p *pair) mustSeat(name string) int64 {
	p.t.Helper()
	n, err := p.seat(name)
	if err != nil {
		p.t.Fatalf("a seat for %s: %v", name, err)
	}
	return n
}

// lease leases pages for a node, and answers all blocks that it may use.
func (p *pair) lease(m *meter, pages int) ([]license.Block, error) {
	answer, err := p.remote.Lease(p.t.Context(), license.Place{}, api.LeaseRequest{HandshakeCode: "ACME-page", Origin: app, Node: m.id.NodeID(), Pages: pages})
	if err != nil {
		return nil, err
	}
	var blocks []license.Block
	for _, text := range answer.Blocks {
		b, err := license.ParseBlock(text, m.id.NodeID())
		if err != nil {
			p.t.Fatal(err)
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

func (p *pair) item(e *end, id string) api.Item {
	p.t.Helper()
	item, err := e.server.Item(p.t.Context(), id)
	if err != nil {
		p.t.Fatal(err)
	}
	return item
}

// equal checks that both servers have the same licences and the same pages.
func (p *pair) equal(pages int64) {
	p.t.Helper()
	for _, e := range []*end{p.main, p.standby} {
		v, err := e.book.Verify(p.t.Context())
		if err != nil || v.Pages != pages {
			p.t.Errorf("the ledger has %d pages, %v, want %d", v.Pages, err, pages)
		}
	}
	a, b := records(p.main), records(p.standby)
	for key, value := range a {
		if b[key] != value {
			p.t.Errorf("%s is\n%s at the main server,\n%s at the standby", key, value, b[key])
		}
	}
	if len(a) != len(b) {
		p.t.Errorf("the main server has %d records, the standby %d", len(a), len(b))
	}
}

func records(e *end) map[string]string {
	all := map[string]string{}
	for _, prefix := range copied {
		e.records.List(context.Background(), prefix, func(key string, value []byte) error {
			all[key] = string(value)
			return nil
		})
	}
	return all
}

func TestStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		one, two, late := newMeter(t), newMeter(t), newMeter(t)
		first := p.mustSeat("first")
		blocks, err := p.lease(one, 100)
		if err != nil || len(blocks) != 1 || blocks[0].Pages != 100 {
			t.Fatalf("blocks = %+v, %v", blocks, err)
		}
		own := blocks[0]
		one.commit(10, own.Item, own.ID)
		if err := one.report(p.remote, 0); err != nil {
			t.Fatal(err)
		}
		p.sync(true)
		p.equal(10)

		// The main server is there: nobody is served but by it.
		asked := remote(t, p.gateway, p.standby)
		_, err = asked.Lease(t.Context(), license.Place{}, api.LeaseRequest{HandshakeCode: "ACME-browser", Origin: app, Client: client("first")})
		wantCode(t, "the standby while the main server is there", err, problem.TrackingOffline)

		// It is killed after it has handed out what was not copied.
		uncopied := p.mustSeat("uncopied")
		time.Sleep(fresh)
		p.main.down.Store(true)
		if again := p.mustSeat("first"); again != first {
			t.Errorf("the standby gave seat %d in place of %d", again, first)
		}
		if p.remote.Pin() != p.standby.id.Pin() {
			t.Error("the standby does not serve")
		}
		p.mustSeat("second")
		p.mustSeat("third")
		_, err = p.seat("fourth")
		wantCode(t, "a fourth browser", err, problem.LicenseSeats)
		one.commit(20, own.Item, own.ID)
		if err := one.report(p.remote, 10); err != nil {
			t.Fatal(err)
		}
		blocks, err = p.lease(two, 150)
		if err != nil || blocks[0].Pages != 150 || blocks[0].Signer != p.standby.id.Pin() {
			t.Fatalf("blocks = %+v, %v", blocks, err)
		}
		two.commit(120, blocks[0].Item, blocks[0].ID)
		if err := two.report(p.remote, 0); err != nil {
			t.Fatal(err)
		}
		// With the marks the nodes got what was left.
		_, err = p.lease(late, 100)
		wantCode(t, "more pages than were free at the last copy", err, problem.LicensePages)
		if s, _ := p.seat("first"); s != first {
			t.Errorf("seat %d, want %d", s, first)
		}

		// It is back: until the standby has told it all, it hands nothing out.
		time.Sleep(remoteReturnAtLeast)
		p.startMain()
		p.main.down.Store(false)
		_, err = remote(t, p.gateway, p.main).Lease(t.Context(), license.Place{}, api.LeaseRequest{HandshakeCode: "ACME-page", Origin: app, Node: one.id.NodeID(), Pages: 1})
		wantCode(t, "the main server before it heard of all", err, problem.TrackingOffline)
		if p.mustSeat("first"); p.remote.Pin() != p.standby.id.Pin() {
			t.Error("the standby has ended to serve too soon")
		}
		p.sync(true)
		p.equal(150)
		if s := p.mustSeat("first"); s != first || p.remote.Pin() != p.main.id.Pin() {
			t.Errorf("seat %d by %s, want %d by the main server", s, p.remote.Pin(), first)
		}
		if item := p.item(p.main, p.pages); item.Used != 150 || item.Reserved != 300-150 {
			t.Errorf("%d pages are used and %d reserved, want 150 and 150", item.Used, item.Reserved)
		}
		if item := p.item(p.main, p.seats); item.Used > 3 {
			t.Errorf("%d seats of 3 are taken; number %d was not copied", item.Used, uncopied)
		}
		_, err = p.lease(late, 100)
		wantCode(t, "more pages than there are", err, problem.LicensePages)

		// Nodes report to it from its own mark: nothing is counted twice.
		one.commit(1, own.Item, own.ID)
		if err := one.report(p.remote, 0); err != nil {
			t.Fatal(err)
		}
		if err := two.report(p.remote, 0); err != nil {
			t.Fatal(err)
		}
		p.sync(true)
		p.equal(151)
		if item := p.item(p.main, p.pages); item.Used != 151 || item.Reserved != 149 {
			t.Errorf("%d pages are used and %d reserved, want 151 and 149", item.Used, item.Reserved)
		}
	})
}

// remoteReturnAtLeast is for how long a license.Remote keeps to a standby.
const remoteReturnAtLeast = 31 * time.Second

// A standby that was started anew while it stands in, and a main server that goes again
// while it is told, lose nothing.
func TestStandbyIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.sync(true)
		p.main.down.Store(true)
		time.Sleep(fresh)
		var meters []*meter
		for i := range 6 {
			m := newMeter(t)
			blocks, err := p.lease(m, 50)
			if err != nil {
				t.Fatal(err)
			}
			m.commit(10+i, blocks[0].Item, blocks[0].ID)
			if err := m.report(p.remote, 0); err != nil {
				t.Fatal(err)
			}
			meters = append(meters, m)
			p.start(p.standby, p.main, "")
		}
		p.mustSeat("first")
		p.sync(false)
		p.startMain()
		for round := 1; ; round++ {
			p.main.down.Store(false)
			p.main.asked.Store(0)
			p.main.answers.Store(int32(round))
			err := p.standby.standby.Sync(t.Context())
			if p.main.answers.Store(0); err == nil {
				break
			}
			p.start(p.standby, p.main, "")
			if round > 20 {
				t.Fatal(err)
			}
		}
		p.equal(75)
		if item := p.item(p.main, p.pages); item.Used+item.Reserved != 300 {
			t.Errorf("%d pages are used and %d reserved of 300", item.Used, item.Reserved)
		}
		for _, m := range meters {
			if err := m.report(p.main.server, 0); err != nil {
				t.Errorf("reporting to the main server: %v", err)
			}
		}
		p.equal(75)
		if item := p.item(p.main, p.pages); item.Used != 75 || item.Reserved != 225 {
			t.Errorf("%d pages are used and %d reserved, want 75 and 225", item.Used, item.Reserved)
		}
	})
}

// Whom a standby refuses while the main server is there has guessed nothing: it is answered
// when that one is away.
func TestStandbyKnowsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.sync(true)
		p.remote = remote(t, p.gateway, p.standby)
		for range 2 * failures {
			_, err := p.seat("first")
			wantCode(t, "a standby whose main server is there", err, problem.TrackingOffline)
		}
		p.main.down.Store(true)
		time.Sleep(fresh)
		p.mustSeat("first")
	})
}

// A standby watches and sends while it stands in, by the main server's settings, and the main
// one knows of it.
func TestStandbyAlerts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		if err := p.main.alerts.Set(t.Context(), api.AlertSettings{Thresholds: []int{50}, ExpiryDays: []int{}, Webhooks: []string{"http://127.0.0.1:1/"}}); err != nil {
			t.Fatal(err)
		}
		p.sync(true)
		p.main.down.Store(true)
		for range 2 {
			time.Sleep(10 * time.Minute)
			p.sync(false)
			if err := p.standby.alerts.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		p.startMain()
		if !p.main.main.Waits() {
			t.Error("the main server does not wait for what its standby has sent")
		}
		p.main.down.Store(false)
		p.sync(true)
		p.equal(0)
		state, err := p.main.alerts.State(t.Context())
		if err != nil || len(state.Last) != 1 || state.Last[0].Type != api.AlertTypeAway || len(state.Last[0].Sent) != 1 {
			t.Errorf("the main server's alerts: %+v, %v, want that it was away", state.Last, err)
		}
		if p.main.main.Waits() {
			t.Error("the main server waits for a standby that has told all")
		}
	})
}

// A standby hands nothing out before it has a copy, and nobody else gets one.
func TestWhoIsAStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.main.down.Store(true)
		_, err := p.seat("first")
		wantCode(t, "a standby without a copy", err, problem.TrackingOffline)
		p.main.down.Store(false)
		p.mustSeat("first")
		for _, path := range []string{"", "?after=-1", "?after=x"} {
			res, err := p.main.clientOf(p.gateway).Get("https://main/api/v1" + replica + path)
			if err != nil || res.StatusCode != problem.PermissionDenied.Status() {
				t.Errorf("a gateway's copy: %v, %v", res, err)
			}
		}
		if p := p.standby.call(api.RoleAdmin, "POST", "/license/projects", `{"organisation":"ACME","code":"X"}`, 503, nil); p == nil || p.Code != problem.Unavailable {
			t.Errorf("a change at the standby: %v", p)
		}
		c := &api.Client{Server: "https://main/api/v1/", Client: p.main.clientOf(p.standby.id)}
		for _, key := range []string{"session.x", "license.item.x", "license.seat.", "lts.standby"} {
			err := api.Done(c.MergeReplica(t.Context(), api.ReplicaChanges{Items: []api.ReplicaChange{{Key: key, Value: []byte("{}")}}}))
			wantCode(t, "a change of "+key, err, problem.BadRequest)
		}
		seat := fmt.Sprintf("license.seat.%s.%013d", p.seats, 3)
		for _, v := range []string{"1", "2"} { // the second finds that it is there
			if err := api.Done(c.MergeReplica(t.Context(), api.ReplicaChanges{Items: []api.ReplicaChange{{Key: seat, Value: []byte(v)}}})); err != nil {
				t.Error(err)
			}
		}
		if got := records(p.main)[seat]; got != "1" {
			t.Errorf("the record is %q, want 1", got)
		}
	})
}

// Serve copies by itself, and finds that the main server is away and back.
func TestStandbyServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.standby.standby.Serve(ctx) }()
		p.mustSeat("first")
		time.Sleep(copyEvery + time.Second)
		p.equal(0)
		p.main.down.Store(true)
		time.Sleep(copyEvery + time.Second)
		if p.standby.standby.Away().IsZero() {
			t.Error("the standby does not stand in")
		}
		p.mustSeat("second")
		p.startMain()
		p.main.down.Store(false)
		time.Sleep(lookEvery + time.Second)
		if !p.standby.standby.Away().IsZero() {
			t.Error("the standby still stands in")
		}
		time.Sleep(copyEvery)
		p.equal(0)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
