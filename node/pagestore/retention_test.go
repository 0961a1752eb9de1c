package pagestore

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// pageStates tells what is left of a job's pages.
func pageStates(t *testing.T, s *Store, job string) string {
	t.Helper()
	pages, _, err := s.Pages(t.Context(), job, "", 0)
	if err != nil {
		return string(problem.From(err).Code)
	}
	var states []string
	for _, p := range pages {
		states = append(states, string(p.State))
		_, err := readPage(t, s, job, p.N)
		if live := p.State == scan.PageCommitted || p.State == scan.PageDelivered; live != (err == nil) {
			t.Errorf("page %d is %s and reading it gives %v", p.N, p.State, err)
		}
	}
	return strings.Join(states, " ")
}

func TestRetention(t *testing.T) {
	s, c := newStore(t)
	job := newJob(t, s)
	for range 3 {
		commitPage(t, s, job.ID, 50)
	}
	ack := func(n int) {
		p, _, err := s.Page(t.Context(), job.ID, n)
		if err == nil {
			err = s.Ack(t.Context(), job.ID, n, p.Digest)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(when, states string) {
		t.Helper()
		sweep(t, s)
		if got := pageStates(t, s, job.ID); got != states {
			t.Errorf("%s: pages %q, want %q", when, got, states)
		}
	}
	c.add(8 * 24 * hour)
	want("a week into an endless job", "committed committed committed")
	c.add(-8 * 24 * hour)
	setState(t, s, job.ID, scan.JobCompleted)
	if d, _, err := s.Document(t.Context(), job.Document); err != nil || d.Expires.Sub(c.now()) != keepAtMost {
		t.Errorf("the document expires at %v, %v, want in 7 days while nobody has fetched it", d.Expires, err)
	}
	ack(1)
	c.add(23 * hour)
	want("a day later", "delivered committed committed")
	c.add(2 * hour)
	want("the document waits for all of its pages", "delivered committed committed")

	without2 := []scan.DocumentPage{{Job: job.ID, N: 1}, {Job: job.ID, N: 3}}
	if _, err := s.EditDocument(t.Context(), job.Document, scan.DocumentEdit{Pages: &without2}); err != nil {
		t.Fatal(err)
	}
	c.add(keepForUndo - time.Second)
	want("just taken out", "delivered committed committed")
	all := []scan.DocumentPage{{Job: job.ID, N: 1}, {Job: job.ID, N: 2}, {Job: job.ID, N: 3}}
	if _, err := s.EditDocument(t.Context(), job.Document, scan.DocumentEdit{Pages: &all}); err != nil {
		t.Fatal(err)
	}
	c.add(keepForUndo)
	want("put back", "delivered committed committed")
	if _, err := s.EditDocument(t.Context(), job.Document, scan.DocumentEdit{Pages: &without2}); err != nil {
		t.Fatal(err)
	}
	c.add(keepForUndo)
	want("taken out", "delivered wiped committed")
	_, err := s.EditDocument(t.Context(), job.Document, scan.DocumentEdit{Pages: &all})
	wantProblem(t, "putting back a wiped page", err, problem.PageGone)

	ack(3)
	d, _, err := s.Document(t.Context(), job.Document)
	if err != nil || d.Expires.Sub(c.now()) != keepAfterJob {
		t.Errorf("the document expires at %v, %v, want a day after the last acknowledgement, %v", d.Expires, err, c.now())
	}
	c.add(d.Expires.Sub(c.now()) - time.Second)
	want("just before the document ends", "delivered wiped delivered")
	c.add(time.Second)
	want("with the document", "wiped wiped wiped")
	_, _, err = s.Document(t.Context(), job.Document)
	wantProblem(t, "the document", err, problem.NotFound)
	if files := spoolFiles(t, s.cfg.Dir); len(files) > 0 {
		t.Errorf("files %v are left", files)
	}

	c.add(4 * 24 * hour)
	want("before the job ends", "wiped wiped wiped")
	c.add(24 * hour)
	want("forgotten", "not-found")
	if n := count(t, s, "SELECT count(*) FROM pages"); n != 0 {
		t.Errorf("%d page rows are left", n)
	}
	if n := count(t, s, "SELECT count(*) FROM meter"); n != 3 {
		t.Errorf("%d meter rows, want 3: they are never forgotten", n)
	}
}

func TestRetentionLimit(t *testing.T) {
	s, c := newStore(t)
	job := newJob(t, s)
	commitPage(t, s, job.ID, 50)
	c.add(2 * time.Minute)
	commitPage(t, s, job.ID, 50)
	setState(t, s, job.ID, scan.JobCompleted)
	before, _, err := s.Document(t.Context(), job.Document)
	if err != nil {
		t.Fatal(err)
	}
	c.add(keepAtMost - time.Minute)
	swept := sweep(t, s)
	if len(swept.Pages) != 1 || swept.Pages[0].N != 1 || swept.Pages[0].State != scan.PageWiped || len(swept.Documents) != 0 {
		t.Errorf("Sweep = %+v, want the older page wiped", swept)
	}
	d, _, err := s.Document(t.Context(), job.Document)
	if err != nil || len(d.Pages) != 1 || d.Pages[0].N != 2 || d.Revision != before.Revision+1 {
		t.Errorf("Document = %+v, %v, want the younger page in a new revision", d, err)
	}
	c.add(time.Minute)
	swept = sweep(t, s)
	if len(swept.Pages) != 1 || !slices.Equal(swept.Documents, []string{job.Document}) {
		t.Errorf("Sweep = %+v, want the other page and the document gone", swept)
	}
	if swept := sweep(t, s); len(swept.Pages)+len(swept.Documents) > 0 {
		t.Errorf("Sweep again = %+v, want nothing", swept)
	}
}

func TestRetentionOfESCL(t *testing.T) {
	s, c := newStore(t)
	job := newJob(t, s, func(n *NewJob) { n.Owner = "escl:192.0.2.7" })
	p, _ := commitPage(t, s, job.ID, 50)
	setState(t, s, job.ID, scan.JobCompleted)
	for range 2 { // fetched twice
		c.add(100 * time.Second)
		if err := s.Ack(t.Context(), job.ID, 1, p.Digest); err != nil {
			t.Fatal(err)
		}
		sweep(t, s)
	}
	c.add(keepFetched - time.Second)
	sweep(t, s)
	if got := pageStates(t, s, job.ID); got != "delivered" {
		t.Errorf("before 120 s: %s", got)
	}
	c.add(time.Second)
	sweep(t, s)
	if got := pageStates(t, s, job.ID); got != "wiped" {
		t.Errorf("after 120 s: %s, want wiped", got)
	}
}

// What an eSCL client does not fetch goes soon after it could have been fetched: nobody
// deletes it when the eSCL server has crashed.
func TestRetentionOfESCLUnfetched(t *testing.T) {
	s, c := newStore(t)
	theirs := func(n *NewJob) { n.Owner = "escl:192.0.2.7" }
	var jobs []scan.Job
	for _, change := range [][]func(*NewJob){{theirs}, {theirs}, nil} {
		job := newJob(t, s, change...)
		for range 3 {
			commitPage(t, s, job.ID, 50)
		}
		jobs = append(jobs, job)
	}
	want := func(when string, states ...string) {
		t.Helper()
		sweep(t, s)
		for i, job := range jobs {
			if got := pageStates(t, s, job.ID); got != states[i] {
				t.Errorf("%s: pages %d %q, want %q", when, i, got, states[i])
			}
		}
	}
	all := "committed committed committed"
	c.add(hour)
	want("under way", all, all, all)
	setState(t, s, jobs[0].ID, scan.JobCompleted)
	setState(t, s, jobs[1].ID, scan.JobCanceled)
	setState(t, s, jobs[2].ID, scan.JobCanceled)
	want("ended", all, "wiped wiped wiped", all)
	c.add(keepUnfetched - time.Second)
	p, _, err := s.Page(t.Context(), jobs[0].ID, 1)
	if err == nil {
		err = s.Ack(t.Context(), jobs[0].ID, 1, p.Digest)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.add(keepFetched)
	want("being fetched", "wiped committed committed", "wiped wiped wiped", all)
	c.add(keepUnfetched - keepFetched - time.Second)
	want("given up soon", "wiped committed committed", "wiped wiped wiped", all)
	c.add(time.Second)
	want("given up", "wiped wiped wiped", "wiped wiped wiped", all)
}

func TestSweepManyAtOnce(t *testing.T) {
	s, c := newStore(t)
	const jobs, pages = sweepBatch + 5, 2
	for range jobs {
		job := newJob(t, s)
		for range pages {
			commitPage(t, s, job.ID, 10)
		}
		setState(t, s, job.ID, scan.JobCompleted)
	}
	c.add(keepAtMost)
	swept := sweep(t, s)
	if len(swept.Pages) != jobs*pages || len(swept.Documents) != jobs || len(swept.Jobs) != jobs {
		t.Errorf("Sweep ended %d pages, %d documents, %d jobs", len(swept.Pages), len(swept.Documents), len(swept.Jobs))
	}
	if dirs, err := os.ReadDir(filepath.Join(s.cfg.Dir, spoolDir)); err != nil || len(dirs) > 0 {
		t.Errorf("%d folders are left, %v", len(dirs), err)
	}
}

func TestSweepEndsRecords(t *testing.T) {
	s, c := newStore(t)
	r := s.Records()
	for i, expires := range []time.Time{{}, c.now().Add(hour), c.now().Add(2 * hour)} {
		if _, err := r.Create(t.Context(), fmt.Sprint("session.", i), nil, expires); err != nil {
			t.Fatal(err)
		}
	}
	c.add(hour)
	sweep(t, s)
	if n := count(t, s, "SELECT count(*) FROM records"); n != 2 {
		t.Errorf("%d records, want the two that have not ended", n)
	}
	if _, _, err := r.Get(t.Context(), "session.1"); err != access.ErrNoRecord {
		t.Errorf("Get = %v", err)
	}
}

// A reader that never lets go must not make the log grow for ever afterwards.
func TestLogIsBounded(t *testing.T) {
	s, _ := newStore(t)
	hold, err := s.index.readers.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hold.ExecContext(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := hold.QueryRowContext(t.Context(), "SELECT count(*) FROM jobs").Scan(&n); err != nil {
		t.Fatal(err)
	}
	r := s.Records()
	for i := range 2 * walLimit / (1 << 20) {
		if _, err := r.Create(t.Context(), fmt.Sprint("big.", i), make([]byte, 1<<20), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	size := func() int64 {
		fi, err := os.Stat(filepath.Join(s.cfg.Dir, storageDir, indexFile+"-wal"))
		if err != nil {
			t.Fatal(err)
		}
		return fi.Size()
	}
	if size() <= walLimit {
		t.Fatalf("the log has %d bytes; the test does not show what it should", size())
	}
	if _, err := hold.ExecContext(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := hold.Close(); err != nil {
		t.Fatal(err)
	}
	sweep(t, s)
	if got := size(); got > walLimit {
		t.Errorf("the log has %d bytes after Sweep, want at most %d", got, walLimit)
	}
}
