package pagestore

import (
	"slices"
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func paged(n *NewJob) { n.License = &License{Item: "item", Paged: true} }

// holding is paged with blocks beside.
func holding(blocks ...Block) func(*NewJob) {
	return func(n *NewJob) {
		paged(n)
		for _, b := range blocks {
			b.Item = "item"
			n.Blocks = append(n.Blocks, b)
		}
	}
}

// spentOf are the blocks of the receipts, in order.
func spentOf(t *testing.T, s *Store) (ids []string) {
	for _, r := range allReceipts(t, s, 100) {
		ids = append(ids, r.Block)
	}
	return ids
}

// commitLeft commits a page and says how many are left.
func commitLeft(t *testing.T, s *Store, job string) int64 {
	t.Helper()
	w := begin(t, s, job)
	if _, err := w.Write(jpegBytes(64)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	left, counted := w.Left()
	stored, storedCounted, err := s.PagesLeft(t.Context(), job)
	if err != nil || left != stored || counted != storedCounted {
		t.Errorf("%d pages are left, %v; PagesLeft = %d, %v, %v", left, counted, stored, storedCounted, err)
	}
	if !counted {
		return unlimited
	}
	return left
}

func TestWallet(t *testing.T) {
	c := newClock()
	cfg := testConfig(t, t.TempDir())
	cfg.Now = c.now
	s, _ := openTest(t, cfg, nil)
	in := func(d time.Duration) time.Time { return c.now().Add(d) }
	late := Block{ID: "late", Pages: 2, Over: 2, Until: in(2 * time.Hour)}
	soon := Block{ID: "soon", Pages: 1, Over: 1, Until: in(time.Hour)}
	job := newJob(t, s, holding(late, soon))
	var left []int64
	for range 6 { // the sixth is beyond everything
		left = append(left, commitLeft(t, s, job.ID))
	}
	if want := []int64{4, 3, 2, 1, 0, 0}; !slices.Equal(left, want) {
		t.Errorf("left after each page: %v, want %v", left, want)
	}
	if got, want := spentOf(t, s), []string{"soon", "late", "late", "late", "late", "late"}; !slices.Equal(got, want) {
		t.Errorf("pages were taken of %v, want %v: what ends first, then the over-use of the last", got, want)
	}
	setState(t, s, job.ID, scan.JobCompleted)

	spend := NewJob{Scanner: testScanner, Owner: owner}
	holding(late, soon)(&spend) // shown once more: nothing comes of it
	_, _, err := s.CreateJob(t.Context(), spend)
	wantProblem(t, "a job with blocks that are spent", err, problem.LicensePages)
	if n := count(t, s, "SELECT count(*) FROM jobs"); n != 1 {
		t.Errorf("%d jobs, want the refused one not to be there", n)
	}
	holding(Block{ID: "more", Pages: 1, Until: in(time.Hour)})(&spend)
	if _, _, err := s.CreateJob(t.Context(), spend); err != nil {
		t.Errorf("a job with one more page: %v", err)
	}
	checkMeter(t, s)
}

// A block that ends in mid-job serves the job to its end, after those that live. None
// begins with it.
func TestBlockEndsInMidJob(t *testing.T) {
	c := newClock()
	cfg := testConfig(t, t.TempDir())
	cfg.Now = c.now
	s, _ := openTest(t, cfg, nil)
	old := Block{ID: "old", Pages: 5, Until: c.now().Add(time.Hour)}
	job := newJob(t, s, holding(old))
	if left := commitLeft(t, s, job.ID); left != 4 {
		t.Errorf("%d pages are left, want 4", left)
	}
	c.add(2 * time.Hour)
	if left := commitLeft(t, s, job.ID); left != 3 {
		t.Errorf("%d pages are left after the block's end, want 3", left)
	}
	next := Block{ID: "next", Item: "item", Pages: 1, Until: c.now().Add(time.Hour)}
	if err := s.AddBlocks(t.Context(), []Block{next, old}); err != nil {
		t.Fatal(err)
	}
	commitLeft(t, s, job.ID)
	commitLeft(t, s, job.ID)
	if got, want := spentOf(t, s), []string{"old", "old", "next", "old"}; !slices.Equal(got, want) {
		t.Errorf("pages were taken of %v, want %v", got, want)
	}
	again := NewJob{Scanner: testScanner, Owner: owner, License: &License{Item: "item", Paged: true}}
	old.Item = "item"
	again.Blocks = []Block{old}
	_, _, err := s.CreateJob(t.Context(), again)
	wantProblem(t, "a job with a block that has ended", err, problem.LicensePages)
	old.Until = c.now().Add(time.Hour) // its server has put off the end
	old.Pages = 9                      // but what it has is known
	again.Blocks = []Block{old}
	if job, _, err := s.CreateJob(t.Context(), again); err != nil {
		t.Errorf("a job with a block whose end was put off: %v", err)
	} else if left, _, err := s.PagesLeft(t.Context(), job.ID); left != 2 || err != nil {
		t.Errorf("%d pages are left of it, %v, want 2", left, err)
	}
	checkMeter(t, s)
}

// A block whose end its server moves on serves new jobs, with what is left of it.
func TestBlockIsExtended(t *testing.T) {
	c := newClock()
	cfg := testConfig(t, t.TempDir())
	cfg.Now = c.now
	s, _ := openTest(t, cfg, nil)
	first := Block{ID: "a", Item: "item", Pages: 3, Until: c.now().Add(time.Hour)}
	job := newJob(t, s, holding(first))
	commitLeft(t, s, job.ID)
	setState(t, s, job.ID, scan.JobCompleted)
	c.add(2 * time.Hour)
	later := first
	later.Until = c.now().Add(time.Hour)
	job = newJob(t, s, holding(later))
	if left := commitLeft(t, s, job.ID); left != 1 {
		t.Errorf("%d pages are left, want 1", left)
	}
	setState(t, s, job.ID, scan.JobCompleted)
	if job = newJob(t, s, holding(first)); commitLeft(t, s, job.ID) != 0 {
		t.Error("an older token of the block shortened it")
	}
}

// Kinds that count no pages spend none, and blocks of another licence are not touched.
func TestUncountedPages(t *testing.T) {
	s, _ := newStore(t)
	if err := s.AddBlocks(t.Context(), []Block{{ID: "a", Item: "item", Pages: 1, Until: time.Now().Add(time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	free := newJob(t, s)
	seat := newJob(t, s, func(n *NewJob) { n.License = &License{Item: "item"} })
	other := newJob(t, s, func(n *NewJob) {
		n.License = &License{Item: "other", Paged: true}
		n.Blocks = []Block{{ID: "a", Item: "other", Pages: 3, Until: time.Now().Add(time.Hour)}}
	})
	for _, c := range []struct {
		job  scan.Job
		want int64
	}{{free, unlimited}, {seat, unlimited}, {other, 2}} {
		if left := commitLeft(t, s, c.job.ID); left != c.want {
			t.Errorf("%d pages are left, want %d", left, c.want)
		}
	}
	if got := spentOf(t, s); !slices.Equal(got, []string{"", "", "a"}) {
		t.Errorf("pages were taken of %q", got)
	}
	checkMeter(t, s)
}

// Whoever repeats a request gets its job, whatever is left by then.
func TestRepeatedWithoutPages(t *testing.T) {
	s, _ := newStore(t)
	n := NewJob{Scanner: testScanner, Owner: owner, Key: "a-key-of-the-test"}
	holding(Block{ID: "a", Pages: 1, Until: time.Now().Add(time.Hour)})(&n)
	job, _, err := s.CreateJob(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	setState(t, s, job.ID, scan.JobProcessing)
	commitPage(t, s, job.ID, 64)
	if again, replayed, err := s.CreateJob(t.Context(), n); err != nil || !replayed || again.ID != job.ID {
		t.Errorf("CreateJob again = %s, %v, %v, want the same job", again.ID, replayed, err)
	}
}
