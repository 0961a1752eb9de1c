package node

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// counts is a licence tracking server behind a way that can be cut.
type counts struct {
	*ledger.Book
	pin string

	mu   sync.Mutex
	away bool
}

func (c *counts) Pin() string { return c.pin }

func (c *counts) Lease(context.Context, license.Place, api.LeaseRequest) (api.LeaseAnswer, error) {
	return api.LeaseAnswer{}, problem.TrackingOffline.Error()
}

func (c *counts) Report(ctx context.Context, by license.Place, pin string, batch api.ReceiptBatch) (api.ReceiptMark, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return api.ReceiptMark{}, problem.TrackingOffline.Error()
	}
	return c.Book.Report(ctx, by, pin, batch)
}

func (c *counts) cut(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

// A node whose gateway cannot be reached goes on with what is queued, and gives pages to
// those who are at the node. What it committed is counted once the gateway is there again.
func TestGatewayAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		c := &counts{}
		a := newAgency(t, func(b *fakeBatch) error { <-gate; return b.pages(3) }, func(n *Config) {
			id := newIdentity(t)
			book, err := ledger.Open(context.Background(), ledger.Config{Records: n.Store.Records(), Server: id})
			need(t, err)
			c.Book, c.pin = book, id.Pin()
			n.Tracking = c
		})
		defer a.stop()
		k := a.key(license.Page)
		q := asking{permit: permit(k, "", a.pages(k, 6, 0))}
		first := jsonOf[scan.Job](t, a.scan(q, 3), http.StatusCreated)
		second := jsonOf[scan.Job](t, a.scan(q, 3), http.StatusCreated)
		c.cut(true)
		a.link.Close("")
		close(gate)
		time.Sleep(time.Hour)
		for _, id := range []string{first.ID, second.ID} {
			if j := a.job(id); j.State != scan.JobCompleted || j.Pages != 3 {
				t.Errorf("job is %s with %d pages, want it completed with 3", j.State, j.Pages)
			}
			if page := a.ask(http.MethodGet, "/api/v1/jobs/"+id+"/pages/3", ""); page.Code != http.StatusOK {
				t.Errorf("reading a page at the node: status %d", page.Code)
			}
		}
		if n, err := a.node.Unreported(t.Context()); n != 6 || err != nil {
			t.Errorf("%d pages are not reported, %v, want 6", n, err)
		}
		c.cut(false)
		time.Sleep(15 * time.Second)
		if n, err := a.node.Unreported(t.Context()); n != 0 || err != nil || c.Pages() != 6 {
			t.Errorf("%d pages are not reported, %v, and %d counted; want 6", n, err, c.Pages())
		}
	})
}

// A page that somebody waits for is counted within two seconds of its commit.
func TestReportedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counts{}
		a := newAgency(t, then(1, nil), func(n *Config) {
			id := newIdentity(t)
			book, err := ledger.Open(context.Background(), ledger.Config{Records: n.Store.Records(), Server: id})
			need(t, err)
			c.Book, c.pin = book, id.Pin()
			n.Tracking = c
		})
		defer a.stop()
		a.done(asking{permit: permit(a.key(license.Server), "")}, 1)
		time.Sleep(2 * time.Second)
		if c.Pages() != 1 {
			t.Errorf("%d pages are counted after two seconds, want 1", c.Pages())
		}
	})
}

// A node that asks for no licence scans whatever comes beside the grant, and says in its
// receipts what its gateway let it scan under.
func TestOpenNodeOfLicensedGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgency(t, untilFinish(3), func(n *Config) { n.Vendors = nil })
		defer a.stop()
		k := a.key(license.Page)
		j := a.done(asking{permit: permit(k, "", a.pages(k, 9, 0))}, 1)
		for _, q := range []asking{{}, {permit: permit(a.key(license.Server, func(k *license.Key) { k.Gateways = []string{newIdentity(t).Pin()} }), "")}} {
			if got := a.done(q, 1); got.State != scan.JobCompleted {
				t.Errorf("a job is %s, want completed: no licence is asked for", got.State)
			}
		}
		_, receipts, _, err := a.store.Receipts(t.Context(), 0, 10)
		need(t, err)
		if len(receipts) != 3 || receipts[0].Item != k.ID || receipts[0].Block == "" || receipts[1].Item != "" || receipts[2].Item != "" {
			t.Errorf("receipts %+v, want the first one of licence %s", receipts, k.ID)
		}
		answer := a.pass(asking{}, http.MethodGet, "/api/v1/jobs/"+j.ID+"/pages/1?width=32", "")
		defer answer.Body.Close()
		_, err = io.Copy(io.Discard, answer.Body)
		need(t, err)
		if r, err := license.ReceiptIn(answer.Header.Get(license.HeaderReceipt), a.self.Pin(), a.node.id); err != nil || r != receipts[0] {
			t.Errorf("receipt of a rendition: status %d, %+v, %v", answer.StatusCode, r, err)
		}
		own := a.pass(asking{own: true}, http.MethodGet, "/api/v1/jobs/"+j.ID, "")
		own.Body.Close()
	})
}
