package scan

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"
)

func flatbedWithFeeder() Capabilities {
	low, high := -4.0, 4.0
	return Capabilities{
		Formats: []Format{FormatJPEG, FormatPNG},
		Sources: []SourceCapabilities{
			{
				Source:      SourcePlaten,
				Modes:       []ModeDepths{{ModeColor, []int{8, 16}}, {ModeGray, []int{8}}, {ModeLineart, []int{1}}},
				Resolutions: Resolutions{Values: []int{75, 150, 300, 600}},
				Area:        Area{MinWidth: 5, MinHeight: 5, MaxWidth: 215.9, MaxHeight: 297},
			},
			{
				Source:      SourceADF,
				Modes:       []ModeDepths{{ModeGray, []int{8}}, {ModeColor, []int{8}}},
				Resolutions: Resolutions{Min: 100, Max: 300, Step: 50},
				Area:        Area{MaxWidth: 210, MaxHeight: 356},
				Defaults:    &SourceDefaults{Mode: ModeColor, Resolution: 200},
			},
		},
		Options: []Option{
			{Name: "gamma", Type: OptionFixed, Min: &low, Max: &high},
			{Name: "count", Type: OptionInt, Values: []string{"1", "2"}},
			{Name: "paper", Type: OptionString, Values: []string{"thin", "thick"}},
			{Name: "despeckle", Type: OptionBool},
			{Name: "page-loaded", Type: OptionBool, ReadOnly: true},
		},
	}
}

func TestResolveFillsIn(t *testing.T) {
	caps := flatbedWithFeeder()
	for _, tt := range []struct {
		name     string
		in, want Settings
	}{
		{"nothing said", Settings{},
			Settings{Source: SourcePlaten, Mode: ModeColor, Depth: 8, Resolution: 300, Pages: 1, Format: FormatJPEG, Quality: 85}},
		{"feeder takes its own defaults and every sheet", Settings{Source: SourceADF},
			Settings{Source: SourceADF, Mode: ModeColor, Depth: 8, Resolution: 200, Format: FormatJPEG, Quality: 85}},
		{"16 bits are stored as PNG", Settings{Depth: 16},
			Settings{Source: SourcePlaten, Mode: ModeColor, Depth: 16, Resolution: 300, Pages: 1, Format: FormatPNG, Quality: 85}},
		{"a depth picks its mode", Settings{Depth: 1},
			Settings{Source: SourcePlaten, Mode: ModeLineart, Depth: 1, Resolution: 300, Pages: 1, Format: FormatPNG, Quality: 85}},
		{"a region that ends a hair outside is cut", Settings{Region: &Region{X: 0, Y: 0, Width: 216, Height: 297.2}},
			Settings{Source: SourcePlaten, Mode: ModeColor, Depth: 8, Resolution: 300, Pages: 1, Format: FormatJPEG, Quality: 85,
				Region: &Region{Width: 215.9, Height: 297}}},
	} {
		got, err := caps.Resolve(tt.in)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: Resolve(%+v) = %+v, %v, want %+v", tt.name, tt.in, got, err, tt.want)
		}
		again, err := caps.Resolve(got)
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s: Resolve of a resolved value = %+v, %v, want it unchanged", tt.name, again, err)
		}
	}
}

func TestResolveNamesTheField(t *testing.T) {
	caps := flatbedWithFeeder()
	for _, tt := range []struct {
		field string
		in    Settings
	}{
		{"source", Settings{Source: SourceADFDuplex}},
		{"mode", Settings{Source: SourceADF, Mode: ModeLineart}},
		{"depth", Settings{Mode: ModeGray, Depth: 16}},
		{"depth", Settings{Depth: 7}},
		{"resolution", Settings{Resolution: 301}},
		{"resolution", Settings{Source: SourceADF, Resolution: 125}},
		{"resolution", Settings{Resolution: -300}},
		{"region", Settings{Region: &Region{Width: 300, Height: 10}}},
		{"region", Settings{Region: &Region{X: 215.95, Width: 5, Height: 10}}},
		{"region", Settings{Region: &Region{X: -1, Width: 10, Height: 10}}},
		{"region", Settings{Region: &Region{Width: 0, Height: 10}}},
		{"region", Settings{Region: &Region{Width: 1, Height: 10}}},
		{"region", Settings{Region: &Region{Width: math.NaN(), Height: 10}}},
		{"region", Settings{Region: &Region{Width: math.Inf(1), Height: 10}}},
		{"pages", Settings{Pages: -1}},
		{"pages", Settings{Pages: 1001}},
		{"format", Settings{Format: FormatTIFF}},
		{"format", Settings{Format: FormatJPEG, Depth: 16}},
		{"quality", Settings{Quality: 101}},
		{"options.nosuch", Settings{Options: map[string]string{"nosuch": "1"}}},
		{"options.gamma", Settings{Options: map[string]string{"gamma": "5"}}},
		{"options.gamma", Settings{Options: map[string]string{"gamma": "NaN"}}},
		{"options.count", Settings{Options: map[string]string{"count": "1.5"}}},
		{"options.count", Settings{Options: map[string]string{"count": "3"}}},
		{"options.paper", Settings{Options: map[string]string{"paper": "wet"}}},
		{"options.despeckle", Settings{Options: map[string]string{"despeckle": "maybe"}}},
		{"options.page-loaded", Settings{Options: map[string]string{"page-loaded": "yes"}}},
	} {
		_, err := caps.Resolve(tt.in)
		var se *SettingsError
		if !errors.As(err, &se) || se.Field != tt.field || se.Reason == "" {
			t.Errorf("Resolve(%+v) = %v, want an error at %s", tt.in, err, tt.field)
		}
	}
	if _, err := new(Capabilities).Resolve(Settings{}); err == nil {
		t.Error("Resolve without any source succeeded")
	}
}

func TestNearestResolution(t *testing.T) {
	for _, tt := range []struct {
		r        Resolutions
		in, want int
	}{
		{Resolutions{Values: []int{75, 150, 300}}, 10, 75},
		{Resolutions{Values: []int{75, 150, 300}}, 9999, 300},
		{Resolutions{Values: []int{100, 200}}, 150, 200},
		{Resolutions{Min: 50, Max: 1200}, 301, 301},
		{Resolutions{Min: 100, Max: 290, Step: 50}, 289, 250},
		{Resolutions{Min: 100, Max: 300, Step: 50}, 126, 150},
	} {
		got := tt.r.Nearest(tt.in)
		if got != tt.want || !tt.r.Has(got) {
			t.Errorf("%v.Nearest(%d) = %d (offered: %t), want %d", tt.r, tt.in, got, tt.r.Has(got), tt.want)
		}
	}
}

// FuzzResolve holds Resolve to its promise: whatever a client sends, the answer is
// an error that names a field, or settings that resolve to themselves.
func FuzzResolve(f *testing.F) {
	for _, s := range []string{`{}`, `{"source":"adf","resolution":150}`, `{"region":{"x":1,"y":2,"width":3e300,"height":1}}`,
		`{"depth":16,"format":"png","options":{"gamma":"1e309"}}`} {
		f.Add([]byte(s))
	}
	caps := flatbedWithFeeder()
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Settings
		if json.Unmarshal(b, &s) != nil {
			return
		}
		got, err := caps.Resolve(s)
		if err != nil {
			var se *SettingsError
			if !errors.As(err, &se) || se.Field == "" {
				t.Fatalf("Resolve(%s) = %v, not a SettingsError", b, err)
			}
			return
		}
		again, err := caps.Resolve(got)
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("Resolve(%s) = %+v, which resolves to %+v, %v", b, got, again, err)
		}
	})
}
