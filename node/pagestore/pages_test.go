package pagestore

import (
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestPages(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	if pages, next, err := s.Pages(t.Context(), job.ID, "", 0); err != nil || pages == nil || len(pages) != 0 || next != "" {
		t.Errorf("Pages of a new job = %v, %q, %v, want an empty list", pages, next, err)
	}
	for range 5 {
		commitPage(t, s, job.ID, 50)
	}
	w := begin(t, s, job.ID)
	defer w.Abort(nil)
	for limit := range 9 {
		var got []int
		for next, first := "", true; first || next != ""; first = false {
			pages, more, err := s.Pages(t.Context(), job.ID, next, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pages {
				got = append(got, p.N)
				if (p.State == scan.PageGrowing) != (p.N == 6) {
					t.Errorf("page %d is %s", p.N, p.State)
				}
			}
			next = more
		}
		if len(got) != 6 || got[0] != 1 || got[5] != 6 {
			t.Errorf("Pages by %d = %v, want 1 to 6", limit, got)
		}
	}
	jobs, next, err := s.Jobs(t.Context(), JobFilter{}, "", 1)
	if err != nil || next != "" || len(jobs) != 1 || jobs[0].Growing != 6 {
		t.Errorf("Jobs = %+v, %q, %v, want Growing 6", jobs, next, err)
	}
	newJob(t, s)
	_, foreign, err := s.Jobs(t.Context(), JobFilter{}, "", 1)
	if err != nil || foreign == "" {
		t.Fatalf("Jobs = %q, %v, want a cursor", foreign, err)
	}
	_, _, err = s.Pages(t.Context(), job.ID, foreign, 0)
	wantProblem(t, "Pages with the cursor of another list", err, problem.BadRequest)
}

// Between the transaction and the end of Commit a page is growing and committed at
// once; nobody may see it twice.
func TestPagesDuringACommit(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	w := begin(t, s, job.ID)
	if _, err := w.Write(jpegBytes(100)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.growing[job.ID] = w.g
	s.mu.Unlock()
	defer s.forget(w.g)
	if pages, _, err := s.Pages(t.Context(), job.ID, "", 0); err != nil || len(pages) != 1 || pages[0].State != scan.PageCommitted {
		t.Errorf("Pages = %+v, %v, want the committed page once", pages, err)
	}
	if j, _, err := s.Job(t.Context(), job.ID); err != nil || j.Pages != 1 || j.Growing != 0 {
		t.Errorf("Job = %+v, %v, want one page and none growing", j, err)
	}
	if _, err := readPage(t, s, job.ID, 1); err != nil {
		t.Errorf("reading it: %v", err)
	}
}

func TestAck(t *testing.T) {
	s, c := newStore(t)
	job := newJob(t, s)
	p, _ := commitPage(t, s, job.ID, 50)
	wantProblem(t, "Ack with another digest", s.Ack(t.Context(), job.ID, 1, digestOf(nil)), problem.DigestMismatch)
	wantProblem(t, "Ack with none", s.Ack(t.Context(), job.ID, 1, ""), problem.DigestMismatch)
	if got, _, _ := s.Page(t.Context(), job.ID, 1); got.State != scan.PageCommitted {
		t.Errorf("a wrong digest made the page %s", got.State)
	}
	for range 2 {
		if err := s.Ack(t.Context(), job.ID, 1, strings.ToUpper(p.Digest)); err != nil {
			t.Errorf("Ack = %v", err)
		}
		if got, _, _ := s.Page(t.Context(), job.ID, 1); got.State != scan.PageDelivered {
			t.Errorf("the page is %s, want delivered", got.State)
		}
	}
	if _, err := readPage(t, s, job.ID, 1); err != nil {
		t.Errorf("reading a delivered page: %v", err)
	}
	w := begin(t, s, job.ID)
	wantProblem(t, "Ack of a growing page", s.Ack(t.Context(), job.ID, 2, p.Digest), problem.PageNotReady)
	w.Abort(nil)
	wantProblem(t, "Ack of no page", s.Ack(t.Context(), job.ID, 2, p.Digest), problem.NotFound)

	setState(t, s, job.ID, scan.JobCompleted)
	c.add(8 * 24 * time.Hour)
	if _, _, err := s.Page(t.Context(), job.ID, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.sweepPages(t.Context(), &Swept{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Ack(t.Context(), job.ID, 1, p.Digest); err != nil {
		t.Errorf("Ack of a wiped page = %v, want nil: the client tries again", err)
	}
	_, err := s.OpenPage(t.Context(), job.ID, 1)
	wantProblem(t, "OpenPage of a wiped page", err, problem.PageGone)
}
