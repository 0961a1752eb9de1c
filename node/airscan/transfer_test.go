package airscan

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// TestBase: what a client is told to go on at is an address that it can use.
func TestBase(t *testing.T) {
	for _, tt := range []struct {
		host   string
		secure bool
		want   string
	}{
		{"192.0.2.10:18630", false, "http://192.0.2.10:18630"},
		{"192.0.2.10:18631", true, "https://192.0.2.10:18631"},
		{"platen-k7x2.local:18630", false, "http://platen-k7x2.local:18630"},
		{"[2001:db8::7]:18630", false, "http://[2001:db8::7]:18630"},
		{"[fe80::7]:18630", false, ""},
		{"[fe80::7%eth0]:18630", false, ""},
		{"[fe80::7%25eth0]:18630", false, ""},
		{"", false, ""},
	} {
		r := &http.Request{Host: tt.host}
		if tt.secure {
			r.TLS = &tls.ConnectionState{}
		}
		if got := base(r); got != tt.want {
			t.Errorf("base for Host %q = %q, want %q", tt.host, got, tt.want)
		}
	}
}

// TestNextIsHeld until the page is committed.
func TestNextIsHeld(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string
		hold  time.Duration
	}{
		{"most clients", []string{"Content-Type: text/xml"}, holdNext},
		{"SANE's escl", []string{"Accept: */*", "Content-Type: application/x-www-form-urlencoded"}, holdNextPatient},
		{"a form with a name", []string{"Accept: */*", "Content-Type: application/x-www-form-urlencoded", "User-Agent: x"}, holdNext},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withRig(t, func(g *rig) {
				t := g.t
				g.runs(processing)
				a := g.wants(201, alice, "POST", "/eSCL/ScanJobs", settings(source("Feeder")), tt.lines...)
				job := strings.TrimPrefix(a.Header.Get("Location"), "http://scanner.local:18630")
				if a := g.next(503, alice, job); a.took != tt.hold {
					t.Errorf("held %v, want %v", a.took, tt.hold)
				}
				go func() { time.Sleep(tt.hold / 2); g.job().page() }()
				if a := g.next(200, alice, job); a.took < tt.hold/2 || a.took > tt.hold/2+time.Second {
					t.Errorf("page came after %v, want after %v", a.took, tt.hold/2)
				}
			})
		})
	}
}

// TestParallelCalls get different pages.
func TestParallelCalls(t *testing.T) {
	withRig(t, func(g *rig) {
		t := g.t
		g.runs(scans(4))
		job := g.post(alice, source("Feeder"))
		places := make(chan string, 4)
		for range 4 {
			go func() {
				a, err := g.ask(alice, raw("GET", job+"/NextDocument", ""))
				if err != nil {
					t.Error(err)
				}
				places <- a.Header.Get("Content-Location")
			}()
		}
		seen := map[string]bool{}
		for range 4 {
			seen[<-places] = true
		}
		if len(seen) != 4 {
			t.Errorf("pages = %v, want four different ones", seen)
		}
	})
}

// TestBrokenTransfer: a page that was not taken to its end comes again.
func TestBrokenTransfer(t *testing.T) {
	withRig(t, func(g *rig) {
		t := g.t
		g.runs(scans(2))
		job := g.post(alice, source("Feeder"))
		first := g.job().data[0]
		for range 2 {
			c := g.dial(alice)
			go io.WriteString(c, raw("GET", job+"/NextDocument", ""))
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			need(t, err)
			if _, err := io.CopyN(io.Discard, res.Body, 20); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		_, _, _, list := g.status(alice)
		if got := element(list, "TransferRetryCount"); got != "2" {
			t.Errorf("TransferRetryCount = %s, want 2", got)
		}
		synctest.Wait()
		if acked := g.job().acked; len(acked) != 0 {
			t.Errorf("the node was told that pages %v have arrived", acked)
		}
		if a := g.next(200, alice, job); !bytes.Equal(a.body, first) {
			t.Error("the first page did not come again")
		}
		g.next(200, alice, job)
		g.wantsEnd(job)
		synctest.Wait()
		if acked := slices.Sorted(slices.Values(g.job().acked)); !slices.Equal(acked, []int{1, 2}) {
			t.Errorf("the node was told that pages %v have arrived, want both", acked)
		}
	})
}

// TestFeederRunsEmptyBeforeItsPagesAreFetched: SANE's escl looks at the feeder between two
// pages, and takes an empty one for the end.
func TestFeederRunsEmptyBeforeItsPagesAreFetched(t *testing.T) {
	withRig(t, func(g *rig) {
		g.runs(scans(2))
		job := g.post(alice, source("Feeder"))
		g.set(func(f *fakeNode) { f.status.Feeder = scan.FeederEmpty })
		wants := func(from, want string) {
			g.t.Helper()
			if state, feeder, _, _ := g.status(from); state+" "+feeder != want {
				g.t.Errorf("status for %s = %s %s, want %s", from, state, feeder, want)
			}
		}
		wants(alice, "Processing ScannerAdfProcessing")
		wants(bob, "Idle ScannerAdfEmpty")
		g.next(200, alice, job)
		wants(alice, "Processing ScannerAdfProcessing")
		g.next(200, alice, job)
		wants(alice, "Idle ScannerAdfEmpty")
		g.wantsEnd(job)
	})
}

// TestStalledReader: who takes nothing for ten seconds is cut off.
func TestStalledReader(t *testing.T) {
	withRig(t, func(g *rig) {
		g.runs(scans(1))
		job := g.post(alice)
		c := g.dial(alice)
		defer c.Close()
		go io.WriteString(c, raw("GET", job+"/NextDocument", ""))
		time.Sleep(stallTime + time.Second)
		if _, err := io.ReadAll(c); err != nil {
			g.t.Errorf("reading from a connection that was cut = %v", err)
		}
		g.next(200, alice, job)
	})
}

// TestCutOffAtNode: a page whose bytes break off on the way here is no page for the client.
func TestCutOffAtNode(t *testing.T) {
	withRig(t, func(g *rig) {
		g.runs(scans(1))
		job := g.post(alice)
		whole := g.job().data[0]
		g.set(func(*fakeNode) { g.node.jobs[0].short = 10 })
		if a, err := g.ask(alice, raw("GET", job+"/NextDocument", "")); err == nil {
			g.t.Errorf("answer = %s with %d bytes, want one that breaks off", a.Status, len(a.body))
		}
		g.set(func(*fakeNode) { g.node.jobs[0].short = 0 })
		if a := g.next(200, alice, job); !bytes.Equal(a.body, whole) {
			g.t.Error("the page did not come whole afterwards")
		}
	})
}

// TestWholeDocument: with ConcatIfPossible all sheets come as one PDF, when there are no more.
func TestWholeDocument(t *testing.T) {
	withRig(t, func(g *rig) {
		g.runs(ends(3, scan.JobCompleted, ""))
		job := g.post(alice, source("Feeder"), format("application/pdf"), "<scan:ConcatIfPossible>true</scan:ConcatIfPossible>")
		a := g.next(200, alice, job)
		if want := bytes.Join(g.job().data, nil); !bytes.Equal(a.body, want) || a.took == 0 {
			g.t.Errorf("%d bytes came after %v, want the %d of the node's document at the end", len(a.body), a.took, len(want))
		}
		g.wantsEnd(job)
		g.wants(206, alice, "GET", job+"/1", "", "Range: bytes=5-9")
	})
}

// TestToTransfer counts pages that can be fetched: clients poll it.
func TestToTransfer(t *testing.T) {
	withRig(t, func(g *rig) {
		g.runs(processing)
		job := g.post(alice, source("Feeder"))
		for _, step := range []struct {
			do              func()
			ready, scanned  string
			reason, feeding string
		}{
			{func() {}, "0", "0", "JobScanning", "ScannerAdfProcessing"},
			{func() { g.job().page(); g.job().page() }, "2", "2", "JobScanningAndTransferring", "ScannerAdfProcessing"},
			{func() { g.next(200, alice, job) }, "1", "2", "JobScanningAndTransferring", "ScannerAdfProcessing"},
			{func() { g.job().state(scan.JobCompleted) }, "1", "2", "JobTransferring", "ScannerAdfProcessing"},
			{func() { g.next(200, alice, job) }, "0", "2", "JobCompletedSuccessfully", "ScannerAdfLoaded"},
		} {
			step.do()
			synctest.Wait()
			_, feeder, _, list := g.status(alice)
			got := []string{element(list, "ImagesToTransfer"), element(list, "ImagesCompleted"), element(list, "JobStateReason"), feeder}
			if want := []string{step.ready, step.scanned, step.reason, step.feeding}; fmt.Sprint(got) != fmt.Sprint(want) {
				g.t.Errorf("status = %v, want %v", got, want)
			}
		}
	})
}

// TestProgress tells how far a page is, until it is there.
func TestProgress(t *testing.T) {
	withRig(t, func(g *rig) {
		g.runs(func(j *fakeJob) {
			j.state(scan.JobProcessing)
			for lines := range 5 {
				time.Sleep(time.Second)
				j.grow(lines*25, 100)
			}
			j.page()
		})
		job := g.post(alice, source("Feeder"))
		a := g.wants(200, alice, "GET", job+"/Progress", "")
		if got, want := string(a.body), "0.000\n0.250\n0.500\n0.750\n1.000\n"; got != want {
			g.t.Errorf("progress = %q, want %q", got, want)
		}
	})
}
