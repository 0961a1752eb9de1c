package state

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

var foldPages = flag.Int("fold", 20_000, "pages that BenchmarkLedgerOpen folds")

func TestLedgerLists(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	const n = 700 // more than are read ahead
	for i := range n {
		if _, err := s.Ledger().Create(t.Context(), fmt.Sprintf("ledger.%020d", i), make([]byte, 20_000), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Ledger().Create(t.Context(), "other.x", nil, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Ledger().Delete(t.Context(), fmt.Sprintf("ledger.%020d", 5)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	l := openState(t, dir, nil).Ledger()
	want := 0
	err = l.List(t.Context(), "ledger.", func(key string, value []byte) error {
		if want == 5 {
			want++
		}
		if key != fmt.Sprintf("ledger.%020d", want) || len(value) != 20_000 {
			return fmt.Errorf("got %s with %d bytes, want number %d", key, len(value), want)
		}
		want++
		return nil
	})
	if err != nil || want != n {
		t.Errorf("List = %v after %d, want %d", err, want, n)
	}
	if err := l.List(t.Context(), "none.", func(string, []byte) error { return errors.New("there is one") }); err != nil {
		t.Error(err)
	}
	stop := errors.New("enough")
	if err := l.List(t.Context(), "", func(string, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("List with a yield that fails = %v, want its error", err)
	}
	if _, err := l.Create(t.Context(), "ledger.big", make([]byte, 600<<10), time.Time{}); err == nil {
		t.Error("Create of a value beyond the limit succeeded")
	}
}

// counter makes batches as a node does.
type counter struct {
	id    *identity.Identity
	seq   int64
	chain []byte
	job   string
}

func newCounter(t testing.TB) *counter {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return &counter{id: id}
}

func (n *counter) batch(t testing.TB, pages int) api.ReceiptBatch {
	t.Helper()
	b := api.ReceiptBatch{Node: n.id.NodeID(), Before: hex.EncodeToString(n.chain)}
	for i := range pages {
		if i%10 == 0 {
			n.job = scan.NewID(n.id.NodeID(), scan.KindJob)
		}
		n.seq++
		digest := make([]byte, 32)
		for i := range digest {
			digest[i] = byte(rand.Uint32())
		}
		p := api.Receipt{
			Node: n.id.NodeID(), Seq: n.seq, Job: n.job, N: i%10 + 1, Page: scan.NewID(n.id.NodeID(), scan.KindPage),
			Digest: hex.EncodeToString(digest), Bytes: 250_000 + rand.Int64N(1000), At: 1_795_341_600_000 + n.seq*3000,
			Item: "aaaaaaaaaaaaaaaaaaaa", Project: "ORG-CODE", Block: "bbbbbbbbbbbbbbbbbbbb", Origin: "https://app.example.com",
			Client: license.ClientHash("https://app.example.com", fmt.Sprint(n.seq/10%500)),
		}
		chain, err := license.Chain(n.chain, p)
		if err != nil {
			t.Fatal(err)
		}
		n.chain = chain
		b.Receipts = append(b.Receipts, p)
	}
	b.Head = license.SignHead(n.id, license.Head{Seq: n.seq, Chain: hex.EncodeToString(n.chain)})
	return b
}

func openBook(t testing.TB, records access.Records) *ledger.Book {
	t.Helper()
	server, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	b, err := ledger.Open(t.Context(), ledger.Config{Records: records, Server: server})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What was reported is there after a start, and two Books agree.
func TestLedgerKeepsPages(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	books := []*ledger.Book{openBook(t, s.Ledger()), openBook(t, s.Ledger())}
	nodes := []*counter{newCounter(t), newCounter(t), newCounter(t)}
	for i := range 60 {
		n := nodes[i%len(nodes)]
		if _, err := books[i%2].Report(t.Context(), license.Place{}, n.id.Pin(), n.batch(t, 1+i%25)); err != nil {
			t.Fatal(err)
		}
	}
	want := nodes[0].seq + nodes[1].seq + nodes[2].seq
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b := openBook(t, openState(t, dir, nil).Ledger())
	if v, err := b.Verify(t.Context()); err != nil || v.Pages != want || b.Pages() != want {
		t.Errorf("Verify = %+v, %v, want %d pages", v, err, want)
	}
	pages := int64(0)
	for _, row := range b.Usage(ledger.Query{}) {
		pages += row.Pages
	}
	if pages != want {
		t.Errorf("the statistics have %d pages, want %d", pages, want)
	}
}

func BenchmarkLedgerReport(b *testing.B) {
	for _, pages := range []int{1, 100, 500} {
		b.Run(fmt.Sprint(pages), func(b *testing.B) {
			s, err := Open(b.Context(), Config{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			book, n := openBook(b, s.Ledger()), newCounter(b)
			batches := make([]api.ReceiptBatch, b.N)
			for i := range batches {
				batches[i] = n.batch(b, pages)
			}
			for b.ResetTimer(); len(batches) > 0; batches = batches[1:] {
				if _, err := book.Report(b.Context(), license.Place{}, n.id.Pin(), batches[0]); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
		})
	}
}

// BenchmarkLedgerOpen folds -fold pages of ten nodes, in batches of ten and of a hundred.
func BenchmarkLedgerOpen(b *testing.B) {
	for _, each := range []int{10, 100} {
		b.Run(fmt.Sprint(each), func(b *testing.B) {
			dir := b.TempDir()
			s, err := Open(b.Context(), Config{Dir: dir})
			if err != nil {
				b.Fatal(err)
			}
			book := openBook(b, s.Ledger())
			nodes := make([]*counter, 10)
			for i := range nodes {
				nodes[i] = newCounter(b)
			}
			for i := 0; i < *foldPages; i += each {
				n := nodes[i/each%10]
				if _, err := book.Report(b.Context(), license.Place{}, n.id.Pin(), n.batch(b, each)); err != nil {
					b.Fatal(err)
				}
			}
			book = nil
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			if s, err = Open(b.Context(), Config{Dir: dir}); err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			b.ResetTimer()
			for range b.N {
				book = openBook(b, s.Ledger())
			}
			b.StopTimer()
			if book.Pages() != int64(*foldPages) {
				b.Fatalf("%d pages", book.Pages())
			}
			size := int64(0)
			filepath.Walk(dir, func(_ string, f os.FileInfo, err error) error {
				if err == nil {
					size += f.Size()
				}
				return err
			})
			with := heap()
			runtime.KeepAlive(book)
			book = nil
			b.ReportMetric(float64(with-heap())/1024, "KiB-kept")
			b.ReportMetric(float64(size)/float64(*foldPages), "disk-B/page")
		})
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
