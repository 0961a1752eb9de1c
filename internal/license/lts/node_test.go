package lts

import (
	"fmt"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// newServer is a server by itself with pages behind a handshake code.
func newServer(t *testing.T) *end {
	t.Helper()
	w := newWorld(t)
	e := w.end(newIdentity(t))
	e.vendor = w.vendor
	w.start(e, nil, "")
	if _, err := e.server.Add(t.Context(), w.key(license.Page, 100, e.id)); err != nil {
		t.Fatal(err)
	}
	if _, err := e.server.CreateProject(t.Context(), api.ProjectRequest{Organisation: "ACME", Code: "SCAN"}); err != nil {
		t.Fatal(err)
	}
	return e
}

// Who asks is known by the key that the connection proves, and by nothing else.
func TestWhoAsks(t *testing.T) {
	e := newServer(t)
	self, other := newIdentity(t), newIdentity(t)
	wish := func(id *identity.Identity, w api.LeaseRequest) (license.Block, error) {
		c := &api.Client{Server: "https://server/api/v1/", Client: e.clientOf(id)}
		w.HandshakeCode, w.Origin, w.Pages = code, app, 1
		answer, err := api.Decode[api.LeaseAnswer](c.LeaseLicense(t.Context(), w))
		if err != nil {
			return license.Block{}, err
		}
		return license.ParseBlock(answer.Blocks[0], w.Node)
	}
	for _, tt := range []struct {
		name string
		as   *identity.Identity
		wish api.LeaseRequest
		want string // for whom the pages are; "": nobody's
		code problem.Code
	}{
		{"a gateway", self, api.LeaseRequest{Node: other.NodeID()}, self.Pin(), ""},
		{"a node", self, api.LeaseRequest{By: self.NodeID(), Node: self.NodeID()}, self.NodeID(), ""},
		{"a node for another one", self, api.LeaseRequest{By: self.NodeID(), Node: other.NodeID()}, "", problem.PermissionDenied},
		{"one who says that he is another node", self, api.LeaseRequest{By: other.NodeID(), Node: other.NodeID()}, "", problem.BadRequest},
		{"one with somebody's changes of key", self, api.LeaseRequest{Node: other.NodeID(), Chain: []string{"x"}}, "", problem.BadRequest},
	} {
		b, err := wish(tt.as, tt.wish)
		if tt.code != "" {
			wantCode(t, tt.name, err, tt.code)
		} else if err != nil || b.For != tt.want {
			t.Errorf("%s: for %s, %v, want %s", tt.name, b.For, err, tt.want)
		}
	}
}

// A server that was restored or made anew has the pages that it had, once it has leased
// something to who brings them: the nodes keep them all. Until then nothing is lost.
func TestLostLedger(t *testing.T) {
	e := newServer(t)
	w := &world{t, newIdentity(t)}
	gateway, m := newIdentity(t), newMeter(t)
	m.commit(9, "", "")
	from := remote(t, gateway, e)
	leasePages(t, from, m, 1)
	if err := m.report(from, 0); err != nil {
		t.Fatal(err)
	}
	// The gateway changes its key: its node is known.
	changed := newIdentity(t)
	m.commit(1, "", "")
	if err := m.report(remote(t, changed, e), 9); err != nil {
		t.Errorf("pages of a node that is known, by another gateway: %v", err)
	}
	e.records, e.pages = accesstest.NewRecords(), accesstest.NewRecords()
	w.start(e, nil, "")
	if _, err := e.server.Add(t.Context(), w.key(license.Page, 100, e.id)); err != nil {
		t.Fatal(err)
	}
	if _, err := e.server.CreateProject(t.Context(), api.ProjectRequest{Organisation: "ACME", Code: "SCAN"}); err != nil {
		t.Fatal(err)
	}
	m.commit(1, "", "")
	wantCode(t, "pages of a node that was forgotten", m.report(from, 10), problem.PermissionDenied)
	leasePages(t, from, m, 1)
	if err := m.report(from, 10); err != nil || e.book.Pages() != 11 {
		t.Errorf("after a lease: %v, %d pages, want 11", err, e.book.Pages())
	}
}

// A gateway passes on what a node asks for by itself, and the node takes what comes.
func TestAsksForItsNode(t *testing.T) {
	e := newServer(t)
	gateway, node := newIdentity(t), newIdentity(t)
	place := license.Place{Node: node.NodeID(), Pin: node.Pin(), Gateway: []string{gateway.Pin()}}
	desk := license.NewDesk(license.DeskConfig{
		Place: func() license.Place { return place }, End: "office", Clock: time.Now, Server: remote(t, gateway, e),
		Vendors: func() []string { return []string{e.vendor.Pin()} }, Own: func() access.Terms { return access.Terms{} },
	})
	ask := access.Caller{Origin: app, Client: "browser-with-a-name", Terms: access.Terms{HandshakeCode: code}}
	if p, err := desk.Permit(t.Context(), ask, "", node.NodeID(), 5); err != nil || len(p.Blocks) != 1 {
		t.Errorf("a permit by the gateway: %+v, %v", p, err)
	}
	place.Gateway = nil
	if _, err := desk.Permit(t.Context(), ask, "", node.NodeID(), 5); err == nil {
		t.Error("a node takes what was handed to a gateway that is not its own")
	}
}

// Pages are taken from those to whom something was leased, also after a restart.
func TestWhoReports(t *testing.T) {
	e := newServer(t)
	gateway := newIdentity(t)
	m := newMeter(t)
	m.commit(3, "", "")
	from := remote(t, gateway, e)
	wantCode(t, "a stranger's report", m.report(from, 0), problem.PermissionDenied)
	leasePages(t, from, m, 1)
	if err := m.report(remote(t, gateway, e), 0); err != nil {
		t.Errorf("after a lease: %v", err)
	}
	forged := m.batch(0)
	forged.Node = newIdentity(t).NodeID()
	_, err := from.Report(t.Context(), license.Place{}, "", forged)
	wantCode(t, "pages of a node that did not sign them", err, problem.ReceiptInvalid)
	// Over HTTP pages of a whole batch with long texts fit.
	long := newMeter(t)
	for range 500 {
		long.commit(1, "", "")
	}
	if err := long.report(from, 0); err != nil {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	l, now := newLimits(), time.Now()
	for i := range failures {
		if err := l.enter(fmt.Sprint(i), "10.0.0.1", false, now); err != nil {
			t.Fatal(err)
		}
		l.fail("10.0.0.1", now)
	}
	wantCode(t, "one guess more", l.enter("x", "10.0.0.1", false, now), problem.TooManyRequests)
	if err := l.enter("x", "10.0.0.2", false, now); err != nil {
		t.Errorf("from another address: %v", err)
	}
	if err := l.enter("known", "10.0.0.1", true, now); err != nil {
		t.Errorf("of somebody who is known: %v", err)
	}
	if err := l.enter("x", "10.0.0.1", false, now.Add(time.Minute)); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	for range burst {
		l.enter("often", "10.0.0.3", true, now)
	}
	wantCode(t, "too many at once", l.enter("often", "10.0.0.3", true, now), problem.TooManyRequests)
	for i := range maxCounted + 10 {
		l.enter(fmt.Sprint("many", i), "10.0.0.3", true, now)
	}
	if len(l.keys) > maxCounted {
		t.Errorf("%d keys are counted", len(l.keys))
	}
}
