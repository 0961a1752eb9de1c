//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/scan"
)

func settingsOf(source escl.InputSource, mode escl.ColorMode, dpi int) escl.Settings {
	return escl.Settings{Version: escl.Version, Source: source, Mode: mode, Format: escl.JPEG, Resolution: dpi}
}

// one is a page from the glass, which takes 0.6 seconds; sheets are five of them from the
// feeder.
var (
	one    = settingsOf(escl.FromPlaten, escl.Grayscale8, 100)
	sheets = settingsOf(escl.FromFeeder, escl.Grayscale8, 100)
)

func jobsOn(t testing.TB, s *service) []scan.Job {
	t.Helper()
	jobs := cli[[]scan.Job](t, s, "jobs", "list", "--json")
	slices.SortFunc(jobs, func(a, b scan.Job) int { return a.Created.Compare(b.Created.Time) })
	return jobs
}

// awaitJobs waits until the node's jobs, oldest first, fit.
func awaitJobs(t testing.TB, s *service, what string, fits func([]scan.Job) bool) (jobs []scan.Job) {
	t.Helper()
	testenv.Eventually(t, what, 30*time.Second, func() bool { jobs = jobsOn(t, s); return fits(jobs) })
	return jobs
}

// begun fits if there are n jobs, and the last one has begun.
func begun(n int) func([]scan.Job) bool {
	return func(jobs []scan.Job) bool { return len(jobs) == n && jobs[n-1].State == scan.JobProcessing }
}

// inTurn checks that jobs began in the order in which they came, one after another.
func inTurn(t testing.TB, jobs []scan.Job) {
	t.Helper()
	for i := 1; i < len(jobs); i++ {
		before, after := jobs[i-1], jobs[i]
		if after.Started.IsZero() || !before.Started.Before(after.Started.Time) || after.Started.Before(before.Ended.Time) {
			t.Errorf("job %d of %d (%s) began at %v, the one before (%s) at %v until %v",
				i+1, len(jobs), after.Name, after.Started, before.Name, before.Started, before.Ended)
		}
	}
}

// scanBeside starts platen scan on the node's host, as a browser would scan there.
func scanBeside(t testing.TB, s *service, args string) *testenv.Process {
	t.Helper()
	all := append([]string{"--data", s.data, "scan", "-q", "-o", filepath.Join(t.TempDir(), "p-%02d.jpg")}, f(args)...)
	return testenv.Start(t, "platen scan", testenv.Command(s.host, nil, all...))
}

// forgetJobs deletes what ended jobs have left.
func forgetJobs(t testing.TB, s *service) {
	t.Helper()
	for _, j := range awaitJobs(t, s, "all jobs have ended", func(jobs []scan.Job) bool {
		return !slices.ContainsFunc(jobs, func(j scan.Job) bool { return !j.State.Terminal() })
	}) {
		// The eSCL server may be a moment faster.
		testenv.Command(s.host, nil, "--data", s.data, "jobs", "delete", j.ID).Run()
	}
	if left := jobsOn(t, s); len(left) != 0 {
		t.Fatalf("jobs that cannot be deleted: %+v", left)
	}
}

// Programs that speak eSCL and Platen's own stand in one queue and wait for each other.
func TestQueue(t *testing.T) {
	lab := testenv.NewLab(t)
	nodeHost, left, right := lab.Host("node"), lab.Host("left"), lab.Host("right")
	addr := lab.Network(nodeHost, left, right)[0]
	node := startService(t, nodeHost, t.TempDir(), []string{"PLATEN_ESCL_ENABLE=TRUE", "PLATEN_NODE_DRIVERS=virtual"})
	node.Await(testenv.ReadyLine, testenv.StartTimeout)
	a, b := newESCLClient(t, left, addr, testenv.ESCLPort), newESCLClient(t, right, addr, testenv.ESCLPort)
	a.ready(t)
	for _, tt := range []struct {
		name string
		test func(t *testing.T, node *service, a, b *esclClient)
	}{
		{"a place is kept", placeIsKept},
		{"three at once", threeAtOnce},
		{"cut off in mid-page", cutOff},
		{"cancel", cancelFrees},
		{"never deletes", neverDeletes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer forgetJobs(t, node)
			tt.test(t, node, a, b)
		})
	}
}

// Who is told to come again keeps his place ahead of those who come later.
func placeIsKept(t *testing.T, node *service, a, _ *esclClient) {
	first := scanBeside(t, node, "--source adf -r 100 --option sheets=12") // 7 seconds
	awaitJobs(t, node, "the first job has begun", begun(1))
	begin := time.Now()
	res, err := a.post(one)
	took := time.Since(begin)
	if err != nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "1" {
		t.Fatalf("POST to a busy scanner: %+v, %v; want 503 with Retry-After: 1", res, err)
	}
	if took < 4500*time.Millisecond || took > 6*time.Second {
		t.Errorf("503 came after %v, want a little more than 5s", took)
	}
	later := scanBeside(t, node, "--source platen -r 100")
	awaitJobs(t, node, "a job came later", func(jobs []scan.Job) bool { return len(jobs) == 3 })
	pages, job, err := a.pages(one)
	if err != nil || len(pages) != 1 {
		t.Fatalf("%d pages, %v; want 1", len(pages), err)
	}
	for _, p := range []*testenv.Process{first, later} {
		if err := p.Wait(20 * time.Second); err != nil {
			t.Errorf("platen scan: %v", err)
		}
	}
	jobs := jobsOn(t, node)
	if len(jobs) != 3 || jobs[0].Pages != 12 || !strings.HasPrefix(jobs[1].Name, "Scan from ") || jobs[2].Pages != 1 {
		t.Fatalf("jobs are %+v, want three, that by eSCL in the middle", jobs)
	}
	inTurn(t, jobs)
	t.Logf("503 after %v; then %v after the first job the eSCL client's turn came, and %v after that the next one's", took.Round(time.Millisecond),
		jobs[1].Started.Sub(jobs[0].Ended.Time).Round(time.Millisecond), jobs[2].Started.Sub(jobs[1].Ended.Time).Round(time.Millisecond))
	if err := a.delete(job); err != nil {
		t.Error(err)
	}
}

// Two computers and the node's own user want the feeder at the same time. All get all.
func threeAtOnce(t *testing.T, node *service, a, b *esclClient) {
	type got struct {
		pages [][]byte
		job   string
		err   error
	}
	results := make(chan got, 2)
	for _, c := range []*esclClient{a, b} {
		go func() {
			var g got
			g.pages, g.job, g.err = c.pages(sheets)
			results <- g
		}()
	}
	own := scanBeside(t, node, "--source adf -r 100 --option sheets=3")
	var all []got
	for range 2 {
		all = append(all, <-results)
	}
	for _, g := range all {
		if g.err != nil || len(g.pages) != 5 {
			t.Errorf("a client got %d pages, %v; want 5", len(g.pages), g.err)
		}
	}
	if len(all[0].pages) == len(all[1].pages) {
		for i := range all[0].pages {
			if !bytes.Equal(all[0].pages[i], all[1].pages[i]) {
				t.Errorf("page %d is not the same for both", i+1)
			}
		}
	}
	if err := own.Wait(30 * time.Second); err != nil {
		t.Errorf("platen scan: %v", err)
	}
	jobs := jobsOn(t, node)
	if len(jobs) != 3 {
		t.Fatalf("there are %d jobs, want 3", len(jobs))
	}
	slices.SortFunc(jobs, func(a, b scan.Job) int { return a.Started.Compare(b.Started.Time) }) // those that came at once take any turn
	inTurn(t, jobs)
	for _, g := range all {
		if err := a.delete(g.job); err != nil { // who knows the name may
			t.Error(err)
		}
	}
}

// A page that was not taken to its end is handed out again, the same.
func cutOff(t *testing.T, node *service, a, _ *esclClient) {
	job, err := a.scan(settingsOf(escl.FromPlaten, escl.RGB24, 600))
	if err != nil {
		t.Fatal(err)
	}
	awaitJobs(t, node, "the page is there", func(jobs []scan.Job) bool { return len(jobs) == 1 && jobs[0].Pages == 1 })
	var head []byte
	for range 3 {
		if head, err = a.begin(job, 20_000); err != nil {
			t.Fatal(err)
		}
	}
	// The node hears of the end of a connection when it writes the next time.
	testenv.Eventually(t, "the retries are counted", 15*time.Second, func() bool {
		j := a.told(t, job)
		return j.Retries == 3 && j.ToTransfer == 1
	})
	page, err := a.next(job)
	if err != nil || len(page) < 2*len(head) || !bytes.HasPrefix(page, head) {
		t.Errorf("after three ends in mid-page %d bytes, %v; want a page that begins as before", len(page), err)
	}
	_, again, err := a.send(http.MethodGet, job+"/1", nil, nil)
	if err != nil || !bytes.Equal(again, page) {
		t.Errorf("the page once more has %d bytes, %v; want the same %d", len(again), err, len(page))
	}
	if page, err = a.next(job); page != nil || err != nil {
		t.Errorf("after the page there are %d bytes more, %v", len(page), err)
	}
	if err := a.delete(job); err != nil {
		t.Error(err)
	}
}

// Cancelling frees the scanner for who waits.
func cancelFrees(t *testing.T, node *service, a, b *esclClient) {
	job, err := a.scan(settingsOf(escl.FromFeeder, escl.Grayscale8, 300)) // 7 seconds
	if err != nil {
		t.Fatal(err)
	}
	if page, err := a.next(job); err != nil || page == nil {
		t.Fatalf("the first page has %d bytes, %v", len(page), err)
	}
	waiting := scanBeside(t, node, "--source platen -r 100")
	awaitJobs(t, node, "another waits", func(jobs []scan.Job) bool { return len(jobs) == 2 && jobs[1].State == scan.JobPending })
	begin := time.Now()
	if err := a.delete(job); err != nil {
		t.Fatal(err)
	}
	if err := waiting.Wait(10 * time.Second); err != nil {
		t.Errorf("platen scan: %v", err)
	}
	took := time.Since(begin)
	t.Logf("from DELETE to the end of the next scan, which takes 0.6s: %v", took.Round(time.Millisecond))
	if took > 4*time.Second {
		t.Errorf("the scanner was free for another only after %v", took)
	}
	if j := a.told(t, job); j.State != escl.JobCanceled {
		t.Errorf("of the job is told %+v, want that it is canceled", j)
	}
	if page, err := a.next(job); page != nil {
		t.Errorf("a canceled job gives %d bytes more, %v", len(page), err)
	}
	if pages, job, err := b.pages(one); err != nil || len(pages) != 1 {
		t.Errorf("another computer got %d pages, %v", len(pages), err)
	} else if err := b.delete(job); err != nil {
		t.Error(err)
	}
}

// A client that only ever takes pages leaves a scanner that is idle, and ended jobs.
func neverDeletes(t *testing.T, node *service, a, b *esclClient) {
	var taken []string
	for range 3 {
		pages, job, err := a.pages(one)
		if err != nil || len(pages) != 1 {
			t.Fatalf("%d pages, %v; want 1", len(pages), err)
		}
		taken = append(taken, job)
	}
	awaitJobs(t, node, "all have ended", func(jobs []scan.Job) bool {
		return len(jobs) == 3 && !slices.ContainsFunc(jobs, func(j scan.Job) bool { return j.State != scan.JobCompleted })
	})
	if s := b.status(t); s.State != escl.Idle {
		t.Errorf("the scanner is %s", s.State)
	}
	for _, job := range taken {
		if j := a.told(t, job); j.State != escl.JobCompleted || j.ToTransfer != 0 {
			t.Errorf("of a job is told %+v, want that it is completed", j)
		}
	}
}

// A node that is killed in the middle of a client's job comes back with an idle scanner
// at the same port, and no job waits for ever.
func TestKilledInESCLJob(t *testing.T) {
	n := testenv.NewNeighbours(t, testenv.SANEConfig(t, 1), "PLATEN_NODE_DRIVERS=virtual,sane")
	ports := func() map[int]string {
		names := map[int]string{}
		for _, port := range []int{testenv.ESCLPort, testenv.ESCLPort + 2} {
			caps := newESCLClient(t, n.Computer, n.Addr, port).ready(t)
			names[port] = cmp.Or(caps.UUID, "none") + " " + caps.MakeAndModel
		}
		return names
	}
	before := ports()
	at := slices.IndexFunc([]string{before[testenv.ESCLPort], before[testenv.ESCLPort+2]}, func(s string) bool { return strings.Contains(s, "Virtual") })
	if at < 0 {
		t.Fatalf("the virtual scanner is not among %v", before)
	}
	c := newESCLClient(t, n.Computer, n.Addr, testenv.ESCLPort+2*at)
	job, err := c.scan(settingsOf(escl.FromFeeder, escl.Grayscale8, 300))
	if err != nil {
		t.Fatal(err)
	}
	if page, err := c.next(job); err != nil || page == nil {
		t.Fatalf("the first page has %d bytes, %v", len(page), err)
	}
	waits := make(chan error, 1)
	go func() {
		_, err := c.post(one)
		waits <- err
	}()
	n.Node.AwaitJob("another job waits", func(j scan.Job) bool { return j.State == scan.JobPending })
	n.Node.Signal(syscall.SIGKILL)
	if err := <-waits; err == nil {
		t.Error("a request that was held outlived the node")
	}
	n.Node.Kill()

	begin := time.Now()
	n.Node.Start()
	n.Node.Await(testenv.ReadyLine, testenv.StartTimeout)
	if after := ports(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("scanners are at %v, before the end at %v", after, before)
	}
	t.Logf("from the start to both scanners answering again: %v", time.Since(begin).Round(time.Millisecond))
	testenv.Eventually(t, "the scanner is idle", 10*time.Second, func() bool { return c.status(t).State == escl.Idle })
	if page, err := c.next(job); page != nil || err != nil {
		t.Errorf("the job of before gives %d bytes, %v; want 404", len(page), err)
	}
	for _, j := range n.Node.Jobs() {
		t.Logf("job of before: %s %v, %d pages, waits until %v", j.State, j.Reasons, j.Pages, j.Deadline)
		if !j.State.Terminal() && j.Deadline.IsZero() {
			t.Errorf("a job waits for ever: %+v", j)
		}
	}
	if pages, _, err := c.pages(one); err != nil || len(pages) != 1 {
		t.Errorf("after the restart %d pages, %v; want 1", len(pages), err)
	}
}
