package node

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/internal/license/tracking"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// counter is a node without a gateway that counts for itself: desk, tracking server and
// ledger are in its process, on its own records.
type counter struct {
	*rig
	vendor  *identity.Identity
	scanner string
	keys    string // of platen.ini
	book    *ledger.Book
	lan     http.Handler
}

func newCounter(t *testing.T, script func(*fakeBatch) error) *counter {
	t.Helper()
	d := newFakeDevice("one")
	d.scan = script
	c := &counter{rig: newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}}), vendor: newIdentity(t)}
	c.scanner = d.id(c.self.NodeID())
	c.config = func(n *Config) {
		vendors := func() []string { return []string{c.vendor.Pin()} }
		own := func() license.Place { return license.Place{Node: c.self.NodeID(), Pin: c.self.Pin()} }
		book, err := ledger.Open(context.Background(), ledger.Config{Records: n.Store.Records(), Server: c.self})
		need(t, err)
		c.book = book
		server := tracking.New(tracking.Config{
			Identity: c.self, Records: n.Store.Records(), Ledger: book, Place: own, Vendors: vendors, Clock: time.Now,
			Own: func() []string { return []string{c.keys} },
		})
		n.Vendors, n.Tracking = vendors, server
		clock, err := license.NewClock(context.Background(), license.ClockConfig{Records: n.Store.Records()})
		need(t, err)
		n.Clock = clock
		n.Desk = license.NewDesk(license.DeskConfig{
			Place: own, End: "Reception", Vendors: vendors, Server: server, Clock: clock.Now, Records: n.Store.Records(),
			Own: func() access.Terms { return access.Terms{ProductKey: c.keys} },
		})
		n.Access.Origins = access.NewOrigins()
		n.Access.Origins.Configure(false, []access.Origin{mustOrigin(t, shop), mustOrigin(t, stranger)})
	}
	return c
}

func (c *counter) key(change func(*license.Key)) license.Key {
	c.t.Helper()
	k := license.Key{
		ID: license.NewID(), Revision: 1, Kind: license.Page, Organisation: "SHOP", Quantity: 5, OverUse: 20, Origins: []string{shop},
		NotBefore: time.Now().Add(-time.Hour), Expires: time.Now().Add(24 * time.Hour), Nodes: []string{c.self.NodeID()},
	}
	change(&k)
	text, err := license.Issue(c.vendor, k)
	need(c.t, err)
	k.Text = text
	return k
}

func (c *counter) begin() *counter {
	c.start().found()
	c.lan = accesstest.Validate(c.t, c.node.Handler(access.RoadLAN))
	return c
}

// page asks as a page of an origin, signed in at the node itself.
func (c *counter) page(origin string) asker {
	c.t.Helper()
	session := accesstest.PageSession(c.t, c.node.guard, c.lan, access.RoadLAN, api.RoleUser, origin)
	return func(method, path, body string, header ...string) answer {
		c.t.Helper()
		r := accesstest.NewRequest(access.RoadLAN, method, path, body)
		r.Header.Set("Authorization", "Bearer "+session.Token)
		r.Header.Set("Origin", origin)
		r.Header.Set("Idempotency-Key", newKey())
		return answer{accesstest.Do(c.lan, r)}
	}
}

func (c *counter) jobs() string { return "/api/v1/scanners/" + c.scanner + "/jobs" }

// A page licence bound to a node without a gateway: the same code counts in one process.
func TestLicenceWithoutGateway(t *testing.T) {
	c := newCounter(t, untilFinish(50))
	k := c.key(func(*license.Key) {})
	c.keys = k.Text
	c.begin()
	if j := c.submit(c.scanner, request(scan.SourceADF, 2)); c.reaches(j.ID, scan.JobCompleted).Pages != 2 {
		t.Error("the machine's own user needs no licence")
	}
	ask := c.page(shop)
	j := decode[scan.Job](t, ask(http.MethodPost, c.jobs(), request(scan.SourceADF, 2)), http.StatusCreated)
	if got := c.reaches(j.ID, scan.JobCompleted); got.Pages != 2 {
		t.Errorf("%d pages, want 2", got.Pages)
	}
	j = decode[scan.Job](t, ask(http.MethodPost, c.jobs(), request(scan.SourceADF, 0)), http.StatusCreated)
	if got := c.reaches(j.ID, scan.JobCompleted, "partial-license"); got.Pages != 4 {
		t.Errorf("%d pages, want the 3 that were left and one of over-use", got.Pages)
	}
	ask(http.MethodPost, c.jobs(), request(scan.SourceADF, 0)).wants(t, problem.LicensePages, "")
	a := ask(http.MethodGet, "/api/v1/jobs/"+j.ID+"/pages/4", "")
	if a.Code != http.StatusOK || a.Header().Get(license.HeaderReceipt) != "" {
		t.Errorf("a page to its owner at the node: status %d, receipt %q", a.Code, a.Header().Get(license.HeaderReceipt))
	}
	c.until("the report", func() bool { n, err := c.node.Unreported(t.Context()); return err == nil && n == 0 })
	if used := c.book.Usage(ledger.Query{Item: k.ID, By: license.Whole}); c.book.Pages() != 8 || len(used) != 1 || used[0].Pages != 6 {
		t.Errorf("the ledger has %d pages, of the licence %+v; want 8, 6", c.book.Pages(), used)
	}
	if _, err := c.book.Verify(t.Context()); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

// Who signs in at the node itself is judged there too.
func TestRefusedWithoutGateway(t *testing.T) {
	c := newCounter(t, then(1, nil))
	k := c.key(func(k *license.Key) { k.Kind, k.Quantity = license.Server, 0 })
	c.keys = k.Text
	c.begin()
	ask := c.page(shop)
	decode[scan.Job](t, ask(http.MethodPost, c.jobs(), request(scan.SourceADF, 1)), http.StatusCreated)
	c.keys = ""
	ask(http.MethodPost, c.jobs(), request(scan.SourceADF, 1)).wants(t, problem.LicenseMissing, "")
	c.keys = c.key(func(k *license.Key) {
		k.Kind, k.Quantity, k.NotBefore, k.Expires = license.Server, 0, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}).Text
	ask(http.MethodPost, c.jobs(), request(scan.SourceADF, 1)).wants(t, problem.LicenseExpired, "")
	older := k
	k.Revision = 2
	text, err := license.Issue(c.vendor, k)
	need(t, err)
	c.keys = text
	decode[scan.Job](t, ask(http.MethodPost, c.jobs(), request(scan.SourceADF, 1)), http.StatusCreated)
	c.keys = older.Text
	ask(http.MethodPost, c.jobs(), request(scan.SourceADF, 1)).wants(t, problem.LicenseRevoked, "")
}

// A module needs a licence that has it, whoever calls it.
func TestModuleLicence(t *testing.T) {
	c := newCounter(t, then(1, nil))
	c.keys = c.key(func(k *license.Key) {
		k.Kind, k.Quantity, k.Modules = license.Server, 0, []license.Module{license.Barcode}
	}).Text
	c.begin()
	call := func(origin string, module license.Module) error {
		r := accesstest.NewRequest(access.RoadLAN, http.MethodGet, "/", "")
		return c.node.licensed(r.WithContext(access.WithCaller(r.Context(), access.Caller{Road: access.RoadLAN, Origin: origin})), module)
	}
	for _, want := range []struct {
		origin string
		module license.Module
		code   problem.Code
	}{
		{"", license.Barcode, ""}, {shop, license.Barcode, ""}, {"", license.OCR, problem.LicenseModule}, {stranger, license.Barcode, problem.LicenseOrigin},
	} {
		err := call(want.origin, want.module)
		if want.code == "" && err != nil || want.code != "" && !errors.Is(err, want.code.Error()) {
			t.Errorf("%s of %q: %v, want %q", want.module, want.origin, err, want.code)
		}
	}
	c.keys = ""
	if err := call("", license.Barcode); !errors.Is(err, problem.LicenseMissing.Error()) {
		t.Errorf("a module without a licence: %v", err)
	}
}

// A long job gets more pages with the marks of its reports.
func TestPagesComeWithMarks(t *testing.T) {
	more := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(more) })
	defer goOn()
	c := newCounter(t, func(b *fakeBatch) error {
		for n := range 105 {
			if n == 95 { // of the 100 that a node gets at first
				<-more
			}
			if err := b.page(n + 1); err != nil {
				return err
			}
			select {
			case <-b.finish:
				return nil
			default:
			}
		}
		return nil
	})
	c.keys = c.key(func(k *license.Key) { k.Quantity, k.OverUse = 1000, 0 }).Text
	c.begin()
	j := decode[scan.Job](t, c.page(shop)(http.MethodPost, c.jobs(), request(scan.SourceADF, 0)), http.StatusCreated)
	c.until("more pages", func() bool {
		n, _, err := c.store.PagesLeft(t.Context(), j.ID)
		return err == nil && n > 10 && c.job(j.ID).Pages == 95
	})
	goOn()
	if got := c.reaches(j.ID, scan.JobCompleted); got.Pages != 105 {
		t.Errorf("%d pages, want 105", got.Pages)
	}
}
