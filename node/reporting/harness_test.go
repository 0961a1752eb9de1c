package reporting

import (
	"context"
	"encoding/binary"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

func TestMain(m *testing.M) {
	switch role := os.Getenv(crashRoleEnv); role {
	case "":
		goleak.VerifyTestMain(m)
	default:
		os.Exit(crashChild(role))
	}
}

func need(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newIdentity(t testing.TB) *identity.Identity {
	t.Helper()
	id, err := identity.New()
	need(t, err)
	return id
}

// server is a licence tracking server that does nothing but count.
type server struct {
	*ledger.Book
	id *identity.Identity
}

func newServer(t testing.TB, records access.Records) *server {
	t.Helper()
	id := newIdentity(t)
	book, err := ledger.Open(context.Background(), ledger.Config{Records: records, Server: id})
	need(t, err)
	return &server{book, id}
}

func (s *server) Pin() string { return s.id.Pin() }

func (s *server) Lease(context.Context, license.Place, api.LeaseRequest) (api.LeaseAnswer, error) {
	panic("nobody asks for a lease")
}

// between is the way to a server, on which answer decides what happens.
type between struct {
	license.Tracking
	answer func(batch api.ReceiptBatch, ask func() (api.ReceiptMark, error)) (api.ReceiptMark, error)
}

func (b *between) Report(ctx context.Context, by license.Place, pin string, batch api.ReceiptBatch) (api.ReceiptMark, error) {
	return b.answer(batch, func() (api.ReceiptMark, error) { return b.Tracking.Report(ctx, by, pin, batch) })
}

// node is a page store with a job, and who it is.
type node struct {
	t     testing.TB
	id    *identity.Identity
	dir   string
	store *pagestore.Store
	job   string
}

func newNode(t testing.TB) *node {
	t.Helper()
	n := &node{t: t, id: newIdentity(t), dir: t.TempDir()}
	n.open()
	t.Cleanup(func() { need(t, n.store.Close()) })
	job, err := makeJob(t.Context(), n.store, n.id.NodeID(), nil)
	need(t, err)
	n.job = job
	return n
}

func (n *node) open() {
	n.t.Helper()
	store, _, err := pagestore.Open(context.Background(), pagestore.Config{Dir: n.dir, NodeID: n.id.NodeID(), Reserve: 1 << 20})
	need(n.t, err)
	n.store = store
}

// reporter is a new one for the node, as after a restart.
func (n *node) reporter(to license.Tracking, granted func(context.Context, []string)) *Reporter {
	return New(Config{
		Identity: n.id, Store: n.store, Tracking: to, Granted: granted,
		Place: func() license.Place { return license.Place{Node: n.id.NodeID(), Pin: n.id.Pin()} },
	})
}

func (n *node) commit(pages int) {
	n.t.Helper()
	for range pages {
		_, err := commitPage(context.Background(), n.store, n.job)
		need(n.t, err)
	}
}

func makeJob(ctx context.Context, s *pagestore.Store, nodeID string, under func(*pagestore.NewJob)) (string, error) {
	order := pagestore.NewJob{Scanner: scan.DerivedID(nodeID, scan.KindScanner, "test"), Owner: "somebody", Name: "test"}
	if under != nil {
		under(&order)
	}
	job, _, err := s.CreateJob(ctx, order)
	return job.ID, err
}

// commitPage stores one page and says how many are left.
func commitPage(ctx context.Context, s *pagestore.Store, job string) (left int64, err error) {
	w, err := s.BeginPage(ctx, pagestore.PageStart{
		Job: job, Format: scan.FormatJPEG, Mode: scan.ModeGray, Depth: 8, Resolution: 75, Width: 100, Height: 100, Side: scan.SideFront,
	})
	if err != nil {
		return 0, err
	}
	image := binary.BigEndian.AppendUint64([]byte{0xff, 0xd8, 0xff}, uint64(time.Now().UnixNano()))
	if _, err := w.Write(append(image, 0xff, 0xd9)); err != nil {
		return 0, err
	}
	_, err = w.Commit(ctx, 0)
	left, _ = w.Left()
	return left, err
}

// counted demands that a ledger has all pages of the node.
func (n *node) counted(b *ledger.Book) {
	n.t.Helper()
	want, _, err := n.store.MeterHead(context.Background())
	need(n.t, err)
	if got, _ := b.Head(n.id.NodeID()); got != want {
		n.t.Errorf("the ledger has %+v, want %+v", got, want)
	}
	if _, err := b.Verify(context.Background()); err != nil {
		n.t.Errorf("Verify: %v", err)
	}
}

func newRecords() access.Records { return accesstest.NewRecords() }
