package pagestore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestCreateJob(t *testing.T) {
	s, c := newStore(t)
	n := NewJob{
		Scanner: testScanner, Owner: owner, Name: "Letter",
		Settings: scan.Settings{Source: scan.SourceADF, Resolution: 300, Region: &scan.Region{Width: 210, Height: 297}, Options: map[string]string{"a": "b"}},
	}
	job, replayed, err := s.CreateJob(t.Context(), n)
	if err != nil || replayed {
		t.Fatalf("CreateJob = %v, %v", replayed, err)
	}
	if job.State != scan.JobPending || job.Node != testNode || !job.Created.Equal(c.now()) || job.Pages != 0 {
		t.Errorf("CreateJob = %+v", job)
	}
	if _, kind, err := scan.ParseID(job.ID); err != nil || kind != scan.KindJob {
		t.Errorf("ID %q: %v", job.ID, err)
	}
	stored, who, err := s.Job(t.Context(), job.ID)
	if err != nil || who != owner || stored.Settings.Options["a"] != "b" || *stored.Settings.Region != *n.Settings.Region {
		t.Errorf("Job = %+v of %q, %v", stored, who, err)
	}
	doc, who, err := s.Document(t.Context(), job.Document)
	if err != nil || who != owner || doc.Name != "Letter" || doc.Pages == nil {
		t.Errorf("Document = %+v of %q, %v", doc, who, err)
	}
	n.Document = job.Document
	if more, _, err := s.CreateJob(t.Context(), n); err != nil || more.Document != job.Document {
		t.Errorf("CreateJob into the same document = %+v, %v", more, err)
	}
	n.Owner = "another"
	_, _, err = s.CreateJob(t.Context(), n)
	wantProblem(t, "CreateJob into somebody else's document", err, problem.NotFound)
	if problem.From(err).Field != "document" {
		t.Errorf("the field is %q, want document", problem.From(err).Field)
	}
	n.Document, n.ID = "", scan.NewID(testNode, scan.KindJob)
	if given, _, err := s.CreateJob(t.Context(), n); err != nil || given.ID != n.ID {
		t.Errorf("CreateJob with an ID = %+v, %v", given, err)
	}
	for _, id := range []string{"x", scan.NewID(testNode, scan.KindPage), "aaaaaaaaaaaaaaaa" + n.ID[16:]} {
		n.ID = id
		if _, _, err := s.CreateJob(t.Context(), n); !errors.Is(err, scan.ErrBadID) {
			t.Errorf("CreateJob with ID %q = %v, want ErrBadID", id, err)
		}
	}
	_, _, err = s.Job(t.Context(), scan.NewID(testNode, scan.KindJob))
	wantProblem(t, "Job", err, problem.NotFound)
}

func TestIdempotencyKey(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	c := newClock()
	cfg.Now = c.now
	s, _ := openTest(t, cfg, nil)
	n := NewJob{Scanner: testScanner, Owner: owner, Key: "0123456789abcdef", BodyHash: [32]byte{1}}
	if _, found, err := s.Submitted(t.Context(), n); err != nil || found {
		t.Errorf("Submitted before = %v, %v", found, err)
	}

	const tries = 20
	ids := make(chan string, tries)
	var wg sync.WaitGroup
	fresh := make(chan bool, tries)
	for range tries {
		wg.Go(func() {
			job, replayed, err := s.CreateJob(t.Context(), n)
			if err != nil {
				t.Errorf("CreateJob: %v", err)
			}
			ids <- job.ID
			if !replayed {
				fresh <- true
			}
		})
	}
	wg.Wait()
	id := <-ids
	for range tries - 1 {
		if other := <-ids; other != id {
			t.Errorf("one key made jobs %s and %s", id, other)
		}
	}
	if len(fresh) != 1 || count(t, s, "SELECT count(*) FROM jobs") != 1 || count(t, s, "SELECT count(*) FROM documents") != 1 {
		t.Errorf("%d jobs were new, want 1 job with 1 document", len(fresh))
	}

	setState(t, s, id, scan.JobProcessing)
	if job, found, err := s.Submitted(t.Context(), n); err != nil || !found || job.ID != id || job.State != scan.JobProcessing {
		t.Errorf("Submitted = %+v, %v, %v, want the job as it is now", job, found, err)
	}
	other := n
	other.BodyHash = [32]byte{2}
	_, _, err := s.CreateJob(t.Context(), other)
	wantProblem(t, "CreateJob with another body", err, problem.IdempotencyKeyReused)
	_, _, err = s.Submitted(t.Context(), other)
	wantProblem(t, "Submitted with another body", err, problem.IdempotencyKeyReused)
	for name, change := range map[string]func(*NewJob){
		"owner":   func(n *NewJob) { n.Owner = "another" },
		"scanner": func(n *NewJob) { n.Scanner = scan.DerivedID(testNode, scan.KindScanner, "other") },
		"key":     func(n *NewJob) { n.Key = "fedcba9876543210" },
		"no key":  func(n *NewJob) { n.Key = "" },
	} {
		n := n
		change(&n)
		if job, replayed, err := s.CreateJob(t.Context(), n); err != nil || replayed || job.ID == id {
			t.Errorf("CreateJob with another %s = %s, %v, %v, want a new job", name, job.ID, replayed, err)
		}
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, _ = openTest(t, cfg, nil)
	if job, replayed, err := s.CreateJob(t.Context(), n); err != nil || !replayed || job.ID != id {
		t.Errorf("CreateJob after a restart = %s, %v, %v, want %s again", job.ID, replayed, err, id)
	}

	setState(t, s, id, scan.JobCanceled)
	if err := s.DeleteJob(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	sweep(t, s)
	_, _, err = s.CreateJob(t.Context(), n)
	wantProblem(t, "CreateJob with the key of a deleted job", err, problem.NotFound)
	c.add(keyLifetime)
	sweep(t, s)
	if job, replayed, err := s.CreateJob(t.Context(), n); err != nil || replayed || job.ID == id {
		t.Errorf("CreateJob a day later = %s, %v, %v, want a new job", job.ID, replayed, err)
	}
}

// A job that cannot be created leaves its key free.
func TestIdempotencyKeyOfAFailure(t *testing.T) {
	s, _ := newStore(t)
	n := NewJob{Scanner: testScanner, Owner: owner, Key: "0123456789abcdef", Document: scan.NewID(testNode, scan.KindDocument)}
	_, _, err := s.CreateJob(t.Context(), n)
	wantProblem(t, "CreateJob", err, problem.NotFound)
	n.Document = ""
	if _, replayed, err := s.CreateJob(t.Context(), n); err != nil || replayed {
		t.Errorf("CreateJob = %v, %v, want a new job", replayed, err)
	}
}

func sweep(t testing.TB, s *Store) Swept {
	t.Helper()
	swept, err := s.Sweep(t.Context())
	if err != nil {
		t.Fatalf("Sweep: %v", err)
	}
	return swept
}

func TestUpdateJob(t *testing.T) {
	s, c := newStore(t)
	job := newJob(t, s)
	c.add(time.Minute)
	deadline := scan.At(c.now().Add(time.Hour))
	got, err := s.UpdateJob(t.Context(), job.ID, func(j *scan.Job) error {
		j.State, j.Reasons, j.Deadline, j.Name = scan.JobStopped, []scan.Reason{scan.ReasonJam}, deadline, "renamed"
		j.ID, j.Scanner, j.Node, j.Document, j.Pages, j.Growing, j.Position = "x", "x", "x", "x", 9, 9, 9
		j.Created = scan.Time{}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	stored, _, err := s.Job(t.Context(), job.ID)
	if err != nil || fmt.Sprint(stored) != fmt.Sprint(got) {
		t.Errorf("Job = %+v, %v, want what UpdateJob returned: %+v", stored, err, got)
	}
	if got.State != scan.JobStopped || !slices.Equal(got.Reasons, []scan.Reason{scan.ReasonJam}) || !got.Deadline.Equal(deadline.Time) || got.Name != "renamed" {
		t.Errorf("UpdateJob = %+v", got)
	}
	if got.ID != job.ID || got.Scanner != job.Scanner || got.Node != job.Node || got.Document != job.Document ||
		got.Pages != 0 || got.Growing != 0 || got.Position != 0 || got.Created != job.Created {
		t.Errorf("UpdateJob changed what is not the caller's: %+v", got)
	}

	refused := errors.New("not now")
	if _, err := s.UpdateJob(t.Context(), job.ID, func(j *scan.Job) error { j.State = scan.JobCanceled; return refused }); err != refused {
		t.Errorf("UpdateJob = %v, want the callback's own error", err)
	}
	if err := s.Health(); err != nil {
		t.Errorf("a refused change puts the disk in doubt: %v", err)
	}
	if j, _, _ := s.Job(t.Context(), job.ID); j.State != scan.JobStopped {
		t.Errorf("a refused change was stored: %s", j.State)
	}
	if j := setState(t, s, job.ID, scan.JobCompleted); !j.Ended.Equal(c.now()) {
		t.Errorf("an ended job has Ended %v, want %v", j.Ended, c.now())
	}
	sealed, _, err := s.CreateJob(t.Context(), NewJob{Scanner: testScanner, Owner: owner, Recipient: "somebody"})
	if err != nil || sealed.Recipient != "somebody" {
		t.Errorf("CreateJob = %+v, %v, want it with its recipient", sealed, err)
	}
	if got, err := s.UpdateJob(t.Context(), sealed.ID, func(j *scan.Job) error { j.Recipient, j.Name = "another", "new"; return nil }); err != nil || got.Recipient != "somebody" {
		t.Errorf("UpdateJob = %+v, %v, want the recipient that it was created with", got, err)
	}
	if got, _, err := s.Job(t.Context(), sealed.ID); err != nil || got.Recipient != "somebody" || got.Name != "new" {
		t.Errorf("Job = %+v, %v, want it with its recipient", got, err)
	}
	_, err = s.UpdateJob(t.Context(), "x", func(*scan.Job) error { return nil })
	wantProblem(t, "UpdateJob of no job", err, problem.NotFound)
}

func TestUpdateJobIsAtomic(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if _, err := s.UpdateJob(t.Context(), job.ID, func(j *scan.Job) error {
					j.Settings.Pages++
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if j, _, err := s.Job(t.Context(), job.ID); err != nil || j.Settings.Pages != 40 {
		t.Errorf("after 40 increments: %d, %v", j.Settings.Pages, err)
	}
}

// A panic in the callback must not keep the writer.
func TestUpdateJobSurvivesAPanic(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not pass")
			}
		}()
		s.UpdateJob(t.Context(), job.ID, func(j *scan.Job) error { panic("test") })
	}()
	setState(t, s, job.ID, scan.JobCanceled)
}

func TestWaitingForTheWriterEnds(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	inside, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := s.UpdateJob(t.Context(), job.ID, func(*scan.Job) error { close(inside); <-leave; return nil })
		done <- err
	}()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	go func() { waiting <- s.DeleteJob(ctx, job.ID) }()
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("DeleteJob with a canceled context = %v", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestJobs(t *testing.T) {
	s, _ := newStore(t)
	other := scan.DerivedID(testNode, scan.KindScanner, "other")
	var mine, all, elsewhere, canceled []string
	for i := range 25 {
		job, _, err := s.CreateJob(t.Context(), NewJob{
			Owner: []string{owner, "another"}[i%2], Scanner: []string{testScanner, other}[i/2%2],
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append([]string{job.ID}, all...)
		if i%2 == 0 {
			mine = append([]string{job.ID}, mine...)
		}
		if i/2%2 == 1 {
			elsewhere = append([]string{job.ID}, elsewhere...)
		}
		if i%5 == 0 {
			setState(t, s, job.ID, scan.JobCanceled)
			canceled = append([]string{job.ID}, canceled...)
		}
	}
	tests := []struct {
		name   string
		filter JobFilter
		want   []string
	}{
		{"all", JobFilter{}, all},
		{"owner", JobFilter{Owner: owner}, mine},
		{"scanner", JobFilter{Scanner: other}, elsewhere},
		{"state", JobFilter{State: scan.JobCanceled}, canceled},
		{"nobody's", JobFilter{Owner: "nobody"}, nil},
		{"all three", JobFilter{owner, testScanner, scan.JobCanceled}, intersect(intersect(mine, canceled), without(all, elsewhere))},
	}
	for _, tt := range tests {
		for _, limit := range []int{0, 1, 4, len(tt.want), 1000} {
			got := allJobs(t, s, tt.filter, limit, func() {})
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s by %d = %v, want %v", tt.name, limit, got, tt.want)
			}
		}
	}
	// New and deleted jobs move nothing in a list that is being read.
	got := allJobs(t, s, JobFilter{}, 4, func() { newJob(t, s) })
	if !slices.Equal(got, all) {
		t.Errorf("while jobs are added: %v, want %v", got, all)
	}
	_, _, err := s.Jobs(t.Context(), JobFilter{}, "nonsense", 0)
	wantProblem(t, "Jobs with a bad cursor", err, problem.BadRequest)
}

func allJobs(t *testing.T, s *Store, f JobFilter, limit int, between func()) []string {
	t.Helper()
	var ids []string
	for next := ""; ; between() {
		jobs, more, err := s.Jobs(t.Context(), f, next, limit)
		if err != nil || jobs == nil {
			t.Fatalf("Jobs = %v, %v", jobs, err)
		}
		for _, j := range jobs {
			ids = append(ids, j.ID)
		}
		if next = more; next == "" {
			return ids
		}
		if len(jobs) != limited(limit) {
			t.Errorf("a page of %d jobs that is not the last, want %d", len(jobs), limited(limit))
		}
	}
}

func intersect(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

func TestDeleteJob(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	commitPage(t, s, job.ID, 100)
	commitPage(t, s, job.ID, 100)
	other := newJob(t, s)
	commitPage(t, s, other.ID, 100)
	mix, err := s.CreateDocument(t.Context(), owner, scan.DocumentRequest{Name: "mix", Pages: []scan.DocumentPage{{Job: job.ID, N: 2}, {Job: other.ID, N: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	wantProblem(t, "DeleteJob of a job under way", s.DeleteJob(t.Context(), job.ID), problem.JobWrongState)
	w := begin(t, s, job.ID)
	setState(t, s, job.ID, scan.JobCompleted)
	wantProblem(t, "DeleteJob with a page under way", s.DeleteJob(t.Context(), job.ID), problem.JobWrongState)
	w.Abort(nil)
	if err := s.DeleteJob(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, "DeleteJob again", s.DeleteJob(t.Context(), job.ID), problem.NotFound)
	_, _, err = s.Page(t.Context(), job.ID, 1)
	wantProblem(t, "Page", err, problem.NotFound)
	_, _, err = s.Pages(t.Context(), job.ID, "", 0)
	wantProblem(t, "Pages", err, problem.NotFound)
	_, _, err = s.Document(t.Context(), job.Document)
	wantProblem(t, "the job's empty document", err, problem.NotFound)
	got, _, err := s.Document(t.Context(), mix.ID)
	if err != nil || len(got.Pages) != 1 || got.Pages[0].Job != other.ID || got.Revision != mix.Revision+1 {
		t.Errorf("the mixed document = %+v, %v, want one page left", got, err)
	}
	if files := spoolFiles(t, s.cfg.Dir); len(files) != 1 {
		t.Errorf("files %v, want one", files)
	}
}

// A document into which another job may still scan stays, even if it is empty.
func TestDeleteJobLeavesASharedDocument(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	commitPage(t, s, job.ID, 100)
	more := newJob(t, s, func(n *NewJob) { n.Document = job.Document })
	setState(t, s, job.ID, scan.JobCompleted)
	if err := s.DeleteJob(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	p, _ := commitPage(t, s, more.ID, 100)
	if d, _, err := s.Document(t.Context(), job.Document); err != nil || len(d.Pages) != 1 || d.Pages[0].N != p.N {
		t.Errorf("Document = %+v, %v, want the other job's page", d, err)
	}
}
