package ledger

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
)

// Config is what a Book is made of.
type Config struct {
	Records access.Records
	Server  *identity.Identity // signs the marks
	// Whole asks each node for its pages from the first one on: a server whose ledger was lost
	// gets it from the nodes, and two of which one stands in for the other have the same in the
	// end. Else a node that comes from another ledger goes on where it is.
	Whole bool
	Log   *slog.Logger // nil: discarded
}

// Book is a ledger. Its methods are safe for concurrent use.
type Book struct {
	cfg  Config
	turn chan struct{} // held while records are written or read on, by one at a time

	mu    sync.RWMutex
	next  int64 // place of the next page
	nodes map[string]*meter
	usage usage
}

// meter is how far the ledger is with a node.
type meter struct {
	base   int64 // number before the first page that was counted
	before []byte
	seq    int64
	chain  []byte
	keys   []string // how the node's key follows from its first one
	spans  []span   // the last records with pages of the node
	jobs   []job    // those that had pages last, the newest at the end
}

// span says where the pages of a node from first on are.
type span struct{ first, place int64 }

// job is the last page of a job.
type job struct {
	id string
	n  int
}

// What is kept of each node.
const (
	keptSpans = 64
	keptJobs  = 64
)

// Open folds the ledger that the records hold. It starts nothing.
func Open(ctx context.Context, cfg Config) (*Book, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	b := &Book{cfg: cfg, turn: make(chan struct{}, 1), next: 1, nodes: map[string]*meter{}, usage: newUsage()}
	err := cfg.Records.List(ctx, keyPrefix, func(_ string, value []byte) error {
		r, err := decode(value)
		if err != nil {
			return fmt.Errorf("page %d: %w", b.next, err)
		}
		return b.take(r)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	return b, nil
}

// take counts what a record holds. It fails where the record does not follow.
func (b *Book) take(r record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.place != b.next {
		return fmt.Errorf("page %d of the ledger is missing: restore it from a backup or the standby", b.next)
	}
	m := b.nodes[r.node]
	if m == nil {
		m = &meter{base: r.first() - 1, before: r.before, seq: r.first() - 1, chain: r.before}
		b.nodes[strings.Clone(r.node)] = m
	}
	if r.first() != m.seq+1 || !bytes.Equal(r.before, m.chain) {
		return fmt.Errorf("page %d of the ledger does not follow from what node %s had before: restore the ledger from a backup or the standby", r.place, r.node)
	}
	m.seq, m.chain = r.last(), r.after
	if len(r.keys) > 0 {
		m.keys = nil
		for _, text := range r.keys {
			m.keys = append(m.keys, strings.Clone(text)) // without the record that it is part of
		}
	}
	m.spans = append(kept(m.spans, keptSpans), span{r.first(), r.place})
	for i := range r.receipts {
		m.sawJob(r.receipts[i].Job, r.receipts[i].N)
		b.usage.add(&r.receipts[i])
	}
	b.next = r.next()
	return nil
}

// kept makes room for one more of at most so many.
func kept[T any](list []T, most int) []T {
	if len(list) < most {
		return list
	}
	copy(list, list[1:])
	return list[:len(list)-1]
}

func (m *meter) jobAt(id string) int {
	for i := len(m.jobs) - 1; i >= 0; i-- {
		if m.jobs[i].id == id {
			return i
		}
	}
	return -1
}

func (m *meter) sawJob(id string, n int) {
	i := m.jobAt(id)
	if i >= 0 && i == len(m.jobs)-1 {
		m.jobs[i].n = n
		return
	}
	if i >= 0 {
		id = m.jobs[i].id
		m.jobs = slices.Delete(m.jobs, i, i+1)
	}
	m.jobs = append(kept(m.jobs, keptJobs), job{strings.Clone(id), n})
}

// again reports whether one of the pages was counted before as far as the last jobs tell:
// pages of a job ascend. The ledger holds no index of all jobs; Verify finds the rest.
func (m *meter) again(receipts []receipt) (receipt, bool) {
	most := map[string]int{}
	for _, r := range receipts {
		n, ok := most[r.Job]
		if i := -1; !ok && m != nil {
			if i = m.jobAt(r.Job); i >= 0 {
				n = m.jobs[i].n
			}
		}
		if r.N <= n {
			return r, true
		}
		most[r.Job] = r.N
	}
	return receipt{}, false
}

// Head is how far the ledger is with a node; false if it has no page of it.
func (b *Book) Head(node string) (license.Head, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	m := b.nodes[node]
	if m == nil {
		return license.Head{}, false
	}
	return license.Head{Seq: m.seq, Chain: hex.EncodeToString(m.chain)}, true
}

// Pages is how many pages the ledger has, which is the place of the last one.
func (b *Book) Pages() int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.next - 1
}

// hold waits for the turn, to be given back with release.
func (b *Book) hold(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *Book) release() { <-b.turn }

// Refresh counts what another Book on the same records has counted. It costs one Get where
// there is nothing.
func (b *Book) Refresh(ctx context.Context) error {
	if err := b.hold(ctx); err != nil {
		return err
	}
	defer b.release()
	return b.catchUp(ctx)
}

// catchUp reads on from the last record that is known. The caller holds the turn.
func (b *Book) catchUp(ctx context.Context) error {
	for {
		r, err := b.read(ctx, b.Pages()+1)
		if errors.Is(err, access.ErrNoRecord) {
			return nil
		}
		if err == nil {
			err = b.take(r)
		}
		if err != nil {
			return fmt.Errorf("reading on in the ledger: %w", err)
		}
	}
}

func (b *Book) read(ctx context.Context, place int64) (record, error) {
	value, _, err := b.cfg.Records.Get(ctx, key(place))
	if err != nil {
		return record{}, err
	}
	r, err := decode(value)
	if err == nil && r.place != place {
		err = errDamaged
	}
	if err != nil {
		return record{}, fmt.Errorf("page %d: %w", place, err)
	}
	return r, nil
}

// followEvery is how often Serve looks.
const followEvery = 5 * time.Second

// Serve looks for what another Book has counted until ctx ends.
func (b *Book) Serve(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := b.Refresh(ctx)
		if err != nil && ctx.Err() == nil && !failed {
			b.cfg.Log.Error("the ledger cannot be read on", "error", err)
		}
		failed = err != nil
	}
}
