package pagestore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// BenchmarkCommit stores pages of a usual size; BenchmarkSyncedFile is the least
// that the disk asks for the same bytes.
func BenchmarkCommit(b *testing.B) { benchmarkCommit(b, func(*NewJob) {}) }

// BenchmarkCommitLicensed does so under a licence that counts pages, with a wallet of
// some blocks.
func BenchmarkCommitLicensed(b *testing.B) {
	benchmarkCommit(b, func(n *NewJob) {
		n.License = &License{Item: "item", Project: "P", Origin: "https://app.example", Client: "client", Paged: true}
		for i := range 4 {
			n.Blocks = append(n.Blocks, Block{ID: fmt.Sprint(i), Item: "item", Pages: 1 << 40, Until: time.Now().Add(time.Hour)})
		}
	})
}

func benchmarkCommit(b *testing.B, change func(*NewJob)) {
	for _, size := range []int{64 << 10, 1500 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s, _ := openBench(b)
			job := newJob(b, s, change)
			page := jpegBytes(size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				w := begin(b, s, job.ID)
				if _, err := w.Write(page); err != nil {
					b.Fatal(err)
				}
				if _, err := w.Commit(b.Context(), 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSyncedFile(b *testing.B) {
	for _, size := range []int{64 << 10, 1500 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			dir := b.TempDir()
			page := jpegBytes(size)
			b.SetBytes(int64(size))
			for i := 0; b.Loop(); i++ {
				if err := syncedFile(dir, fmt.Sprint(i), page); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func syncedFile(dir, name string, page []byte) error {
	f, err := os.Create(filepath.Join(dir, name+".part"))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(page); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// BenchmarkAppendTail appends strips while readers follow the page.
func BenchmarkAppendTail(b *testing.B) {
	for _, readers := range []int{0, 1, 8} {
		b.Run(fmt.Sprintf("%dreaders", readers), func(b *testing.B) {
			s, _ := openBench(b)
			job := newJob(b, s)
			strip := make([]byte, 128<<10)
			b.SetBytes(int64(len(strip)))
			b.ReportAllocs()
			var w *PageWriter
			var wg sync.WaitGroup
			for i := 0; b.Loop(); i++ {
				if i%512 == 0 { // a page of 64 MiB
					if w != nil {
						w.Abort(nil)
						wg.Wait()
					}
					w = begin(b, s, job.ID)
					for range readers {
						r, err := s.OpenPage(b.Context(), job.ID, 1)
						if err != nil {
							b.Fatal(err)
						}
						wg.Go(func() { tail(b.Context(), r) })
					}
				}
				if _, err := w.Write(strip); err != nil {
					b.Fatal(err)
				}
			}
			w.Abort(nil)
			wg.Wait()
		})
	}
}

// tail reads a page to its end without keeping it.
func tail(ctx context.Context, r *PageReader) {
	defer r.Close()
	buf := make([]byte, 64<<10)
	for off := int64(0); ; {
		n, _ := r.ReadAt(buf, off)
		off += int64(n)
		if n > 0 {
			continue
		}
		if err := r.Wait(ctx, off); err != nil {
			return
		}
	}
}

func BenchmarkOpenPage(b *testing.B) {
	s, _ := openBench(b)
	job := newJob(b, s)
	commitPage(b, s, job.ID, 1000)
	b.ReportAllocs()
	for b.Loop() {
		r, err := s.OpenPage(b.Context(), job.ID, 1)
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

// BenchmarkOpen is the start of a node that has scanned a lot.
func BenchmarkOpen(b *testing.B) {
	s, cfg := openBench(b)
	for range 20 {
		job := newJob(b, s)
		for range 50 {
			commitPage(b, s, job.ID, 100)
		}
		setState(b, s, job.ID, scan.JobCompleted)
	}
	for b.Loop() {
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		var err error
		if s, _, err = Open(b.Context(), cfg); err != nil {
			b.Fatal(err)
		}
	}
	s.Close()
}

func openBench(b *testing.B) (*Store, Config) {
	cfg := Config{Dir: b.TempDir(), NodeID: testNode}
	s, _ := openTest(b, cfg, nil)
	return s, cfg
}

// Strips come by the hundred for each page; none of them may cost an allocation,
// nor wait for the index.
func TestWriteAllocatesNothing(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	w := begin(t, s, job.ID)
	defer w.Abort(nil)
	strip := make([]byte, 64<<10)
	<-s.index.slot // as if a transaction took for ever
	defer func() { s.index.slot <- struct{}{} }()
	allocs := testing.AllocsPerRun(200, func() {
		if _, err := w.Write(strip); err != nil {
			t.Fatal(err)
		}
		w.SetLines(1)
	})
	if allocs != 0 {
		t.Errorf("a strip costs %v allocations, want none", allocs)
	}
}
