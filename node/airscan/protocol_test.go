package airscan

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const unknownJob = "/eSCL/ScanJobs/00000000-0000-4000-8000-000000000000"

// TestProtocol has every status code of every resource.
func TestProtocol(t *testing.T) {
	tests := []struct {
		name    string
		run     func(*fakeJob)
		prepare func(g *rig) (job string)
		request string // "" with POST: of a job; {job} is what prepare made
		status  int
		header  string // as "Allow: GET"
		body    string // part of it
	}{
		{name: "capabilities", request: raw("GET", "/eSCL/ScannerCapabilities", ""), status: 200, header: "Content-Type: text/xml", body: "<pwg:MakeAndModel>Fake F1<"},
		{name: "capabilities with slashes", request: raw("GET", "//eSCL/ScannerCapabilities/", ""), status: 200},
		{name: "capabilities with HEAD", request: raw("HEAD", "/eSCL/ScannerCapabilities", ""), status: 405, header: "Allow: GET"},
		{name: "capabilities before they are learned", prepare: unlearned, request: raw("GET", "/eSCL/ScannerCapabilities", ""), status: 503, header: "Retry-After: 2"},
		{name: "status", request: raw("GET", "/eSCL/ScannerStatus", ""), status: 200, body: "<pwg:State>Idle<"},
		{name: "status of a scanner that is off", prepare: offline, request: raw("GET", "/eSCL/ScannerStatus", ""), status: 200, body: "<pwg:State>Down<"},
		{name: "unknown resource", request: raw("GET", "/eSCL/Whatever", ""), status: 404},
		{name: "home", request: raw("GET", "/", ""), status: 200, header: "Content-Type: text/html; charset=utf-8", body: "<h1>Copier</h1>"},
		{name: "icon", request: raw("GET", "/icon.png", ""), status: 200, header: "Content-Type: image/png", body: "\x89PNG"},

		{name: "job", run: scans(1), request: raw("POST", "/eSCL/ScanJobs", settings()), status: 201},
		{name: "job of a minimal document without a media type", run: scans(1), request: raw("POST", "/eSCL/ScanJobs",
			`<ScanSettings xmlns="http://schemas.hp.com/imaging/escl/2011/05/03"><Version xmlns="http://www.pwg.org/schemas/2010/12/sm">2.0</Version></ScanSettings>`), status: 201},
		{name: "job as a form", run: scans(1), request: raw("POST", "/eSCL/ScanJobs", settings(), "Content-Type: application/x-www-form-urlencoded"), status: 201},
		{name: "no XML", request: raw("POST", "/eSCL/ScanJobs", "{}"), status: 400},
		{name: "broken XML", request: raw("POST", "/eSCL/ScanJobs", settings()[:200]), status: 400},
		{name: "no body", request: raw("POST", "/eSCL/ScanJobs", ""), status: 400},
		{name: "too large", request: raw("POST", "/eSCL/ScanJobs", strings.Repeat(" ", maxBody+1)), status: 413},
		{name: "resolution that is not there", request: raw("POST", "/eSCL/ScanJobs", settings("<scan:XResolution>77</scan:XResolution>")), status: 409, body: "77 dpi is not offered"},
		{name: "two resolutions", request: raw("POST", "/eSCL/ScanJobs", settings("<scan:XResolution>75</scan:XResolution><scan:YResolution>150</scan:YResolution>")), status: 409},
		{name: "source that is not there", request: raw("POST", "/eSCL/ScanJobs", settings(source("Camera"))), status: 409},
		{name: "both sides of the glass", run: scans(1), request: raw("POST", "/eSCL/ScanJobs", settings(source("Platen"), "<scan:Duplex>true</scan:Duplex>")), status: 201},
		{name: "colour mode that is not there", request: raw("POST", "/eSCL/ScanJobs", settings(mode("CMYK32"))), status: 409},
		{name: "one bit as JPEG", request: raw("POST", "/eSCL/ScanJobs", settings(mode("BlackAndWhite1"), format("image/jpeg"))), status: 409},
		{name: "format that is not there", request: raw("POST", "/eSCL/ScanJobs", settings(format("image/webp"))), status: 409},
		{name: "region outside", request: raw("POST", "/eSCL/ScanJobs", settings(region(5000, 0, 100, 100))), status: 409},
		{name: "empty feeder", prepare: emptyFeeder, request: raw("POST", "/eSCL/ScanJobs", settings(source("Feeder"))), status: 409, body: "the feeder is empty"},
		{name: "glass beside an empty feeder", run: scans(1), prepare: emptyFeeder, request: raw("POST", "/eSCL/ScanJobs", settings(source("Platen"))), status: 201},
		{name: "scanner off", prepare: offline, request: raw("POST", "/eSCL/ScanJobs", settings()), status: 503, header: "Retry-After: 10"},
		{name: "not learned", prepare: unlearned, request: raw("POST", "/eSCL/ScanJobs", settings()), status: 503, header: "Retry-After: 2"},
		{name: "queue full", prepare: refused(problem.QueueFull.Error().After(30 * time.Second)), request: raw("POST", "/eSCL/ScanJobs", settings()), status: 503, header: "Retry-After: 30"},
		{name: "disk full", prepare: refused(problem.DiskLow.Error()), request: raw("POST", "/eSCL/ScanJobs", settings()), status: 503},
		{name: "node refuses the settings", prepare: refused(problem.New(problem.SettingsUnsupported, "not today")), request: raw("POST", "/eSCL/ScanJobs", settings()), status: 409, body: "not today"},
		{name: "permission withdrawn", prepare: refused(problem.PermissionDenied.Error()), request: raw("POST", "/eSCL/ScanJobs", settings()), status: 404},
		{name: "node unreachable", prepare: refused(fmt.Errorf("no road")), request: raw("POST", "/eSCL/ScanJobs", settings()), status: 503},
		{name: "scanner is busy", request: raw("POST", "/eSCL/ScanJobs", settings()), status: 503, header: "Retry-After: 1"},
		{name: "fails at once", run: func(j *fakeJob) { j.state(scan.JobAborted, scan.ReasonDriverFailed) }, request: raw("POST", "/eSCL/ScanJobs", settings()), status: 503},
		{name: "empty at once", run: func(j *fakeJob) { j.state(scan.JobStopped, scan.ReasonFeederEmpty) }, request: raw("POST", "/eSCL/ScanJobs", settings(source("Feeder"))), status: 409},
		{name: "list of jobs", request: raw("GET", "/eSCL/ScanJobs", ""), status: 405, header: "Allow: POST"},

		{name: "next: page", run: scans(2), prepare: feeder(0), request: nextPage, status: 200, header: "Accept-Ranges: bytes"},
		{name: "next: second page", run: scans(2), prepare: feeder(1), request: nextPage, status: 200},
		{name: "next: no more", run: scans(2), prepare: feeder(2), request: nextPage, status: 404},
		{name: "next: glass has one", run: func(j *fakeJob) { j.state(scan.JobProcessing); j.page() }, prepare: glass(1), request: nextPage, status: 404},
		{name: "next: not ready", run: func(j *fakeJob) { j.state(scan.JobProcessing) }, prepare: feeder(0), request: nextPage, status: 503, header: "Retry-After: 1"},
		{name: "next: held for its owner", run: func(j *fakeJob) { j.state(scan.JobHeld, scan.ReasonHeldForOwner) }, prepare: feeder(0), request: nextPage, status: 503},
		{name: "next: unknown job", request: raw("GET", unknownJob+"/NextDocument", ""), status: 404},
		{name: "next: empty at the start", run: stops(0, scan.ReasonFeederEmpty), prepare: feeder(0), request: nextPage, status: 404},
		{name: "next: jam before a page", run: stops(0, scan.ReasonJam), prepare: feeder(0), request: nextPage, status: 409},
		{name: "next: page before a jam", run: stops(1, scan.ReasonJam), prepare: feeder(0), request: nextPage, status: 200},
		{name: "next: jam after a page", run: stops(1, scan.ReasonJam), prepare: feeder(1), request: nextPage, status: 409, body: "stuck"},
		{name: "next: cover", run: stops(1, scan.ReasonCoverOpen), prepare: feeder(1), request: nextPage, status: 409},
		{name: "next: device gone", run: stops(0, scan.ReasonOffline), prepare: feeder(0), request: nextPage, status: 500},
		{name: "next: driver failed", run: ends(1, scan.JobCompleted, scan.Partial(scan.ReasonDriverFailed)), prepare: feeder(1), request: nextPage, status: 500},
		{name: "next: aborted", run: ends(0, scan.JobAborted, scan.ReasonDriverFailed), prepare: feeder(0), request: nextPage, status: 500},
		{name: "next: canceled at the node", run: ends(1, scan.JobCanceled, scan.ReasonCanceledByUser), prepare: feeder(0), request: nextPage, status: 404},
		{name: "next: canceled by the client", run: scans(1), prepare: dismissed, request: nextPage, status: 404},
		{name: "next: nobody came in time", run: scans(1), prepare: forgotten, request: nextPage, status: 410},
		{name: "next: deleted by others", run: scans(2), prepare: deletedByOthers, request: nextPage, status: 404},
		{name: "next: page lost", run: scans(1), prepare: pageLost, request: nextPage, status: 500},
		{name: "next: node unreachable", run: scans(1), prepare: unreachable, request: nextPage, status: 503},
		{name: "next: HEAD takes no page", run: scans(1), prepare: glass(0), request: raw("HEAD", "{job}/NextDocument", ""), status: 405, header: "Allow: GET"},
		{name: "next: POST", run: scans(1), prepare: glass(0), request: raw("POST", "{job}/NextDocument", ""), status: 405, header: "Allow: GET"},

		{name: "image info", run: scans(1), prepare: glass(1), request: raw("GET", "{job}/ScanImageInfo", ""), status: 200, body: ">64<"},
		{name: "image info before a page", run: scans(1), prepare: glass(0), request: raw("GET", "{job}/ScanImageInfo", ""), status: 404},
		{name: "image info of no job", request: raw("GET", unknownJob+"/ScanImageInfo", ""), status: 404},
		{name: "buffer info", request: raw("PUT", "/eSCL/ScanBufferInfo", settings(mode("RGB24"), "<scan:XResolution>300</scan:XResolution>")), status: 200, body: ">2480<"},
		{name: "buffer info of the impossible", request: raw("PUT", "/eSCL/ScanBufferInfo", settings(mode("CMYK32"))), status: 409},
		{name: "buffer info of nothing", request: raw("PUT", "/eSCL/ScanBufferInfo", "x"), status: 400},
		{name: "progress of a page that is there", run: scans(1), prepare: glass(0), request: raw("GET", "{job}/Progress", ""), status: 200, body: "1.000\n"},
		{name: "progress of no job", request: raw("GET", unknownJob+"/Progress", ""), status: 404},
		{name: "error details", run: stops(0, scan.ReasonOffline), prepare: feeder(0), request: raw("GET", "{job}/ErrorDetails", ""), status: 200, body: "DeviceOfflineException"},
		{name: "error details of a good job", run: scans(1), prepare: glass(0), request: raw("GET", "{job}/ErrorDetails", ""), status: 404},

		{name: "delete", run: func(j *fakeJob) { j.state(scan.JobProcessing) }, prepare: glass(0), request: raw("DELETE", "{job}", ""), status: 200},
		{name: "delete after the end", run: scans(1), prepare: glass(1), request: raw("DELETE", "{job}", ""), status: 200},
		{name: "delete again", run: scans(1), prepare: dismissed, request: raw("DELETE", "{job}", ""), status: 200},
		{name: "delete no job", request: raw("DELETE", unknownJob, ""), status: 404},
		{name: "get a job", run: scans(1), prepare: glass(0), request: raw("GET", "{job}", ""), status: 405, header: "Allow: DELETE"},

		{name: "page again", run: scans(1), prepare: glass(1), request: raw("GET", "{job}/1", ""), status: 200},
		{name: "part of a page", run: scans(1), prepare: glass(1), request: raw("GET", "{job}/1", "", "Range: bytes=0-9"), status: 206, header: "Content-Length: 10"},
		{name: "part after the end", run: scans(1), prepare: glass(1), request: raw("GET", "{job}/1", "", "Range: bytes=9999999-"), status: 416},
		{name: "part of a PDF page", run: scans(1), prepare: glass(1, format("application/pdf")), request: raw("GET", "{job}/1", "", "Range: bytes=0-4"), status: 206, body: "%PDF-"},
		{name: "part of a PDF page after the end", run: scans(1), prepare: glass(1, format("application/pdf")), request: raw("GET", "{job}/1", "", "Range: bytes=9999999-"), status: 416},
		{name: "page that is not there", run: scans(1), prepare: glass(1), request: raw("GET", "{job}/2", ""), status: 404},
		{name: "page zero", run: scans(1), prepare: glass(1), request: raw("GET", "{job}/0", ""), status: 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withRig(t, func(g *rig) {
				t := g.t
				g.runs(tt.run)
				job := ""
				if tt.prepare != nil {
					job = tt.prepare(g)
				}
				a, err := g.ask(alice, strings.ReplaceAll(tt.request, "{job}", job))
				if err != nil {
					t.Fatal(err)
				}
				if a.StatusCode != tt.status {
					t.Fatalf("answer = %s %q, want %d", a.Status, a.body, tt.status)
				}
				if name, value, ok := strings.Cut(tt.header, ": "); ok && a.Header.Get(name) != value {
					t.Errorf("%s = %q, want %q", name, a.Header.Get(name), value)
				}
				if !bytes.Contains(a.body, []byte(tt.body)) {
					t.Errorf("body = %q, want %q in it", a.body, tt.body)
				}
			})
		})
	}
}

var nextPage = raw("GET", "{job}/NextDocument", "")

func region(x, y, width, height int) string {
	return fmt.Sprintf("<pwg:ScanRegions><pwg:ScanRegion><pwg:ContentRegionUnits>escl:ThreeHundredthsOfInches</pwg:ContentRegionUnits>"+
		"<pwg:XOffset>%d</pwg:XOffset><pwg:YOffset>%d</pwg:YOffset><pwg:Width>%d</pwg:Width><pwg:Height>%d</pwg:Height></pwg:ScanRegion></pwg:ScanRegions>", x, y, width, height)
}

// stops is a run that stops after some pages, a moment after it began.
func stops(pages int, why scan.Reason) func(*fakeJob) {
	return ends(pages, scan.JobStopped, why)
}

func ends(pages int, state scan.JobState, why scan.Reason) func(*fakeJob) {
	return func(j *fakeJob) {
		j.state(scan.JobProcessing)
		time.Sleep(time.Second)
		for range pages {
			j.page()
		}
		j.state(state, why)
	}
}

// glass and feeder make a job and fetch pages of it.
func glass(pages int, elements ...string) func(*rig) string {
	return func(g *rig) string {
		job := g.post(alice, append(elements, source("Platen"))...)
		for range pages {
			g.next(200, alice, job)
		}
		time.Sleep(2 * time.Second)
		return job
	}
}

func feeder(pages int) func(*rig) string {
	return func(g *rig) string {
		job := g.post(alice, source("Feeder"))
		for range pages {
			g.next(200, alice, job)
		}
		time.Sleep(2 * time.Second)
		return job
	}
}

func dismissed(g *rig) string {
	job := glass(0)(g)
	g.wants(200, alice, "DELETE", job, "")
	return job
}

func forgotten(g *rig) string {
	job := glass(0)(g)
	time.Sleep(idleTime + time.Second)
	return job
}

func deletedByOthers(g *rig) string {
	job := feeder(1)(g)
	g.set(func(f *fakeNode) { f.jobs[0].deleted = true })
	return job
}

func pageLost(g *rig) string {
	g.set(func(f *fakeNode) { f.refuse["GET page"] = problem.PageLost.Error() })
	return glass(0)(g)
}

func unreachable(g *rig) string {
	g.set(func(f *fakeNode) { f.refuse["GET page"] = problem.NodeOffline.Error() })
	return glass(0)(g)
}

func offline(g *rig) string {
	g.set(func(f *fakeNode) { f.status.State = scan.ScannerOffline })
	return ""
}

func emptyFeeder(g *rig) string {
	g.set(func(f *fakeNode) { f.status.Feeder = scan.FeederEmpty })
	return ""
}

func refused(err error) func(*rig) string {
	return func(g *rig) string {
		g.set(func(f *fakeNode) { f.refuse["POST jobs"] = err })
		return ""
	}
}

// unlearned makes the server one whose scanner never answered.
func unlearned(g *rig) string {
	g.server.mu.Lock()
	defer g.server.mu.Unlock()
	g.server.known = nil
	return ""
}

// TestPages: all pages, byte for byte, once each, in the form that was asked for.
func TestPages(t *testing.T) {
	for _, tt := range []struct {
		name     string
		pages    int
		elements []string
		stored   scan.Format
		begins   string
	}{
		{"JPEG from the glass", 1, []string{source("Platen"), format("image/jpeg")}, scan.FormatJPEG, "\xff\xd8\xff"},
		{"JPEG from the feeder", 5, []string{source("Feeder"), format("image/jpeg")}, scan.FormatJPEG, "\xff\xd8\xff"},
		{"both sides", 6, []string{source("Feeder"), "<scan:Duplex>true</scan:Duplex>", format("image/jpeg")}, scan.FormatJPEG, "\xff\xd8\xff"},
		{"PNG", 2, []string{source("Feeder"), format("image/png")}, scan.FormatPNG, "\x89PNG"},
		{"one bit", 2, []string{source("Feeder"), mode("BlackAndWhite1"), format("image/png")}, scan.FormatPNG, "\x89PNG"},
		{"16 bits", 1, []string{source("Platen"), mode("RGB48")}, scan.FormatPNG, "\x89PNG"},
		{"TIFF", 1, []string{source("Platen"), mode("BlackAndWhite1"), format("image/tiff")}, scan.FormatPNG, "\x89PNG"}, // the fake node converts nothing
		{"PDF", 3, []string{source("Feeder"), format("application/pdf")}, scan.FormatJPEG, "%PDF-1.7"},
		{"PDF of one bit", 1, []string{source("Platen"), mode("BlackAndWhite1"), "<scan:Intent>Document</scan:Intent>"}, scan.FormatPNG, "%PDF-1.7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withRig(t, func(g *rig) {
				t := g.t
				g.runs(scans(tt.pages))
				job := g.post(alice, tt.elements...)
				made := g.job()
				if got := made.job.Settings.Format; got != tt.stored {
					t.Errorf("stored as %s, want %s", got, tt.stored)
				}
				var all [][]byte
				for n := range tt.pages {
					a := g.next(200, alice, job)
					if at := a.Header.Get("Content-Location"); at != job+"/"+strconv.Itoa(n+1) {
						t.Errorf("Content-Location = %q", at)
					}
					if a.ContentLength != int64(len(a.body)) || !strings.HasPrefix(string(a.body), tt.begins) {
						t.Errorf("page %d: length %d of %d, begins %.8q", n+1, a.ContentLength, len(a.body), a.body)
					}
					if tt.begins[0] != '%' && !bytes.Equal(a.body, made.data[n]) {
						t.Errorf("page %d has other bytes than it was stored with", n+1)
					}
					if again := g.wants(200, alice, "GET", job+"/"+strconv.Itoa(n+1), ""); !bytes.Equal(again.body, a.body) {
						t.Errorf("page %d has other bytes when it is fetched again", n+1)
					}
					all = append(all, a.body)
				}
				g.wantsEnd(job)
				for i := range all {
					if i > 0 && bytes.Equal(all[i], all[i-1]) {
						t.Errorf("page %d came twice", i+1)
					}
				}
			})
		})
	}
}

// wantsEnd: the job is Completed before its client hears that there are no more pages,
// and at once.
func (g *rig) wantsEnd(job string) {
	g.t.Helper()
	synctest.Wait()
	if j := g.server.find(strings.TrimPrefix(job, jobsPath+"/")); j.state() != escl.JobCompleted {
		g.t.Errorf("state = %s before the 404, want Completed", j.state())
	}
	if a := g.next(404, alice, job); a.took > 0 {
		g.t.Errorf("the end came after %v, want at once", a.took)
	}
}

// TestMethods: what is not done here says what is.
func TestMethods(t *testing.T) {
	withRig(t, func(g *rig) {
		for _, r := range routes {
			path := strings.NewReplacer("{job}", strings.TrimPrefix(unknownJob, jobsPath+"/"), "{n}", "1").Replace(r.path)
			a := g.wants(http.StatusMethodNotAllowed, alice, "PATCH", path, "")
			if a.Header.Get("Allow") != r.method {
				t.Errorf("PATCH %s: Allow = %q, want %s", path, a.Header.Get("Allow"), r.method)
			}
		}
	})
}
