package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/internal/license/tracking"
	"github.com/platen-scan/platen/internal/token"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// The time within which receipts must be counted in these tests: long enough for a busy
// computer, as far as they are to be counted, and short where they are not.
const (
	plenty = 10 * time.Second
	soon   = 150 * time.Millisecond
)

const clientName = "0123456789abcdef"

// shop is a gateway that asks pages of others for licences, a page of others that has one,
// and a node that keeps a meter.
type shop struct {
	*world
	vendor  *identity.Identity
	key     license.Key
	text    string // of the key
	server  *lts
	session api.Session // of the page
	node    *meteredNode
	state   *state.State
	real    bool // the licence tracking server is a real one
}

// lts is a licence tracking server with one item and one node, at the gateway.
type lts struct {
	*ledger.Book
	id *identity.Identity

	mu      sync.Mutex
	granted int64 // pages
	wishes  []int // pages that were wished for
	down    bool
	by      license.Place // of the last report
}

func (s *lts) Pin() string { return s.id.Pin() }

// Lease hands blocks out until the node has as many pages as are wished for.
func (s *lts) Lease(_ context.Context, place license.Place, wish api.LeaseRequest) (api.LeaseAnswer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wishes = append(s.wishes, wish.Pages)
	k, err := license.Parse(wish.Key, vendorsOf(wish.Key))
	if err != nil {
		return api.LeaseAnswer{}, err
	}
	left := k.Quantity - s.granted
	if int64(wish.Pages) > s.granted && left <= 0 {
		return api.LeaseAnswer{}, problem.New(problem.LicensePages, "Licence %s.", k.ID)
	}
	s.granted = min(max(s.granted, int64(wish.Pages)), k.Quantity)
	now := time.Now()
	answer := api.LeaseAnswer{Key: wish.Key}
	if s.granted > 0 {
		answer.Blocks = []string{license.Block{
			ID: "block-" + strconv.FormatInt(s.granted, 10), Item: k.ID, Revision: k.Revision, For: place.Name(), Node: string(wish.Node),
			Pages: s.granted, From: now.Add(-time.Minute), Until: now.Add(license.BlockTime),
		}.Sign(s.id)}
	}
	return answer, nil
}

func (s *lts) Report(ctx context.Context, by license.Place, pin string, batch api.ReceiptBatch) (api.ReceiptMark, error) {
	s.mu.Lock()
	down := s.down
	s.by = by
	s.mu.Unlock()
	if down {
		return api.ReceiptMark{}, problem.TrackingOffline.Error()
	}
	return s.Book.Report(ctx, by, pin, batch)
}

// newShop makes a shop whose key is made by change of one for the shop's origin.
func newShop(t testing.TB, within time.Duration, change func(*license.Key)) *shop {
	t.Helper()
	return newShopWith(t, &shop{}, within, change)
}

func newShopWith(t testing.TB, s *shop, within time.Duration, change func(*license.Key)) *shop {
	t.Helper()
	vendor, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	s.world, s.vendor = newWorld(t), vendor
	now := time.Now()
	s.key = license.Key{
		ID: license.NewID(), Revision: 1, Kind: license.Server, Organisation: "SHOP", Origins: []string{accesstest.ShopOrigin},
		Modules: license.Modules, NotBefore: now.Add(-time.Hour), Expires: now.Add(24 * time.Hour),
	}
	if change != nil {
		change(&s.key)
	}
	if s.key.Kind.Tracked() {
		s.key.Gateways = []string{s.id.Pin()}
	}
	if s.text, err = license.Issue(vendor, s.key); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.config = func(c *Config) { s.configure(c, within) }
	s.start()
	s.node = &meteredNode{fakeNode: s.newNode("shop's"), item: s.key.ID}
	accesstest.AllowPages(s.node.origins)
	s.signInPage()
	return s
}

// signInPage makes a session of the page, in a browser that names itself.
func (s *shop) signInPage() {
	s.t.Helper()
	p, err := s.g.guard.NewPairing(s.t.Context(), api.RoleUser, "test")
	if err != nil {
		s.t.Fatal(err)
	}
	r := accesstest.NewRequest(access.RoadPublic, http.MethodPost, "/api/v1/sessions", fmt.Sprintf(`{"secret":%q,"client":%q,"bearer":true}`, p.Secret, clientName))
	r.Header.Set("Origin", accesstest.ShopOrigin)
	w := accesstest.Do(s.g.Handler(), r)
	s.session = api.Session{}
	if err := json.Unmarshal(w.Body.Bytes(), &s.session); err != nil || w.Code != http.StatusCreated {
		s.t.Fatalf("signing in: status %d, %s", w.Code, w.Body)
	}
}

func (s *shop) configure(c *Config, within time.Duration) {
	book, err := ledger.Open(context.Background(), ledger.Config{Records: c.State.Records(), Server: s.id})
	if err != nil {
		s.t.Fatal(err)
	}
	s.server = &lts{Book: book, id: s.id}
	place := func() license.Place { return license.Place{Pin: s.id.Pin()} }
	vendors := func() []string { return []string{s.vendor.Pin()} }
	var server license.Tracking = s.server
	if s.real {
		server = tracking.New(tracking.Config{
			Identity: s.id, Records: c.State.Records(), Ledger: book, Place: place, Vendors: vendors, Clock: s.clock.Now,
			Own: func() []string { return []string{s.text} },
		})
	}
	c.Desk = license.NewDesk(license.DeskConfig{
		Place: place, End: c.Name, Vendors: vendors,
		Own:    func() access.Terms { return access.Terms{ProductKey: s.text} },
		Server: server, Clock: s.clock.Now, Records: c.State.Records(),
	})
	c.Origins = access.NewOrigins()
	accesstest.AllowPages(c.Origins)
	s.state = c.State
	c.Tracking, c.Ledger, c.ReceiptTime = server, book, within
}

// asPage is a request of the page of others.
func (s *shop) asPage(method, path string, body any) *http.Request {
	s.t.Helper()
	r := s.newRequest(s.session.Token, method, path, body)
	r.Header.Set("Origin", accesstest.ShopOrigin)
	return r
}

// ask sends a request of the page and reads the answer.
func (s *shop) ask(method, path string, body any) (status int, code problem.Code, text []byte) {
	s.t.Helper()
	return s.sendAndRead(s.asPage(method, path, body))
}

func (s *shop) sendAndRead(r *http.Request) (status int, code problem.Code, text []byte) {
	s.t.Helper()
	answer := s.send(r)
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	if answer.StatusCode >= 400 {
		var p problem.Error
		if err := p.UnmarshalJSON(text); err != nil {
			s.t.Fatalf("%s %s: status %d, %s", r.Method, r.URL.Path, answer.StatusCode, text)
		}
		code = p.Code
	}
	return answer.StatusCode, code, text
}

// scan makes a job of the page.
func (s *shop) scan() string {
	s.t.Helper()
	r := s.asPage(http.MethodPost, "/api/v1/scanners/"+s.node.scannerID()+"/jobs", scan.JobRequest{Settings: scan.Settings{Pages: 2}})
	r.Header.Set(headerIdempotency, scan.RandomText(20))
	status, code, text := s.sendAndRead(r)
	if status != http.StatusCreated {
		s.t.Fatalf("making a job: status %d, problem %q, %s", status, code, text)
	}
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	return s.node.jobs[0].ID
}

// scanRefused makes a job that must be refused.
func (s *shop) scanRefused(want problem.Code) {
	s.t.Helper()
	r := s.asPage(http.MethodPost, "/api/v1/scanners/"+s.node.scannerID()+"/jobs", scan.JobRequest{})
	r.Header.Set(headerIdempotency, scan.RandomText(20))
	if _, code, text := s.sendAndRead(r); code != want {
		s.t.Fatalf("making a job: problem %q, want %q (%s)", code, want, text)
	}
}

func (s *shop) fault() string {
	n, _ := s.g.registry.get(s.node.nodeID())
	return s.g.registry.describe(n).Fault
}

// report sends a batch of the node as its gateway gets it.
func (s *shop) report(receipts ...api.Receipt) error {
	s.t.Helper()
	batch := s.node.batch(receipts)
	_, err := s.g.Tracking().Report(s.t.Context(), license.Place{Node: s.node.nodeID(), Pin: s.node.id.Pin()}, s.node.id.Pin(), batch)
	return err
}

// meteredNode is a node that makes receipts.
type meteredNode struct {
	*fakeNode
	item     string
	before   []byte // chain before what was not reported
	receipts []api.Receipt
}

// commit makes the receipt of an image. Nothing is reported.
func (n *meteredNode) commit(job string, number int, image []byte) api.Receipt {
	sum := sha256.Sum256(image)
	r := api.Receipt{
		Node: n.nodeID(), Seq: int64(len(n.receipts) + 1), Job: job, N: number, Page: scan.NewID(n.nodeID(), scan.KindPage),
		Digest: hex.EncodeToString(sum[:]), Bytes: int64(len(image)), At: time.Now().UnixMilli(), Item: n.item, Origin: accesstest.ShopOrigin,
	}
	n.receipts = append(n.receipts, r)
	return r
}

// batch signs receipts that follow what was reported before.
func (n *meteredNode) batch(receipts []api.Receipt) api.ReceiptBatch {
	n.t.Helper()
	b := api.ReceiptBatch{Node: n.nodeID(), Before: hex.EncodeToString(n.before), Receipts: receipts}
	chain := n.before
	for _, r := range receipts {
		var err error
		if chain, err = license.Chain(chain, r); err != nil {
			n.t.Fatal(err)
		}
	}
	n.before = chain
	b.Head = license.SignHead(n.id, license.Head{Seq: receipts[len(receipts)-1].Seq, Chain: hex.EncodeToString(chain)})
	return b
}

// sends has the node send an answer for pages.
func (n *meteredNode) sends(h http.HandlerFunc) {
	n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error { h(w, r); return nil })
}

func digestOf(r api.Receipt) string {
	sum, _ := hex.DecodeString(r.Digest)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum) + ":"
}

// stored is the answer of an honest node with a committed page; change makes another.
func (n *meteredNode) stored(receipt api.Receipt, image []byte, change func(http.Header)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "image/jpeg")
		h.Set("Etag", `"`+receipt.Page+`"`)
		h.Set("Repr-Digest", digestOf(receipt))
		h.Set("Content-Length", strconv.Itoa(len(image)))
		h.Set(license.HeaderReceipt, license.SignReceipt(n.id, receipt))
		if change != nil {
			change(h)
		}
		if r.Method != http.MethodHead {
			w.Write(image)
		}
	}
}

// grows is the answer of a node whose page grows while it is sent.
func (n *meteredNode) grows(page string, image []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/jpeg")
		w.Header().Set("Etag", `"`+page+`"`)
		http.NewResponseController(w).Flush()
		if r.Method != http.MethodHead {
			w.Write(image[:len(image)/2])
			http.NewResponseController(w).Flush()
			w.Write(image[len(image)/2:])
		}
	}
}

// canceled reports whether the gateway has canceled a job.
func (n *meteredNode) canceled() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.paths, "POST /jobs/{job}/cancel")
}

func image(seed byte) []byte { return bytes.Repeat([]byte{seed, 0xd8, 0xff}, 5000) }

func pagePath(job string, n int) string { return "/api/v1/jobs/" + job + "/pages/" + strconv.Itoa(n) }

// second is another gateway on the same state, which asks for licences too.
func (s *shop) second() *Gateway {
	s.t.Helper()
	first, c := *s, Config{Identity: s.id, Name: "Second gateway", State: s.state, Now: s.clock.Now}
	first.configure(&c, plenty)
	g, err := New(c)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			s.t.Errorf("Serve = %v, want nil", err)
		}
	})
	return g
}
func vendorsOf(key string) []string {
	signer, err := token.SignerUpTo(token.Max, key)
	if err != nil {
		return nil
	}
	return []string{identity.PinOf(signer)}
}

// asCaller is the context of a request of the page.
func (s *shop) asCaller() context.Context {
	return access.WithCaller(context.Background(), access.Caller{
		Session: s.session.Id, Subject: s.session.Id, Role: api.RoleUser, Origin: accesstest.ShopOrigin,
	})
}
