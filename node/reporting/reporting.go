// Package reporting tells a licence tracking server of the pages that a node has
// committed, from the page store's meter.
//
// Each page is a receipt. Receipts go in batches, in order, and may go again as often as
// it takes: the server counts each once and answers with a mark that it signed. What is after
// the mark is sent until the server has it, across restarts of both ends. Nothing waits
// for a report, and no receipt is ever deleted.
//
// The node runs it. It judges no licence and knows no way to the server.
package reporting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const (
	gather   = time.Second      // for the pages that follow one soon to go in the same batch
	patience = 30 * time.Second // for the server's answer
	retry    = time.Second      // after the first failure; then twice as long each time
	maxRetry = 10 * time.Second // a page that somebody waits for must be counted within 30 seconds
)

// Config is what a Reporter is made of.
type Config struct {
	Identity *identity.Identity   // of the node
	Store    *pagestore.Store     // whose meter is reported
	Tracking license.Tracking     // the server, or the way to it
	Place    func() license.Place // this node
	// Granted takes the blocks that an answer brings; nil: they are passed over.
	Granted func(ctx context.Context, blocks []string)
	Log     *slog.Logger // nil: none
}

// Reporter reports until all is counted, and again after each page. Its methods are safe
// for concurrent use.
type Reporter struct {
	Config
	pages chan struct{} // some were committed
	now   chan struct{} // there is a reason not to wait

	mu    sync.Mutex
	marks map[string]mark // by the server's pin; nil: not read yet
}

// mark is how far a server has counted, in its own word.
type mark struct {
	Seq    int64  `json:"seq"`
	Signed string `json:"signed"` // see license.MarkIn
}

// New makes a Reporter. It starts nothing.
func New(c Config) *Reporter {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Reporter{Config: c, pages: make(chan struct{}, 1), now: make(chan struct{}, 1)}
}

// Committed says that there is a page more. It does not block.
func (r *Reporter) Committed() { signal(r.pages) }

// Hurry has what is not counted yet reported at once, as when the server can be reached
// again. It does not block.
func (r *Reporter) Hurry() { signal(r.now) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Serve reports until ctx ends.
func (r *Reporter) Serve(ctx context.Context) {
	wait := time.Duration(0)
	for ctx.Err() == nil {
		err := r.Report(ctx)
		switch {
		case err == nil:
			wait = 0
			r.next(ctx)
			continue
		case ctx.Err() != nil:
			return
		case wait == 0:
			r.Log.Warn("committed pages cannot be reported, trying again", "error", err)
		default:
			r.Log.Debug("committed pages cannot be reported, trying again", "error", err)
		}
		wait = min(max(2*wait, retry), maxRetry)
		r.pause(ctx, wait)
	}
}

// next returns when there is something to report, and what follows it soon too.
func (r *Reporter) next(ctx context.Context) {
	select {
	case <-r.pages:
		r.pause(ctx, gather)
	case <-r.now:
	case <-ctx.Done():
	}
}

// pause waits, but not against a reason to hurry.
func (r *Reporter) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.now:
	case <-ctx.Done():
	}
}

// Report sends batch after batch until everything is counted.
func (r *Reporter) Report(ctx context.Context) error {
	back := false
	for {
		at, err := r.mark(ctx, r.Tracking.Pin())
		if err != nil {
			return err
		}
		more, err := r.batch(ctx, at.Seq)
		var p *problem.Error
		if gap := errors.As(err, &p) && p.Code == problem.ReceiptGap; gap && !back {
			if back, err = true, r.goBack(ctx, p); err == nil {
				continue
			}
		}
		if err != nil || !more {
			return err
		}
		back = false
	}
}

// goBack takes in that a server has counted less than it had said, as one that was restored
// from a backup or stands in for another has.
func (r *Reporter) goBack(ctx context.Context, refused *problem.Error) error {
	said, ok := ledger.Gap(refused)
	if !ok {
		return refused
	}
	chain, err := r.Store.ChainAt(ctx, said.Seq)
	if err != nil || chain != said.Chain {
		return fmt.Errorf("the licence tracking server has counted other pages up to number %d than were committed here: %w", said.Seq, errors.Join(refused, err))
	}
	r.Log.Info("the licence tracking server asks for pages again", "after", said.Seq)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks[r.Tracking.Pin()] = mark{Seq: said.Seq}
	return nil
}

// batch sends what follows after a page's number, and says whether there may be more.
func (r *Reporter) batch(ctx context.Context, after int64) (more bool, err error) {
	before, receipts, head, err := r.Store.Receipts(ctx, after, pagestore.MaxReceipts)
	if err != nil || len(receipts) == 0 {
		return false, err
	}
	_, start, err := r.Store.MeterHead(ctx)
	if err != nil {
		return false, err
	}
	batch := api.ReceiptBatch{
		Node: r.Identity.NodeID(), Chain: r.Identity.Chain(), Before: before, Start: start, Receipts: receipts, Head: license.SignHead(r.Identity, head),
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := r.Tracking.Report(asking, r.Place(), r.Identity.Pin(), batch)
	if err != nil {
		return false, err
	}
	if len(answer.Blocks) > 0 && r.Granted != nil {
		r.Granted(ctx, answer.Blocks)
	}
	said, err := r.judge(ctx, answer)
	if err != nil {
		return false, err
	}
	if said.Seq < receipts[0].Seq {
		return false, fmt.Errorf("the licence tracking server answered that it has counted %d pages, after page %d was reported", said.Seq, head.Seq)
	}
	// What was committed meanwhile is in no hurry: it has its own signal.
	return said.Seq > head.Seq || len(receipts) == pagestore.MaxReceipts, nil
}

// judge checks that the server has counted what was committed, and keeps its word.
func (r *Reporter) judge(ctx context.Context, answer api.ReceiptMark) (license.Head, error) {
	pin := r.Tracking.Pin() // of the server that has answered
	said, err := license.MarkIn(answer.Mark, pin, r.Identity.NodeID())
	if err != nil {
		return license.Head{}, fmt.Errorf("the licence tracking server's mark: %w", err)
	}
	chain, err := r.Store.ChainAt(ctx, said.Seq)
	if err != nil {
		return license.Head{}, fmt.Errorf("the licence tracking server's mark: %w", err)
	}
	if said.Chain != chain {
		return license.Head{}, fmt.Errorf("the licence tracking server has counted other pages up to number %d than were committed here", said.Seq)
	}
	return said, r.keep(ctx, pin, mark{said.Seq, answer.Mark})
}

const markKey = "license.reported."

// mark is how far the server with the pin has counted, as far as is known. One that has
// said nothing yet counts from where others have ended.
func (r *Reporter) mark(ctx context.Context, pin string) (mark, error) {
	if err := r.recall(ctx); err != nil {
		return mark{}, fmt.Errorf("reading how far pages were reported: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m, known := r.marks[pin]; known {
		return m, nil
	}
	var furthest mark
	for _, m := range r.marks {
		furthest.Seq = max(furthest.Seq, m.Seq)
	}
	return furthest, nil
}

// recall reads what was kept, once. What its server did not sign is nobody's word.
func (r *Reporter) recall(ctx context.Context) error {
	r.mu.Lock()
	known := r.marks != nil
	r.mu.Unlock()
	if known {
		return nil
	}
	marks := map[string]mark{}
	err := r.Store.Records().List(ctx, markKey, func(key string, value []byte) error {
		var m mark
		if err := json.Unmarshal(value, &m); err != nil {
			return err
		}
		pin := strings.TrimPrefix(key, markKey)
		if said, err := license.MarkIn(m.Signed, pin, r.Identity.NodeID()); err == nil && said.Seq == m.Seq {
			marks[pin] = m
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.marks == nil {
		r.marks = marks
	}
	return nil
}

func (r *Reporter) keep(ctx context.Context, pin string, m mark) error {
	value, err := json.Marshal(m)
	if err == nil {
		err = access.Overwrite(ctx, r.Store.Records(), markKey+pin, value, time.Time{})
	}
	if err != nil {
		return fmt.Errorf("storing how far pages were reported: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks[pin] = m
	return nil
}

// Unreported is how many committed pages the server has not counted yet, as far as is
// known here.
func (r *Reporter) Unreported(ctx context.Context) (int64, error) {
	m, err := r.mark(ctx, r.Tracking.Pin())
	if err != nil {
		return 0, err
	}
	head, start, err := r.Store.MeterHead(ctx)
	if err != nil {
		return 0, err
	}
	return max(head.Seq-max(m.Seq, start), 0), nil
}
