package pagestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// reversed is a rendition that shows which page and specification it is of.
func reversed(spec string) func(src *os.File, dst io.Writer) error {
	return func(src *os.File, dst io.Writer) error {
		b, err := io.ReadAll(src)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(dst, "%s of %s", spec, digestOf(b))
		return err
	}
}

func readRendition(t *testing.T, s *Store, p scan.Page, spec string) (string, error) {
	t.Helper()
	f, err := s.Rendition(t.Context(), p, spec, reversed(spec))
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return string(b), err
}

func TestRendition(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	p, _ := commitPage(t, s, job.ID, 1000)
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			f, err := s.Rendition(t.Context(), p, "w=100", func(src *os.File, dst io.Writer) error {
				made.Add(1)
				return reversed("w=100")(src, dst)
			})
			if err != nil {
				t.Errorf("Rendition: %v", err)
				return
			}
			defer f.Close()
			if b, err := io.ReadAll(f); err != nil || string(b) != "w=100 of "+p.Digest {
				t.Errorf("a rendition is %q, %v", b, err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("made %d times, want once", made.Load())
	}
	other, _ := commitPage(t, s, job.ID, 1000)
	for _, p := range []scan.Page{p, other} {
		for _, spec := range []string{"w=100", "w=200", "tiff"} {
			if got, err := readRendition(t, s, p, spec); err != nil || got != spec+" of "+p.Digest {
				t.Errorf("rendition %s of page %d = %q, %v", spec, p.N, got, err)
			}
		}
	}
	if files := spoolFiles(t, s.cfg.Dir); len(files) != 2+6 {
		t.Errorf("files %v, want two pages and six renditions", files)
	}
}

func TestRenditionsAreLimited(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	p, _ := commitPage(t, s, job.ID, 1000)
	for i := range maxRenditions + 10 {
		if _, err := readRendition(t, s, p, fmt.Sprint("w=", i)); err != nil {
			t.Fatal(err)
		}
	}
	if files := spoolFiles(t, s.cfg.Dir); len(files) != 1+maxRenditions {
		t.Errorf("%d files, want the page and %d renditions", len(files), maxRenditions)
	}
	if got, err := readRendition(t, s, p, "w=0"); err != nil || got != "w=0 of "+p.Digest {
		t.Errorf("a rendition that had to go = %q, %v, want it made again", got, err)
	}
}

func TestRenditionRefuses(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	w := begin(t, s, job.ID)
	_, err := readRendition(t, s, w.Page(), "x")
	wantProblem(t, "of a growing page", err, problem.PageNotReady)
	w.Abort(nil)
	p, _ := commitPage(t, s, job.ID, 1000)
	another := p
	another.ID = scan.NewID(testNode, scan.KindPage)
	_, err = readRendition(t, s, another, "x")
	wantProblem(t, "of another attempt at the page", err, problem.PageGone)

	broken := errors.New("cannot decode")
	for name, make := range map[string]func(*os.File, io.Writer) error{
		"error":           func(*os.File, io.Writer) error { return broken },
		"error with data": func(_ *os.File, dst io.Writer) error { fmt.Fprint(dst, "x"); return broken },
		"nothing":         func(*os.File, io.Writer) error { return nil },
	} {
		f, err := s.Rendition(t.Context(), p, name, make)
		if err == nil {
			f.Close()
		}
		if err == nil || strings.HasPrefix(name, "error") != errors.Is(err, broken) || errors.Is(err, ErrStorage) {
			t.Errorf("%s: Rendition = %v", name, err)
		}
		if got, err := readRendition(t, s, p, name); err != nil || got != name+" of "+p.Digest {
			t.Errorf("%s: the next try = %q, %v", name, got, err)
		}
	}
	_, err = s.Rendition(t.Context(), p, "full", func(*os.File, io.Writer) error { return syscall.ENOSPC })
	wantProblem(t, "on a full disk", err, problem.DiskLow)
	for _, f := range spoolFiles(t, s.cfg.Dir) {
		if strings.HasSuffix(f, partSuffix) {
			t.Errorf("%s is left", f)
		}
	}
}

// Who waits for somebody else's rendition gets it even if that one leaves.
func TestRenditionWhoseMakerLeaves(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	p, _ := commitPage(t, s, job.ID, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	making, left := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := s.Rendition(ctx, p, "x", func(*os.File, io.Writer) error {
			close(making)
			<-ctx.Done()
			return ctx.Err()
		})
		left <- err
	}()
	<-making
	got := make(chan string, 1)
	go func() {
		b, err := readRendition(t, s, p, "x")
		got <- fmt.Sprint(b, err)
	}()
	impatient, stop := context.WithCancel(t.Context())
	stop()
	if _, err := s.Rendition(impatient, p, "x", reversed("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Rendition with a canceled context = %v", err)
	}
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the maker that left = %v", err)
	}
	if b, want := <-got, fmt.Sprint("x of "+p.Digest, nil); b != want {
		t.Errorf("the one that waited = %q, want %q", b, want)
	}
}

func TestRenditionGoesWithItsPage(t *testing.T) {
	s, c := newStore(t)
	for name, end := range map[string]func(job scan.Job){
		"deleted": func(job scan.Job) {
			if err := s.DeleteJob(t.Context(), job.ID); err != nil {
				t.Fatal(err)
			}
		},
		"wiped": func(scan.Job) {
			c.add(keepAtMost)
			sweep(t, s)
		},
	} {
		job := newJob(t, s)
		p, _ := commitPage(t, s, job.ID, 1000)
		setState(t, s, job.ID, scan.JobCompleted)
		if _, err := readRendition(t, s, p, "before"); err != nil {
			t.Fatal(err)
		}
		f, err := s.Rendition(t.Context(), p, "meanwhile", func(src *os.File, dst io.Writer) error {
			end(job)
			_, err := s.Rendition(t.Context(), p, "another", reversed("another"))
			if !errors.Is(err, problem.PageGone.Error()) && !errors.Is(err, problem.NotFound.Error()) {
				t.Errorf("%s: a rendition after its page = %v", name, err)
			}
			return reversed("meanwhile")(src, dst)
		})
		if err == nil {
			f.Close()
		}
		wantProblem(t, name+" while it is made", err, problem.PageGone)
		if files := spoolFiles(t, s.cfg.Dir); len(files) != 0 {
			t.Errorf("%s: files %v are left", name, files)
		}
		s.renditions.mu.Lock()
		if len(s.renditions.pages) != 0 {
			t.Errorf("%s: %v is remembered", name, s.renditions.pages)
		}
		s.renditions.mu.Unlock()
	}
}

// Renditions are not synced, so a start trusts none of those it finds.
func TestRenditionsAreMadeAgainAfterAStart(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s, _ := openTest(t, cfg, nil)
	job := newJob(t, s)
	p, _ := commitPage(t, s, job.ID, 1000)
	if _, err := readRendition(t, s, p, "x"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, r := openTest(t, cfg, nil)
	if r.Orphans != 0 || r.Discarded != 0 {
		t.Errorf("Recovery = %+v, want renditions not to count", r)
	}
	if files := spoolFiles(t, cfg.Dir); len(files) != 1 {
		t.Errorf("files %v, want the page only", files)
	}
	if got, err := readRendition(t, s, p, "x"); err != nil || got != "x of "+p.Digest {
		t.Errorf("Rendition = %q, %v", got, err)
	}
}
