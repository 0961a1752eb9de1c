package airscan

import (
	"bytes"
	"fmt"
	"image/png"
	"reflect"
	"slices"
	"testing"

	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/scan"
)

func TestInputCaps(t *testing.T) {
	color := []scan.ModeDepths{{Mode: scan.ModeColor, Depths: []int{8}}}
	lineart := []scan.ModeDepths{{Mode: scan.ModeLineart, Depths: []int{1}}}
	a4 := scan.Area{MaxWidth: 210, MaxHeight: 297}
	both := []scan.Format{scan.FormatJPEG, scan.FormatPNG}
	for _, tt := range []struct {
		name        string
		stored      []scan.Format
		modes       []scan.ModeDepths
		resolutions scan.Resolutions
		area        scan.Area
		want        string // modes, formats, resolutions, size; "" for nothing
	}{
		{"list", both, color, scan.Resolutions{Values: []int{100, 4800}}, a4, "[RGB24] [application/pdf image/jpeg image/png] [100 4800] 2480 3507"},
		{"range", both, color, scan.Resolutions{Min: 50, Max: 350}, a4, "[RGB24] [application/pdf image/jpeg image/png] [75 100 150 200 240 300] 2480 3507"},
		{"range with steps", both, color, scan.Resolutions{Min: 50, Max: 600, Step: 50}, a4, "[RGB24] [application/pdf image/jpeg image/png] [100 150 200 300 400 600] 2480 3507"},
		{"range without usual ones", both, color, scan.Resolutions{Min: 310, Max: 320}, a4, "[RGB24] [application/pdf image/jpeg image/png] [310] 2480 3507"},
		{"one bit", both, lineart, scan.Resolutions{Values: []int{300}}, a4, "[BlackAndWhite1] [application/pdf image/png image/tiff] [300] 2480 3507"},
		{"one bit that cannot be stored", both[:1], lineart, scan.Resolutions{Values: []int{300}}, a4, ""},
		{"JPEG only", both[:1], append(color, lineart...), scan.Resolutions{Values: []int{300}}, a4, "[RGB24] [application/pdf image/jpeg] [300] 2480 3507"},
		{"no area", both, color, scan.Resolutions{Values: []int{300}}, scan.Area{}, ""},
		{"no resolution", both, color, scan.Resolutions{}, a4, ""},
		{"whole inches", both, color, scan.Resolutions{Values: []int{300}}, scan.Area{MaxWidth: 8.5 * 25.4, MaxHeight: 14 * 25.4}, "[RGB24] [application/pdf image/jpeg image/png] [300] 2550 4200"},
	} {
		src := scan.SourceCapabilities{Source: scan.SourcePlaten, Modes: tt.modes, Resolutions: tt.resolutions, Area: tt.area}
		k := newKnown(scan.Scanner{ID: scannerID}, scan.Capabilities{Formats: tt.stored, Sources: []scan.SourceCapabilities{src}})
		got := ""
		if in := k.offers.Platen; in != nil {
			got = fmt.Sprint(in.Modes, " ", in.Formats, " ", in.Resolutions, " ", in.MaxWidth, " ", in.MaxHeight)
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestWhatIsOfferedCanBeDone: every combination that the capabilities announce is taken.
func TestWhatIsOfferedCanBeDone(t *testing.T) {
	f := newFakeNode()
	k := newKnown(f.scanner, f.caps)
	tried := 0
	for _, from := range []struct {
		in     *escl.InputCaps
		source escl.InputSource
		duplex bool
	}{{k.offers.Platen, escl.FromPlaten, false}, {k.offers.Simplex, escl.FromFeeder, false}, {k.offers.Duplex, escl.FromFeeder, true}} {
		for _, mode := range from.in.Modes {
			for _, format := range from.in.Formats {
				for _, dpi := range from.in.Resolutions {
					w, h := from.in.MaxWidth, from.in.MaxHeight
					s := escl.Settings{Source: from.source, Duplex: from.duplex, Mode: mode, Format: format, Resolution: dpi, Region: &escl.Region{Width: &w, Height: &h}}
					o, err := k.order(&s, false)
					if format == escl.JPEG && mode != escl.Grayscale8 && mode != escl.RGB24 {
						if err == nil {
							t.Errorf("%s as JPEG is taken", mode)
						}
						continue
					}
					if err != nil {
						t.Errorf("%+v: %v", s, err)
						continue
					}
					back := k.complete(o, &s)
					if back.Mode != mode || back.Format != format || back.Resolution != dpi || *back.Region.Width != w || *back.Region.Height != h || back.Source != from.source || back.Duplex != from.duplex {
						t.Errorf("%+v was understood as %+v", s, back)
					}
					tried++
				}
			}
		}
	}
	if tried < 3*3*15 {
		t.Errorf("only %d combinations", tried)
	}
}

func TestOrder(t *testing.T) {
	f := newFakeNode()
	k := newKnown(f.scanner, f.caps)
	size := func(n int) *int { return &n }
	for _, tt := range []struct {
		name   string
		s      escl.Settings
		loaded bool
		want   string // source, mode, depth, resolution, stored, format, pages, region
	}{
		{"nothing said", escl.Settings{}, false, "platen color 8 300 jpeg image/jpeg 1 -"},
		{"nothing said, paper in the feeder", escl.Settings{}, true, "adf color 8 300 jpeg image/jpeg 0 -"},
		{"both sides of what", escl.Settings{Duplex: true}, false, "adf-duplex color 8 300 jpeg image/jpeg 0 -"},
		{"document", escl.Settings{Intent: escl.Document}, false, "platen color 8 300 jpeg application/pdf 1 -"},
		{"photo", escl.Settings{Intent: escl.Photo}, false, "platen color 8 300 jpeg image/jpeg 1 -"},
		{"preview", escl.Settings{Intent: escl.Preview}, false, "platen color 8 75 jpeg image/jpeg 1 -"},
		{"grey", escl.Settings{Mode: escl.Grayscale8, Format: escl.PDF}, false, "platen gray 8 300 jpeg application/pdf 1 -"},
		{"one bit", escl.Settings{Mode: escl.BlackAndWhite1}, false, "platen lineart 1 300 png image/png 1 -"},
		{"one bit in a document", escl.Settings{Mode: escl.BlackAndWhite1, Intent: escl.Document}, false, "platen lineart 1 300 png application/pdf 1 -"},
		{"region", escl.Settings{Region: &escl.Region{X: 300, Y: 600, Width: size(300), Height: size(150)}}, false, "platen color 8 300 jpeg image/jpeg 1 {25.4 50.8 25.4 12.7}"},
		{"region too large", escl.Settings{Region: &escl.Region{X: 2280, Width: size(5000), Height: size(300)}}, false, "platen color 8 300 jpeg image/jpeg 1 {193.04 0 16.933333333333334 25.4}"},
		{"region to the edge", escl.Settings{Region: &escl.Region{Y: 3000}}, false, "platen color 8 300 jpeg image/jpeg 1 {0 254 209.97333333333333 42.925999999999995}"},
		{"other spelling", escl.Settings{Format: "image/jpg"}, false, "platen color 8 300 jpeg image/jpeg 1 -"},
		{"PNG of 8 bits", escl.Settings{Format: escl.PNG}, false, "platen color 8 300 png image/png 1 -"},
	} {
		o, err := k.order(&tt.s, tt.loaded)
		if err != nil {
			if tt.want != "" {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		s, region := o.Settings, "-"
		if s.Region != nil {
			region = fmt.Sprint(*s.Region)
		}
		if got := fmt.Sprint(s.Source, " ", s.Mode, " ", s.Depth, " ", s.Resolution, " ", s.Format, " ", o.Format, " ", s.Pages, " ", region); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestAdjustments(t *testing.T) {
	number := func(v float64) *float64 { return &v }
	options := []scan.Option{
		{Name: "brightness", Type: scan.OptionInt, Min: number(-100), Max: number(100), Step: 1, Default: "0"},
		{Name: "contrast", Type: scan.OptionFixed, Min: number(-127), Max: number(127), Step: 0.5, Default: "0"},
		{Name: "gamma", Type: scan.OptionFixed, Min: number(0.3), Max: number(3), Default: "1"},
		{Name: "threshold", Type: scan.OptionFixed, Min: number(0), Max: number(100), Step: 1, Default: "50", Inactive: true},
		{Name: "highlight", Type: scan.OptionInt, Min: number(0), Max: number(255), Default: "255", ReadOnly: true},
		{Name: "shadow", Type: scan.OptionInt, Min: number(0), Max: number(255), Default: "0", Inactive: true},
		{Name: "sharpness", Type: scan.OptionString, Values: []string{"low", "high"}},
	}
	f := newFakeNode()
	f.caps.Options = options
	k := newKnown(f.scanner, f.caps)
	want := map[escl.Adjustment]escl.Range{
		escl.Brightness:        {Min: -100, Max: 100, Normal: 0, Step: 1},
		escl.Contrast:          {Min: -127, Max: 127, Normal: 0, Step: 1},
		escl.Gamma:             {Min: 3, Max: 30, Normal: 10, Step: 1},
		escl.Threshold:         {Min: 0, Max: 100, Normal: 50, Step: 1},
		escl.CompressionFactor: {Min: 0, Max: 99, Normal: 15, Step: 1},
	}
	if !reflect.DeepEqual(k.offers.Adjustments, want) {
		t.Errorf("adjustments = %v, want %v", k.offers.Adjustments, want)
	}
	for _, tt := range []struct {
		mode    escl.ColorMode
		asked   map[escl.Adjustment]int
		want    map[string]string
		quality int
	}{
		{escl.RGB24, map[escl.Adjustment]int{escl.Brightness: 20, escl.Gamma: 22}, map[string]string{"brightness": "20", "gamma": "2.2"}, 85},
		{escl.RGB24, map[escl.Adjustment]int{escl.Brightness: 0, escl.Gamma: 10, escl.Threshold: 70, escl.Shadow: 9}, nil, 85},
		{escl.RGB24, map[escl.Adjustment]int{escl.Brightness: 1000, escl.CompressionFactor: 40}, map[string]string{"brightness": "100"}, 60},
		{escl.RGB24, map[escl.Adjustment]int{escl.CompressionFactor: 100000}, nil, 1},
		{escl.BlackAndWhite1, map[escl.Adjustment]int{escl.Threshold: 70}, map[string]string{"threshold": "70"}, 85},
	} {
		o, err := k.order(&escl.Settings{Mode: tt.mode, Adjustments: tt.asked}, false)
		if err != nil {
			t.Errorf("%v: %v", tt.asked, err)
			continue
		}
		if !reflect.DeepEqual(o.Settings.Options, tt.want) || o.Settings.Quality != tt.quality {
			t.Errorf("%v gives options %v, quality %d; want %v, %d", tt.asked, o.Settings.Options, o.Settings.Quality, tt.want, tt.quality)
		}
	}
}

// TestDescribe: announced once learned, with what changes, whatever the scanner does then.
func TestDescribe(t *testing.T) {
	withRig(t, func(g *rig) {
		t := g.t
		d, ok := g.server.Describe()
		if !ok || d.Name != "Copier" || d.Location != "Hall" || d.Text["note"] != "Hall" || d.Text["ty"] != "Fake F1" || d.Text["uuid"] != escl.UUIDOf(scannerID) {
			t.Errorf("Describe() = %+v, %t", d, ok)
		}
		if d.Text["is"] != "platen,adf" || d.Text["duplex"] != "T" || d.Text["cs"] != "binary,grayscale,color" {
			t.Errorf("TXT = %v", d.Text)
		}
	})
}

func TestIcon(t *testing.T) {
	b, err := icon()
	need(t, err)
	img, err := png.Decode(bytes.NewReader(b))
	need(t, err)
	size := img.Bounds().Size()
	_, _, _, corner := img.At(0, 0).RGBA()
	_, _, _, middle := img.At(64, 90).RGBA()
	if size.X != 128 || size.Y != 128 || corner != 0 || middle != 0xffff {
		t.Errorf("icon of %v, alpha %x in the corner and %x on the device; want 128 × 128, 0, ffff", size, corner, middle)
	}
}

func TestRoutesAreDifferent(t *testing.T) {
	var seen []string
	for _, r := range routes {
		if key := r.method + r.path; slices.Contains(seen, key) {
			t.Errorf("%s %s is there twice", r.method, r.path)
		} else {
			seen = append(seen, key)
		}
	}
}
