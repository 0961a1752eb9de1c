package imaging

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/platen-scan/platen/proto/scan"
)

// encode makes a master file of rows.
func encode(tb testing.TB, img Image, format scan.Format, raw []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	e, err := NewEncoder(&b, img, format, 0, Codecs{})
	if err != nil {
		tb.Fatalf("NewEncoder(%+v, %s): %v", img, format, err)
	}
	if err := e.WriteRows(raw); err != nil {
		tb.Fatalf("WriteRows: %v", err)
	}
	if err := e.Close(); err != nil {
		tb.Fatalf("Close: %v", err)
	}
	return b.Bytes()
}

// BenchmarkConvert makes renditions of A4 pages at 300 dpi.
func BenchmarkConvert(b *testing.B) {
	for _, c := range []struct {
		from  scan.Format
		mode  scan.ColorMode
		depth int
		spec  Spec
	}{
		{scan.FormatJPEG, scan.ModeColor, 8, Spec{Width: 320}},
		{scan.FormatJPEG, scan.ModeGray, 8, Spec{Width: 320}},
		{scan.FormatPNG, scan.ModeColor, 8, Spec{Width: 320}},
		{scan.FormatPNG, scan.ModeLineart, 1, Spec{Width: 320}},
		{scan.FormatJPEG, scan.ModeColor, 8, Spec{Width: 1200}},
		{scan.FormatJPEG, scan.ModeColor, 8, Spec{Format: scan.FormatPNM}},
		{scan.FormatPNG, scan.ModeColor, 8, Spec{Format: scan.FormatTIFF}},
	} {
		b.Run(fmt.Sprintf("%s/%s%d/%s%d", c.from, c.mode, c.depth, c.spec.Format, c.spec.Width), func(b *testing.B) {
			img := Image{Mode: c.mode, Depth: c.depth, Width: 2480, Height: 3508, Resolution: 300}
			file := encode(b, img, c.from, testPage(img))
			b.SetBytes(int64(img.Stride() * img.Height))
			b.ReportAllocs()
			for b.Loop() {
				if err := Convert(bytes.NewReader(file), c.from, c.spec, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
