package drivertest

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

// testModes scans in every source, mode, depth and format that the device says it has.
func testModes(t *testing.T, b *bench) {
	_, caps := b.open(t)
	for _, src := range caps.Sources {
		s, _ := b.open(t)
		for _, m := range src.Modes {
			for _, depth := range m.Depths {
				for _, format := range caps.Formats {
					if format == scan.FormatJPEG && depth != 8 {
						continue
					}
					t.Run(fmt.Sprintf("%s-%s-%d-%s", src.Source, m.Mode, depth, format), func(t *testing.T) {
						settings := b.settings(t, caps, src.Source, b.Fast)
						settings.Mode, settings.Depth, settings.Format, settings.Pages = m.Mode, depth, format, 1
						var sink Recorder
						must(t, s, settings, &sink)
						pages := sink.Committed()
						if len(pages) != 1 {
							t.Fatalf("%d pages, want 1", len(pages))
						}
						info := pages[0].Info
						if info.Mode != m.Mode || info.Depth != depth || info.Format != format || info.Resolution != settings.Resolution {
							t.Errorf("page is %s with %d bits as %s at %d dpi, want %s, %d, %s, %d",
								info.Mode, info.Depth, info.Format, info.Resolution, m.Mode, depth, format, settings.Resolution)
						}
					})
				}
			}
		}
	}
}

// testRegion scans two sizes and expects pixels in proportion.
func testRegion(t *testing.T, b *bench) {
	s, caps := b.open(t)
	source := caps.Sources[0]
	for _, size := range []scan.Region{{Width: 50, Height: 40}, {X: 10, Y: 20, Width: 80, Height: 60}} {
		settings := b.settings(t, caps, source.Source, b.Fast)
		settings.Region, settings.Pages = &size, 1
		var sink Recorder
		must(t, s, settings, &sink)
		p := sink.Committed()[0]
		for _, side := range []struct {
			name string
			got  int
			mm   float64
		}{{"width", p.Info.Width, size.Width}, {"height", p.Height, size.Height}} {
			// Devices round to what their steps allow.
			if want := scan.Pixels(side.mm, settings.Resolution); math.Abs(float64(side.got-want)) > 3+float64(want)/50 {
				t.Errorf("%s of %v mm at %d dpi is %d pixels, want about %d", side.name, side.mm, settings.Resolution, side.got, want)
			}
		}
	}
}

// testSamePixels scans the same twice: what one batch leaves behind must not show in the next.
func testSamePixels(t *testing.T, b *bench) {
	s, caps := b.open(t)
	source := b.source(caps)
	settings := b.settings(t, caps, source, b.Fast)
	settings.Pages = 1
	var first, between, second Recorder
	must(t, s, settings, &first)
	other := settings
	other.Resolution = caps.Sources[0].Resolutions.Nearest(150)
	other.Region = &scan.Region{X: 5, Y: 5, Width: 30, Height: 30}
	must(t, s, other, &between)
	must(t, s, settings, &second)
	if !bytes.Equal(first.Committed()[0].Data, second.Committed()[0].Data) {
		t.Error("the same settings gave different pages before and after another batch")
	}
}

// testFeeder empties the feeder.
func testFeeder(t *testing.T, b *bench) {
	s, caps := b.open(t)
	if feeder(caps) == "" {
		return
	}
	for _, src := range caps.Sources {
		if !src.Source.Feeder() {
			continue
		}
		t.Run(string(src.Source), func(t *testing.T) {
			for range 2 { // the second batch is as good as the first
				var sink Recorder
				must(t, s, b.settings(t, caps, src.Source, b.Fast), &sink)
				checkSides(t, src.Source, sink.Committed())
			}
		})
	}
}

func checkSides(t *testing.T, source scan.Source, pages []*Page) {
	t.Helper()
	if len(pages) < 2 {
		t.Fatalf("%d pages from a feeder, want more", len(pages))
	}
	if source == scan.SourceADFDuplex && len(pages)%2 != 0 {
		t.Errorf("%d pages of two-sided sheets, want an even number", len(pages))
	}
	for i, p := range pages {
		want := scan.SideFront
		if source == scan.SourceADFDuplex && i%2 == 1 {
			want = scan.SideBack
		}
		if p.Info.Side != want {
			t.Errorf("page %d shows the %q, want %q", i+1, p.Info.Side, want)
		}
	}
}

// testPages asks for fewer pages than there are.
func testPages(t *testing.T, b *bench) {
	s, caps := b.open(t)
	source := feeder(caps)
	if source == "" {
		return
	}
	settings := b.settings(t, caps, source, b.Fast)
	settings.Pages = 2
	for range 2 {
		var sink Recorder
		must(t, s, settings, &sink)
		if got := len(sink.Pages()); got != 2 {
			t.Errorf("Scan of 2 pages brought %d", got)
		}
	}
}

// testGlass scans sheet after sheet from the glass.
func testGlass(t *testing.T, b *bench) {
	s, caps := b.open(t)
	if _, ok := caps.Source(scan.SourcePlaten); !ok {
		return
	}
	settings := b.settings(t, caps, scan.SourcePlaten, b.Fast)
	settings.Pages = 2
	var sink Recorder
	wantStop(t, s.Scan(t.Context(), settings, &sink), scan.ReasonNextSheet)
	settings.Pages = 1
	must(t, s, settings, &sink)
	if got := len(sink.Committed()); got != 2 {
		t.Errorf("two sheets on the glass gave %d pages", got)
	}
}

// testFinish asks for the end during the first page.
func testFinish(t *testing.T, b *bench) {
	s, caps := b.open(t)
	for _, src := range caps.Sources {
		if !src.Source.Feeder() {
			continue
		}
		sink := Recorder{OnPage: func(n int, _ driver.PageInfo) error {
			if n == 1 {
				s.FinishAfterPage()
			}
			return nil
		}}
		must(t, s, b.settings(t, caps, src.Source, b.Slow), &sink)
		want := 1
		if src.Source == scan.SourceADFDuplex {
			want = 2
		}
		if got := len(sink.Committed()); got != want {
			t.Errorf("%s: %d pages after FinishAfterPage during the first sheet, want %d", src.Source, got, want)
		}
	}
}
