package node

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestWorkerIsKeptForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, d, scanner := oneDevice(t, nil)
		defer g.stop()
		opened := func(want int) {
			t.Helper()
			if got, _, _, _ := d.counts(); got != want {
				t.Errorf("device was opened %d times, want %d", got, want)
			}
		}
		opened(0) // looking for devices opens none
		for range 3 {
			j := g.submit(scanner, request(scan.SourcePlaten, 0))
			synctest.Wait()
			g.reaches(j.ID, scan.JobCompleted)
			time.Sleep(keepWorker - time.Second)
		}
		opened(1)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, closed, _, _ := d.counts(); closed != 1 {
			t.Errorf("worker was ended %d times after a minute without work, want once", closed)
		}
		g.submit(scanner, request(scan.SourcePlaten, 0))
		synctest.Wait()
		opened(2)
	})
}

func TestFreshWorkerAfterCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, d, scanner := oneDevice(t, batches(inMidPage(1, errFakeCrash), then(2, nil)))
		defer g.stop()
		j := g.submit(scanner, request(scan.SourceADF, 0))
		synctest.Wait()
		g.reaches(j.ID, scan.JobCompleted, scan.Partial(scan.ReasonDriverFailed))
		next := g.submit(scanner, request(scan.SourceADF, 0))
		synctest.Wait()
		g.reaches(next.ID, scan.JobCompleted)
		if opened, closed, _, _ := d.counts(); opened != 2 || closed != 1 {
			t.Errorf("device was opened %d times and closed %d times, want 2 and 1", opened, closed)
		}
	})
}

func TestQuarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, d, scanner := oneDevice(t, batches(inMidPage(0, errFakeCrash), inMidPage(0, errFakeCrash), inMidPage(0, errFakeCrash), then(1, nil)))
		defer g.stop()
		var jobs []scan.Job
		for range crashLimit + 2 {
			jobs = append(jobs, g.submit(scanner, request(scan.SourceADF, 0)))
		}
		time.Sleep(time.Minute) // the pauses between starts
		synctest.Wait()
		for _, j := range jobs {
			g.reaches(j.ID, scan.JobAborted, scan.ReasonDriverFailed)
		}
		if _, _, _, batches := d.counts(); batches != crashLimit {
			t.Errorf("driver was tried %d times, want %d", batches, crashLimit)
		}
		s := get[scan.Scanner](g, "/api/v1/scanners/"+scanner)
		if s.Status.State != scan.ScannerStopped || fmt.Sprint(s.Status.Reasons) != "[driver-failed]" {
			t.Errorf("scanner = %+v, want stopped, driver-failed", s.Status)
		}
		a := g.ask(http.MethodPost, "/api/v1/scanners/"+scanner+"/jobs", request(scan.SourceADF, 0), "Idempotency-Key", newKey())
		a.wants(t, problem.DriverFailed, "")
		if a.Header().Get("Retry-After") == "" {
			t.Error("refusal without Retry-After")
		}
		time.Sleep(crashWindow)
		synctest.Wait()
		j := g.submit(scanner, request(scan.SourceADF, 0))
		synctest.Wait()
		g.reaches(j.ID, scan.JobCompleted)
	})
}

func TestCrashWhileAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, d, scanner := oneDevice(t, nil)
		defer g.stop()
		d.status = func(context.Context) (scan.Status, error) { return scan.Status{}, errFakeCrash }
		for range crashLimit {
			decode[scan.Status](t, g.ask(http.MethodGet, "/api/v1/scanners/"+scanner+"/status", ""), http.StatusOK)
			time.Sleep(10 * time.Second)
		}
		if s := get[scan.Status](g, "/api/v1/scanners/"+scanner+"/status"); s.State != scan.ScannerStopped {
			t.Errorf("scanner = %+v, want stopped", s)
		}
	})
}

// TestStatusIsAsked sees the feeder, asks not more than once a second and never in a scan.
func TestStatusIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, d, scanner := oneDevice(t, func(b *fakeBatch) error { time.Sleep(time.Minute); return b.pages(1) })
		defer g.stop()
		status := func() scan.Status { return get[scan.Status](g, "/api/v1/scanners/"+scanner+"/status") }
		if s := status(); s.Feeder != scan.FeederLoaded || s.State != scan.ScannerIdle {
			t.Errorf("status = %+v, want idle with a loaded feeder", s)
		}
		for range 5 {
			status()
		}
		if _, _, asked, _ := d.counts(); asked != 1 {
			t.Errorf("device was asked %d times in a second, want once", asked)
		}
		j := g.submit(scanner, request(scan.SourceADF, 0))
		time.Sleep(2 * time.Second)
		if s := status(); s.State != scan.ScannerProcessing || s.Job != j.ID {
			t.Errorf("status = %+v, want processing job %s", s, j.ID)
		}
		if _, _, asked, _ := d.counts(); asked != 1 {
			t.Errorf("device was asked in mid-scan")
		}
		time.Sleep(time.Minute)
		if s := get[scan.Scanner](g, "/api/v1/scanners/"+scanner); s.Status.Feeder != scan.FeederEmpty {
			t.Errorf("after all sheets the feeder is %s, want empty", s.Status.Feeder)
		}
	})
}

// TestHangingDevice does not answer: the client does, after a while.
func TestHangingDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, d, scanner := oneDevice(t, nil)
		defer g.stop()
		d.status = func(ctx context.Context) (scan.Status, error) { time.Sleep(time.Hour); return scan.Status{}, nil }
		began := time.Now()
		get[scan.Status](g, "/api/v1/scanners/"+scanner+"/status")
		if took := time.Since(began); took > askPatient {
			t.Errorf("status took %v, want at most %v", took, askPatient)
		}
		began = time.Now()
		g.ask(http.MethodGet, "/api/v1/scanners/"+scanner+"/capabilities", "").wants(t, problem.ScannerOffline, "")
		if took := time.Since(began); took > learnTime {
			t.Errorf("capabilities took %v, want at most %v", took, learnTime)
		}
		time.Sleep(2 * time.Hour)
	})
}

// TestStoppedDeviceIsWatched shows a person at the device what is still wrong with it.
func TestStoppedDeviceIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, d, scanner := oneDevice(t, inMidPage(1, stop(scan.ReasonCoverOpen)))
		defer g.stop()
		now := scan.Status{State: scan.ScannerStopped, Reasons: []scan.Reason{scan.ReasonCoverOpen}, Feeder: scan.FeederLoaded}
		d.status = func(context.Context) (scan.Status, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			return now, nil
		}
		j := g.submit(scanner, request(scan.SourceADF, 0))
		synctest.Wait()
		g.reaches(j.ID, scan.JobStopped, scan.ReasonCoverOpen)
		view := func() scan.Status { return get[scan.Scanner](g, "/api/v1/scanners/"+scanner).Status }
		time.Sleep(10 * time.Second)
		if s := view(); s.State != scan.ScannerStopped || fmt.Sprint(s.Reasons) != "[cover-open]" {
			t.Errorf("scanner = %+v, want stopped with its cover open", s)
		}
		d.mu.Lock()
		now = scan.Status{State: scan.ScannerIdle, Feeder: scan.FeederEmpty}
		d.mu.Unlock()
		time.Sleep(2 * askStopped)
		synctest.Wait()
		if s := view(); s.State != scan.ScannerProcessing || s.Feeder != scan.FeederEmpty || s.Job != j.ID {
			t.Errorf("scanner = %+v, want nothing wrong but an empty feeder, held by %s", s, j.ID)
		}
		g.reaches(j.ID, scan.JobStopped, scan.ReasonCoverOpen) // nobody said that it may go on
	})
}

func TestListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newFakeDevice("a"), newFakeDevice("b")
		b.hidden = true
		gate := make(chan error)
		w := &fakeWorkers{devices: map[string]*fakeDevice{"a": a, "b": b}}
		w.listing = func(ctx context.Context, _ string) error {
			select {
			case err := <-gate:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		g := newRig(t, w).start()
		defer g.stop()
		list := func() api.ScannerList { return get[api.ScannerList](g, "/api/v1/scanners") }
		if l := list(); !l.Looking || len(l.Items) != 0 || len(l.Faults) != 0 {
			t.Errorf("before the first listing: %+v, want looking", l)
		}
		gate <- nil
		synctest.Wait()
		if l := list(); l.Looking || len(l.Items) != 1 || l.Items[0].ID != a.id(g.node.id) || l.Items[0].Location != "Hall" {
			t.Errorf("after the first listing: %+v, want device a", l)
		}
		ids := []string{a.id(g.node.id)}

		// Asking again makes the driver look again, but not before a moment has passed.
		b.hidden = false
		time.Sleep(lookAgain + time.Second)
		if l := list(); l.Looking {
			t.Errorf("first request after a while: looking, want the answer of before")
		}
		if l := list(); !l.Looking {
			t.Errorf("second request: %+v, want looking", l)
		}
		gate <- nil
		synctest.Wait()
		if l := list(); l.Looking || len(l.Items) != 2 || l.Items[0].ID != ids[0] {
			t.Errorf("with a second device: %+v, want both, the first one first", l)
		}

		// A device that a listing does not have is offline, then gone.
		a.hidden = true
		time.Sleep(lookEvery)
		gate <- nil
		synctest.Wait()
		if s := get[scan.Scanner](g, "/api/v1/scanners/"+ids[0]); s.Status.State != scan.ScannerOffline {
			t.Errorf("missing scanner = %+v, want offline", s.Status)
		}
		g.ask(http.MethodPost, "/api/v1/scanners/"+ids[0]+"/jobs", request(scan.SourcePlaten, 0), "Idempotency-Key", newKey()).
			wants(t, problem.ScannerOffline, "")

		// A driver that fails says so and keeps what it knew.
		time.Sleep(lookEvery)
		gate <- &driver.Missing{Driver: "fake", Hint: "Install libfake."}
		synctest.Wait()
		if l := list(); len(l.Items) != 2 || len(l.Faults) != 1 || l.Faults[0].Reason != "Install libfake." {
			t.Errorf("with a driver missing: %+v, want its hint and both scanners", l)
		}
		for missing := time.Now(); g.node.device(ids[0]) != nil; synctest.Wait() {
			if time.Since(missing) > forgetAfter+2*lookEvery {
				t.Fatal("a device that was not seen for so long is still listed")
			}
			gate <- nil
		}
		g.ask(http.MethodGet, "/api/v1/scanners/"+ids[0], "").wants(t, problem.NotFound, "")
		var gone []string
		notices, _, err := g.node.hub.after(0)
		need(t, err)
		for _, n := range notices {
			if n.event.Type == scan.EventDeviceGone {
				gone = append(gone, n.event.Scanner.ID)
			}
		}
		if fmt.Sprint(gone) != fmt.Sprint(ids) {
			t.Errorf("device-gone for %v, want %v", gone, ids)
		}

		// It comes back as the same scanner.
		a.hidden = false
		gate <- nil
		synctest.Wait()
		if l := list(); len(l.Items) != 2 || l.Items[0].ID != ids[0] || l.Items[0].Status.State != scan.ScannerIdle {
			t.Errorf("after its return: %+v, want the same scanner", l)
		}
	})
}

func TestListingPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fakeWorkers{devices: map[string]*fakeDevice{}}
		for i := range 5 {
			name := fmt.Sprintf("d%d", i)
			w.devices[name] = newFakeDevice(name)
		}
		g := newRig(t, w).start().found()
		defer g.stop()
		var names []string
		for cursor := ""; ; {
			l := get[api.ScannerList](g, "/api/v1/scanners?limit=2&cursor="+cursor)
			for _, s := range l.Items {
				names = append(names, s.Name)
			}
			if cursor = l.Next; cursor == "" {
				break
			}
		}
		if got, want := fmt.Sprint(names), "[Fake d0 Fake d1 Fake d2 Fake d3 Fake d4]"; got != want {
			t.Errorf("names = %s, want %s", got, want)
		}
		g.ask(http.MethodGet, "/api/v1/scanners?cursor=!", "").wants(t, problem.BadRequest, "cursor")
		g.ask(http.MethodGet, "/api/v1/scanners?limit=0", "").wants(t, problem.BadRequest, "limit")
	})
}

// TestListingWaitsForTheScan does not disturb a device at work.
func TestListingWaitsForTheScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDevice("one")
		d.scan = func(b *fakeBatch) error { time.Sleep(5 * time.Minute); return b.pages(1) }
		w := &fakeWorkers{devices: map[string]*fakeDevice{"one": d}}
		g := newRig(t, w).start().found()
		defer g.stop()
		g.submit(d.id(g.node.id), request(scan.SourcePlaten, 0))
		listed := func() int {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.listed
		}
		time.Sleep(4 * time.Minute)
		if n := listed(); n != 1 {
			t.Errorf("driver listed %d times, want once before the scan", n)
		}
		time.Sleep(2 * time.Minute)
		if listed() < 2 {
			t.Errorf("driver did not list after the scan")
		}
	})
}

// TestDiskThatRefuses records a job's states late rather than never, and the device
// goes on afterwards.
func TestDiskThatRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, func(b *fakeBatch) error {
			if err := b.pages(1); err != nil {
				return err
			}
			time.Sleep(10 * time.Second)
			return nil
		})
		defer g.stop()
		var broken atomic.Bool
		real := g.node.update
		g.node.update = func(ctx context.Context, id string, change func(*scan.Job) error) (scan.Job, error) {
			if broken.Load() {
				return scan.Job{}, fmt.Errorf("changing a job: %w", pagestore.ErrStorage)
			}
			return real(ctx, id, change)
		}
		broken.Store(true)
		first, second := g.submit(scanner, request(scan.SourceADF, 0)), g.submit(scanner, request(scan.SourceADF, 0))
		time.Sleep(time.Minute)
		if got := g.job(first.ID); got.State != scan.JobPending {
			t.Errorf("job is %s though nothing could be recorded", got.State)
		}
		g.command(first.ID, "cancel").wants(t, problem.StorageFailed, "")
		broken.Store(false)
		time.Sleep(storeRetry + time.Second)
		if got := g.job(first.ID); got.State != scan.JobProcessing {
			t.Errorf("job is %s once the disk works, want processing", got.State)
		}
		broken.Store(true)
		time.Sleep(time.Minute)
		if got := g.job(first.ID); got.State != scan.JobProcessing {
			t.Errorf("job is %s though its end could not be recorded", got.State)
		} else if !slices.Equal(got.Reasons, []scan.Reason{scan.ReasonStorageFailed}) {
			t.Errorf("job's reasons are %v, want why nothing happens", got.Reasons)
		}
		if s := get[scan.Status](g, "/api/v1/scanners/"+scanner+"/status"); s.State != scan.ScannerStopped || !slices.Contains(s.Reasons, scan.ReasonStorageFailed) {
			t.Errorf("the scanner is %+v, want stopped by its storage", s)
		}
		broken.Store(false)
		time.Sleep(time.Minute)
		g.reaches(first.ID, scan.JobCompleted)
		g.reaches(second.ID, scan.JobCompleted)
		checkWhole(t, g, first.ID)
	})
}

// TestDeviceThatRefuses says in words why a scanner cannot be asked.
func TestDeviceThatRefuses(t *testing.T) {
	for reason, words := range map[scan.Reason]string{
		scan.ReasonBusyOther:    "Another program",
		scan.ReasonAccessDenied: "group scanner",
		scan.ReasonOffline:      "switched on",
	} {
		synctest.Test(t, func(t *testing.T) {
			g, d, scanner := oneDevice(t, nil)
			defer g.stop()
			d.open = func(context.Context) error { return stop(reason) }
			a := g.ask(http.MethodGet, "/api/v1/scanners/"+scanner+"/capabilities", "")
			a.wants(t, problem.ScannerOffline, "")
			if p := problemOf(t, a); !strings.Contains(p.Detail, words) {
				t.Errorf("%s: %q, want words with %q", reason, p.Detail, words)
			}
			want := scan.ScannerOffline
			if reason == scan.ReasonBusyOther {
				want = scan.ScannerStopped
			}
			if s := get[scan.Status](g, "/api/v1/scanners/"+scanner+"/status"); s.State != want {
				t.Errorf("%s: scanner is %s, want %s", reason, s.State, want)
			}
			d.open = nil
			time.Sleep(2 * time.Second)
			if s := get[scan.Status](g, "/api/v1/scanners/"+scanner+"/status"); s.State != scan.ScannerIdle {
				t.Errorf("afterwards the scanner is %+v, want idle", s)
			}
		})
	}
}

// TestOfflineForGood ends the whole queue with the job that waited in vain.
func TestOfflineForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, then(0, stop(scan.ReasonOffline)))
		defer g.stop()
		first, second := g.submit(scanner, request(scan.SourceADF, 0)), g.submit(scanner, request(scan.SourceADF, 0))
		time.Sleep(scan.OfflineTimer + time.Second)
		synctest.Wait()
		g.reaches(first.ID, scan.JobAborted, scan.ReasonOffline, scan.ReasonTimedOut)
		g.reaches(second.ID, scan.JobAborted, scan.ReasonOffline)
	})
}
