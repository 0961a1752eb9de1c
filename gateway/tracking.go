package gateway

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// Tracking is the licence tracking server as nodes reach it by this gateway, which takes
// note of the pages that they report; nil: there is none.
func (g *Gateway) Tracking() license.Tracking {
	if g.cfg.Tracking == nil {
		return nil
	}
	return observed{g.cfg.Tracking, g}
}

type observed struct {
	license.Tracking
	g *Gateway
}

// itself is this gateway, which passes on what its nodes report: jobs come to them from here.
func (g *Gateway) itself() license.Place {
	return license.Place{Pin: g.cfg.Identity.Pin(), Earlier: g.cfg.Identity.Earlier()}
}

// Report counts a batch, and notes what was counted. A batch that could not be passed on
// to the server has been reported all the same: it comes again.
func (o observed) Report(ctx context.Context, _ license.Place, pin string, batch api.ReceiptBatch) (api.ReceiptMark, error) {
	mark, err := o.Tracking.Report(ctx, o.g.itself(), pin, batch)
	n, known := o.g.registry.get(batch.Node)
	if !known {
		return mark, err
	}
	switch {
	case err == nil && o.g.marks != nil:
		o.g.marks.put(ctx, batch.Node, mark.Seq)
		fallthrough
	case err == nil:
		counted := batch.Receipts
		for i, r := range counted {
			if r.Seq > mark.Seq {
				counted = counted[:i]
				break
			}
		}
		o.g.receipts.observe(n, counted)
	case problem.From(err).Code == problem.TrackingOffline && whole(pin, batch):
		o.g.receipts.observe(n, batch.Receipts)
	}
	return mark, err
}

// whole reports whether the node signed the batch as it is.
func whole(pin string, batch api.ReceiptBatch) bool {
	head, err := license.HeadIn(batch.Head, pin, batch.Node)
	if err != nil || len(batch.Receipts) == 0 {
		return false
	}
	chain, err := hex.DecodeString(batch.Before)
	for _, r := range batch.Receipts {
		if err == nil {
			chain, err = license.Chain(chain, r)
		}
	}
	return err == nil && hex.EncodeToString(chain) == head.Chain && batch.Receipts[len(batch.Receipts)-1].Seq == head.Seq
}

// marks stand in for a ledger that is elsewhere: how far it has counted each node, as far as
// gateways on the same state passed that on.
type marks struct {
	records access.Records
	now     func() time.Time
	fail    func(error)
}

const (
	markKey   = "counted." // and the node's ID
	markKept  = 366 * 24 * time.Hour
	markTries = 5
)

type countedTo struct {
	Seq int64 `json:"seq"`
}

// put notes how far a node is counted. If it cannot be written the pages are taken for not
// counted for a while, and nothing worse: the node shows them again.
func (m *marks) put(ctx context.Context, node string, seq int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	var err error
	for range markTries {
		var at countedTo
		var revision uint64
		if at, revision, err = m.get(ctx, node); err != nil || at.Seq >= seq {
			break
		}
		value, _ := json.Marshal(countedTo{seq}) // a number
		until := m.now().Add(markKept)
		if revision == 0 {
			_, err = m.records.Create(ctx, markKey+node, value, until)
		} else {
			_, err = m.records.Update(ctx, markKey+node, value, until, revision)
		}
		if !errors.Is(err, access.ErrConflict) {
			break
		}
	}
	if err != nil {
		m.fail(err)
	}
}

func (m *marks) get(ctx context.Context, node string) (at countedTo, revision uint64, err error) {
	value, revision, err := m.records.Get(ctx, markKey+node)
	if errors.Is(err, access.ErrNoRecord) {
		return countedTo{}, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(value, &at)
	}
	if err != nil {
		return countedTo{}, 0, fmt.Errorf("reading how far a node is counted: %w", err)
	}
	return at, revision, nil
}

// Head implements Ledger.
func (m *marks) Head(node string) (license.Head, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), writeLimit)
	defer cancel()
	at, _, err := m.get(ctx, node)
	return license.Head{Seq: at.Seq}, err == nil && at.Seq > 0
}

// Counted implements Ledger, by the number of the page alone.
func (m *marks) Counted(ctx context.Context, r api.Receipt) (bool, error) {
	at, _, err := m.get(ctx, r.Node)
	return err == nil && r.Seq <= at.Seq, err
}
