package sane

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

func capabilities(t *testing.T, f *fake) (*device, scan.Capabilities) {
	t.Helper()
	d, err := newDevice(f)
	if err != nil {
		t.Fatal(err)
	}
	caps, err := d.Capabilities(t.Context())
	if err != nil {
		t.Fatalf("Capabilities() = %v", err)
	}
	return d, caps
}

// begin sets the device up for what settings resolve to and answers the sets.
func begin(t *testing.T, f *fake, settings scan.Settings) []string {
	t.Helper()
	d, caps := capabilities(t, f)
	resolved, err := caps.Resolve(settings)
	if err != nil {
		t.Fatalf("Resolve() = %v", err)
	}
	f.sets = nil
	if err := d.Begin(t.Context(), resolved); err != nil {
		t.Fatalf("Begin() = %v", err)
	}
	return f.sets
}

func modesOf(src scan.SourceCapabilities) string {
	var words []string
	for _, m := range src.Modes {
		words = append(words, fmt.Sprint(m.Mode, m.Depths))
	}
	return strings.Join(words, " ")
}

// fujitsu is like the feeder scanners of the back end of that name.
func fujitsu(t *testing.T) *fake {
	options := []option{
		stringList(optSource, "ADF Front", "ADF Back", "ADF Duplex"),
		stringList(optMode, "Lineart", "Halftone", "Gray", "Color"),
		intList(optResolution, 150, 200, 300, 600),
		fixedRange(optPageWidth, unitMM, 50, 221), fixedRange(optPageHeight, unitMM, 50, 3000),
	}
	options = append(options, area(221, 3000)...)
	options = append(options, stringList("swdeskew", "no", "yes"), option{name: optPageLoaded, typ: typeBool, caps: capSoftDetect})
	f := newFake(t, options...)
	// The sheet bounds the rectangle on it.
	f.changed = func(f *fake, name string) int32 {
		if name != optPageWidth && name != optPageHeight {
			return 0
		}
		sheet := f.find(map[string]string{optPageWidth: optBRX, optPageHeight: optBRY}[name])
		o, _ := f.option(int32(1 + slices.IndexFunc(f.options, func(o option) bool { return o.name == name })))
		var v float64
		fmt.Sscan(o.format(f.values[name]), &v)
		sheet.max = int32(v * fixedOne)
		return infoReloadOptions
	}
	return f
}

func TestFeederCapabilities(t *testing.T) {
	_, caps := capabilities(t, fujitsu(t))
	if len(caps.Sources) != 2 || caps.Sources[0].Source != scan.SourceADF || caps.Sources[1].Source != scan.SourceADFDuplex {
		t.Fatalf("sources = %+v", caps.Sources)
	}
	src := caps.Sources[0]
	if src.Feeder == nil || !src.Feeder.DetectsLoad {
		t.Errorf("feeder = %+v, want one that detects its load", src.Feeder)
	}
	if src.Area.MaxWidth != 221 || src.Area.MaxHeight != 3000 {
		t.Errorf("area = %+v", src.Area)
	}
	if got, want := src.Resolutions.Values, []int{150, 200, 300, 600}; !slices.Equal(got, want) {
		t.Errorf("resolutions = %v", got)
	}
	var names []string
	for _, o := range caps.Options {
		names = append(names, o.Name)
	}
	if !slices.Equal(names, []string{"swdeskew", optPageLoaded}) {
		t.Errorf("options = %v", names)
	}
	if !caps.Options[1].ReadOnly || caps.Options[0].Values[0] != "no" {
		t.Errorf("options = %+v", caps.Options)
	}
}

// TestOrder sets a duplex A4 scan up: the sheet before the rectangle, its end first.
func TestOrder(t *testing.T) {
	got := begin(t, fujitsu(t), scan.Settings{
		Source: scan.SourceADFDuplex, Mode: scan.ModeGray, Resolution: 200, Region: &scan.Region{X: 10, Y: 5, Width: 190, Height: 280},
		Options: map[string]string{"swdeskew": "yes"},
	})
	tail := []string{
		"mode=Gray", "resolution=200", "swdeskew=yes", "page-width=200", "page-height=285", "br-x=200", "br-y=285", "tl-x=10", "tl-y=5",
	}
	if len(got) < len(tail) || !slices.Equal(got[len(got)-len(tail):], tail) {
		t.Errorf("sets = %v, want them to end with %v", got, tail)
	}
	if got[0] != "source=ADF Duplex" {
		t.Errorf("the first set is %s", got[0])
	}
}

func TestLongFeederDefaultsToASheet(t *testing.T) {
	f := fujitsu(t)
	begin(t, f, scan.Settings{Source: scan.SourceADF})
	if got := f.value(optPageHeight); got != "297" {
		t.Errorf("page-height = %s, want that of A4", got)
	}
	if got := f.value(optBRX); got != "221" {
		t.Errorf("br-x = %s, want all of the width", got)
	}
}

func TestRestore(t *testing.T) {
	f := fujitsu(t)
	d, caps := capabilities(t, f)
	for _, settings := range []scan.Settings{{Mode: scan.ModeGray, Resolution: 600, Options: map[string]string{"swdeskew": "yes"}}, {Resolution: 150}} {
		resolved, err := caps.Resolve(settings)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Begin(t.Context(), resolved); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.value("swdeskew"); got != "no" {
		t.Errorf("swdeskew = %s in a batch that does not ask for it", got)
	}
}

func TestModeNames(t *testing.T) {
	for _, test := range []struct {
		name  string
		modes []string
		want  string
		sets  map[scan.ColorMode]string
	}{
		{
			"brother", []string{"Black & White", "Gray[Error Diffusion]", "True Gray", "24bit Color[Fast]", "24bit Color"},
			"color[8] gray[8] lineart[1]",
			map[scan.ColorMode]string{scan.ModeColor: "24bit Color", scan.ModeGray: "True Gray", scan.ModeLineart: "Black & White"},
		},
		{"plustek", []string{"Gray", "Color"}, "color[8] gray[8] lineart[1]", map[scan.ColorMode]string{scan.ModeLineart: "Gray"}},
		{"old", []string{"Binary", "256-Level Gray", "Color - 16 Million Colors"}, "color[8] gray[8] lineart[1]", nil},
		{"deep", []string{"48 bits color", "24 bit Color", "Gray"}, "color[8 16] gray[8] lineart[1]", map[scan.ColorMode]string{scan.ModeColor: "24 bit Color"}},
		{"halftone only", []string{"Halftone", "Color"}, "color[8] lineart[1]", map[scan.ColorMode]string{scan.ModeLineart: "Halftone"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, caps := capabilities(t, newFake(t, append(area(215, 297), stringList(optMode, test.modes...), intList(optResolution, 300))...))
			if got := modesOf(caps.Sources[0]); got != test.want {
				t.Errorf("modes = %s, want %s", got, test.want)
			}
			for mode, want := range test.sets {
				f := newFake(t, append(area(215, 297), stringList(optMode, test.modes...), intList(optResolution, 300))...)
				begin(t, f, scan.Settings{Mode: mode})
				if got := f.value(optMode); got != want {
					t.Errorf("for %s the mode is %q, want %q", mode, got, want)
				}
			}
		})
	}
}

func TestDepths(t *testing.T) {
	for _, test := range []struct {
		depth option
		want  string
		set   string // for 16 bits
	}{
		{intList(optDepth, 1, 8, 16), "color[8 16] gray[8 16] lineart[1]", "16"},
		{intList(optDepth, 8, 12), "color[8 16] gray[8 16] lineart[1]", "12"},
		{intList(optDepth, 8, 14, 16), "color[8 16] gray[8 16] lineart[1]", "16"},
		{option{name: optDepth, typ: typeInt, constraint: constraintRange, min: 8, max: 10}, "color[8 16] gray[8 16] lineart[1]", "10"},
	} {
		f := newFake(t, append(area(215, 297), stringList(optMode, "Gray", "Color"), test.depth, intList(optResolution, 300))...)
		_, caps := capabilities(t, f)
		if got := modesOf(caps.Sources[0]); got != test.want {
			t.Errorf("depth %v: modes = %s, want %s", test.depth.words, got, test.want)
		}
		begin(t, f, scan.Settings{Mode: scan.ModeColor, Depth: 16})
		if got := f.value(optDepth); got != test.set {
			t.Errorf("depth %v: 16 bits set %s, want %s", test.depth.words, got, test.set)
		}
	}
}

func TestSources(t *testing.T) {
	plain := append(area(215, 297), stringList(optMode, "Color"), intList(optResolution, 300))
	for _, test := range []struct {
		name    string
		options []option
		want    []scan.Source
		set     map[scan.Source]string
	}{
		{"flatbed alone", nil, []scan.Source{scan.SourcePlaten}, nil},
		{"sheet-fed", []option{boolean(optPageLoaded)}, []scan.Source{scan.SourceADF}, nil},
		{"sheet-fed, duplex", []option{boolean(optDuplex)}, []scan.Source{scan.SourceADF, scan.SourceADFDuplex}, map[scan.Source]string{scan.SourceADFDuplex: "duplex=yes", scan.SourceADF: "duplex=no"}},
		{
			"both sides by adf-mode",
			[]option{stringList(optSource, "Flatbed", "Automatic Document Feeder"), stringList("adf-mode", "Simplex", "Duplex")}, scan.Sources,
			map[scan.Source]string{scan.SourceADFDuplex: "adf-mode=Duplex", scan.SourceADF: "adf-mode=Simplex"},
		},
		{"transparencies", []option{stringList(optSource, "Normal", "Transparency", "Negative")}, []scan.Source{scan.SourcePlaten}, nil},
		{"kyocera", []option{stringList(optSource, "Auto", "DP")}, []scan.Source{scan.SourcePlaten, scan.SourceADF}, map[scan.Source]string{scan.SourceADF: "source=DP"}},
		{"airscan", []option{stringList(optSource, "Flatbed", "ADF", "ADF Duplex")}, scan.Sources, map[scan.Source]string{scan.SourceADFDuplex: "source=ADF Duplex"}},
		{"unknown words", []option{stringList(optSource, "Vorlagenglas")}, []scan.Source{scan.SourcePlaten}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			options := slices.Concat(test.options, plain)
			_, caps := capabilities(t, newFake(t, options...))
			var got []scan.Source
			for _, src := range caps.Sources {
				got = append(got, src.Source)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("sources = %v, want %v", got, test.want)
			}
			for source, want := range test.set {
				if sets := begin(t, newFake(t, options...), scan.Settings{Source: source}); !slices.Contains(sets, want) {
					t.Errorf("%s sets %v, want %s among them", source, sets, want)
				}
			}
		})
	}
}

func TestPixelGeometry(t *testing.T) {
	inPixels := func(name string, high int32) option {
		return option{name: name, typ: typeInt, unit: unitPixel, constraint: constraintRange, max: high}
	}
	f := newFake(t, inPixels(optTLX, 2550), inPixels(optTLY, 3508), inPixels(optBRX, 2550), inPixels(optBRY, 3508),
		stringList(optMode, "Color"), intList(optResolution, 300))
	_, caps := capabilities(t, f)
	if a := caps.Sources[0].Area; math.Abs(a.MaxWidth-215.9) > 0.1 || math.Abs(a.MaxHeight-297) > 0.1 {
		t.Errorf("area = %+v, want 215.9 × 297 mm", a)
	}
	begin(t, f, scan.Settings{Region: &scan.Region{X: 25.4, Y: 50.8, Width: 50.8, Height: 25.4}})
	for name, want := range map[string]string{optTLX: "300", optTLY: "600", optBRX: "900", optBRY: "900"} {
		if got := f.value(name); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
}

func TestInactiveOption(t *testing.T) {
	hidden := boolean("bright")
	hidden.caps = capSoftSelect | capSoftDetect | capInactive
	f := newFake(t, append(area(215, 297), stringList(optMode, "Color"), intList(optResolution, 300), boolean("custom"), hidden)...)
	f.changed = func(f *fake, name string) int32 {
		if name == "custom" {
			f.find("bright").caps &^= capInactive
			return infoReloadOptions
		}
		return 0
	}
	d, caps := capabilities(t, f)
	settings, err := caps.Resolve(scan.Settings{Options: map[string]string{"bright": "yes"}})
	if err != nil {
		t.Fatal(err)
	}
	var stop *driver.Stop
	if err := d.Begin(t.Context(), settings); !errors.As(err, &stop) || stop.Reason != scan.ReasonUnsupported {
		t.Errorf("Begin() with an inactive option = %v, want unsupported", err)
	}
	settings.Options["custom"] = "yes" // listed after it is needed, or before: that does not matter
	if err := d.Begin(t.Context(), settings); err != nil {
		t.Errorf("Begin() with the option that makes it active = %v", err)
	}
	if got := f.value("bright"); got != "yes" {
		t.Errorf("bright = %s", got)
	}
}

// TestWithheld keeps who may scan away from the files of the node.
func TestWithheld(t *testing.T) {
	f := newFake(t, append(area(215, 297), stringList(optMode, "Color"), intList(optResolution, 300),
		option{name: "filename", typ: typeString}, option{name: "calibration-file", typ: typeString}, option{name: "title", typ: typeString})...)
	d, caps := capabilities(t, f)
	for _, o := range caps.Options {
		if o.Name != "title" {
			t.Errorf("option %s is offered", o.Name)
		}
	}
	err := d.Begin(t.Context(), scan.Settings{
		Source: scan.SourcePlaten, Mode: scan.ModeColor, Depth: 8, Resolution: 300, Options: map[string]string{"filename": "/etc/shadow"},
	})
	if err == nil || f.value("filename") != "" {
		t.Errorf("Begin() with a file name = %v, filename = %q", err, f.value("filename"))
	}
}

// FuzzParse sets options to anything; what is taken must come back the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"yes", "12", "-3.5", "1e300", "NaN", "Gray", "", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, o := range []option{
			{name: "b", typ: typeBool, size: 4}, {name: "i", typ: typeInt, size: 4}, {name: "f", typ: typeFixed, size: 4},
			{name: "s", typ: typeString, size: 16}, {name: "p", typ: typeButton}, {name: "a", typ: typeInt, size: 400},
		} {
			b, err := o.parse(value)
			if err != nil {
				continue
			}
			if o.typ == typeString && o.format(b) != value {
				t.Errorf("option of type %d: %q came back as %q", o.typ, value, o.format(b))
			}
			if o.typ != typeButton && len(b) < o.size {
				t.Errorf("option of type %d takes %d bytes, %d were made", o.typ, o.size, len(b))
			}
		}
	})
}
