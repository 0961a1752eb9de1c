package airscan

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/scan"
)

// clients are real ones: what they send with every request and with POST, and what
// becomes of it.
var clients = []struct {
	name    string
	headers []string
	media   string // Content-Type of POST
	remedy  remedy
}{
	{"SANE's escl 1.2.1", []string{"Accept: */*"}, "application/x-www-form-urlencoded",
		remedy{hideFormats: []string{escl.PNG, escl.TIFF}, lineartAsJPEG: true, patient: true}},
	{"sane-airscan 0.99.27", nil, "text/xml", remedy{}},
	{"NAPS2", nil, "text/xml; charset=utf-8", remedy{}},
	{"ScanBridge, OkHttp", []string{"Accept: */*", "Accept-Encoding: gzip", "User-Agent: okhttp/5.1.0"}, "text/xml",
		remedy{hideNaps2: true, hideAdjustments: []escl.Adjustment{escl.Gamma}}},
	{"ScanBridge, Ktor 2", []string{"Accept: */*", "Accept-Charset: UTF-8", "User-Agent: Ktor client"}, "text/xml",
		remedy{hideNaps2: true, hideAdjustments: []escl.Adjustment{escl.Gamma}}},
	{"ScanBridge, Ktor 3", []string{"Accept: */*", "Accept-Charset: UTF-8", "User-Agent: ktor-client"}, "text/xml",
		remedy{hideNaps2: true, hideAdjustments: []escl.Adjustment{escl.Gamma}}},
	{"macOS", []string{"Accept: */*", "Accept-Language: en-us", "Accept-Encoding: gzip, deflate", "User-Agent: AirScanScanner/41 CFNetwork/1404.0.5 Darwin/22.3.0"},
		"text/xml", remedy{hideNaps2: true}},
	{"curl", []string{"Accept: */*", "User-Agent: curl/7.88.1"}, "application/x-www-form-urlencoded", remedy{hideNaps2: true}},
}

func TestRemedyFor(t *testing.T) {
	for _, c := range clients {
		for _, r := range []*http.Request{{Header: http.Header{}}, {Header: http.Header{"Content-Type": {c.media}}}} {
			for _, line := range c.headers {
				name, value, _ := strings.Cut(line, ": ")
				r.Header.Set(name, value)
			}
			if got := remedyFor(r); !reflect.DeepEqual(got, c.remedy) {
				t.Errorf("%s, %v: remedy = %+v, want %+v", c.name, r.Header, got, c.remedy)
			}
		}
	}
}

// TestQuirksAreUsed: each row has words and a remedy, and a client that needs it.
func TestQuirksAreUsed(t *testing.T) {
	for _, q := range quirks {
		if q.client == "" || q.reason == "" || len(q.headers) == 0 || reflect.DeepEqual(q.remedy, remedy{}) {
			t.Errorf("row %+v is not complete", q)
		}
		for name := range q.headers {
			if name != http.CanonicalHeaderKey(name) {
				t.Errorf("%s: header %s is never met in this spelling", q.client, name)
			}
		}
	}
}

// withGamma is withRig with a scanner that has an adjustment more.
func withGamma(t *testing.T, test func(g *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		node := newFakeNode()
		low, high := 0.3, 3.0
		node.caps.Options = []scan.Option{{Name: "gamma", Type: scan.OptionFixed, Min: &low, Max: &high, Default: "1"}}
		g := newRig(t, node)
		defer g.stop()
		synctest.Wait()
		test(g)
	})
}

// TestCapabilitiesPerClient: each is told what it can read, whoever asked before.
func TestCapabilitiesPerClient(t *testing.T) {
	withGamma(t, func(g *rig) {
		for _, c := range append(clients, clients...) {
			told, err := escl.ParseCapabilities(g.wants(200, alice, "GET", "/eSCL/ScannerCapabilities", "", c.headers...).body)
			need(g.t, err)
			formats := []string{escl.PDF, escl.JPEG, escl.PNG, escl.TIFF}
			if c.remedy.hideFormats != nil {
				formats = formats[:2]
			}
			for _, in := range []*escl.InputCaps{told.Platen, told.Simplex, told.Duplex} {
				if in == nil || !slices.Equal(in.Formats, formats) || len(in.Modes) != 5 {
					g.t.Errorf("%s is told of %+v, want formats %v", c.name, in, formats)
				}
			}
			if naps2 := told.Naps2 != ""; naps2 == c.remedy.hideNaps2 {
				g.t.Errorf("%s is told of Naps2Extensions %q", c.name, told.Naps2)
			}
			if _, gamma := told.Adjustments[escl.Gamma]; gamma == (c.remedy.hideAdjustments != nil) {
				g.t.Errorf("%s: GammaSupport is there: %t", c.name, gamma)
			}
			if _, there := told.Adjustments[escl.CompressionFactor]; !there || !told.JobSource {
				g.t.Errorf("%s is told %+v", c.name, told)
			}
		}
	})
}

// TestLineartAsJPEG is for the client that takes one bit in no other format that it reads.
func TestLineartAsJPEG(t *testing.T) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			withRig(t, func(g *rig) {
				t := g.t
				g.runs(scans(2))
				lines := append(slices.Clone(c.headers), "Content-Type: "+c.media)
				asked := settings(source("Feeder"), mode("BlackAndWhite1"), format("image/jpeg"))
				status := map[bool]int{true: http.StatusCreated, false: http.StatusConflict}[c.remedy.lineartAsJPEG]
				a := g.wants(status, alice, "POST", "/eSCL/ScanJobs", asked, lines...)
				g.wants(map[bool]int{true: 200, false: 409}[c.remedy.lineartAsJPEG], alice, "PUT", "/eSCL/ScanBufferInfo", asked, lines...)
				if status != http.StatusCreated {
					return
				}
				job := strings.TrimPrefix(a.Header.Get("Location"), "http://scanner.local:18630")
				for range 2 {
					if got := g.next(200, alice, job).Header.Get("Content-Type"); got != escl.JPEG {
						t.Errorf("page is %s, want %s", got, escl.JPEG)
					}
				}
				g.wants(200, alice, "GET", job+"/1", "")
				g.wantsEnd(job)
				made := g.job()
				if s := made.job.Settings; s.Mode != scan.ModeLineart || s.Depth != 1 || s.Format != scan.FormatPNG {
					t.Errorf("stored as %s with %d bits, %s; want lineart with 1 bit, png", s.Mode, s.Depth, s.Format)
				}
				if got := fmt.Sprint(made.asked); got != "[jpeg jpeg jpeg]" {
					t.Errorf("pages were fetched as %s, want as JPEG", got)
				}
			})
		})
	}
}

// TestWhatIsToldCanBeDone: every client gets what it is told of.
func TestWhatIsToldCanBeDone(t *testing.T) {
	f := newFakeNode()
	for i := range f.caps.Sources {
		f.caps.Sources[i].Modes = []scan.ModeDepths{{Mode: scan.ModeLineart, Depths: []int{1}}}
	}
	k := newKnown(f.scanner, f.caps)
	for _, c := range clients {
		told := c.remedy.offers(k.offers)
		for _, format := range told.Platen.Formats {
			o, err := c.remedy.order(k, &escl.Settings{Source: escl.FromPlaten, Mode: escl.BlackAndWhite1, Format: format}, false)
			if err != nil || o.Format != format {
				t.Errorf("%s: line art as %s becomes %s, %v", c.name, format, o.Format, err)
			}
		}
		if c.remedy.lineartAsJPEG && !slices.Equal(told.Platen.Formats, []string{escl.PDF, escl.JPEG}) {
			t.Errorf("%s is told of %v for line art, want PDF and JPEG", c.name, told.Platen.Formats)
		}
	}
}
