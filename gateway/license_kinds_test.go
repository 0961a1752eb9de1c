package gateway

import (
	"net/http"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// A licence that is not good at the moment of a job is refused by the gateway; the node is
// not even asked. With a real licence tracking server each kind is good for a job.
func TestKeysAtTheGateway(t *testing.T) {
	s := newShopWith(t, &shop{real: true}, plenty, nil)
	stranger, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	node, err := scan.NodeID(stranger.Public())
	if err != nil {
		t.Fatal(err)
	}
	here := []string{s.id.Pin()}
	for _, test := range []struct {
		name   string
		vendor *identity.Identity
		change func(*license.Key)
		want   problem.Code
	}{
		{"server", s.vendor, func(*license.Key) {}, ""},
		{"trial", s.vendor, func(k *license.Key) { k.Kind = license.Trial }, ""},
		{"browser", s.vendor, func(k *license.Key) { k.Kind, k.Quantity, k.Gateways = license.Browser, 1, here }, ""},
		{"concurrent", s.vendor, func(k *license.Key) { k.Kind, k.Quantity, k.Gateways = license.Concurrent, 1, here }, ""},
		{"node", s.vendor, func(k *license.Key) { k.Kind, k.Quantity, k.Gateways = license.PerNode, 1, here }, ""},
		{"page", s.vendor, func(k *license.Key) { k.Kind, k.Quantity, k.Gateways = license.Page, 500, here }, ""},
		{"few pages", s.vendor, func(k *license.Key) { k.Kind, k.Quantity, k.Gateways = license.Page, 1, here }, ""},
		{"another vendor's", stranger, func(*license.Key) {}, problem.LicenseInvalid},
		{"expired", s.vendor, func(k *license.Key) { k.Expires = time.Now().Add(-time.Minute) }, problem.LicenseExpired},
		{"not yet", s.vendor, func(k *license.Key) { k.NotBefore = time.Now().Add(time.Hour) }, problem.LicenseNotYetValid},
		{"another page's", s.vendor, func(k *license.Key) { k.Origins = []string{accesstest.DeskOrigin} }, problem.LicenseOrigin},
		{"copied from another gateway", s.vendor, func(k *license.Key) { k.Gateways = []string{stranger.Pin()} }, problem.LicenseElsewhere},
		{"copied from a node", s.vendor, func(k *license.Key) { k.Nodes = []string{node} }, problem.LicenseElsewhere},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := s.key
			k.ID = license.NewID()
			test.change(&k)
			text, err := license.Issue(test.vendor, k)
			if err != nil {
				t.Fatal(err)
			}
			s.text = text
			before := s.node.requests()
			r := s.asPage(http.MethodPost, "/api/v1/scanners/"+s.node.scannerID()+"/jobs", scan.JobRequest{Settings: scan.Settings{Pages: 2}})
			r.Header.Set(headerIdempotency, scan.RandomText(20))
			status, code, body := s.sendAndRead(r)
			if code != test.want || test.want == "" && status != http.StatusCreated {
				t.Fatalf("status %d, problem %q, want %q (%s)", status, code, test.want, body)
			}
			if test.want != "" && s.node.requests() != before {
				t.Error("the node was asked")
			}
			if test.want != "" {
				return
			}
			judge := license.Judge{
				Vendors: func() []string { return []string{s.vendor.Pin()} }, Node: s.node.nodeID(), Clock: s.clock.Now, End: "n",
			}
			caller := s.node.lastCaller()
			claim := license.Claim{Origin: caller.Origin, Client: caller.Client}
			if _, err := judge.Judge(t.Context(), claim, license.Place{Pin: s.id.Pin()}, s.node.lastHeader().Get(license.HeaderPermit), time.Time{}); err != nil {
				t.Errorf("the node's judge: %v", err)
			}
		})
	}
	s.text = ""
	s.scanRefused(problem.LicenseMissing)
	s.text = "v4.public.damaged"
	s.scanRefused(problem.LicenseInvalid)
}

// A node that scans more pages than it was given is counted all the same: everything comes
// out, and the next job is refused.
func TestScansMoreThanItsBlock(t *testing.T) {
	s := newShopWith(t, &shop{real: true}, plenty, func(k *license.Key) { k.Kind, k.Quantity = license.Page, 3 })
	job := s.scan()
	p, err := license.ParsePermit(s.node.lastHeader().Get(license.HeaderPermit))
	if err != nil || len(p.Blocks) != 1 {
		t.Fatalf("permit %+v, %v, want one with a block", p, err)
	}
	block, err := license.ParseBlock(p.Blocks[0], s.node.nodeID())
	if err != nil {
		t.Fatal(err)
	}
	var receipts []api.Receipt
	for n := range 8 {
		r := s.node.commit(job, n+1, image(byte(n)))
		r.Block = block.ID
		receipts = append(receipts, r)
		s.node.sends(s.node.stored(r, image(byte(n)), nil))
		if status, code, _ := s.ask(http.MethodGet, pagePath(job, n+1), nil); status != http.StatusOK {
			t.Fatalf("page %d: status %d, problem %q", n+1, status, code)
		}
	}
	if err := s.report(receipts...); err != nil {
		t.Fatal(err)
	}
	s.settled("")
	s.scanRefused(problem.LicensePages)
	if got := s.server.Pages(); got != 8 {
		t.Errorf("%d pages in the ledger, want 8", got)
	}
}

// Two gateways on one state share one licence: what one hands out the other has no more.
func TestTwoGateways(t *testing.T) {
	s := newShopWith(t, &shop{real: true}, plenty, func(k *license.Key) { k.Kind, k.Quantity = license.Page, 3 })
	other := s.second()
	s.scan() // of up to two pages
	n := s.newNode("another")
	caller := access.Caller{Session: "s", Subject: "s", Role: api.RoleUser, Origin: accesstest.ShopOrigin}
	ctx := access.WithCaller(t.Context(), caller)
	at, ok := other.registry.get(n.nodeID())
	for end := time.Now().Add(waitLimit); !ok && time.Now().Before(end); at, ok = other.registry.get(n.nodeID()) {
		time.Sleep(time.Millisecond)
	}
	if _, err := other.cover(ctx, at, "", 2); problem.From(err).Code != problem.LicensePages {
		t.Errorf("two more pages by the other gateway: %v, want %q", err, problem.LicensePages)
	}
	seats := newShopWith(t, &shop{real: true}, plenty, func(k *license.Key) { k.Kind, k.Quantity = license.Browser, 1 })
	seats.scan()
	caller.Client = "fedcba9876543210"
	at, _ = seats.g.registry.get(seats.node.nodeID())
	if _, err := seats.second().cover(access.WithCaller(t.Context(), caller), at, "", 2); problem.From(err).Code != problem.LicenseSeats {
		t.Errorf("another browser by the other gateway: %v, want %q", err, problem.LicenseSeats)
	}
}

// What a node reports comes from this gateway, as its jobs do: what it is given for it is
// good for them.
func TestReportIsTheGateways(t *testing.T) {
	s := newShop(t, plenty, nil)
	if err := s.report(s.node.commit(scan.NewID(s.node.nodeID(), scan.KindJob), 1, image(1))); err != nil {
		t.Fatal(err)
	}
	if got := s.server.by; got.Node != "" || got.Pin != s.id.Pin() {
		t.Errorf("reported by %+v, want %s", got, s.id.Pin())
	}
}
