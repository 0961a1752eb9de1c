package reporting

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

func unreported(t testing.TB, r *Reporter, want int64) {
	t.Helper()
	if got, err := r.Unreported(context.Background()); err != nil || got != want {
		t.Errorf("Unreported = %d, %v, want %d", got, err, want)
	}
}

func TestReport(t *testing.T) {
	n, s := newNode(t), newServer(t, newRecords())
	r := n.reporter(s, nil)
	need(t, r.Report(t.Context())) // nothing
	unreported(t, r, 0)
	n.commit(1203)
	unreported(t, r, 1203)
	need(t, r.Report(t.Context()))
	unreported(t, r, 0)
	n.counted(s.Book)
	if got := s.Pages(); got != 1203 {
		t.Errorf("%d pages were counted, want 1203", got)
	}

	n.commit(2)
	var sent []int64
	again := n.reporter(&between{s, func(b api.ReceiptBatch, ask func() (api.ReceiptMark, error)) (api.ReceiptMark, error) {
		sent = append(sent, b.Receipts[0].Seq)
		return ask()
	}}, nil)
	unreported(t, again, 2)
	need(t, again.Report(t.Context()))
	if !slices.Equal(sent, []int64{1204}) {
		t.Errorf("after a restart batches begin at %v, want 1204: the mark was kept", sent)
	}
	n.counted(s.Book)
}

// Another server counts from where the last one has ended; one that has less than it had
// gets that again.
func TestOtherServers(t *testing.T) {
	records := accesstest.NewRecords()
	n, first := newNode(t), newServer(t, records)
	n.commit(3)
	need(t, n.reporter(first, nil).Report(t.Context()))
	n.commit(4)
	backup := copyOf(t, records)
	need(t, n.reporter(first, nil).Report(t.Context()))

	book, err := ledger.Open(t.Context(), ledger.Config{Records: backup, Server: first.id})
	need(t, err)
	n.commit(1)
	need(t, n.reporter(&server{book, first.id}, nil).Report(t.Context()))
	n.counted(book)
	if book.Pages() != 8 {
		t.Errorf("the restored ledger has %d pages, want 8", book.Pages())
	}

	n.commit(2)
	second := newServer(t, newRecords())
	need(t, n.reporter(second, nil).Report(t.Context()))
	n.counted(second.Book)
	if second.Pages() != 2 {
		t.Errorf("another server has %d pages, want the 2 that nobody has counted", second.Pages())
	}
}

func copyOf(t *testing.T, r *accesstest.Records) *accesstest.Records {
	t.Helper()
	other := accesstest.NewRecords()
	need(t, r.List(t.Context(), "", func(key string, value []byte) error {
		_, err := other.Create(t.Context(), key, slices.Clone(value), time.Time{})
		return err
	}))
	return other
}

// What a server says that is not so is not kept.
func TestLies(t *testing.T) {
	n, s, stranger := newNode(t), newServer(t, newRecords()), newIdentity(t)
	n.commit(3)
	head, _, err := n.store.MeterHead(t.Context())
	need(t, err)
	sign := func(by *server, h license.Head) (api.ReceiptMark, error) {
		return api.ReceiptMark{Seq: h.Seq, Mark: license.SignMark(by.id, n.id.NodeID(), h)}, nil
	}
	for name, answer := range map[string]func() (api.ReceiptMark, error){
		"somebody else's mark": func() (api.ReceiptMark, error) { return sign(&server{s.Book, stranger}, head) },
		"no mark":              func() (api.ReceiptMark, error) { return api.ReceiptMark{Seq: 3}, nil },
		"another chain":        func() (api.ReceiptMark, error) { return sign(s, license.Head{Seq: 3, Chain: strings.Repeat("ab", 32)}) },
		"pages that are not":   func() (api.ReceiptMark, error) { return sign(s, license.Head{Seq: 4, Chain: head.Chain}) },
		"nothing counted":      func() (api.ReceiptMark, error) { return sign(s, license.Head{}) },
		"gap without a mark":   func() (api.ReceiptMark, error) { return api.ReceiptMark{}, problem.ReceiptGap.Error() },
		"gap beyond": func() (api.ReceiptMark, error) {
			return api.ReceiptMark{}, problem.New(problem.ReceiptGap, "Pages are counted up to number 9 of the node; chain ab.")
		},
	} {
		r := n.reporter(&between{s, func(api.ReceiptBatch, func() (api.ReceiptMark, error)) (api.ReceiptMark, error) { return answer() }}, nil)
		if err := r.Report(t.Context()); err == nil {
			t.Errorf("%s: Report = nil", name)
		}
		unreported(t, n.reporter(s, nil), 3)
	}
	need(t, n.reporter(s, nil).Report(t.Context()))
	n.counted(s.Book)
}

// Serve reports within two seconds of a page, at once if there is a reason, and tries
// again while the server is away. Pages of an answer are handed on.
func TestServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s := newNode(t), newServer(t, newRecords())
		var mu sync.Mutex
		away, tries := false, 0
		var granted []string
		way := &between{s, func(_ api.ReceiptBatch, ask func() (api.ReceiptMark, error)) (api.ReceiptMark, error) {
			mu.Lock()
			defer mu.Unlock()
			if tries++; away {
				return api.ReceiptMark{}, problem.TrackingOffline.Error()
			}
			m, err := ask()
			m.Blocks = []string{fmt.Sprint("block ", m.Seq)}
			return m, err
		}}
		set := func(is bool) int {
			mu.Lock()
			defer mu.Unlock()
			before := tries
			away, tries = is, 0
			return before
		}
		r := n.reporter(way, func(_ context.Context, blocks []string) { granted = append(granted, blocks...) })
		ctx, cancel := context.WithCancel(t.Context())
		var served sync.WaitGroup
		served.Go(func() { r.Serve(ctx) })

		for range 3 { // one after another, in one batch
			n.commit(1)
			r.Committed()
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(time.Second)
		unreported(t, r, 0)
		if got := set(true); got != 1 {
			t.Errorf("%d batches, want 1", got)
		}

		n.commit(1)
		r.Committed()
		time.Sleep(time.Hour)
		unreported(t, r, 1)
		if got := set(false); got < 300 || got > 400 {
			t.Errorf("%d tries in an hour, want one each 10 s", got)
		}
		time.Sleep(maxRetry)
		unreported(t, r, 0)

		set(true)
		n.commit(1)
		r.Committed()
		time.Sleep(time.Minute)
		set(false)
		r.Hurry()
		synctest.Wait()
		unreported(t, r, 0)
		n.commit(1)
		r.Hurry()
		synctest.Wait()
		unreported(t, r, 0)

		cancel()
		served.Wait()
		if want := []string{"block 3", "block 4", "block 5", "block 6"}; !slices.Equal(granted, want) {
			t.Errorf("granted %q, want %q", granted, want)
		}
	})
}

var errLost = errors.New("the answer was lost")

// unruly loses requests and answers, sends batches twice, and old ones long after.
func unruly(to license.Tracking, rng *rand.Rand) license.Tracking {
	var late []func()
	return &between{to, func(b api.ReceiptBatch, ask func() (api.ReceiptMark, error)) (api.ReceiptMark, error) {
		switch rng.IntN(10) {
		case 0:
			return api.ReceiptMark{}, errLost // before it came
		case 1:
			_, _ = ask()
			return api.ReceiptMark{}, errLost
		case 2:
			_, _ = ask()
		case 3:
			late = append(late, func() { _, _ = ask() })
		case 4:
			for _, again := range late {
				again()
			}
			late = nil
		case 5:
			late = append(late, func() { _, _ = ask() })
			return api.ReceiptMark{}, errLost
		}
		return ask()
	}}
}

func TestUnrulyWay(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 6))
		n, s := newNode(t), newServer(t, newRecords())
		r := n.reporter(unruly(s, rng), nil)
		for range 60 {
			n.commit(rng.IntN(6))
			if err := r.Report(t.Context()); err != nil && !errors.Is(err, errLost) {
				t.Fatalf("seed %d: Report = %v", seed, err)
			}
			if rng.IntN(8) == 0 { // the node starts anew
				need(t, n.store.Close())
				n.open()
				r = n.reporter(unruly(s, rng), nil)
			}
		}
		need(t, n.reporter(s, nil).Report(t.Context()))
		n.counted(s.Book)
	}
}

func BenchmarkReport(b *testing.B) {
	n, s := newNode(b), newServer(b, newRecords())
	for b.Loop() {
		b.StopTimer()
		n.commit(pagestore.MaxReceipts)
		r := n.reporter(s, nil)
		b.StartTimer()
		need(b, r.Report(b.Context()))
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*pagestore.MaxReceipts), "µs/page")
}
