//go:build linux && (amd64 || arm64)

package turbo

import (
	"fmt"
	"testing"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

// BenchmarkEncode writes A4 pages at 300 dpi in the pieces that a driver reads.
func BenchmarkEncode(b *testing.B) {
	c := codecs(b)
	for _, mode := range []scan.ColorMode{scan.ModeColor, scan.ModeGray} {
		for _, codecs := range []imaging.Codecs{c, {}} {
			b.Run(fmt.Sprintf("%s/%.5s", mode, codecs.Name+"std"), func(b *testing.B) {
				img := imaging.Image{Mode: mode, Depth: 8, Width: 2480, Height: 3508, Resolution: 300}
				raw := noisy(img)
				b.SetBytes(int64(len(raw)))
				b.ReportAllocs()
				for b.Loop() {
					file, _ := encode(b, img, raw, max(256<<10/img.Stride(), 1), codecs)
					b.ReportMetric(float64(len(file)), "file-bytes")
				}
			})
		}
	}
}

// noisy is paper with dark words and the noise of a sensor.
func noisy(img imaging.Image) []byte {
	raw := make([]byte, img.Stride()*img.Height)
	ch, state := img.Channels(), uint32(1)
	for i := range raw {
		x, y := i%img.Stride()/ch, i/img.Stride()
		raw[i] = 240
		if y%50 < 28 && x%23 > 2 && x%23 < 6 {
			raw[i] = 30
		}
		state = state*1664525 + 1013904223
		raw[i] += byte(state >> 29)
	}
	return raw
}
