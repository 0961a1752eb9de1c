package pagestore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// follow reads a page to its end as a client that streams it would.
func follow(ctx context.Context, r *PageReader) ([]byte, error) {
	var got []byte
	buf := make([]byte, 8<<10)
	for {
		n, err := r.ReadAt(buf, int64(len(got)))
		got = append(got, buf[:n]...)
		if err != nil && err != io.EOF {
			return got, err
		}
		size, done, err := r.Size()
		if err != nil {
			return got, err
		}
		if int64(len(got)) < size {
			continue
		}
		if done {
			return got, nil
		}
		if err := r.Wait(ctx, size); err != nil {
			return got, err
		}
	}
}

func TestReadersFollowAGrowingPage(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	w := begin(t, s, job.ID)
	b := jpegBytes(900 << 10)
	type result struct {
		got []byte
		err error
	}
	const readers = 40
	results := make(chan result, readers)
	var opened sync.WaitGroup
	opened.Add(readers)
	for range readers {
		go func() {
			r, err := s.OpenPage(t.Context(), job.ID, 1)
			opened.Done()
			if err != nil {
				results <- result{nil, err}
				return
			}
			defer r.Close()
			got, err := follow(t.Context(), r)
			if p := r.Page(); err == nil && (p.State != scan.PageCommitted || p.Digest != digestOf(got)) {
				err = errors.New("the page does not end as committed with the digest of its bytes")
			}
			results <- result{got, err}
		}()
	}
	opened.Wait()
	for i := 0; i < len(b); i += 30_000 {
		if _, err := w.Write(b[i:min(i+30_000, len(b))]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for range readers {
		if r := <-results; r.err != nil || !bytes.Equal(r.got, b) {
			t.Errorf("a reader got %d bytes, %v, want all %d", len(r.got), r.err, len(b))
		}
	}
}

func TestReadersOfAnAbortedPage(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	w := begin(t, s, job.ID)
	if _, err := w.Write([]byte("some")); err != nil {
		t.Fatal(err)
	}
	r, err := s.OpenPage(t.Context(), job.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Owner() != owner || r.File() != nil {
		t.Errorf("Owner, File = %q, %v, want %q and no file of a growing page", r.Owner(), r.File(), owner)
	}
	waited := make(chan error, 1)
	go func() { waited <- r.Wait(t.Context(), 4) }()
	jam := errors.New("jam")
	w.Abort(jam)
	if err := <-waited; !errors.Is(err, ErrPageFailed) || !errors.Is(err, jam) {
		t.Errorf("Wait = %v, want ErrPageFailed because of a jam", err)
	}
	if _, err := r.ReadAt(make([]byte, 4), 0); !errors.Is(err, ErrPageFailed) {
		t.Errorf("ReadAt after Abort = %v, want ErrPageFailed", err)
	}
	if _, _, err := r.Size(); !errors.Is(err, ErrPageFailed) {
		t.Errorf("Size after Abort = %v, want ErrPageFailed", err)
	}
	assertNoPages(t, s, job)
	if p, _ := commitPage(t, s, job.ID, 10); p.N != 1 {
		t.Errorf("the page after an aborted one has number %d, want 1", p.N)
	}
}

func TestWait(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	w := begin(t, s, job.ID)
	defer w.Abort(nil)
	if _, err := w.Write([]byte("abcdef")); err != nil {
		t.Fatal(err)
	}
	r, err := s.OpenPage(t.Context(), job.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Wait(t.Context(), 5); err != nil {
		t.Errorf("Wait for what is there = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error, 1)
	go func() { waited <- r.Wait(ctx, 6) }()
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("Wait with a canceled context = %v", err)
	}
	p := make([]byte, 10)
	if n, err := r.ReadAt(p, 4); n != 2 || err != io.EOF || string(p[:2]) != "ef" {
		t.Errorf("ReadAt over the present end = %d, %v", n, err)
	}
	for _, off := range []int64{6, 7, 1 << 40} {
		if n, err := r.ReadAt(p, off); n != 0 || err != io.EOF {
			t.Errorf("ReadAt(%d) at or behind the present end = %d, %v", off, n, err)
		}
	}
}

// A reader keeps its bytes over commit, deletion and the closing of the store.
func TestReaderOutlivesThePage(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	w := begin(t, s, job.ID)
	b := jpegBytes(5000)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	tail, err := s.OpenPage(t.Context(), job.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	if _, err := w.Commit(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	whole, err := s.OpenPage(t.Context(), job.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if whole.File() == nil {
		t.Error("File of a committed page is nil")
	}
	setState(t, s, job.ID, scan.JobCompleted)
	if err := s.DeleteJob(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*PageReader{tail, whole} {
		if got, err := follow(t.Context(), r); err != nil || !bytes.Equal(got, b) {
			t.Errorf("read %d bytes, %v, want %d", len(got), err, len(b))
		}
	}
}

// What somebody did to the files behind our back is found, never served.
func TestTamperedFiles(t *testing.T) {
	replace := func(with func(path string) error) func(string) error {
		return func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return with(path)
		}
	}
	tests := map[string]func(path string) error{
		"removed":   os.Remove,
		"truncated": func(path string) error { return os.Truncate(path, 10) },
		"grown":     func(path string) error { return os.Truncate(path, 5001) },
		"linked":    replace(func(path string) error { return os.Symlink("/etc/passwd", path) }),
		"linked inside": func(path string) error {
			if err := os.Rename(path, path+".x"); err != nil {
				return err
			}
			return os.Symlink(filepath.Base(path)+".x", path)
		},
		"folder": replace(func(path string) error { return os.Mkdir(path, 0o700) }),
		"fifo":   replace(mkfifo),
	}
	for name, tamper := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := newStore(t)
			job := newJob(t, s)
			p, _ := commitPage(t, s, job.ID, 5000)
			commitPage(t, s, job.ID, 5000)
			if err := tamper(filepath.Join(s.cfg.Dir, spoolDir, pageFile(p))); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_, err := s.OpenPage(t.Context(), job.ID, 1)
				wantProblem(t, "OpenPage", err, problem.PageLost)
			}
			if got, _, err := s.Page(t.Context(), job.ID, 1); err != nil || got.State != scan.PageLost {
				t.Errorf("Page = %+v, %v, want it lost", got, err)
			}
			if j, _, err := s.Job(t.Context(), job.ID); err != nil || len(j.Reasons) != 1 || j.Reasons[0] != scan.ReasonPagesLost {
				t.Errorf("Job = %+v, %v, want reason %s", j, err, scan.ReasonPagesLost)
			}
			if _, err := readPage(t, s, job.ID, 2); err != nil {
				t.Errorf("the other page: %v", err)
			}
		})
	}
}
