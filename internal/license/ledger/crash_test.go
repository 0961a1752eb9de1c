package ledger

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

var (
	crashPages = flag.Int("crash.pages", 3000, "pages that TestCrashes commits")
	crashSeed  = flag.Uint64("crash.seed", 1, "of what happens in TestCrashes")
	crashState = flag.String("crash.state", "", "folder where TestCrashes keeps its world and from which it goes on; empty: none")
)

// errCut is what a caller sees whose end or whose database went away.
var errCut = errors.New("cut off")

// faulty are Records whose disk and process fail at random points.
type faulty struct {
	access.Records
	rand *rand.Rand
	died bool // the process ended, so that its Book is gone
	on   bool
}

func (f *faulty) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if f.on && f.rand.IntN(40) == 0 {
		return nil, 0, errCut
	}
	return f.Records.Get(ctx, key)
}

func (f *faulty) Create(ctx context.Context, key string, value []byte, expires time.Time) (uint64, error) {
	if !f.on {
		return f.Records.Create(ctx, key, value, expires)
	}
	switch f.rand.IntN(20) {
	case 0: // before the write
		f.died = f.rand.IntN(2) == 0
		return 0, errCut
	case 1, 2: // behind it, and nobody is told
		if _, err := f.Records.Create(ctx, key, value, expires); err != nil {
			return 0, err
		}
		f.died = f.rand.IntN(2) == 0
		return 0, errCut
	}
	return f.Records.Create(ctx, key, value, expires)
}

// crashWorld are some nodes and two servers on one set of Records.
type crashWorld struct {
	t       *testing.T
	rand    *rand.Rand
	records *faulty
	books   [2]*Book
	nodes   []*crashNode

	counts map[string]int // what happened
}

// crashNode is a node: its meter and its mark are on its disk.
type crashNode struct {
	*meterOf
	mark int64
	sent [][2]int64 // what was under way at any time, and may arrive again
}

// A node commits pages and reports them to one of two servers, while everything fails.
// In the end the ledger has what the nodes have, and nothing else.
func TestCrashes(t *testing.T) {
	w := &crashWorld{t: t, rand: seeded(*crashSeed), counts: map[string]int{}}
	w.records = &faulty{Records: accesstest.NewRecords(), rand: w.rand}
	committed := w.load()
	for len(w.nodes) < 5 {
		w.nodes = append(w.nodes, &crashNode{meterOf: newMeter(t)})
	}
	w.start(0)
	w.start(1)
	saved := committed
	for committed < *crashPages {
		committed += w.step()
		if *crashState != "" && committed-saved >= 10_000 {
			w.save()
			saved = committed
		}
	}
	w.settle()
	w.compare()
	w.save()
	t.Logf("%d pages, %d records, difference 0: %v", committed, w.books[0].recordsFor(t), w.counts)
}

// start is a server that comes back after it ended.
func (w *crashWorld) start(i int) {
	on := w.records.on
	w.records.on = false
	defer func() { w.records.on = on }()
	w.books[i] = open(w.t, w.records)
	w.records.died = false
}

func (w *crashWorld) step() (committed int) {
	w.records.on = true
	n := w.nodes[w.rand.IntN(len(w.nodes))]
	switch w.rand.IntN(12) {
	case 0, 1, 2, 3:
		for range 1 + w.rand.IntN(12) {
			n.commit(w.rand)
			committed++
		}
	case 4: // the node's process ends: it may have forgotten its last marks
		n.mark = max(0, n.mark-w.rand.Int64N(20))
		w.counts["node crashes"]++
	case 5: // a server's does
		w.start(w.rand.IntN(2))
		w.counts["server crashes"]++
	case 6: // what was sent before arrives once more, or late
		if len(n.sent) > 0 {
			old := n.sent[w.rand.IntN(len(n.sent))]
			w.counts["duplicates"]++
			w.send(n, old[0], old[1], false)
		}
	case 7:
		w.forge(n)
	default:
		if n.mark < int64(len(n.rows)) {
			first := n.mark + 1
			last := min(int64(len(n.rows)), first+w.rand.Int64N(40))
			// Cut in two, and sent the wrong way round. Not with a node's very first pages: where
			// a ledger begins with a node is for the node to say.
			if n.mark > 0 && w.rand.IntN(4) == 0 {
				middle := first + (last-first)/2
				w.send(n, middle+1, max(middle+1, last), w.rand.IntN(3) > 0)
				last = middle
			}
			w.send(n, first, last, w.rand.IntN(5) > 0)
		}
	}
	return committed
}

// send reports pages to one of the servers; heard is whether the answer arrives.
func (w *crashWorld) send(n *crashNode, first, last int64, heard bool) {
	if last > int64(len(n.rows)) {
		return
	}
	i := w.rand.IntN(2)
	n.sent = append(kept(n.sent, 50), [2]int64{first, last})
	mark, err := n.report(w.t, w.books[i], n.batch(first, last))
	if w.records.died {
		w.counts["server crashes in a write"]++
		w.start(i)
	}
	switch {
	case errors.Is(err, errCut):
		w.counts["failed writes and reads"]++
		return
	case errors.Is(err, problem.ReceiptGap.Error()):
		w.counts["gaps"]++
		if at, ok := Gap(err); ok && heard {
			n.mark = at.Seq
		}
		return
	case err != nil:
		w.t.Fatalf("Report of %d to %d: %v", first, last, err)
	}
	if mark.Seq < last {
		w.t.Fatalf("Report of %d to %d = %d", first, last, mark.Seq)
	}
	if !heard {
		w.counts["lost acknowledgements"]++
		return
	}
	n.mark = max(n.mark, mark.Seq)
}

// forge sends a batch that is not what the node committed. None may count anything.
func (w *crashWorld) forge(n *crashNode) {
	if n.mark == 0 {
		return
	}
	w.counts["altered batches"]++
	first := 1 + w.rand.Int64N(int64(len(n.rows)))
	last := min(int64(len(n.rows)), first+w.rand.Int64N(30))
	batch := n.batch(first, last)
	at := w.rand.IntN(len(batch.Receipts))
	p := &batch.Receipts[at]
	switch w.rand.IntN(6) {
	case 0:
		p.Bytes++
	case 1:
		p.Item += "x"
	case 2:
		p.At++
	case 3:
		batch.Receipts = batch.Receipts[:at]
	case 4:
		batch.Receipts = slices.Delete(batch.Receipts, at, at+1)
	case 5:
		batch.Receipts = append(batch.Receipts, batch.Receipts[at])
	}
	book := w.books[w.rand.IntN(2)]
	// The node itself signs another history only of what was counted: of the rest this
	// would be the history.
	if head, _ := book.Head(n.id.NodeID()); w.rand.IntN(2) == 0 && len(batch.Receipts) == int(last-first)+1 && first+int64(at) <= head.Seq {
		batch = n.sign(batch)
	}
	_, err := book.Report(w.t.Context(), license.Place{}, n.id.Pin(), batch)
	if !errors.Is(err, problem.ReceiptInvalid.Error()) && !errors.Is(err, problem.ReceiptGap.Error()) && !errors.Is(err, errCut) {
		w.t.Fatalf("Report of a forged batch = %v, want ReceiptInvalid", err)
	}
}

// settle lets every node report what is left.
func (w *crashWorld) settle() {
	w.records.on = false
	for _, n := range w.nodes {
		for n.mark < int64(len(n.rows)) {
			w.send(n, n.mark+1, min(int64(len(n.rows)), n.mark+maxReceipts), true)
		}
	}
}

func (w *crashWorld) compare() {
	t, total := w.t, int64(0)
	for _, b := range w.books {
		if err := b.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range w.nodes {
		i := 0
		err := w.books[0].Scan(t.Context(), 0, n.id.NodeID(), func(e api.LedgerEntry) error {
			if i >= len(n.rows) || e.Receipt != n.rows[i] || e.Chain != n.chains[i] {
				t.Fatalf("entry %d of a node is not what it committed", i)
			}
			i++
			return nil
		})
		if err != nil || i != len(n.rows) {
			t.Fatalf("Scan = %d pages, %v, want %d", i, err, len(n.rows))
		}
		total += int64(i)
	}
	all := entries(t, w.books[0], 0, "")
	for _, b := range append(w.books[:], open(t, w.records)) {
		if v, err := b.Verify(t.Context()); err != nil || v.Pages != total || v.Nodes != int64(len(w.nodes)) {
			t.Errorf("Verify = %+v, %v, want %d pages", v, err, total)
		}
		if got, want := b.Usage(Query{By: license.Day}), naive(all, Query{}, "2006-01-02"); !slices.Equal(got, want) {
			t.Error("the statistics are not those of the ledger")
		}
	}
}

func (b *Book) recordsFor(t *testing.T) int64 {
	v, err := b.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v.Batches
}
