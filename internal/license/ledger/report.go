package ledger

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// Report counts the pages of a batch that were not counted before, all or none, and
// answers how far the ledger is with the node. pin is that of the node's present key, of
// which the caller is sure. Errors are ReceiptInvalid for what can never be counted and
// ReceiptGap for what is to be sent from the mark on (Gap); whatever else comes of the
// records, and the same batch can be sent again.
//
// The first batch of a node may begin anywhere: the chain before it is taken as given.
// It is for the caller to know whether that node had another ledger before; see Config.Whole.
func (b *Book) Report(ctx context.Context, _ license.Place, pin string, batch api.ReceiptBatch) (api.ReceiptMark, error) {
	run, err := check(pin, batch)
	if err != nil {
		return api.ReceiptMark{}, err
	}
	if err := b.hold(ctx); err != nil {
		return api.ReceiptMark{}, err
	}
	err = b.count(ctx, run)
	b.release()
	if err != nil {
		return api.ReceiptMark{}, err
	}
	head, _ := b.Head(batch.Node)
	return api.ReceiptMark{Seq: head.Seq, Mark: license.SignMark(b.cfg.Server, batch.Node, head)}, nil
}

// count appends what is new of a run. The caller holds the turn.
func (b *Book) count(ctx context.Context, r run) error {
	fresh := false
	for {
		record, err := b.follow(ctx, r)
		if errors.Is(err, problem.ReceiptGap.Error()) && !fresh {
			// Another Book may have counted what is missing.
			if err := b.catchUp(ctx); err != nil {
				return err
			}
			fresh = true
			continue
		}
		if err != nil || len(record.receipts) == 0 {
			return err
		}
		_, err = b.cfg.Records.Create(ctx, key(record.place), record.encode(), time.Time{})
		if errors.Is(err, access.ErrConflict) {
			// Another Book has written here, or this one has and was not told.
			if err := b.catchUp(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("writing the ledger: %w", err)
		}
		if err := b.take(record); err != nil {
			return err
		}
	}
}

// follow is the record of what is new in a run; without receipts if nothing is. It judges
// the rest by what was counted before.
func (b *Book) follow(ctx context.Context, r run) (record, error) {
	b.mu.RLock()
	place, m := b.next, b.nodes[r.batch.Node]
	if m == nil {
		m = &meter{base: r.first() - 1, before: r.chains[0], seq: r.first() - 1, chain: r.chains[0]}
	}
	m = &meter{m.base, m.before, m.seq, m.chain, m.keys, slices.Clone(m.spans), slices.Clone(m.jobs)}
	b.mu.RUnlock()

	if b.cfg.Whole && m.seq == m.base && m.base > r.batch.Start {
		return record{}, (&meter{}).gap()
	}
	if r.first() > m.seq+1 || r.last() <= m.base {
		return record{}, m.gap()
	}
	if r.last() < m.seq {
		return record{}, b.counted(ctx, r, m)
	}
	if !bytes.Equal(r.at(m.seq), m.chain) || r.first() <= m.base && !bytes.Equal(r.at(m.base), m.before) {
		return record{}, altered(m.seq)
	}
	news := r.receipts[m.seq+1-r.first():]
	if p, is := m.again(news); is {
		return record{}, invalid("Page %d of job %s was counted before.", p.N, p.Job)
	}
	keys := r.batch.Chain
	if len(keys) <= len(m.keys) && slices.Equal(keys, m.keys[:len(keys)]) {
		keys = nil
	}
	return record{
		place: place, node: r.batch.Node, before: m.chain, after: r.at(r.last()), head: r.batch.Head,
		keys: keys, receipts: news,
	}, nil
}

// counted compares a run that ends before the mark with the record that holds its end. The
// chain there says everything of the pages before.
func (b *Book) counted(ctx context.Context, r run, m *meter) error {
	i, found := slices.BinarySearchFunc(m.spans, r.last(), func(s span, seq int64) int { return int(min(1, max(-1, s.first-seq))) })
	if !found {
		i--
	}
	if i < 0 {
		return m.gap() // so long ago that no node sends it once more without having lost the mark
	}
	old, err := b.read(ctx, m.spans[i].place)
	if err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	chain, err := old.chain(r.last())
	if err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	if !bytes.Equal(chain, r.at(r.last())) {
		return altered(r.last())
	}
	return nil
}

func altered(seq int64) error {
	return invalid("Up to page %d other pages were counted than these. The node's meter was changed or put back to an older state.", seq)
}

const gapWords = "Pages are counted up to number "

func (m *meter) gap() error {
	return problem.New(problem.ReceiptGap, "%s%d of the node; chain %s.", gapWords, m.seq, hex.EncodeToString(m.chain))
}

// Gap reads the mark from an error that Report has answered at this or another end.
func Gap(err error) (mark license.Head, ok bool) {
	var p *problem.Error
	if !errors.As(err, &p) || p.Code != problem.ReceiptGap {
		return license.Head{}, false
	}
	rest, found := strings.CutPrefix(p.Detail, gapWords)
	number, rest, _ := strings.Cut(rest, " of the node; chain ")
	seq, numberErr := strconv.ParseInt(number, 10, 64)
	chain, _, _ := strings.Cut(rest, ".")
	if !found || numberErr != nil || seq < 0 {
		return license.Head{}, false
	}
	return license.Head{Seq: seq, Chain: chain}, true
}
