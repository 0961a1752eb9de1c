package pagestore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestCommit(t *testing.T) {
	s, c := newStore(t)
	job := newJob(t, s)
	w := begin(t, s, job.ID)
	b := jpegBytes(700 << 10)
	if _, err := w.Write(b[:100]); err != nil {
		t.Fatal(err)
	}
	w.SetLines(3)
	if p := w.Page(); p.State != scan.PageGrowing || p.N != 1 || p.Bytes != 100 || p.Lines != 3 || p.Digest != "" {
		t.Errorf("growing page = %+v", p)
	}
	if got, _, err := s.Job(t.Context(), job.ID); err != nil || got.Growing != 1 || got.Pages != 0 {
		t.Errorf("Job while growing = %+v, %v, want Growing 1", got, err)
	}
	if _, err := w.Write(b[100:]); err != nil {
		t.Fatal(err)
	}
	c.add(1)
	p, err := w.Commit(t.Context(), 31)
	if err != nil {
		t.Fatal(err)
	}
	if p.State != scan.PageCommitted || p.Height != 31 || p.Lines != 31 || p.Bytes != int64(len(b)) || p.Digest != digestOf(b) || p.Committed.IsZero() {
		t.Errorf("committed page = %+v", p)
	}
	stored, who, err := s.Page(t.Context(), job.ID, 1)
	if err != nil || stored != p || who != owner {
		t.Errorf("Page = %+v of %q, %v, want %+v of %q", stored, who, err, p, owner)
	}
	if got, err := readPage(t, s, job.ID, 1); err != nil || !bytes.Equal(got, b) {
		t.Errorf("read back %d bytes, %v, want %d", len(got), err, len(b))
	}
	doc, _, err := s.Document(t.Context(), job.Document)
	if err != nil || len(doc.Pages) != 1 || doc.Pages[0] != (scan.DocumentPage{Job: job.ID, N: 1}) || doc.Revision != 2 {
		t.Errorf("Document = %+v, %v, want the page in revision 2", doc, err)
	}
	if got, _, err := s.Job(t.Context(), job.ID); err != nil || got.Growing != 0 || got.Pages != 1 {
		t.Errorf("Job = %+v, %v, want one page", got, err)
	}
	w.Abort(errors.New("too late"))
	if _, err := w.Write([]byte("x")); !errors.Is(err, errPageOver) {
		t.Errorf("Write after Commit = %v, want %v", err, errPageOver)
	}
	if p2, _ := commitPage(t, s, job.ID, 50); p2.N != 2 || p2.ID == p.ID {
		t.Errorf("second page = %+v", p2)
	}
}

func TestCommitChecksStructure(t *testing.T) {
	jpeg, png := jpegBytes(300), pngBytes(300)
	tests := []struct {
		name   string
		format scan.Format
		chunks [][]byte
		ok     bool
	}{
		{"jpeg", scan.FormatJPEG, [][]byte{jpeg}, true},
		{"jpeg in pieces", scan.FormatJPEG, [][]byte{jpeg[:1], jpeg[1:2], jpeg[2:5], jpeg[5:299], jpeg[299:]}, true},
		{"smallest jpeg", scan.FormatJPEG, [][]byte{[]byte("\xff\xd8\xff\xff\xd9")}, true},
		{"png", scan.FormatPNG, [][]byte{png}, true},
		{"png in pieces", scan.FormatPNG, [][]byte{png[:3], png[3:9], png[9 : len(png)-7], png[len(png)-7 : len(png)-1], png[len(png)-1:]}, true},
		{"empty", scan.FormatJPEG, nil, false},
		{"no end", scan.FormatJPEG, [][]byte{jpeg[:298]}, false},
		{"half an end", scan.FormatJPEG, [][]byte{jpeg[:299]}, false},
		{"bytes after the end", scan.FormatJPEG, [][]byte{jpeg, {0}}, false},
		{"no beginning", scan.FormatJPEG, [][]byte{jpeg[1:]}, false},
		{"only the end", scan.FormatJPEG, [][]byte{{0xff, 0xd9}}, false},
		{"beginning is end", scan.FormatJPEG, [][]byte{{0xff, 0xd8, 0xff, 0xd9}}, false},
		{"png as jpeg", scan.FormatJPEG, [][]byte{png}, false},
		{"jpeg as png", scan.FormatPNG, [][]byte{jpeg}, false},
		{"png without IEND", scan.FormatPNG, [][]byte{png[:len(png)-12]}, false},
		{"png with torn IEND", scan.FormatPNG, [][]byte{png[:len(png)-1]}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newStore(t)
			job := newJob(t, s)
			w, err := s.BeginPage(t.Context(), start(job.ID, tt.format))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range tt.chunks {
				if _, err := w.Write(c); err != nil {
					t.Fatal(err)
				}
			}
			p, err := w.Commit(t.Context(), 0)
			if tt.ok {
				if want := digestOf(bytes.Join(tt.chunks, nil)); err != nil || p.Digest != want {
					t.Fatalf("Commit = %+v, %v, want digest %s", p, err, want)
				}
				return
			}
			if !errors.Is(err, ErrBadPage) || errors.Is(err, ErrStorage) {
				t.Errorf("Commit = %v, want ErrBadPage", err)
			}
			assertNoPages(t, s, job)
		})
	}
}

// assertNoPages checks that a job is as if no page had ever been begun.
func assertNoPages(t *testing.T, s *Store, job scan.Job) {
	t.Helper()
	if pages, _, err := s.Pages(t.Context(), job.ID, "", 0); err != nil || len(pages) != 0 {
		t.Errorf("Pages = %+v, %v, want none", pages, err)
	}
	_, _, err := s.Page(t.Context(), job.ID, 1)
	wantProblem(t, "Page", err, problem.NotFound)
	_, err = s.OpenPage(t.Context(), job.ID, 1)
	wantProblem(t, "OpenPage", err, problem.NotFound)
	if j, _, err := s.Job(t.Context(), job.ID); err != nil || j.Pages != 0 || j.Growing != 0 {
		t.Errorf("Job = %+v, %v, want no page", j, err)
	}
	if d, _, err := s.Document(t.Context(), job.Document); err != nil || len(d.Pages) != 0 || d.Revision != 1 {
		t.Errorf("Document = %+v, %v, want it untouched", d, err)
	}
	if n := count(t, s, "SELECT count(*) FROM meter"); n != 0 {
		t.Errorf("%d meter rows, want none", n)
	}
	if files := spoolFiles(t, s.cfg.Dir); len(files) != 0 {
		t.Errorf("files %v, want none", files)
	}
}

func count(t testing.TB, s *Store, query string, args ...any) (n int) {
	t.Helper()
	if err := s.index.view(context.Background()).get(query, args, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestUnknownHeight(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	p := start(job.ID, scan.FormatJPEG)
	p.Height = 0
	w, err := s.BeginPage(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	b := jpegBytes(400 << 10)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	_, err = s.OpenPage(t.Context(), job.ID, 1)
	wantProblem(t, "OpenPage before the height is known", err, problem.PageNotReady)
	if err := w.Patch(100, []byte{0xab, 0xcd}); err != nil {
		t.Fatal(err)
	}
	copy(b[100:], []byte{0xab, 0xcd})
	page, err := w.Commit(t.Context(), 77)
	if err != nil || page.Height != 77 || page.Digest != digestOf(b) {
		t.Fatalf("Commit = %+v, %v, want height 77 and the patched digest", page, err)
	}
	if got, err := readPage(t, s, job.ID, 1); err != nil || !bytes.Equal(got, b) {
		t.Errorf("read back other bytes than were patched (%v)", err)
	}

	t.Run("never told", func(t *testing.T) {
		w, err := s.BeginPage(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(t.Context(), 0); !errors.Is(err, ErrBadPage) {
			t.Errorf("Commit without height = %v, want ErrBadPage", err)
		}
	})
	for name, patch := range map[string]func(w *PageWriter) error{
		"beyond the end": func(w *PageWriter) error { return w.Patch(int64(len(b))-1, []byte{1, 2}) },
		"negative":       func(w *PageWriter) error { return w.Patch(-1, []byte{1}) },
	} {
		t.Run(name, func(t *testing.T) {
			w, err := s.BeginPage(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := patch(w); !errors.Is(err, ErrBadPage) {
				t.Errorf("Patch = %v, want ErrBadPage", err)
			}
		})
	}
	t.Run("readers have seen it", func(t *testing.T) {
		w := begin(t, s, job.ID)
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Patch(0, []byte{1}); !errors.Is(err, ErrBadPage) {
			t.Errorf("Patch of a page that readers follow = %v, want ErrBadPage", err)
		}
	})
}

func TestBeginPageRefuses(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	bad := map[string]func(*PageStart){
		"format": func(p *PageStart) { p.Format = scan.FormatTIFF },
		"width":  func(p *PageStart) { p.Width = 0 },
		"height": func(p *PageStart) { p.Height = -1 },
		"depth":  func(p *PageStart) { p.Depth = 0 },
	}
	for name, change := range bad {
		p := start(job.ID, scan.FormatJPEG)
		change(&p)
		if _, err := s.BeginPage(t.Context(), p); !errors.Is(err, ErrBadPage) {
			t.Errorf("BeginPage with bad %s = %v, want ErrBadPage", name, err)
		}
	}
	_, err := s.BeginPage(t.Context(), start(scan.NewID(testNode, scan.KindJob), scan.FormatJPEG))
	wantProblem(t, "BeginPage of no job", err, problem.NotFound)
	w := begin(t, s, job.ID)
	if _, err := s.BeginPage(t.Context(), start(job.ID, scan.FormatJPEG)); err == nil {
		t.Error("BeginPage beside a growing page succeeded")
	}
	w.Abort(nil)
	setState(t, s, job.ID, scan.JobCanceled)
	_, err = s.BeginPage(t.Context(), start(job.ID, scan.FormatJPEG))
	wantProblem(t, "BeginPage of an ended job", err, problem.JobWrongState)
}

// A cancel that wins the race against a commit leaves no page, no meter row and no file.
func TestCommitAfterTheJobEnded(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	w := begin(t, s, job.ID)
	if _, err := w.Write(jpegBytes(100)); err != nil {
		t.Fatal(err)
	}
	setState(t, s, job.ID, scan.JobCanceled)
	_, err := w.Commit(t.Context(), 0)
	wantProblem(t, "Commit", err, problem.JobWrongState)
	assertNoPages(t, s, job)
	if err := s.Health(); err != nil {
		t.Errorf("Health = %v, want nil: the disk did nothing wrong", err)
	}
}

// A file that is not what was written to it is no page, whoever cut it.
func TestCommitOfATornFile(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	w := begin(t, s, job.ID)
	if _, err := w.Write(jpegBytes(1000)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(s.cfg.Dir, spoolDir, w.name), 999); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(t.Context(), 0); !errors.Is(err, ErrBadPage) {
		t.Errorf("Commit = %v, want ErrBadPage", err)
	}
	assertNoPages(t, s, job)
}

// Whichever comes first, a page that is there is counted, and one that is not is not.
func TestCancelRacesWithCommit(t *testing.T) {
	s, _ := newStore(t)
	for range 40 {
		job := newJob(t, s)
		w := begin(t, s, job.ID)
		if _, err := w.Write(jpegBytes(100)); err != nil {
			t.Fatal(err)
		}
		canceled := make(chan error, 1)
		go func() {
			_, err := s.UpdateJob(t.Context(), job.ID, func(j *scan.Job) error { j.State = scan.JobCanceled; return nil })
			canceled <- err
		}()
		_, err := w.Commit(t.Context(), 0)
		if e := <-canceled; e != nil {
			t.Fatal(e)
		}
		want := 1
		if err != nil {
			wantProblem(t, "Commit", err, problem.JobWrongState)
			want = 0
		}
		got, _, err := s.Job(t.Context(), job.ID)
		rows := count(t, s, "SELECT count(*) FROM pages WHERE job = ?", job.ID)
		metered := count(t, s, "SELECT count(*) FROM meter WHERE job = ?", job.ID)
		placed := count(t, s, "SELECT count(*) FROM document_pages WHERE job = ?", job.ID)
		if err != nil || got.Pages != want || rows != want || metered != want || placed != want {
			t.Fatalf("job %+v, %v: %d rows, %d metered, %d placed, want %d each", got, err, rows, metered, placed, want)
		}
	}
}

func TestCommitWithCanceledContext(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	w := begin(t, s, job.ID)
	if _, err := w.Write(jpegBytes(100)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Commit(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit = %v, want context.Canceled", err)
	}
	assertNoPages(t, s, job)
}
