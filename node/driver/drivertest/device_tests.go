package drivertest

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

func testDevices(t *testing.T, b *bench) {
	first, err := b.Devices(t.Context())
	if err != nil {
		t.Fatalf("Devices() = %v", err)
	}
	second, err := b.Devices(t.Context())
	if err != nil || !reflect.DeepEqual(first, second) {
		t.Errorf("Devices() = %v and then %v, %v; want the same", first, second, err)
	}
	names, stable := make(map[string]bool), make(map[string]bool)
	for _, d := range first {
		if d.Driver == "" || d.Name == "" || d.Stable == "" || d.Title == "" {
			t.Errorf("device %+v has an empty field", d)
		}
		if names[d.Name] || stable[d.Stable] {
			t.Errorf("device %+v has the name of another", d)
		}
		names[d.Name], stable[d.Stable] = true, true
	}
}

func testOpenUnknown(t *testing.T, b *bench) {
	info := b.device(t)
	info.Name = "no-such-device:7"
	s, err := b.Open(t.Context(), info)
	if err == nil {
		s.Close()
	}
	var stop *driver.Stop
	if !errors.As(err, &stop) {
		t.Errorf("Open() of a device that does not exist = %v, want a *Stop", err)
	}
}

// testCapabilities holds what the device says against itself.
func testCapabilities(t *testing.T, b *bench) {
	_, caps := b.open(t)
	defaults, err := caps.Resolve(scan.Settings{})
	if err != nil {
		t.Fatalf("Resolve of nothing = %v", err)
	}
	if !reflect.DeepEqual(defaults, caps.Defaults) {
		t.Errorf("Defaults = %+v, but Resolve of nothing = %+v", caps.Defaults, defaults)
	}
	for _, src := range caps.Sources {
		if len(src.Modes) == 0 || src.Area.MaxWidth <= 0 || src.Area.MaxHeight <= 0 {
			t.Errorf("source %+v has no mode or no area", src)
		}
		if (src.Feeder != nil) != src.Source.Feeder() {
			t.Errorf("source %s has feeder abilities %v", src.Source, src.Feeder)
		}
		for _, m := range src.Modes {
			for _, depth := range m.Depths {
				if _, err := caps.Resolve(scan.Settings{Source: src.Source, Mode: m.Mode, Depth: depth}); err != nil {
					t.Errorf("%s, %s, %d bits: %v", src.Source, m.Mode, depth, err)
				}
			}
		}
		for _, dpi := range src.Resolutions.Values {
			if dpi <= 0 {
				t.Errorf("source %s has a resolution of %d dpi", src.Source, dpi)
			}
		}
	}
	seen := make(map[string]bool)
	for _, o := range caps.Options {
		if o.Name == "" || o.Type == "" || seen[o.Name] {
			t.Errorf("option %+v has no name or type, or the name of another", o)
		}
		seen[o.Name] = true
	}
}

func testStatus(t *testing.T, b *bench) {
	s, _ := b.open(t)
	st, err := s.Status(t.Context())
	if err != nil || st.State != scan.ScannerIdle || st.Feeder == "" {
		t.Errorf("Status() = %+v, %v; want idle and a word on the feeder", st, err)
	}
}

// testClose closes twice, and in the middle of a scan.
func testClose(t *testing.T, b *bench) {
	s, caps := b.open(t)
	settings := b.settings(t, caps, caps.Sources[0].Source, b.Fast)
	settings.Pages = 1
	must(t, s, settings, new(Recorder))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
	again, _ := b.open(t)
	must(t, again, settings, new(Recorder))
	if _, err := again.Status(context.Background()); err != nil {
		t.Errorf("Status() of a device that was closed and opened = %v", err)
	}
}
