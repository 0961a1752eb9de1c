package tracking

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
)

// Ledger is where pages are counted: ledger.Book. Its methods are safe for concurrent use.
type Ledger interface {
	// Report counts the pages of a batch, see license.Tracking.
	Report(ctx context.Context, by license.Place, pin string, batch api.ReceiptBatch) (api.ReceiptMark, error)
	// Refresh counts what another server on the same records has counted.
	Refresh(ctx context.Context) error
	// Pages is the place of the last page.
	Pages() int64
	// Head is how far the ledger is with a node; false if it has no page of it.
	Head(node string) (license.Head, bool)
	// Scan calls yield for each page of a node behind a place, in their order. An error of
	// yield ends it and is returned.
	Scan(ctx context.Context, after int64, node string, yield func(api.LedgerEntry) error) error
}

// Config is what a Server is made of.
type Config struct {
	Identity *identity.Identity // signs leases and blocks
	Records  access.Records
	Ledger   Ledger
	Place    func() license.Place // this end
	Vendors  func() []string      // pins of those whose keys are taken
	Own      func() []string      // keys of platen.ini, which are items too; nil: none
	Clock    func() time.Time     // see license.Clock.Now
	// OnUse is told whenever more of an item is used than before: seats taken or pages
	// counted in this period. It is called in the middle of requests and must be quick; nil:
	// nobody asks.
	OnUse func(k license.Key, used, quantity int64)
	Log   *slog.Logger // nil: discarded
}

// Server is a licence tracking server. Its methods are safe for concurrent use, and so
// are several Servers on the same Records.
type Server struct {
	cfg   Config
	turns turns
	kept  atomic.Pointer[catalog]

	mu     sync.Mutex
	tables map[string]*table    // by item
	swept  map[string]time.Time // when pages were looked for, by pool
}

var _ license.Tracking = (*Server)(nil)

// New makes a server. It reads and starts nothing.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Own == nil {
		cfg.Own = func() []string { return nil }
	}
	if cfg.OnUse == nil {
		cfg.OnUse = func(license.Key, int64, int64) {}
	}
	return &Server{cfg: cfg, tables: map[string]*table{}, swept: map[string]time.Time{}}
}

// Pin implements license.Tracking.
func (s *Server) Pin() string { return s.cfg.Identity.Pin() }

// used tells the observer, and the log where the quantity is passed.
func (s *Server) used(ctx context.Context, k license.Key, used int64) {
	if used > k.Quantity {
		s.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "a licence is used beyond its quantity",
			slog.String("item", k.ID), slog.Int64("used", used), slog.Int64("quantity", k.Quantity))
	}
	s.cfg.OnUse(k, used, k.Quantity)
}

// turns let one at a time do what several would only do against each other. What must not
// happen twice is kept so by the revisions of records, not by turns: other servers have
// their own.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{}
}

// take waits for the turn; leave gives it back.
func (t *turns) take(ctx context.Context, name string) (leave func(), err error) {
	t.mu.Lock()
	if t.taken == nil {
		t.taken = map[string]chan struct{}{}
	}
	turn := t.taken[name]
	if turn == nil {
		turn = make(chan struct{}, 1)
		t.taken[name] = turn
	}
	t.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
