package imaging

import (
	"fmt"
	"io"
	"testing"

	"github.com/platen-scan/platen/proto/scan"
)

type countWriter struct{ n int64 }

func (c *countWriter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

var _ io.Writer = (*countWriter)(nil)

// BenchmarkEncode writes A4 pages at 300 dpi in the pieces that a driver reads.
func BenchmarkEncode(b *testing.B) {
	for _, c := range []struct {
		format scan.Format
		mode   scan.ColorMode
		depth  int
	}{
		{scan.FormatJPEG, scan.ModeColor, 8}, {scan.FormatJPEG, scan.ModeGray, 8},
		{scan.FormatPNG, scan.ModeColor, 8}, {scan.FormatPNG, scan.ModeGray, 8},
		{scan.FormatPNG, scan.ModeColor, 16}, {scan.FormatPNG, scan.ModeGray, 16}, {scan.FormatPNG, scan.ModeLineart, 1},
	} {
		b.Run(fmt.Sprintf("%s/%s%d", c.format, c.mode, c.depth), func(b *testing.B) {
			img := Image{Mode: c.mode, Depth: c.depth, Width: 2480, Height: 3508, Resolution: 300}
			raw := testPage(img)
			batch := max(64<<10/img.Stride(), 1) * img.Stride()
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			var w countWriter
			for b.Loop() {
				w.n = 0
				e, err := NewEncoder(&w, img, c.format, 0, Codecs{})
				if err != nil {
					b.Fatal(err)
				}
				for p := raw; len(p) > 0; p = p[min(batch, len(p)):] {
					if err := e.WriteRows(p[:min(batch, len(p))]); err != nil {
						b.Fatal(err)
					}
				}
				if err := e.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(w.n), "file-bytes")
		})
	}
}
