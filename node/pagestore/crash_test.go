package pagestore

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// Crash tests run this test binary again as a node that scans until it is killed,
// by itself before a file operation or by the parent at any moment.
const (
	crashDirEnv  = "PAGESTORE_CRASH_DIR"
	crashStepEnv = "PAGESTORE_CRASH_STEP" // index of the file operation to die before; empty: none
)

// crashItem is the licence under which all that crashes is scanned.
const crashItem = "crash"

// crashChild scans for ever and says what it has done, each line once it is true.
func crashChild(dir string) int {
	step := -1
	if v := os.Getenv(crashStepEnv); v != "" {
		step, _ = strconv.Atoi(v)
	}
	armed, ops := false, 0
	die := func(op, string) error {
		if armed && ops == step {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		if armed {
			ops++
		}
		return nil
	}
	ctx := context.Background()
	s, _, err := open(ctx, Config{Dir: dir, NodeID: testNode, Reserve: 1 << 20}, migrations, die)
	if err != nil {
		fmt.Println("failed", err)
		return 1
	}
	armed = true
	fmt.Println("open")
	for {
		if err := crashJob(ctx, s); err != nil {
			fmt.Println("failed", err)
			return 1
		}
	}
}

func crashJob(ctx context.Context, s *Store) error {
	block := fmt.Sprint("block", rand.IntN(5)) // some come again, which gives nothing
	job, _, err := s.CreateJob(ctx, NewJob{
		Scanner: testScanner, Owner: owner, Name: "crash", License: &License{Item: crashItem, Project: "P", Origin: "https://app.example", Client: "c", Paged: true},
		Blocks: []Block{{ID: block, Item: crashItem, Pages: 1000, Over: 10, Until: time.Now().Add(time.Hour)}},
	})
	if err != nil {
		return err
	}
	if _, err := s.UpdateJob(ctx, job.ID, func(j *scan.Job) error { j.State = scan.JobProcessing; return nil }); err != nil {
		return err
	}
	for range 1 + rand.IntN(4) {
		w, err := s.BeginPage(ctx, start(job.ID, scan.FormatJPEG))
		if err != nil {
			return err
		}
		b := jpegBytes(rand.IntN(200 << 10))
		for i := 0; i < len(b); i += 64 << 10 {
			if _, err := w.Write(b[i:min(i+64<<10, len(b))]); err != nil {
				return err
			}
		}
		p, err := w.Commit(ctx, 0)
		if err != nil {
			return err
		}
		fmt.Println("page", p.Job, p.N, p.Digest)
		f, err := s.Rendition(ctx, p, "small", func(src *os.File, dst io.Writer) error {
			_, err := io.CopyN(dst, src, 3)
			return err
		})
		if err != nil {
			return err
		}
		f.Close()
	}
	if _, err := s.UpdateJob(ctx, job.ID, func(j *scan.Job) error { j.State = scan.JobCompleted; return nil }); err != nil {
		return err
	}
	if rand.IntN(3) > 0 {
		return nil
	}
	fmt.Println("deleting", job.ID)
	if err := s.DeleteJob(ctx, job.ID); err != nil {
		return err
	}
	fmt.Println("deleted", job.ID)
	return nil
}

// scanned is what children have said over all rounds.
type scanned struct {
	pages    map[string]map[int]string // by job, then number: digest
	deleting map[string]bool
}

// run lets a child work until it dies before the file operation that step names, or
// is killed a moment after it has said so many lines.
func (k *scanned) run(t *testing.T, dir, step string, enough int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir, crashStepEnv+"="+step)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var killed chan struct{}
	lines := bufio.NewScanner(out)
	for said := 1; lines.Scan(); said++ {
		if said == enough {
			killed = make(chan struct{})
			time.AfterFunc(rand.N(3*time.Millisecond), func() {
				cmd.Process.Kill()
				close(killed)
			})
		}
		f := strings.Fields(lines.Text())
		switch f[0] {
		case "open":
		case "page":
			if k.pages[f[1]] == nil {
				k.pages[f[1]] = map[int]string{}
			}
			n, _ := strconv.Atoi(f[2])
			k.pages[f[1]][n] = f[3]
		case "deleting":
			k.deleting[f[1]] = true
		case "deleted":
			delete(k.pages, f[1])
			delete(k.deleting, f[1])
		default:
			t.Errorf("a child says: %s", lines.Text())
		}
	}
	err = cmd.Wait()
	if killed != nil {
		<-killed
	}
	if state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || state.Signal() != syscall.SIGKILL {
		t.Fatalf("a child ended with %v, want it killed", err)
	}
}

// check opens what a dead child has left, then leaves it as it is for the next.
func (k *scanned) check(t *testing.T, dir string) {
	t.Helper()
	s, r, err := open(t.Context(), testConfig(t, dir), migrations, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.release(); err != nil { // without Close, so that every check is after a crash
			t.Error(err)
		}
	}()
	if r.Clean || len(r.Lost) > 0 {
		t.Errorf("Recovery = %+v, want an unclean end and nothing lost", r)
	}
	for id := range k.deleting {
		if _, _, err := s.Job(t.Context(), id); err != nil {
			delete(k.pages, id)
		}
		delete(k.deleting, id)
	}
	var want []stored
	for job, pages := range k.pages {
		have, _, err := s.Job(t.Context(), job)
		if err != nil {
			t.Fatalf("job %s: %v", job, err)
		}
		// A page may have been committed in the instant before its announcement.
		if last := len(pages) + 1; have.Pages == last {
			p, _, err := s.Page(t.Context(), job, last)
			if err != nil {
				t.Fatal(err)
			}
			pages[last] = p.Digest
		}
		for n, digest := range pages {
			want = append(want, stored{job, n, digest})
		}
	}
	// So may the first page of a job.
	jobs, _, err := s.Jobs(t.Context(), JobFilter{}, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(jobs) > 0 && jobs[0].Pages == 1 && k.pages[jobs[0].ID] == nil {
		p, _, err := s.Page(t.Context(), jobs[0].ID, 1)
		if err != nil {
			t.Fatal(err)
		}
		k.pages[p.Job] = map[int]string{1: p.Digest}
		want = append(want, stored{p.Job, 1, p.Digest})
	}
	checkStored(t, s, want)
	checkMeter(t, s)
	for _, j := range r.Unfinished {
		if j.State != scan.JobPending && j.State != scan.JobStopped {
			t.Errorf("job %s was left %s", j.ID, j.State)
		}
	}
}

func TestKilledBeforeEveryStep(t *testing.T) {
	dir := t.TempDir()
	k := &scanned{map[string]map[int]string{}, map[string]bool{}}
	for step := range 20 {
		k.run(t, dir, strconv.Itoa(step), 0)
		k.check(t, dir)
	}
	if len(k.pages) == 0 {
		t.Error("no child ever stored a page")
	}
}

func TestKilledAtRandom(t *testing.T) {
	dir := t.TempDir()
	k := &scanned{map[string]map[int]string{}, map[string]bool{}}
	for said := 1; said <= 15; said++ {
		k.run(t, dir, "", said)
		k.check(t, dir)
	}
	if len(k.pages) == 0 {
		t.Error("no child ever stored a page")
	}
}
