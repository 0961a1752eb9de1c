//go:build unix

package driver_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/driver/drivertest"
	"github.com/platen-scan/platen/proto/scan"
)

// processOf asks a fake device for the process it is in.
func processOf(t *testing.T, w *driver.Worker) int {
	t.Helper()
	st, err := w.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(st.Job)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func wantGone(t *testing.T, w *driver.Worker) {
	t.Helper()
	select {
	case <-w.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the process is still there")
	}
	if _, err := w.Status(t.Context()); !errors.Is(err, driver.ErrWorker) {
		t.Errorf("Status() of a worker that is gone = %v, want ErrWorker", err)
	}
	if err := w.Scan(t.Context(), quick, new(drivertest.Recorder)); !errors.Is(err, driver.ErrWorker) {
		t.Errorf("Scan() of a worker that is gone = %v, want ErrWorker", err)
	}
}

func wantAborted(t *testing.T, sink *drivertest.Recorder) {
	t.Helper()
	for i, p := range sink.Pages() {
		if p.Committed || p.Aborted == nil {
			t.Errorf("page %d: committed %v, aborted %v; want it aborted", i+1, p.Committed, p.Aborted)
		}
	}
}

func TestWorkerKilledInMidPage(t *testing.T) {
	w := mustOpen(t, workers(t), "plain")
	pid := processOf(t, w)
	sink := countingSink(func() { syscall.Kill(pid, syscall.SIGKILL) })
	err := w.Scan(t.Context(), quick, sink)
	var failed *driver.WorkerError
	if !errors.As(err, &failed) || failed.Reason != scan.ReasonDriverFailed {
		t.Errorf("Scan() = %v, want a *WorkerError for driver-failed", err)
	}
	if len(sink.Pages()) == 0 {
		t.Error("no page was under way")
	}
	wantAborted(t, sink)
	wantGone(t, w)
	again := mustOpen(t, workers(t), "plain")
	if err := again.Scan(t.Context(), quick, new(drivertest.Recorder)); err != nil {
		t.Errorf("Scan() by a new worker = %v", err)
	}
}

func TestWorkerStoppedInMidPage(t *testing.T) {
	set := workers(t)
	set.Limits = driver.Limits{Silent: 200 * time.Millisecond, Grace: 200 * time.Millisecond}
	w := mustOpen(t, set, "plain")
	pid := processOf(t, w)
	sink := countingSink(func() { syscall.Kill(pid, syscall.SIGSTOP) })
	if err := w.Scan(t.Context(), quick, sink); !errors.Is(err, driver.ErrWorker) {
		t.Errorf("Scan() = %v, want ErrWorker", err)
	}
	wantAborted(t, sink)
	wantGone(t, w)
}

func TestCrash(t *testing.T) {
	w, err := workers(t).Open(t.Context(), driver.DeviceInfo{Driver: "virtual", Name: "virtual:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	caps, err := w.Capabilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	settings, err := caps.Resolve(scan.Settings{Resolution: 75, Options: map[string]string{"pace": "off", "fault": "crash"}})
	if err != nil {
		t.Fatal(err)
	}
	var sink drivertest.Recorder
	err = w.Scan(t.Context(), settings, &sink)
	var failed *driver.WorkerError
	if !errors.As(err, &failed) || !strings.Contains(failed.Stderr, "goroutine") {
		t.Errorf("Scan() = %v, with %q; want a *WorkerError with the trace", err, failed.Stderr)
	}
	wantAborted(t, &sink)
	wantGone(t, w)
}

func TestSilentDevice(t *testing.T) {
	for _, name := range []string{"stuck", "hangs"} { // deaf for Cancel, or not
		t.Run(name, func(t *testing.T) {
			set := workers(t)
			set.Limits = driver.Limits{Silent: 200 * time.Millisecond, Grace: 300 * time.Millisecond}
			w := mustOpen(t, set, name)
			var sink drivertest.Recorder
			start := time.Now()
			if err := w.Scan(t.Context(), quick, &sink); !errors.Is(err, driver.ErrWorker) {
				t.Errorf("Scan() = %v, want ErrWorker", err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("the watchdog took %v", took)
			}
			wantAborted(t, &sink)
			wantGone(t, w)
		})
	}
}

// TestBlockedSink holds the page longer than the watchdog would wait for a device.
func TestBlockedSink(t *testing.T) {
	set := workers(t)
	set.Limits = driver.Limits{Silent: time.Second, Grace: 100 * time.Millisecond}
	w := mustOpen(t, set, "plain")
	blocked := time.NewTimer(2 * time.Second)
	writes := 0
	sink := countingSink(func() {
		if writes++; writes == 1 {
			<-blocked.C
		}
	})
	if err := w.Scan(t.Context(), quick, sink); err != nil {
		t.Fatalf("Scan() = %v", err)
	}
	if len(sink.Committed()) != 1 {
		t.Error("the page was not committed")
	}
}

// TestGiveUp cancels a job that a jam has stopped: the next one begins with a full feeder.
func TestGiveUp(t *testing.T) {
	w, err := workers(t).Open(t.Context(), driver.DeviceInfo{Driver: "virtual", Name: "virtual:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	caps, err := w.Capabilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	settings, err := caps.Resolve(scan.Settings{
		Source: scan.SourceADF, Resolution: 75,
		Options: map[string]string{"pace": "off", "fault": "jam", "fault-page": "3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var sink drivertest.Recorder
		var stop *driver.Stop
		if err := w.Scan(t.Context(), settings, &sink); !errors.As(err, &stop) || stop.Reason != scan.ReasonJam {
			t.Errorf("Scan() = %v, want a jam", err)
		}
		if st, err := w.Status(t.Context()); err != nil || st.State != scan.ScannerStopped {
			t.Errorf("Status() after a jam = %+v, %v; want it stopped", st, err)
		}
		if got := len(sink.Committed()); got != 2 {
			t.Errorf("%d pages before the jam at page 3", got)
		}
		w.Cancel()
	}
	if st, err := w.Status(t.Context()); err != nil || st.State != scan.ScannerIdle {
		t.Errorf("Status() after giving up = %+v, %v; want it idle", st, err)
	}
}

func TestCancelDeafDevice(t *testing.T) {
	w := mustOpen(t, workers(t), "stuck")
	const quiet = 300 * time.Millisecond
	canceled := make(chan time.Time, 1)
	stuck := time.AfterFunc(time.Minute, func() {
		canceled <- time.Now()
		w.Cancel()
	})
	defer stuck.Stop()
	sink := countingSink(func() { stuck.Reset(quiet) })
	if err := w.Scan(t.Context(), quick, sink); !errors.Is(err, context.Canceled) {
		t.Errorf("Scan() = %v, want context.Canceled", err)
	}
	if took := time.Since(<-canceled); took > 2*time.Second {
		t.Errorf("Scan() returned %v after Cancel, want at most 2 s", took)
	}
	wantAborted(t, sink)
	wantGone(t, w)
}

func TestBadPages(t *testing.T) {
	for name, want := range map[string]scan.Reason{
		"short": scan.ReasonShortPage, "part-of-a-row": scan.ReasonShortPage, "long": scan.ReasonShortPage, "empty": scan.ReasonShortPage,
		"huge": scan.ReasonUnsupported, "wide": scan.ReasonUnsupported,
	} {
		t.Run(name, func(t *testing.T) {
			w := mustOpen(t, workers(t), name)
			var sink drivertest.Recorder
			err := w.Scan(t.Context(), quick, &sink)
			var stop *driver.Stop
			if !errors.As(err, &stop) || stop.Reason != want {
				t.Errorf("Scan() = %v, want a stop for %s", err, want)
			}
			wantAborted(t, &sink)
			if _, err := w.Status(t.Context()); err != nil {
				t.Errorf("Status() afterwards = %v", err)
			}
		})
	}
}

func TestUnknownHeight(t *testing.T) {
	w := mustOpen(t, workers(t), "unknown-height")
	var sink drivertest.Recorder
	if err := w.Scan(t.Context(), quick, &sink); err != nil {
		t.Fatal(err)
	}
	p := sink.Committed()[0]
	if got := p.Decode(t).Bounds().Dy(); p.Height != 777 || got != 777 {
		t.Errorf("committed with %d rows, its file has %d, want 777", p.Height, got)
	}
}

func TestNoise(t *testing.T) {
	var log bytes.Buffer
	set := workers(t)
	set.Log = slog.New(slog.NewTextHandler(&log, nil))
	for _, name := range []string{"noisy", "flood"} {
		w := mustOpen(t, set, name)
		if err := w.Scan(t.Context(), quick, new(drivertest.Recorder)); err != nil {
			t.Errorf("Scan() of a %s device = %v", name, err)
		}
		w.Close()
	}
	if !strings.Contains(log.String(), "a back end that prints") {
		t.Errorf("what was printed is not in the log: %q", log.String())
	}
	if log.Len() > 64<<10 {
		t.Errorf("%d bytes of noise are in the log", log.Len())
	}
}

func TestBadPrograms(t *testing.T) {
	for _, program := range []string{"mute", "dying", "nonsense", "future"} {
		t.Run(program, func(t *testing.T) {
			set := workers(t)
			set.Env = []string{"DRIVER_TEST_PROGRAM=" + program, quickExit}
			set.Limits = driver.Limits{Start: 500 * time.Millisecond}
			if _, err := set.Devices(t.Context(), "virtual"); !errors.Is(err, driver.ErrWorker) {
				t.Errorf("Devices() = %v, want ErrWorker", err)
			}
			if _, err := open(t.Context(), set, "plain"); !errors.Is(err, driver.ErrWorker) {
				t.Errorf("Open() = %v, want ErrWorker", err)
			}
		})
	}
	set := driver.Workers{Path: "/nonexistent/platen-driver"}
	if _, err := set.Devices(t.Context(), "virtual"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Devices() without a program = %v", err)
	}
}

func TestUnknownDriver(t *testing.T) {
	var missing *driver.Missing
	if _, err := workers(t).Devices(t.Context(), "twain"); !errors.As(err, &missing) || missing.Driver != "twain" {
		t.Errorf("Devices() of an unknown driver = %v, want *Missing", err)
	}
}

func TestStuckOpen(t *testing.T) {
	set := workers(t)
	set.Limits = driver.Limits{Open: 200 * time.Millisecond}
	if _, err := open(t.Context(), set, "stuck-open"); !errors.Is(err, driver.ErrWorker) {
		t.Errorf("Open() = %v, want ErrWorker", err)
	}
}

func TestAskLimits(t *testing.T) {
	set := workers(t)
	set.Limits = driver.Limits{Ask: 200 * time.Millisecond}
	w := mustOpen(t, set, "stuck")
	if _, err := w.Capabilities(t.Context()); !errors.Is(err, driver.ErrWorker) {
		t.Errorf("Capabilities() = %v, want ErrWorker", err)
	}
	wantGone(t, w)
}

// TestImpatientCaller gives up on an answer; the worker does not suffer by it.
func TestImpatientCaller(t *testing.T) {
	w := mustOpen(t, workers(t), "slow-capabilities")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.Capabilities(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Capabilities() = %v, want the context's error", err)
	}
	if err := w.Scan(t.Context(), quick, new(drivertest.Recorder)); err != nil {
		t.Errorf("Scan() afterwards = %v", err)
	}
}

func TestStuckClose(t *testing.T) {
	set := workers(t)
	set.Limits = driver.Limits{Close: 200 * time.Millisecond}
	w := mustOpen(t, set, "stuck-close")
	start := time.Now()
	w.Close()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("Close() took %v", took)
	}
	wantGone(t, w)
}

// TestDepth tries to have a worker in a worker, by each way there is.
func TestDepth(t *testing.T) {
	devices, err := workers(t).Devices(t.Context(), "fake")
	if err != nil || !strings.Contains(devices[0].Title, "a worker has none") {
		t.Errorf("Devices() in a worker = %v, %v; want it refused", devices, err)
	}
	for _, depth := range []string{"", "PLATEN_WORKER_DEPTH=0", "PLATEN_WORKER_DEPTH=2", "PLATEN_WORKER_DEPTH=x"} {
		cmd := exec.CommandContext(t.Context(), workers(t).Path, "worker", "virtual")
		cmd.Env = append(os.Environ(), depth)
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 {
			t.Errorf("a worker with %q ended with %v, want status 2", depth, err)
		}
	}
}

// TestNodeKilled kills a node; its worker must not outlive it.
func TestNodeKilled(t *testing.T) {
	cmd := exec.Command(workers(t).Path)
	cmd.Env = append(os.Environ(), "DRIVER_TEST_PROGRAM=node")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Fields(line)[0])
	if err != nil {
		t.Fatalf("the node said %q", line)
	}
	cmd.Process.Kill()
	cmd.Wait()
	deadline := time.After(5 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for syscall.Kill(pid, 0) == nil && !zombie(pid) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("worker %d outlived its node", pid)
		}
	}
}

// TestNodeStopped stops a node, not its worker, for longer than a device may be silent: the
// scan goes on afterwards.
func TestNodeStopped(t *testing.T) {
	cmd := exec.Command(workers(t).Path)
	cmd.Env = append(os.Environ(), "DRIVER_TEST_PROGRAM=scanning node")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(out)
	if line, err := said.ReadString('\n'); line != "begun\n" {
		t.Fatalf("the node said %q, %v", line, err)
	}
	syscall.Kill(cmd.Process.Pid, syscall.SIGSTOP)
	<-time.After(4 * time.Second)
	syscall.Kill(cmd.Process.Pid, syscall.SIGCONT)
	rest, _ := io.ReadAll(said)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the scan of a node that stood still ended with %v: %s", err, rest)
	}
}

// zombie reports whether a process has ended and nobody has asked how.
func zombie(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || bytes.Contains(b, []byte(") Z "))
}
