package node

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// virtualNode is a node whose scanner is the virtual one, in worker processes.
func virtualNode(t testing.TB) (g *rig, scanner string) {
	t.Helper()
	self, err := os.Executable()
	need(t, err)
	g = newRig(t, processes{&driver.Workers{Path: self}})
	g.config = func(c *Config) { c.Drivers = []string{"virtual", "missing"} }
	g.start().found()
	list := get[api.ScannerList](g, "/api/v1/scanners")
	if len(list.Items) != 1 || len(list.Faults) != 1 || list.Faults[0].Driver != "missing" || list.Faults[0].Reason == "" {
		t.Fatalf("scanners = %+v, want the virtual one, and words on the driver that is missing", list)
	}
	return g, list.Items[0].ID
}

func virtualRequest(source scan.Source, options string) string {
	return fmt.Sprintf(`{"settings":{"source":%q,"mode":"gray","resolution":75,"options":{"pace":"off"%s}}}`, source, options)
}

// workersOf finds the worker processes that this test has started.
func workersOf(t testing.TB) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	need(t, err)
	var found []int
	for _, stat := range stats {
		b, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := bytes.Cut(b, []byte(") "))
		fields := strings.Fields(string(rest))
		command, err := os.ReadFile(filepath.Join(filepath.Dir(stat), "cmdline"))
		if err != nil || len(fields) < 2 || fields[1] != strconv.Itoa(os.Getpid()) || !bytes.Contains(command, []byte("worker\x00virtual")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		need(t, err)
		found = append(found, pid)
	}
	return found
}

func TestVirtualScanner(t *testing.T) {
	g, scanner := virtualNode(t)
	s := get[scan.Status](g, "/api/v1/scanners/"+scanner+"/status")
	if s.State != scan.ScannerIdle || s.Feeder != scan.FeederLoaded {
		t.Errorf("status = %+v, want idle with a loaded feeder", s)
	}
	j := g.submit(scanner, virtualRequest(scan.SourceADFDuplex, `,"sheets":"2"`))
	if got := g.reaches(j.ID, scan.JobCompleted); got.Pages != 4 {
		t.Errorf("two sheets have %d pages, want 4", got.Pages)
	}
	for n := 1; n <= 4; n++ {
		url := fmt.Sprintf("/api/v1/jobs/%s/pages/%d", j.ID, n)
		for query, width := range map[string]int{"": 620, "?width=100": 100, "?format=png": 620} {
			a := g.ask(http.MethodGet, url+query, "")
			img, _, err := image.Decode(bytes.NewReader(a.Body.Bytes()))
			if err != nil || img.Bounds().Dx() != width {
				t.Errorf("page %d%s: %v, want an image %d pixels wide", n, query, err, width)
			}
		}
	}
	pages := get[api.PageList](g, "/api/v1/jobs/"+j.ID+"/pages").Items
	for i, side := range []scan.Side{scan.SideFront, scan.SideBack, scan.SideFront, scan.SideBack} {
		if pages[i].Side != side {
			t.Errorf("page %d is a %s, want %s", i+1, pages[i].Side, side)
		}
	}
	pdf := g.ask(http.MethodGet, "/api/v1/documents/"+j.Document+"/content", "")
	checkPDF(t, pdf.Body.Bytes(), 4)
}

// TestKilledWorker takes the worker away in mid-page: the node lives, the job says
// why, the pages before are whole, and the scanner works again.
func TestKilledWorker(t *testing.T) {
	g, scanner := virtualNode(t)
	for _, c := range []struct {
		name   string
		pages  int
		before string
		kill   syscall.Signal
	}{
		{"killed on page 1", 0, `,"fault":"slow","fault-page":"1"`, syscall.SIGKILL},
		{"crashed on page 3", 2, `,"fault":"crash","fault-page":"3"`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := virtualRequest(scan.SourceADF, c.before)
			if c.kill != 0 {
				body = strings.Replace(body, `"pace":"off"`, `"pace":"real"`, 1)
			}
			j := g.submit(scanner, body)
			if c.kill != 0 {
				g.until("a growing page", func() bool { return g.job(j.ID).Growing == 1 })
				for _, pid := range workersOf(t) {
					need(t, syscall.Kill(pid, c.kill))
				}
			}
			state, reason := scan.JobAborted, scan.ReasonDriverFailed
			if c.pages > 0 {
				state, reason = scan.JobCompleted, scan.Partial(reason)
			}
			if got := g.reaches(j.ID, state, reason); got.Pages != c.pages {
				t.Errorf("job has %d pages, want %d", got.Pages, c.pages)
			}
			checkWhole(t, g, j.ID)
			next := g.submit(scanner, virtualRequest(scan.SourcePlaten, ""))
			g.reaches(next.ID, scan.JobCompleted)
		})
	}
}

// TestHungWorker has a driver that is deaf: the cancellation ends the job at once and
// frees the device within two seconds.
func TestHungWorker(t *testing.T) {
	g, scanner := virtualNode(t)
	j := g.submit(scanner, virtualRequest(scan.SourceADF, `,"fault":"hang"`))
	g.until("a growing page", func() bool {
		list := get[api.PageList](g, "/api/v1/jobs/"+j.ID+"/pages").Items
		return len(list) == 1 && list[0].Lines > 0
	})
	began := time.Now()
	if got := decode[scan.Job](t, g.command(j.ID, "cancel"), http.StatusOK); got.State != scan.JobCanceled || got.Pages != 0 {
		t.Errorf("canceled job is %s with %d pages", got.State, got.Pages)
	}
	next := g.submit(scanner, virtualRequest(scan.SourcePlaten, ""))
	g.until("the next job's start", func() bool { return g.job(next.ID).State != scan.JobPending })
	if took := time.Since(began); took > 2500*time.Millisecond {
		t.Errorf("the device was free after %v, want 2 s and a worker's start", took)
	}
	g.reaches(next.ID, scan.JobCompleted)
}

// TestStopWithHungWorker ends the node although the driver does not.
func TestStopWithHungWorker(t *testing.T) {
	g, scanner := virtualNode(t)
	j := g.submit(scanner, virtualRequest(scan.SourceADF, `,"fault":"hang"`))
	g.until("a growing page", func() bool { return g.job(j.ID).Growing == 1 })
	began := time.Now()
	g.stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %v, want at most 5 s", took)
	}
	if left := workersOf(t); len(left) != 0 {
		t.Errorf("worker processes %v are left", left)
	}
}

// TestStopInMidPage ends the node while a worker scans: soon, without a process left,
// and the job can go on.
func TestStopInMidPage(t *testing.T) {
	g, scanner := virtualNode(t)
	j := g.submit(scanner, strings.Replace(virtualRequest(scan.SourceADF, ""), `"pace":"off"`, `"pace":"real"`, 1))
	g.until("the second page", func() bool { return g.job(j.ID).Growing == 2 })
	began := time.Now()
	g.stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %v, want at most 5 s", took)
	}
	if left := workersOf(t); len(left) != 0 {
		t.Errorf("worker processes %v are left", left)
	}
	g.start().found()
	got := g.reaches(j.ID, scan.JobStopped, scan.ReasonInterrupted)
	if got.Pages != 1 {
		t.Errorf("job has %d pages, want 1", got.Pages)
	}
	a := g.ask(http.MethodGet, "/api/v1/jobs/"+j.ID+"/pages/1", "")
	page := get[api.PageList](g, "/api/v1/jobs/"+j.ID+"/pages").Items[0]
	if sum := sha256.Sum256(a.Body.Bytes()); hex.EncodeToString(sum[:]) != page.Digest {
		t.Error("the page of before has other bytes")
	}
	decode[scan.Job](t, g.command(j.ID, "cancel"), http.StatusOK)
}

// TestJamInWorker stops and goes on with real processes.
func TestJamInWorker(t *testing.T) {
	g, scanner := virtualNode(t)
	j := g.submit(scanner, virtualRequest(scan.SourceADF, `,"fault":"jam","fault-page":"3"`))
	if got := g.reaches(j.ID, scan.JobStopped, scan.ReasonJam); got.Pages != 2 {
		t.Errorf("job has %d pages at the jam, want 2", got.Pages)
	}
	g.command(j.ID, "resume")
	if got := g.reaches(j.ID, scan.JobCompleted); got.Pages != 5 {
		t.Errorf("job has %d pages, want 5", got.Pages)
	}
	checkWhole(t, g, j.ID)
	glass := g.submit(scanner, strings.Replace(virtualRequest(scan.SourcePlaten, ""), `"mode"`, `"pages":2,"mode"`, 1))
	g.reaches(glass.ID, scan.JobStopped, scan.ReasonNextSheet)
	g.command(glass.ID, "resume")
	if got := g.reaches(glass.ID, scan.JobCompleted); got.Pages != 2 {
		t.Errorf("job from the glass has %d pages, want 2", got.Pages)
	}
}
