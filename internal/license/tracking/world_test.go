package tracking

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	app  = "https://app.example.com"
	code = "ACME-SCAN"
)

func newIdentity(t testing.TB) *identity.Identity {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// world is a vendor, records and servers on them.
type world struct {
	t       testing.TB
	vendor  *identity.Identity
	gateway *identity.Identity
	records access.Records // nil in config: memory
	uses    []string
	usesMu  sync.Mutex
}

func newWorld(t testing.TB) *world {
	return &world{t: t, vendor: newIdentity(t), gateway: newIdentity(t), records: accesstest.NewRecords()}
}

func placeOf(id *identity.Identity) license.Place {
	return license.Place{Pin: id.Pin(), Earlier: id.Earlier()}
}

// server begins anew with what is in the records.
func (w *world) server(edits ...func(*Config)) *Server {
	w.t.Helper()
	cfg := Config{
		Identity: w.gateway, Records: w.records, Clock: time.Now, Log: slog.New(slog.DiscardHandler),
		Vendors: func() []string { return []string{w.vendor.Pin()} },
		OnUse: func(k license.Key, used, quantity int64) {
			w.usesMu.Lock()
			defer w.usesMu.Unlock()
			w.uses = append(w.uses, fmt.Sprintf("%d/%d", used, quantity))
		},
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	if cfg.Place == nil {
		cfg.Place = func() license.Place { return placeOf(cfg.Identity) }
	}
	book, err := ledger.Open(context.Background(), ledger.Config{Records: cfg.Records, Server: cfg.Identity})
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.Ledger = book
	return New(cfg)
}

// key is one of the vendor, bound to the gateway.
func (w *world) key(kind license.Kind, edits ...func(*license.Key)) license.Key {
	w.t.Helper()
	now := time.Now()
	k := license.Key{
		ID: license.NewID(), Revision: 1, Kind: kind, Organisation: "ACME", Origins: []string{app},
		NotBefore: now.Add(-time.Hour), Expires: now.AddDate(1, 0, 0),
	}
	if kind.Tracked() {
		k.Quantity, k.Gateways = 3, []string{w.gateway.Pin()}
	}
	for _, edit := range edits {
		edit(&k)
	}
	return w.issued(k)
}

func (w *world) issued(k license.Key) license.Key {
	w.t.Helper()
	text, err := license.Issue(w.vendor, k)
	if err != nil {
		w.t.Fatal(err)
	}
	k, err = license.Parse(text, []string{w.vendor.Pin()})
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

func (w *world) add(s *Server, keys ...license.Key) {
	w.t.Helper()
	for _, k := range keys {
		if _, err := s.Add(context.Background(), k.Text); err != nil {
			w.t.Fatalf("Add(%s): %v", k.Kind, err)
		}
	}
}

func (w *world) project(s *Server, edits ...func(*api.ProjectRequest)) {
	w.t.Helper()
	r := api.ProjectRequest{Organisation: "ACME", Code: "SCAN"}
	for _, edit := range edits {
		edit(&r)
	}
	if _, err := s.CreateProject(context.Background(), r); err != nil {
		w.t.Fatal(err)
	}
}

// ask leases for the gateway, and judges what it got as the node would.
func (w *world) ask(s *Server, r api.LeaseRequest) (license.Allowance, error) {
	return w.askFor(s, placeOf(w.gateway), r)
}

func (w *world) askFor(s *Server, place license.Place, r api.LeaseRequest) (license.Allowance, error) {
	w.t.Helper()
	answer, err := s.Lease(context.Background(), place, r)
	if err != nil {
		return license.Allowance{}, err
	}
	if t, err := access.TimeIn(answer.Time, s.Pin(), place.Name()); err != nil || time.Until(t).Abs() > time.Second {
		w.t.Fatalf("the server's time = %v, %v", t, err)
	}
	if r.Node == "" {
		k, err := license.Parse(answer.Key, []string{w.vendor.Pin()})
		return license.Allowance{Key: k}, err
	}
	judge := license.Judge{Vendors: func() []string { return []string{w.vendor.Pin()} }, Node: r.Node, Clock: time.Now, End: "node"}
	claim := license.Claim{Origin: r.Origin, Client: r.Client, Module: license.Module(r.Module)}
	a, err := judge.Judge(context.Background(), claim, place, license.Permit{Key: answer.Key, Lease: answer.Lease, Blocks: answer.Blocks}.String(), time.Time{})
	if err != nil && (r.Pages > 0 || !errors.Is(err, problem.LicensePages.Error())) {
		w.t.Fatalf("the node refuses what the server handed out: %v", err)
	}
	return a, nil
}

func seatOf(t testing.TB, answer api.LeaseAnswer, err error) license.Lease {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	l, err := license.ParseLease(answer.Lease)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func client(i int) string { return license.ClientHash(app, fmt.Sprintf("browser-number-%08d", i)) }

// browser is the wish of a browser client.
func browser(i int, node string) api.LeaseRequest {
	return api.LeaseRequest{HandshakeCode: code, Client: client(i), Origin: app, Node: node}
}

func wantCode(t testing.TB, what string, err error, want problem.Code) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%s: %v, want no problem", what, err)
		}
		return
	}
	if !errors.Is(err, want.Error()) {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// node is one with a meter and a wallet, as a stock one has them.
type node struct {
	t        testing.TB
	id       *identity.Identity
	rows     []api.Receipt
	chains   []string
	wallet   []*walletBlock
	reported int
}

type walletBlock struct {
	license.Block
	used int64
}

func newNode(t testing.TB) *node { return &node{t: t, id: newIdentity(t)} }

func (n *node) put(tokens []string) {
	n.t.Helper()
	for _, text := range tokens {
		b, err := license.ParseBlock(text, n.id.NodeID())
		if err != nil {
			n.t.Fatal(err)
		}
		n.putBlocks([]license.Block{b})
	}
}

func (n *node) putBlocks(blocks []license.Block) {
	for _, b := range blocks {
		known := false
		for _, w := range n.wallet {
			if w.ID == b.ID {
				known = true
				if b.Until.After(w.Until) {
					w.Until = b.Until
				}
			}
		}
		if !known {
			n.wallet = append(n.wallet, &walletBlock{Block: b})
		}
	}
}

// left is how many pages the node may scan of an item.
func (n *node) left(k license.Key) (pages, over int64) {
	for _, b := range n.wallet {
		if b.Item == k.ID && time.Now().Before(k.Until(b.Until)) {
			pages += max(0, b.Pages-b.used)
			over += max(0, b.Over-max(0, b.used-b.Pages))
		}
	}
	return pages, over
}

// scan commits up to so many pages, and ends well where none are left. It goes beyond the
// pages of the block that ends last, when there are no others.
func (n *node) scan(k license.Key, pages int) (done int) {
	job := scan.NewID(n.id.NodeID(), scan.KindJob)
	for done < pages {
		from := n.next(k)
		if from == nil {
			return done
		}
		from.used++
		done++
		n.commit(api.Receipt{Job: job, N: done, Item: k.ID, Block: from.ID, Project: from.Project, Origin: app})
	}
	return done
}

func (n *node) next(k license.Key) (last *walletBlock) {
	slices.SortFunc(n.wallet, func(a, b *walletBlock) int { return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.ID, b.ID)) })
	for _, b := range n.wallet {
		if b.Item != k.ID || !time.Now().Before(k.Until(b.Until)) {
			continue
		}
		if b.used < b.Pages {
			return b
		}
		last = b
	}
	if last != nil && last.used < last.Pages+last.Over {
		return last
	}
	return nil
}

func (n *node) commit(r api.Receipt) {
	r.Node, r.Seq, r.At = n.id.NodeID(), int64(len(n.rows)+1), time.Now().UnixMilli()
	r.Page, r.Digest, r.Bytes = scan.NewID(n.id.NodeID(), scan.KindPage), strings.Repeat("0f", 32), 1000
	before := []byte(nil)
	if len(n.chains) > 0 {
		before, _ = hex.DecodeString(n.chains[len(n.chains)-1])
	}
	chain, err := license.Chain(before, r)
	if err != nil {
		n.t.Fatal(err)
	}
	n.rows, n.chains = append(n.rows, r), append(n.chains, hex.EncodeToString(chain))
}

func (n *node) batch() api.ReceiptBatch {
	last := min(len(n.rows), n.reported+500)
	b := api.ReceiptBatch{Node: n.id.NodeID(), Chain: n.id.Chain(), Receipts: n.rows[n.reported:last]}
	if n.reported > 0 {
		b.Before = n.chains[n.reported-1]
	}
	b.Head = license.SignHead(n.id, license.Head{Seq: int64(last), Chain: n.chains[last-1]})
	return b
}

// report reports all that was not reported, and takes what comes with the marks.
func (n *node) report(s *Server, by license.Place) error {
	for n.reported < len(n.rows) {
		mark, err := s.Report(context.Background(), by, n.id.Pin(), n.batch())
		if err != nil {
			return err
		}
		n.reported = int(mark.Seq)
		n.put(mark.Blocks)
	}
	return nil
}

func (n *node) wish(pages int) api.LeaseRequest {
	return api.LeaseRequest{HandshakeCode: code, Origin: app, Node: n.id.NodeID(), Pages: pages}
}

// faulty are records of which each operation may fail, before or after it was done.
type faulty struct {
	access.Records
	fail func() (before, after bool)
}

var errDisk = errors.New("the disk is full")

func (f *faulty) write(do func() (uint64, error)) (uint64, error) {
	before, after := f.fail()
	if before {
		return 0, errDisk
	}
	revision, err := do()
	if after {
		return 0, errDisk
	}
	return revision, err
}

func (f *faulty) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if before, _ := f.fail(); before {
		return nil, 0, errDisk
	}
	return f.Records.Get(ctx, key)
}

func (f *faulty) Create(ctx context.Context, key string, value []byte, expires time.Time) (uint64, error) {
	return f.write(func() (uint64, error) { return f.Records.Create(ctx, key, value, expires) })
}

func (f *faulty) Update(ctx context.Context, key string, value []byte, expires time.Time, revision uint64) (uint64, error) {
	return f.write(func() (uint64, error) { return f.Records.Update(ctx, key, value, expires, revision) })
}

func (f *faulty) List(ctx context.Context, prefix string, yield func(string, []byte) error) error {
	if before, _ := f.fail(); before {
		return errDisk
	}
	return f.Records.List(ctx, prefix, yield)
}
