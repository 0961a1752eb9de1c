package airscan

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func processing(j *fakeJob) { j.state(scan.JobProcessing) }

// states are those of the fake node's jobs, in their order; "gone" is a deleted one.
func (g *rig) states() string {
	synctest.Wait()
	g.node.mu.Lock()
	defer g.node.mu.Unlock()
	var list []string
	for _, j := range g.node.jobs {
		if j.deleted {
			list = append(list, "gone")
			continue
		}
		list = append(list, string(j.job.State))
	}
	return strings.Join(list, " ")
}

func (g *rig) wantsStates(want string) {
	g.t.Helper()
	if got := g.states(); got != want {
		g.t.Errorf("jobs at the node = %q, want %q", got, want)
	}
}

// TestQueue: a POST waits five seconds; the place is kept ten more for the same client
// with the same settings.
func TestQueue(t *testing.T) {
	withRig(t, func(g *rig) {
		t := g.t
		busy := func(from string, elements ...string) time.Duration {
			t.Helper()
			return g.wants(http.StatusServiceUnavailable, from, "POST", "/eSCL/ScanJobs", settings(elements...)).took
		}
		if took := busy(alice); took != holdPost {
			t.Errorf("POST was held %v, want %v", took, holdPost)
		}
		busy(bob)                             // another client
		busy(alice, mode("Grayscale8"))       // other settings
		g.wantsStates("gone pending pending") // ten seconds after her first try
		busy(bob)
		busy(bob)
		g.wantsStates("gone pending gone")
		g.node.jobs[1].state(scan.JobProcessing)
		if a := g.wants(http.StatusCreated, bob, "POST", "/eSCL/ScanJobs", settings()); a.took != 0 {
			t.Errorf("POST was held %v once the scanner had begun, want not at all", a.took)
		}
		time.Sleep(2 * reserveTime)
		g.wantsStates("gone processing gone")
	})
}

// TestClientLeavesQueue: who hangs up while waiting does not want to scan.
func TestClientLeavesQueue(t *testing.T) {
	withRig(t, func(g *rig) {
		c := g.dial(alice)
		go io.WriteString(c, raw("POST", "/eSCL/ScanJobs", settings()))
		time.Sleep(time.Second)
		g.wantsStates("pending")
		c.Close()
		g.wantsStates("gone")
	})
}

// TestTwoClients scan at once: each gets its own pages and sees its own jobs only.
func TestTwoClients(t *testing.T) {
	withRig(t, func(g *rig) {
		t := g.t
		g.runs(processing)
		mine := g.post(alice, source("Feeder"))
		g.runs(nil)
		first := g.job()
		done := make(chan string, 1)
		go func() { done <- g.post(bob, source("Feeder")) }()
		synctest.Wait()
		second := g.job()
		first.page()
		first.state(scan.JobCompleted)
		second.state(scan.JobProcessing)
		theirs := <-done
		second.page()
		second.page()
		second.state(scan.JobCompleted)
		for range 2 {
			g.next(200, bob, theirs)
		}
		g.next(404, bob, theirs)
		if a := g.next(200, alice, mine); !bytes.Equal(a.body, first.data[0]) {
			t.Error("alice got another page than hers")
		}
		_, _, _, list := g.status(alice)
		if s := string(list); !strings.Contains(s, mine) || strings.Contains(s, theirs) {
			t.Errorf("alice's list of jobs = %s, want hers only", s)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if got := fmt.Sprint(g.clients); got != "[0.0.0.0 192.0.2.10 192.0.2.20]" {
			t.Errorf("the API was used as %s", got)
		}
	})
}

// TestCancel by the client frees the scanner before the answer comes.
func TestCancel(t *testing.T) {
	withRig(t, func(g *rig) {
		g.runs(processing)
		job := g.post(alice, source("Feeder"))
		waits := make(chan int, 1)
		go func() {
			a, err := g.ask(alice, raw("GET", job+"/NextDocument", ""))
			if err != nil {
				g.t.Error(err)
			}
			waits <- a.StatusCode
		}()
		synctest.Wait()
		g.wants(200, alice, "DELETE", job, "")
		if s := g.node.jobs[0].job.State; s != scan.JobCanceled {
			g.t.Errorf("node's job is %s once DELETE has been answered, want canceled", s)
		}
		if status := <-waits; status != 404 {
			g.t.Errorf("the request for a page that was held got %d, want 404", status)
		}
		g.wantsStatus(alice, escl.Idle, escl.FeederLoaded, escl.JobCanceled)
		g.wants(200, alice, "DELETE", job, "")
		g.wantsStates("gone")
	})
}

// TestPagesGo: two minutes after the last transfer, or when the client says so.
func TestPagesGo(t *testing.T) {
	withRig(t, func(g *rig) {
		t := g.t
		g.runs(scans(1))
		deletes, drains := g.post(alice), g.post(alice)
		g.next(200, alice, deletes)
		g.next(200, alice, drains)
		g.next(404, alice, drains)
		g.wants(200, alice, "DELETE", deletes, "")
		time.Sleep(2 * sweepEvery)
		g.wantsStates("gone completed")
		g.wants(404, alice, "GET", deletes+"/1", "")
		time.Sleep(idleTime / 2)
		g.wants(206, alice, "GET", drains+"/1", "", "Range: bytes=0-0") // a transfer
		time.Sleep(idleTime - 2*time.Second)
		g.wantsStates("gone completed")
		time.Sleep(4 * time.Second)
		g.wantsStates("gone gone")
		g.next(404, alice, drains)
		g.wants(404, alice, "GET", drains+"/1", "")
		_, _, _, list := g.status(alice)
		if n := strings.Count(string(list), "<pwg:JobState>Completed<"); n != 2 {
			t.Errorf("%d jobs are shown as completed, want both: %s", n, list)
		}
		time.Sleep(recordTime)
		if _, _, _, list := g.status(alice); strings.Contains(string(list), "JobInfo") {
			t.Errorf("jobs are still shown: %s", list)
		}
	})
}

// TestNobodyComes: a job whose client fetches nothing is canceled.
func TestNobodyComes(t *testing.T) {
	withRig(t, func(g *rig) {
		g.runs(processing)
		job := g.post(alice, source("Feeder"))
		g.next(503, alice, job) // a client that waits is there
		time.Sleep(idleTime - 2*time.Second)
		g.wantsStates("processing")
		time.Sleep(4 * time.Second)
		g.wantsStates("gone")
		g.next(410, alice, job)
		g.wantsStatus(alice, escl.Idle, escl.FeederLoaded, escl.JobCanceled)
	})
}

// TestNeverDeletes: clients that neither delete nor drain do not fill the server.
func TestNeverDeletes(t *testing.T) {
	withRig(t, func(g *rig) {
		g.runs(scans(1))
		for range 100 {
			g.next(200, alice, g.post(alice, source("Platen")))
		}
		time.Sleep(3 * sweepEvery)
		g.server.mu.Lock()
		kept := len(g.server.jobs)
		g.server.mu.Unlock()
		if kept > maxFinished {
			g.t.Errorf("%d jobs are kept, want at most %d", kept, maxFinished)
		}
		if n := strings.Count(g.states(), "gone"); n != 100-kept {
			g.t.Errorf("%d jobs are gone from the node, want all but %d", n, kept)
		}
	})
}

// TestTooMany: jobs that are open are bounded, for an address and for all.
func TestTooMany(t *testing.T) {
	withRig(t, func(g *rig) {
		g.runs(processing)
		for n := range maxOpen {
			g.post(fmt.Sprintf("192.0.2.%d", 100+n/maxOpenEach))
			if n == maxOpenEach-1 {
				g.wants(503, "192.0.2.100", "POST", "/eSCL/ScanJobs", settings())
			}
		}
		g.wants(503, alice, "POST", "/eSCL/ScanJobs", settings())
	})
}

// TestStopped: pages that are there come first, then the fault; the scanner is set free
// at once.
func TestStopped(t *testing.T) {
	for _, tt := range []struct {
		why    scan.Reason
		pages  int
		status int
		feeder escl.FeederState
		node   string
		job    escl.JobState
	}{
		{scan.ReasonJam, 2, 409, escl.FeederJam, "completed", escl.JobAborted},
		{scan.ReasonJam, 0, 409, escl.FeederJam, "canceled", escl.JobAborted},
		{scan.ReasonCoverOpen, 1, 409, escl.FeederOpen, "completed", escl.JobAborted},
		{scan.ReasonOffline, 1, 500, escl.FeederLoaded, "completed", escl.JobAborted},
		{scan.ReasonDiskLow, 1, 500, escl.FeederLoaded, "completed", escl.JobAborted},
		{scan.ReasonInterrupted, 0, 500, escl.FeederLoaded, "canceled", escl.JobAborted},
		{scan.ReasonFeederEmpty, 3, 404, escl.FeederLoaded, "completed", escl.JobCompleted}, // the sensor says loaded
	} {
		t.Run(fmt.Sprint(tt.why, tt.pages), func(t *testing.T) {
			withRig(t, func(g *rig) {
				g.runs(stops(tt.pages, tt.why))
				job := g.post(alice, source("Feeder"))
				time.Sleep(2 * time.Second)
				g.wantsStates(tt.node)
				for range tt.pages {
					g.next(200, alice, job)
				}
				g.next(tt.status, alice, job)
				g.wantsStatus(alice, escl.Idle, tt.feeder, tt.job)
				time.Sleep(faultShown)
				g.wantsStatus(alice, escl.Idle, escl.FeederLoaded, tt.job)
			})
		})
	}
}

// TestBusyElsewhere: the node tries again by itself, so the client waits.
func TestBusyElsewhere(t *testing.T) {
	withRig(t, func(g *rig) {
		g.runs(func(j *fakeJob) {
			j.state(scan.JobProcessing)
			j.state(scan.JobStopped, scan.ReasonBusyOther)
			time.Sleep(20 * time.Second)
			scans(1)(j)
		})
		job := g.post(alice, source("Feeder"))
		g.next(503, alice, job)
		g.next(200, alice, job)
		g.next(404, alice, job)
		g.wantsStates("completed")
	})
}

// TestEventsBreakOff: the scan goes on, and so does its client.
func TestEventsBreakOff(t *testing.T) {
	withRig(t, func(g *rig) {
		g.set(func(f *fakeNode) { f.cut = 3 })
		g.runs(func(j *fakeJob) {
			j.state(scan.JobProcessing)
			for range 4 {
				time.Sleep(time.Second)
				j.page()
			}
			j.state(scan.JobCompleted)
		})
		job := g.post(alice, source("Feeder"), format("application/pdf"))
		for range 4 {
			g.next(200, alice, job)
		}
		g.next(404, alice, job)
		if n := g.called("GET events"); n < 2 {
			g.t.Errorf("events were asked for %d times, want again after the break", n)
		}
	})
}

// TestServeEnds: what runs is canceled, pages are deleted, requests that wait are answered.
func TestServeEnds(t *testing.T) {
	withRig(t, func(g *rig) {
		g.runs(scans(1))
		g.post(alice)
		g.runs(processing)
		job := g.post(alice, source("Feeder"))
		waits := make(chan error, 1)
		go func() {
			a, err := g.ask(alice, raw("GET", job+"/NextDocument", ""))
			if err == nil && a.StatusCode != 503 && a.StatusCode != 404 {
				err = errors.New(a.Status)
			}
			waits <- err
		}()
		synctest.Wait()
		g.server.end()
		if err := <-waits; err != nil {
			g.t.Errorf("a request that waited when Serve ended got %v, want 503 or 404", err)
		}
		g.wantsStates("gone gone")
	})
}

// TestNodeDoesNotAnswer: what cannot be deleted is tried again.
func TestNodeDoesNotAnswer(t *testing.T) {
	withRig(t, func(g *rig) {
		g.runs(scans(1))
		job := g.post(alice, source("Platen"))
		g.next(200, alice, job)
		g.set(func(f *fakeNode) { f.refuse["DELETE job"] = problem.NodeOffline.Error() })
		g.wants(200, alice, "DELETE", job, "")
		time.Sleep(time.Minute)
		g.wantsStates("completed")
		if n := g.called("DELETE job"); n < 2 || n > 10 {
			g.t.Errorf("tried %d times in a minute, want a few times", n)
		}
		g.set(func(f *fakeNode) { delete(f.refuse, "DELETE job") })
		time.Sleep(tendTime + sweepEvery)
		g.wantsStates("gone")
	})
}

// TestAnswerLostOnTheWay: the job is made once, with the key of the first try.
func TestAnswerLostOnTheWay(t *testing.T) {
	withRig(t, func(g *rig) {
		g.runs(scans(1))
		g.set(func(f *fakeNode) { f.loseAnswer = true })
		g.next(200, alice, g.post(alice))
		g.wantsStates("completed")
	})
}

// TestSlowBody: settings that do not come are not waited for, and what is held afterwards
// is not cut off by the limit for that.
func TestSlowBody(t *testing.T) {
	withRig(t, func(g *rig) {
		c := g.dial(alice)
		defer c.Close()
		request := raw("POST", "/eSCL/ScanJobs", settings())
		go io.WriteString(c, request[:len(request)-10])
		began := time.Now()
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		need(g.t, err)
		if took := time.Since(began); res.StatusCode != http.StatusBadRequest || took != stallTime {
			g.t.Errorf("half a body = %s after %v, want 400 after %v", res.Status, took, stallTime)
		}
	})
}

// TestEventsFallSilent: a connection that died unnoticed is given up for another.
func TestEventsFallSilent(t *testing.T) {
	withRig(t, func(g *rig) {
		g.set(func(f *fakeNode) { f.mute = true })
		g.runs(scans(1))
		post := func() int {
			return g.wantsOneOf(alice, "POST", "/eSCL/ScanJobs", settings(source("Platen")), 201, 503)
		}
		began := time.Now()
		for post() != 201 {
			if time.Since(began) > silence+holdPost {
				g.t.Fatalf("no events came after %v", time.Since(began))
			}
		}
		g.wantsStates("completed")
	})
}
