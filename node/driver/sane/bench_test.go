//go:build unix

package sane_test

import (
	"testing"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

// discard is a sink that notes when the first byte of a batch came.
type discard struct {
	first time.Time
	bytes int64
	pages int
}

func (d *discard) PageStarted(driver.PageInfo) (driver.PageSink, error) { return d, nil }

func (d *discard) Write(p []byte) (int, error) {
	if d.first.IsZero() {
		d.first = time.Now()
	}
	d.bytes += int64(len(p))
	return len(p), nil
}

func (d *discard) Progress(int) {}

func (d *discard) Commit(int, ...driver.Patch) error { d.pages++; return nil }

func (d *discard) Abort(error) {}

// BenchmarkPage is an A4 colour page at 300 dpi from the test back end through an open
// worker; BenchmarkFeeder ten of them.
func BenchmarkPage(b *testing.B)   { benchmark(b, scan.SourcePlaten, 1) }
func BenchmarkFeeder(b *testing.B) { benchmark(b, scan.SourceADF, 10) }

func benchmark(b *testing.B, source scan.Source, pages int) {
	for _, format := range []scan.Format{scan.FormatJPEG, scan.FormatPNG} {
		b.Run(string(format), func(b *testing.B) {
			worker, caps := open(b, workers(b))
			settings, err := caps.Resolve(scan.Settings{
				Source: source, Resolution: 300, Format: format, Region: &scan.Region{Width: 210, Height: 297},
			})
			if err != nil {
				b.Fatal(err)
			}
			var first time.Duration
			for b.Loop() {
				var sink discard
				start := time.Now()
				if err := worker.Scan(b.Context(), settings, &sink); err != nil {
					b.Fatal(err)
				}
				if sink.pages != pages {
					b.Fatalf("%d pages, want %d", sink.pages, pages)
				}
				first += sink.first.Sub(start)
			}
			b.ReportMetric(float64(first.Microseconds())/1e3/float64(b.N), "ms-to-first-byte")
		})
	}
}
