package node

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

const (
	shop     = "https://shop.example"
	stranger = "https://stranger.example"
)

func newIdentity(t testing.TB) *identity.Identity {
	t.Helper()
	id, err := identity.New()
	need(t, err)
	return id
}

// agency is an office whose node takes the licences of a vendor.
type agency struct {
	*office
	vendor *identity.Identity
	client string
	link   relay.Link
}

func newAgency(t *testing.T, script func(*fakeBatch) error, change func(*Config)) *agency {
	t.Helper()
	a := &agency{vendor: newIdentity(t), client: license.ClientHash(shop, "a-browser-of-the-shop")}
	a.office = newOfficeWith(t, script, func(c *Config) {
		c.Vendors = func() []string { return []string{a.vendor.Pin()} }
		c.Access.Origins = access.NewOrigins()
		c.Access.Origins.Configure(false, []access.Origin{mustOrigin(t, shop), mustOrigin(t, stranger)})
		if change != nil {
			change(c)
		}
	})
	a.link = <-a.links
	jsonOf[api.LinkWelcome](t, a.hello(a.link, nil), http.StatusOK)
	return a
}

func mustOrigin(t testing.TB, text string) access.Origin {
	t.Helper()
	o, err := access.ParseOrigin(text)
	need(t, err)
	return o
}

// key is one of the vendor for the gateway.
func (a *agency) key(kind license.Kind, change ...func(*license.Key)) license.Key {
	a.t.Helper()
	k := license.Key{
		ID: license.NewID(), Revision: 1, Kind: kind, Organisation: "SHOP", Quantity: 100, OverUse: 10, Origins: []string{shop},
		NotBefore: time.Now().Add(-time.Hour), Expires: time.Now().Add(24 * time.Hour), Gateways: []string{a.gateway.Pin()},
	}
	for _, c := range change {
		c(&k)
	}
	return a.issue(k)
}

func (a *agency) issue(k license.Key) license.Key {
	a.t.Helper()
	text, err := license.Issue(a.vendor, k)
	need(a.t, err)
	k.Text = text
	return k
}

// seat is a lease of a key, as its gateway gives it.
func (a *agency) seat(k license.Key, change ...func(*license.Lease)) string {
	l := license.Lease{
		ID: license.NewID(), Item: k.ID, Revision: k.Revision, For: a.gateway.Pin(), Holder: a.client, Seat: 1, Origin: shop,
		From: time.Now(), Until: time.Now().Add(time.Hour),
	}
	for _, c := range change {
		c(&l)
	}
	return l.Sign(a.gateway)
}

// pages is a block of a key, as its gateway gives it.
func (a *agency) pages(k license.Key, n, over int64, change ...func(*license.Block)) string {
	b := license.Block{
		ID: license.NewID(), Item: k.ID, Revision: k.Revision, Project: "SHOP-DESK", For: a.gateway.Pin(), Node: a.node.id, Pages: n, Over: over,
		From: time.Now(), Until: time.Now().Add(time.Hour),
	}
	for _, c := range change {
		c(&b)
	}
	return b.Sign(a.gateway)
}

// asking is a request that a gateway, patched as it may be, sends for somebody.
type asking struct {
	origin string // "": the shop
	own    bool   // it is the gateway's own page
	client string // "": the agency's
	permit string // beside the grant
	digest string // in the grant; "": that of permit
	key    string // Idempotency-Key; "": a new one
}

// send passes it on.
func (a *agency) pass(q asking, method, path, body string) *http.Response {
	a.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, "https://"+relay.Host+path, strings.NewReader(body))
	need(a.t, err)
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
		if q.key == "" {
			q.key = newKey()
		}
		r.Header.Set("Idempotency-Key", q.key)
	}
	c := access.Caller{Session: scan.RandomText(8), Subject: "customer", Role: api.RoleUser}
	if !q.own {
		if c.Origin = q.origin; c.Origin == "" {
			c.Origin = shop
		}
	}
	g := access.NewGrant(c, a.node.id, r, time.Now(), scan.Actions...)
	if g.Client = q.client; g.Client == "" {
		g.Client = a.client
	}
	if g.Permit = q.digest; g.Permit == "" {
		g.Permit = license.Digest(q.permit)
	}
	if q.permit != "" {
		r.Header.Set(license.HeaderPermit, q.permit)
	}
	r.Header.Set(access.HeaderGrant, g.Sign(a.gateway))
	answer, err := a.link.RoundTrip(r)
	need(a.t, err)
	return answer
}

// scan asks for a job.
func (a *agency) scan(q asking, pages int) *http.Response {
	return a.pass(q, http.MethodPost, "/api/v1/scanners/"+a.scanner+"/jobs", request(scan.SourceADF, pages))
}

// done asks for a job and waits for its end.
func (a *agency) done(q asking, pages int) scan.Job {
	a.t.Helper()
	j := jsonOf[scan.Job](a.t, a.scan(q, pages), http.StatusCreated)
	synctest.Wait()
	return jsonOf[scan.Job](a.t, a.pass(q, http.MethodGet, "/api/v1/jobs/"+j.ID, ""), http.StatusOK)
}

func permit(k license.Key, lease string, blocks ...string) string {
	return license.Permit{Key: k.Text, Lease: lease, Blocks: blocks}.String()
}

// TestPatchedGateway has a gateway that signs whatever it likes: a stock node takes
// nothing that the vendor has not signed for it, and counts what it signed once.
func TestPatchedGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgency(t, then(1, nil), nil)
		defer a.stop()
		other, forger := newIdentity(t), newIdentity(t)
		server, browser, paged := a.key(license.Server), a.key(license.Browser), a.key(license.Page)
		forged := server
		text, err := license.Issue(forger, server)
		need(t, err)
		forged.Text = text
		expired := a.key(license.Server, func(k *license.Key) { k.Expires = time.Now().Add(-time.Minute) })
		early := a.key(license.Server, func(k *license.Key) { k.NotBefore = time.Now().Add(time.Hour) })
		elsewhere := a.key(license.Server, func(k *license.Key) { k.Gateways = []string{other.Pin()} })
		elsewherePaged := a.key(license.Page, func(k *license.Key) { k.Gateways = []string{other.Pin()} })
		old := a.key(license.Server)
		newer := old
		newer.Revision = 2
		newer = a.issue(newer)
		block := a.pages(paged, 1, 0)
		for _, c := range []struct {
			name string
			q    asking
			want problem.Code // "": it scans
		}{
			{"own page without a permit", asking{own: true}, ""},
			{"no permit", asking{}, problem.LicenseMissing},
			{"server", asking{permit: permit(server, "")}, ""},
			{"trial", asking{permit: permit(a.key(license.Trial), "")}, ""},
			{"browser with its seat", asking{permit: permit(browser, a.seat(browser))}, ""},
			{"concurrent with its seat", asking{permit: func() string { k := a.key(license.Concurrent); return permit(k, a.seat(k)) }()}, ""},
			{"node with its seat", asking{permit: func() string {
				k := a.key(license.PerNode)
				return permit(k, a.seat(k, func(l *license.Lease) { l.Holder, l.Origin = a.node.id, "" }))
			}()}, ""},
			{"pages", asking{permit: permit(paged, "", block)}, ""},
			{"forged vendor", asking{permit: permit(forged, "")}, problem.LicenseInvalid},
			{"damaged key", asking{permit: permit(license.Key{Text: server.Text[:len(server.Text)-9] + "AAAAAAAAA"}, "")}, problem.LicenseInvalid},
			{"no key at all", asking{permit: ";;"}, problem.LicenseInvalid},
			{"expired key", asking{permit: permit(expired, "")}, problem.LicenseExpired},
			{"key of tomorrow", asking{permit: permit(early, "")}, problem.LicenseNotYetValid},
			{"key of another gateway", asking{permit: permit(elsewhere, "")}, problem.LicenseElsewhere},
			{"pages of another gateway's key", asking{permit: permit(elsewherePaged, "", a.pages(elsewherePaged, 5, 0))}, problem.LicenseElsewhere},
			{"unlisted origin", asking{origin: stranger, permit: permit(server, "")}, problem.LicenseOrigin},
			{"origin that the node does not allow", asking{origin: "https://third.example", permit: permit(server, "")}, problem.OriginNotAllowed},
			{"no seat", asking{permit: permit(browser, "")}, problem.LicenseInvalid},
			{"seat above the seats", asking{permit: permit(browser, a.seat(browser, func(l *license.Lease) { l.Seat = 111 }))}, problem.LicenseSeats},
			{"seat of over-use", asking{permit: permit(browser, a.seat(browser, func(l *license.Lease) { l.Seat = 110 }))}, ""},
			{"seat of another client", asking{permit: permit(browser, a.seat(browser, func(l *license.Lease) { l.Holder = "somebody" }))}, problem.LicenseInvalid},
			{"seat for another origin", asking{permit: permit(browser, a.seat(browser, func(l *license.Lease) { l.Origin = stranger }))}, problem.LicenseInvalid},
			{"another client with the seat", asking{client: "somebody", permit: permit(browser, a.seat(browser))}, problem.LicenseInvalid},
			{"seat of another licence", asking{permit: permit(browser, a.seat(a.key(license.Browser)))}, problem.LicenseInvalid},
			{"seat that ended", asking{permit: permit(browser, a.seat(browser, func(l *license.Lease) { l.From, l.Until = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour) }))},
				problem.TrackingOffline},
			{"seat signed by a stranger", asking{permit: permit(browser, license.Lease{
				ID: "x", Item: browser.ID, Revision: 1, For: a.gateway.Pin(), Holder: a.client, Seat: 1, Origin: shop, From: time.Now(), Until: time.Now().Add(time.Hour),
			}.Sign(other))}, problem.LicenseElsewhere},
			{"block that was spent", asking{permit: permit(paged, "", block)}, problem.LicensePages},
			{"no block", asking{permit: permit(paged, "")}, problem.LicensePages},
			{"block of another node", asking{permit: permit(paged, "", a.pages(paged, 5, 0, func(b *license.Block) { b.Node = other.NodeID() }))}, problem.LicenseInvalid},
			{"block above the quantity", asking{permit: permit(paged, "", a.pages(paged, 111, 0))}, problem.LicensePages},
			{"block of another licence", asking{permit: permit(paged, "", a.pages(a.key(license.Page), 5, 0))}, problem.LicenseInvalid},
			{"block for another place", asking{permit: permit(paged, "", a.pages(paged, 5, 0, func(b *license.Block) { b.For = other.Pin() }))}, problem.LicenseInvalid},
			{"block that ended", asking{permit: permit(paged, "", a.pages(paged, 5, 0, func(b *license.Block) { b.From, b.Until = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour) }))},
				problem.TrackingOffline},
			{"another permit than the grant's", asking{permit: permit(server, ""), digest: license.Digest("another")}, problem.LicenseInvalid},
			{"a grant with a permit that is not there", asking{digest: license.Digest(permit(server, ""))}, problem.LicenseInvalid},
			{"own page with another permit", asking{own: true, permit: permit(server, ""), digest: license.Digest("another")}, problem.LicenseInvalid},
			{"first revision", asking{permit: permit(old, "")}, ""},
			{"second revision", asking{permit: permit(newer, "")}, ""},
			{"first revision again", asking{permit: permit(old, "")}, problem.LicenseRevoked},
		} {
			answer := a.scan(c.q, 1)
			if c.want == "" {
				if answer.StatusCode != http.StatusCreated {
					t.Errorf("%s: status %d, %s", c.name, answer.StatusCode, problemOfAnswer(t, answer))
				}
				answer.Body.Close()
				synctest.Wait()
				continue
			}
			if code := problemOfAnswer(t, answer); code != c.want {
				t.Errorf("%s: %s, want %s", c.name, code, c.want)
			}
		}
		// What was withdrawn stays so after a restart.
		a.stop()
		a.start().found()
		a.link = <-a.links
		jsonOf[api.LinkWelcome](t, a.hello(a.link, nil), http.StatusOK)
		if code := problemOfAnswer(t, a.scan(asking{permit: permit(old, "")}, 1)); code != problem.LicenseRevoked {
			t.Errorf("the first revision after a restart: %s", code)
		}
		if code := problemOfAnswer(t, a.scan(asking{permit: permit(paged, "", block)}, 1)); code != problem.LicensePages {
			t.Errorf("a spent block after a restart: %s", code)
		}
		a.stop()
	})
}

// A refusal says which licence it is about, and which end refuses.
func TestRefusalWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgency(t, then(1, nil), nil)
		defer a.stop()
		k := a.key(license.Server)
		answer := a.scan(asking{origin: stranger, permit: permit(k, "")}, 1)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		need(t, err)
		for _, want := range []string{k.ID, stranger, "Reception", "Ask the vendor"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s does not say %q", text, want)
			}
		}
	})
}

// Who repeats a request gets its job, whatever the licence says by now. Nothing about the
// licence keeps pages from their owner.
func TestRepeatedJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgency(t, then(1, nil), nil)
		defer a.stop()
		k := a.key(license.Page)
		first := asking{permit: permit(k, "", a.pages(k, 1, 0)), key: newKey()}
		j := a.done(first, 1)
		for _, again := range []asking{first, {key: first.key}} {
			if got := jsonOf[scan.Job](t, a.scan(again, 1), http.StatusCreated); got.ID != j.ID {
				t.Errorf("the same request made job %s, not %s", got.ID, j.ID)
			}
		}
		answer := a.pass(asking{}, http.MethodGet, "/api/v1/jobs/"+j.ID+"/pages/1", "")
		defer answer.Body.Close()
		if b, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK || len(b) != len(testJPEG(1)) {
			t.Errorf("reading the page without a licence: status %d, %d bytes, %v", answer.StatusCode, len(b), err)
		}
	})
}

// untilFinish brings pages until no other is wanted, as a feeder that never gets empty.
func untilFinish(most int) func(*fakeBatch) error {
	return func(b *fakeBatch) error {
		wanted := most
		if b.settings.Pages > 0 {
			wanted = b.settings.Pages
		}
		for n := range wanted {
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
	}
}

// Pages that run out in mid-job end the job well, between two sheets; the next job is
// refused, and all pages come out.
func TestPagesRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgency(t, untilFinish(50), nil)
		defer a.stop()
		k := a.key(license.Page)
		q := asking{permit: permit(k, "", a.pages(k, 4, 2))}
		j := a.done(q, 0)
		if j.State != scan.JobCompleted || !slices.Equal(j.Reasons, []scan.Reason{"partial-license"}) || j.Pages != 6 {
			t.Fatalf("job is %s %v with %d pages, want it completed with partial-license and 6: 4 and the over-use", j.State, j.Reasons, j.Pages)
		}
		if code := problemOfAnswer(t, a.scan(q, 1)); code != problem.LicensePages {
			t.Errorf("the next job: %s", code)
		}
		_, receipts, _, err := a.store.Receipts(t.Context(), 0, 100)
		need(t, err)
		for n := range 6 {
			answer := a.pass(q, http.MethodGet, "/api/v1/jobs/"+j.ID+"/pages/"+string(rune('1'+n)), "")
			b, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || len(b) != len(testJPEG(n+1)) {
				t.Errorf("page %d: %d bytes, %v", n+1, len(b), err)
			}
			r, err := license.ReceiptIn(answer.Header.Get(license.HeaderReceipt), a.self.Pin(), a.node.id)
			if err != nil || r != receipts[n] || r.Item != k.ID || r.Project != "SHOP-DESK" || r.Client != a.client || r.Origin != shop || r.Block == "" {
				t.Errorf("receipt of page %d: %+v, %v, want %+v", n+1, r, err, receipts[n])
			}
		}
		// Exactly as many as there are is no partial job.
		k = a.key(license.Page)
		if j := a.done(asking{permit: permit(k, "", a.pages(k, 3, 0))}, 3); j.State != scan.JobCompleted || len(j.Reasons) > 0 || j.Pages != 3 {
			t.Errorf("a job for all pages is %s %v with %d", j.State, j.Reasons, j.Pages)
		}
	})
}

// Two jobs wait with one page between them: the second one ends before its first sheet.
func TestPagesGoneBeforeTheJobBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		a := newAgency(t, func(b *fakeBatch) error { <-gate; return b.pages(1) }, nil)
		defer a.stop()
		k := a.key(license.Page)
		q := asking{permit: permit(k, "", a.pages(k, 1, 0))}
		first := jsonOf[scan.Job](t, a.scan(q, 1), http.StatusCreated)
		second := jsonOf[scan.Job](t, a.scan(q, 1), http.StatusCreated)
		close(gate)
		synctest.Wait()
		if j := a.job(first.ID); j.State != scan.JobCompleted || j.Pages != 1 {
			t.Errorf("the first job is %s with %d pages", j.State, j.Pages)
		}
		if j := a.job(second.ID); j.State != scan.JobAborted || !slices.Equal(j.Reasons, []scan.Reason{scan.ReasonLicense}) {
			t.Errorf("the second job is %s %v, want it aborted for its licence", j.State, j.Reasons)
		}
	})
}

// A licence, and its pages, that end in mid-job let the job end; the next is refused.
func TestExpiryInMidJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(b *fakeBatch) error {
			for n := range 3 {
				time.Sleep(20 * time.Minute) // of a fake clock
				if err := b.page(n + 1); err != nil {
					return err
				}
			}
			return nil
		}
		a := newAgency(t, slow, nil)
		defer a.stop()
		k := a.key(license.Page, func(k *license.Key) { k.Expires = time.Now().Add(30 * time.Minute) })
		q := asking{permit: permit(k, "", a.pages(k, 5, 0, func(b *license.Block) { b.Until = k.Expires }))}
		j := jsonOf[scan.Job](t, a.scan(q, 3), http.StatusCreated)
		time.Sleep(61 * time.Minute)
		synctest.Wait()
		if j = a.job(j.ID); j.State != scan.JobCompleted || len(j.Reasons) > 0 || j.Pages != 3 {
			t.Errorf("job is %s %v with %d pages, want it completed with 3", j.State, j.Reasons, j.Pages)
		}
		if code := problemOfAnswer(t, a.scan(q, 1)); code != problem.LicenseExpired {
			t.Errorf("the next job: %s", code)
		}
	})
}
