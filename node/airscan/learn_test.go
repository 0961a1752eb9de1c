package airscan

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// TestLearn: asked until there is an answer, then kept; clients never ask the device.
func TestLearn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newFakeNode()
		node.refuse["GET capabilities"] = problem.ScannerOffline.Error()
		g := newRig(t, node)
		defer g.stop()
		changes := 0
		g.server.cfg.Changed = func() { changes++ }
		time.Sleep(10 * time.Minute)
		if n := g.called("GET capabilities"); n < 10 || n > 30 {
			t.Errorf("asked %d times in ten minutes, want about two a minute", n)
		}
		if _, ok := g.server.Describe(); ok || changes != 0 {
			t.Error("a scanner that never answered is announced")
		}
		g.set(func(f *fakeNode) { delete(f.refuse, "GET capabilities") })
		time.Sleep(learnLast)
		synctest.Wait()
		if _, ok := g.server.Describe(); !ok || changes != 1 {
			t.Errorf("announced: %t, after %d changes; want once", ok, changes)
		}
		before := g.called("GET capabilities")
		for range 100 {
			g.wants(200, alice, "GET", "/eSCL/ScannerCapabilities", "")
		}
		if n := g.called("GET capabilities"); n != before {
			t.Errorf("clients had the device asked %d times", n-before)
		}
		g.set(func(f *fakeNode) { f.scanner.Name = "Copier (2)" })
		time.Sleep(2 * learnAgain)
		if d, _ := g.server.Describe(); d.Name != "Copier (2)" || changes != 2 {
			t.Errorf("name = %q after %d changes", d.Name, changes)
		}
		g.set(func(f *fakeNode) { f.refuse["GET "+scannerID] = problem.NodeOffline.Error() })
		time.Sleep(10 * time.Minute)
		if d, ok := g.server.Describe(); !ok || d.Name != "Copier (2)" {
			t.Error("a scanner that does not answer any more is taken back")
		}
	})
}

// TestCapabilitiesSayWhere: addresses are those that the client knows.
func TestCapabilitiesSayWhere(t *testing.T) {
	withRig(t, func(g *rig) {
		c, err := escl.ParseCapabilities(g.wants(200, alice, "GET", "/eSCL/ScannerCapabilities", "").body)
		need(g.t, err)
		if c.IconURI != "http://scanner.local:18630/icon.png" || c.AdminURI != "http://scanner.local:18630/" {
			g.t.Errorf("IconURI %q, AdminURI %q", c.IconURI, c.AdminURI)
		}
		g.server.cfg.Admin = func() string { return "https://platen.example/s/1" }
		c, err = escl.ParseCapabilities(g.wants(200, alice, "GET", "/eSCL/ScannerCapabilities", "").body)
		need(g.t, err)
		if c.AdminURI != "https://platen.example/s/1" || !c.Feeder.DetectsLoad || c.Feeder.Capacity != 50 || c.Duplex == nil || c.Naps2 != "Progress;ErrorDetails" || !c.JobSource {
			g.t.Errorf("capabilities = %+v", c)
		}
	})
}

// TestStatusStorm costs the node one question a second.
func TestStatusStorm(t *testing.T) {
	withRig(t, func(g *rig) {
		for range 10 {
			for range 20 {
				g.wants(200, alice, "GET", "/eSCL/ScannerStatus", "")
			}
			time.Sleep(statusFresh)
		}
		if n := g.called("GET status"); n != 10 {
			g.t.Errorf("the node was asked %d times in ten seconds, want 10", n)
		}
	})
}

func TestStates(t *testing.T) {
	for _, tt := range []struct {
		st     scan.Status
		state  escl.State
		feeder escl.FeederState
	}{
		{scan.Status{State: scan.ScannerIdle, Feeder: scan.FeederLoaded}, escl.Idle, escl.FeederLoaded},
		{scan.Status{State: scan.ScannerIdle, Feeder: scan.FeederUnknown}, escl.Idle, escl.FeederLoaded},
		{scan.Status{State: scan.ScannerIdle, Feeder: scan.FeederEmpty}, escl.Idle, escl.FeederEmpty},
		{scan.Status{State: scan.ScannerProcessing, Feeder: scan.FeederEmpty}, escl.Processing, escl.FeederLoaded}, // said before it began
		{scan.Status{State: scan.ScannerIdle, Feeder: scan.FeederLoaded, Waiting: 1}, escl.Processing, escl.FeederLoaded},
		{scan.Status{State: scan.ScannerProcessing, Feeder: scan.FeederLoaded}, escl.Processing, escl.FeederLoaded},
		{scan.Status{State: scan.ScannerStopped, Feeder: scan.FeederLoaded, Reasons: []scan.Reason{scan.ReasonJam}}, escl.Stopped, escl.FeederJam},
		{scan.Status{State: scan.ScannerStopped, Feeder: scan.FeederLoaded, Reasons: []scan.Reason{scan.ReasonCoverOpen}}, escl.Stopped, escl.FeederOpen},
		{scan.Status{State: scan.ScannerStopped, Feeder: scan.FeederEmpty, Reasons: []scan.Reason{scan.ReasonFeederEmpty}}, escl.Idle, escl.FeederEmpty},
		{scan.Status{State: scan.ScannerStopped, Feeder: scan.FeederLoaded, Reasons: []scan.Reason{scan.ReasonBusyOther}}, escl.Processing, escl.FeederLoaded},
		{scan.Status{State: scan.ScannerStopped, Feeder: scan.FeederUnknown, Reasons: []scan.Reason{scan.ReasonDriverFailed}}, escl.Stopped, escl.FeederLoaded},
		{scan.Status{State: scan.ScannerOffline, Feeder: scan.FeederUnknown}, escl.Down, escl.FeederLoaded},
	} {
		t.Run(fmt.Sprint(tt.st), func(t *testing.T) {
			withRig(t, func(g *rig) {
				g.set(func(f *fakeNode) { f.status = tt.st })
				g.wantsStatus(alice, tt.state, tt.feeder, "")
			})
		})
	}
}

// TestNoSensor: a feeder that cannot see is never said to be empty, but for the moment
// after it was found to be.
func TestNoSensor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newFakeNode()
		for i := range node.caps.Sources {
			if f := node.caps.Sources[i].Feeder; f != nil {
				f.DetectsLoad = false
			}
		}
		node.status.Feeder = scan.FeederUnknown
		node.run = stops(0, scan.ReasonFeederEmpty)
		g := newRig(t, node)
		defer g.stop()
		synctest.Wait()
		job := g.post(alice, source("Feeder"))
		g.next(404, alice, job)
		g.wantsStatus(alice, escl.Idle, escl.FeederEmpty, escl.JobAborted)
		time.Sleep(faultShown)
		g.wantsStatus(alice, escl.Idle, escl.FeederLoaded, escl.JobAborted)
	})
}

// TestHome escapes what people wrote, and shows a client how to release its own job.
func TestHome(t *testing.T) {
	withRig(t, func(g *rig) {
		t := g.t
		g.set(func(f *fakeNode) { f.scanner.Name = "<script>alert(1)</script>" })
		g.server.cfg.Admin = func() string { return "javascript:alert(1)" }
		time.Sleep(2 * learnAgain)
		g.runs(func(j *fakeJob) {
			j.node.mu.Lock()
			j.job.ReleaseCode = "4711"
			j.node.mu.Unlock()
			j.state(scan.JobHeld, scan.ReasonHeldForOwner)
		})
		g.post(alice)
		a := g.wants(200, alice, "GET", "/", "")
		body := string(a.body)
		if strings.Contains(body, "<script") || strings.Contains(body, "javascript:") || !strings.Contains(body, "&lt;script&gt;") {
			t.Errorf("page = %s", body)
		}
		if !strings.Contains(body, "4711") || strings.Contains(string(g.wants(200, bob, "GET", "/", "").body), "4711") {
			t.Error("the code is shown to others than its owner, or not to its owner")
		}
		if csp := a.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("policy = %q", csp)
		}
		g.wantsStatus(alice, escl.Idle, escl.FeederLoaded, escl.JobHeld)
	})
}

// TestName is the client's own word, in one short line.
func TestName(t *testing.T) {
	for _, tt := range []struct{ machine, want string }{
		{"", "Scan from 192.0.2.10"},
		{"Anna's Laptop", "Scan from Anna's Laptop"},
		{"a\x01b\nc  d", "Scan from a b c d"},
		{strings.Repeat("x", 500), "Scan from " + strings.Repeat("x", maxMachine)},
	} {
		withRig(t, func(g *rig) {
			g.runs(scans(1))
			machine := strings.ReplaceAll(tt.machine, "\x01", "&#9;")
			g.wants(http.StatusCreated, alice, "POST", "/eSCL/ScanJobs", settings("<scan:JobSourceInfo><scan:MachineName>"+machine+"</scan:MachineName></scan:JobSourceInfo>"))
			if got := g.job().job.Name; got != tt.want {
				g.t.Errorf("name = %q, want %q", got, tt.want)
			}
		})
	}
}
