package pagestore

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// crash ends a store as a killed process would.
func crash(t *testing.T, s *Store) {
	t.Helper()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	if err := s.release(); err != nil {
		t.Fatal(err)
	}
}

func TestRecoverJobs(t *testing.T) {
	c := newClock()
	cfg := testConfig(t, t.TempDir())
	cfg.Now = c.now
	s, _ := openTest(t, cfg, nil)
	var jobs []scan.Job
	for _, state := range scan.JobStates {
		job := newJob(t, s)
		job, err := s.UpdateJob(t.Context(), job.ID, func(j *scan.Job) error {
			j.State = state
			if state == scan.JobStopped {
				j.Reasons = []scan.Reason{scan.ReasonJam}
			}
			j.Deadline = scan.At(c.now().Add(time.Minute))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, job)
	}
	crash(t, s)
	c.add(time.Hour)
	s, r := openTest(t, cfg, nil)
	var unfinished []string
	for _, was := range jobs {
		got, _, err := s.Job(t.Context(), was.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !was.State.Terminal() {
			unfinished = append(unfinished, was.ID)
		}
		switch was.State {
		case scan.JobProcessing, scan.JobStopped:
			if got.State != scan.JobStopped || !slices.Equal(got.Reasons, []scan.Reason{scan.ReasonInterrupted}) ||
				!got.Deadline.Equal(c.now().Add(scan.InterruptedTimer)) {
				t.Errorf("a job that was %s is %+v, want it interrupted", was.State, got)
			}
		default:
			if got.State != was.State || !got.Deadline.Equal(was.Deadline.Time) || !slices.Equal(got.Reasons, was.Reasons) {
				t.Errorf("a job that was %+v is %+v, want it unchanged", was, got)
			}
		}
	}
	var got []string
	for _, j := range r.Unfinished {
		got = append(got, j.ID)
	}
	if !slices.Equal(got, unfinished) {
		t.Errorf("Unfinished = %v, want %v in the order they were created", got, unfinished)
	}
}

func TestRecoverFiles(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s, _ := openTest(t, cfg, nil)
	job := newJob(t, s)
	var pages []scan.Page
	for range 4 {
		p, _ := commitPage(t, s, job.ID, 1000)
		pages = append(pages, p)
	}
	w := begin(t, s, job.ID) // page 5, under way
	if _, err := w.Write(jpegBytes(10)); err != nil {
		t.Fatal(err)
	}
	crash(t, s)

	spool := filepath.Join(cfg.Dir, spoolDir)
	path := func(name string) string { return filepath.Join(spool, name) }
	write := func(name string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path(name), jpegBytes(100), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fault := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fault(os.Remove(path(pageFile(pages[1]))))
	fault(os.Truncate(path(pageFile(pages[2])), 999))
	orphan := scan.NewID(testNode, scan.KindJob)
	write(orphan + "/" + scan.NewID(testNode, scan.KindPage) + ".jpeg")
	write(orphan + "/" + scan.NewID(testNode, scan.KindPage) + ".part")
	write(job.ID + "/" + scan.NewID(testNode, scan.KindPage) + ".png")
	write(job.ID + "/keep.txt")
	write("lost+found/keep")
	write("words")
	write("abcdef" + partSuffix)
	fault(os.Symlink("/etc", path(scan.NewID(testNode, scan.KindJob))))

	s, r := openTest(t, cfg, nil)
	if r.Clean || r.Discarded != 2 || r.Orphans != 2 || len(r.Lost) != 2 {
		t.Errorf("Recovery = %+v, want 2 discarded, 2 orphans, 2 lost", r)
	}
	if got := pageStates(t, s, job.ID); got != "committed lost lost committed" {
		t.Errorf("pages are %s", got)
	}
	for n := 2; n <= 3; n++ {
		_, err := s.OpenPage(t.Context(), job.ID, n)
		wantProblem(t, "OpenPage of a lost page", err, problem.PageLost)
	}
	j, _, err := s.Job(t.Context(), job.ID)
	if err != nil || !slices.Equal(j.Reasons, []scan.Reason{scan.ReasonInterrupted, scan.ReasonPagesLost}) || j.Pages != 4 {
		t.Errorf("Job = %+v, %v, want it interrupted and pages lost", j, err)
	}
	if _, err := os.Stat(path(orphan)); !os.IsNotExist(err) {
		t.Errorf("the folder of no job is left: %v", err)
	}
	for _, name := range []string{job.ID + "/keep.txt", "lost+found/keep", "words"} {
		if _, err := os.Stat(path(name)); err != nil {
			t.Errorf("what is not Platen's was touched: %v", err)
		}
	}
	if _, err := os.Stat(path("abcdef" + partSuffix)); !os.IsNotExist(err) {
		t.Errorf("the file of a probe is left: %v", err)
	}
	fault(s.Close())
	_, r = openTest(t, cfg, nil)
	if !r.Clean || r.Discarded+r.Orphans+len(r.Lost) != 0 {
		t.Errorf("Recovery of what was recovered = %+v, want nothing new", r)
	}
}

// After a power cut a file can have its size and not its bytes.
func TestDigestsAreCheckedAfterACrash(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s, _ := openTest(t, cfg, nil)
	job := newJob(t, s)
	spoil := func(p scan.Page) {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(cfg.Dir, spoolDir, pageFile(p)), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte("torn"), 500); err != nil {
			t.Fatal(err)
		}
	}
	whole, b := commitPage(t, s, job.ID, 1000)
	torn, _ := commitPage(t, s, job.ID, 1000)
	crash(t, s)
	spoil(torn)

	s, r := openTest(t, cfg, nil)
	if len(r.Lost) != 0 {
		t.Errorf("Lost = %+v before anything was read", r.Lost)
	}
	type result struct {
		n   int
		err error
	}
	results := make(chan result, 20)
	for i := range cap(results) {
		go func() {
			n := 1 + i%2
			_, err := readPage(t, s, job.ID, n)
			results <- result{n, err}
		}()
	}
	for range cap(results) {
		switch r := <-results; {
		case r.n == 1 && r.err != nil:
			t.Errorf("the whole page: %v", r.err)
		case r.n == 2:
			wantProblem(t, "the torn page", r.err, problem.PageLost)
		}
	}
	if got, err := readPage(t, s, job.ID, whole.N); err != nil || digestOf(got) != digestOf(b) {
		t.Errorf("the whole page: %v", err)
	}
	// It was checked once; the next clean start trusts it.
	if n := count(t, s, "SELECT count(*) FROM pages WHERE epoch = ?", s.epoch); n != 1 {
		t.Errorf("%d pages are known to be right, want 1", n)
	}
}

// The whole of P1 to P3 also holds if the page was never looked at between two crashes.
func TestDigestsAreCheckedAfterTwoCrashes(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s, _ := openTest(t, cfg, nil)
	job := newJob(t, s)
	p, _ := commitPage(t, s, job.ID, 1000)
	crash(t, s)
	s, _ = openTest(t, cfg, nil)
	if err := s.Close(); err != nil { // clean, but nobody has read the page
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Dir, spoolDir, pageFile(p)), jpegBytes(1000), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ = openTest(t, cfg, nil)
	_, err := readPage(t, s, job.ID, 1)
	wantProblem(t, "a page with other bytes", err, problem.PageLost)
}

// A log torn by a power cut loses only what was never promised.
func TestTornLog(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s, _ := openTest(t, cfg, nil)
	job := newJob(t, s)
	wal := filepath.Join(cfg.Dir, storageDir, indexFile+"-wal")
	type promise struct {
		size  int64 // of the log, once the page was committed
		page  scan.Page
		bytes []byte
	}
	var promises []promise
	for range 3 {
		p, b := commitPage(t, s, job.ID, 300)
		fi, err := os.Stat(wal)
		if err != nil {
			t.Fatal(err)
		}
		promises = append(promises, promise{fi.Size(), p, b})
	}
	first, last := promises[0].size, promises[2].size
	for cut := first; cut <= last; cut += (last - first) / 25 {
		copied := testConfig(t, t.TempDir())
		if err := os.CopyFS(copied.Dir, os.DirFS(cfg.Dir)); err != nil {
			t.Fatal(err)
		}
		torn := filepath.Join(copied.Dir, storageDir, indexFile+"-wal")
		if err := os.Truncate(torn, cut); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(copied.Dir, storageDir, indexFile+"-shm")); err != nil {
			t.Fatal(err)
		}
		s, _ := openTest(t, copied, nil)
		var want []stored
		for _, p := range promises {
			if p.size <= cut {
				want = append(want, stored{job.ID, p.page.N, p.page.Digest})
			}
		}
		checkStored(t, s, want)
	}
}
