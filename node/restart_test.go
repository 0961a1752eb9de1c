package node

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// TestRestart ends a node in mid-page: the next one has the whole pages, feeds nothing
// by itself, and goes on from there when it is told to.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDevice("one")
		d.scan = batches(func(b *fakeBatch) error {
			if err := b.pages(2); err != nil {
				return err
			}
			if _, err := b.half(3); err != nil {
				return err
			}
			return b.hang()
		}, then(2, nil), then(1, nil))
		g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}}).start().found()
		scanner := d.id(g.node.id)
		under := g.submit(scanner, request(scan.SourceADF, 0))
		queued := g.submit(scanner, request(scan.SourceADF, 0))
		synctest.Wait()
		if got := g.job(under.ID); got.Growing != 3 || got.Pages != 2 {
			t.Fatalf("job has %d pages and page %d grows, want 2 and page 3", got.Pages, got.Growing)
		}
		began := time.Now()
		g.stop()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("stopping took %v", took)
		}

		time.Sleep(time.Minute)
		g.start().found()
		defer g.stop()
		got := g.reaches(under.ID, scan.JobStopped, scan.ReasonInterrupted)
		if got.Pages != 2 || got.Growing != 0 || got.Deadline.IsZero() {
			t.Errorf("job = %+v, want 2 pages and a deadline", got)
		}
		if list := get[api.PageList](g, "/api/v1/jobs/"+under.ID+"/pages"); len(list.Items) != 2 {
			t.Errorf("%d pages are listed, want 2", len(list.Items))
		}
		g.reaches(queued.ID, scan.JobHeld, scan.ReasonInterrupted)
		time.Sleep(5 * time.Minute)
		if _, _, _, batches := d.counts(); batches != 1 {
			t.Fatalf("device scanned %d batches, want no other than before the restart", batches)
		}

		decode[scan.Job](t, g.command(under.ID, "resume"), http.StatusOK)
		synctest.Wait()
		if got := g.reaches(under.ID, scan.JobCompleted); got.Pages != 4 {
			t.Errorf("job has %d pages, want 4", got.Pages)
		}
		decode[scan.Job](t, g.command(queued.ID, "resume"), http.StatusOK)
		synctest.Wait()
		if got := g.reaches(queued.ID, scan.JobCompleted); got.Pages != 1 {
			t.Errorf("queued job has %d pages, want 1", got.Pages)
		}
	})
}

// TestTimersSurviveRestart lets jobs of before the restart wait no longer than they may.
func TestTimersSurviveRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDevice("one")
		d.scan = batches(inMidPage(1, stop(scan.ReasonJam)), then(1, nil))
		g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}}).start().found()
		scanner := d.id(g.node.id)
		stopped := g.submit(scanner, request(scan.SourceADF, 0))
		queued := g.submit(scanner, request(scan.SourceADF, 0))
		synctest.Wait()
		g.stop()
		g.start().found()
		g.reaches(stopped.ID, scan.JobStopped, scan.ReasonInterrupted)
		g.reaches(queued.ID, scan.JobHeld, scan.ReasonInterrupted)
		time.Sleep(scan.HeldTimer - time.Minute)
		g.stop()
		g.start().found()
		defer g.stop()
		g.reaches(queued.ID, scan.JobHeld, scan.ReasonInterrupted)
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		g.reaches(queued.ID, scan.JobCanceled, scan.ReasonInterrupted, scan.ReasonTimedOut)
		time.Sleep(scan.InterruptedTimer)
		synctest.Wait()
		if got := g.reaches(stopped.ID, scan.JobCompleted, scan.Partial(scan.ReasonInterrupted), scan.ReasonTimedOut); got.Pages != 1 {
			t.Errorf("job has %d pages, want 1", got.Pages)
		}
	})
}

// TestRestartWithoutTheScanner keeps the jobs of a device that is not there any more:
// they can be canceled and they end, but they cannot go on.
func TestRestartWithoutTheScanner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDevice("one")
		d.scan = inMidPage(1, stop(scan.ReasonJam))
		g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}}).start().found()
		scanner := d.id(g.node.id)
		a := g.submit(scanner, request(scan.SourceADF, 0))
		synctest.Wait()
		g.stop()
		d.hidden = true
		g.start().found()
		defer g.stop()
		if l := get[api.ScannerList](g, "/api/v1/scanners"); len(l.Items) != 0 {
			t.Errorf("scanners = %+v, want none", l.Items)
		}
		g.ask(http.MethodGet, "/api/v1/scanners/"+scanner, "").wants(t, problem.NotFound, "")
		g.command(a.ID, "resume").wants(t, problem.ScannerOffline, "")
		g.reaches(a.ID, scan.JobStopped, scan.ReasonInterrupted)
		if got := decode[scan.Job](t, g.command(a.ID, "finish"), http.StatusOK); got.State != scan.JobCompleted || got.Pages != 1 {
			t.Errorf("finished job is %s with %d pages, want completed with 1", got.State, got.Pages)
		}
	})
}

func TestEventIDsOfAnotherStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDevice("one")
		g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}}).start().found()
		j := g.submit(d.id(g.node.id), request(scan.SourcePlaten, 0))
		events, _ := g.events("/api/v1/jobs/" + j.ID + "/events")
		g.stop()
		g.start()
		defer g.stop()
		for _, path := range []string{"/api/v1/jobs/" + j.ID + "/events", "/api/v1/events"} {
			g.ask(http.MethodGet, path, "", "Last-Event-ID", events[0].ID).wants(t, problem.EventsGone, "")
		}
		again, _ := g.events("/api/v1/jobs/" + j.ID + "/events")
		if got, want := fmt.Sprint(words(again)), "[job-state completed [] 1]"; got != want {
			t.Errorf("events of an ended job = %s, want %s", got, want)
		}
	})
}

// TestNotYetServing answers nothing before the jobs of the last process are put right.
func TestNotYetServing(t *testing.T) {
	g := newRig(t, &fakeWorkers{}).start()
	g.stop()
	a := g.ask(http.MethodGet, "/api/v1/jobs", "")
	a.wants(t, problem.Unavailable, "")
	if a.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// TestRestartOfESCL ends what eSCL clients left, also where its scanner is gone: nobody
// comes back for it. What others left waits.
func TestRestartOfESCL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newFakeDevice("one"), newFakeDevice("two")
		one.scan = func(b *fakeBatch) error {
			if err := b.pages(2); err != nil {
				return err
			}
			if _, err := b.half(3); err != nil {
				return err
			}
			return b.hang()
		}
		two.scan = inMidPage(1, stop(scan.ReasonJam))
		g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": one, "two": two}}).start().found()
		client := g.node.API(neighbour)
		settings := scan.Settings{Source: scan.SourceADF, Resolution: 75}
		under := submitInside(t, client, one.id(g.node.id), settings)
		queued := submitInside(t, client, one.id(g.node.id), settings)
		stopped := submitInside(t, client, two.id(g.node.id), settings)
		waits := g.submit(two.id(g.node.id), request(scan.SourceADF, 0))
		decode[scan.Scanner](t, g.ask(http.MethodPatch, "/api/v1/scanners/"+two.id(g.node.id), `{"hold":true}`), http.StatusOK)
		held := submitInside(t, client, two.id(g.node.id), settings)
		synctest.Wait()
		g.reaches(under.ID, scan.JobProcessing)
		g.reaches(queued.ID, scan.JobPending)
		g.reaches(stopped.ID, scan.JobStopped, scan.ReasonJam)
		g.reaches(held.ID, scan.JobHeld, scan.ReasonHeldForOwner)
		g.stop()
		two.hidden = true
		g.start().found()
		defer g.stop()
		synctest.Wait()
		for _, j := range []scan.Job{under, queued, stopped, held} {
			g.reaches(j.ID, scan.JobCanceled, scan.ReasonInterrupted)
			for _, p := range get[api.PageList](g, "/api/v1/jobs/"+j.ID+"/pages").Items {
				if p.State != scan.PageWiped {
					t.Errorf("page %d is %s, want it wiped", p.N, p.State)
				}
			}
		}
		g.reaches(waits.ID, scan.JobHeld, scan.ReasonInterrupted)
	})
}
