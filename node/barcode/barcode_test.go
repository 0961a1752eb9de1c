package barcode

import (
	"fmt"
	"image"
	"testing"

	"github.com/platen-scan/platen/proto/api"
)

// a4 is a sheet at 300 dpi.
func a4() *image.Gray { return sheet(2480, 3508) }

func finds(t *testing.T, codes []Code, format api.BarcodeFormat, text string, at image.Rectangle) {
	t.Helper()
	for _, c := range codes {
		if c.Format == format && c.Text == text {
			if !c.Box.Overlaps(at) || c.Box.Dx() > at.Dx()*3/2+40 || c.Box.Dy() > at.Dy()*3/2+40 {
				t.Errorf("%s %q was found at %v, want %v", format, text, c.Box, at)
			}
			return
		}
	}
	t.Errorf("%s %q was not found in %v", format, text, codes)
}

// TestEachFormat reads every code alone, in four directions, as a scanner sees it.
func TestEachFormat(t *testing.T) {
	for _, c := range fixtures {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			for quarters := range 4 {
				for _, look := range []struct{ degrees, noise float64 }{{1.5, 6}, {-3, 10}} {
					m := sheet(1000, 1000)
					at := put(m, stamp(t, c.file, 4, quarters), 130, 150)
					m = scanned(m, look.degrees, look.noise, 7)
					codes := Read(m, "")
					finds(t, codes, c.format, c.text, at.Inset(-60))
					if len(codes) != 1 {
						t.Errorf("turned by %d°, %v: %v, want one code", 90*quarters, look, codes)
					}
				}
			}
		})
	}
}

// TestFullPage reads many codes on one page with text around them, and no others.
func TestFullPage(t *testing.T) {
	m := a4()
	write(t, m, image.Rect(200, 150, 2300, 600), 11, 300)
	write(t, m, image.Rect(1300, 700, 2300, 2900), 8, 300)
	write(t, m, image.Rect(200, 3100, 2300, 3400), 14, 300)
	var at []image.Rectangle
	for i, c := range fixtures {
		x, y := 150+i%2*560, 660+i/2*350
		s := stamp(t, c.file, 3, i%4)
		if s.Rect.Dx() > 500 || s.Rect.Dy() > 320 {
			s = stamp(t, c.file, 2, i%4)
		}
		if s.Rect.Dy() > 320 {
			s = stamp(t, c.file, 2, (i+1)%4)
		}
		at = append(at, put(m, s, x, y))
	}
	codes := Read(scanned(m, 1, 6, 3), "")
	for i, c := range fixtures {
		finds(t, codes, c.format, c.text, at[i].Inset(-60))
	}
	if len(codes) != len(fixtures) {
		t.Errorf("%d codes, want %d: %v", len(codes), len(fixtures), codes)
	}
}

// TestNothing looks for codes where there are none.
func TestNothing(t *testing.T) {
	part := func() *image.Gray { return sheet(1240, 1754) }
	text := part()
	write(t, text, image.Rect(80, 80, 1200, 850), 10, 300)
	write(t, text, image.Rect(80, 900, 1200, 1700), 7, 300)
	grid := part()
	for y := range 1754 {
		for x := range 1240 {
			if x%25 < 4 || y%31 < 4 {
				grid.Pix[y*grid.Stride+x] = 0
			}
		}
	}
	for name, m := range map[string]*image.Gray{
		"white": part(), "text": scanned(text, 0.7, 8, 1), "text on its side": turn(scanned(text, 0.7, 8, 1)),
		"grid": grid, "noise": scanned(part(), 0, 60, 4), "point": image.NewGray(image.Rect(0, 0, 1, 1)), "line": image.NewGray(image.Rect(0, 0, 3000, 1)),
		"black": image.NewGray(image.Rect(0, 0, 300, 300)), "nothing": image.NewGray(image.Rectangle{}),
	} {
		if codes := Read(m, ""); len(codes) > 0 {
			t.Errorf("%s: %v, want none", name, codes)
		}
	}
}

// TestOnly reads one format among others.
func TestOnly(t *testing.T) {
	m := sheet(2000, 2400)
	for i, c := range fixtures {
		put(m, stamp(t, c.file, 3, 0), 100+i%3*650, 60+i/3*430)
	}
	for _, c := range fixtures {
		codes := Read(m, c.format)
		if len(codes) == 0 {
			t.Errorf("%s %q was not found", c.format, c.text)
		}
		for _, got := range codes {
			if got.Format != c.format {
				t.Errorf("asked for %s, found %v", c.format, got)
			}
		}
	}
	if codes := Read(m, "pdf417"); len(codes) != 0 {
		t.Errorf("of a format that cannot be read: %v", codes)
	}
}

func BenchmarkRead(b *testing.B) {
	m := a4()
	write(b, m, image.Rect(200, 150, 2300, 2600), 10, 300)
	put(m, stamp(b, "code128", 4, 0), 200, 2700)
	put(m, stamp(b, "qr", 6, 0), 1600, 2800)
	page := scanned(m, 0.8, 6, 1)
	for _, format := range []api.BarcodeFormat{"", api.BarcodeFormatCode128, api.BarcodeFormatQr, api.BarcodeFormatDataMatrix} {
		b.Run(fmt.Sprintf("format=%s", format), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if len(Read(page, format)) == 0 && format != api.BarcodeFormatDataMatrix {
					b.Fatal("nothing was found")
				}
			}
		})
	}
}
