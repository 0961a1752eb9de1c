package virtual

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/platen-scan/platen/proto/scan"
)

func BenchmarkPage(b *testing.B) {
	for _, mode := range []scan.ColorMode{scan.ModeColor, scan.ModeGray, scan.ModeLineart} {
		for _, dpi := range []int{75, 300, 1200} {
			b.Run(fmt.Sprintf("%s-%d", mode, dpi), func(b *testing.B) {
				settings := scan.Settings{Mode: mode, Depth: 8, Resolution: dpi}
				if mode == scan.ModeLineart {
					settings.Depth = 1
				}
				buf := make([]byte, 256<<10)
				for i := range b.N {
					p := newPage(glassSubject(i), settings)
					b.SetBytes(int64(p.stride() * p.height))
					for p.remaining() > 0 {
						p.read(buf, p.height)
					}
				}
			})
		}
	}
}

// render draws a whole page.
func render(p *page) []byte {
	b := make([]byte, p.stride()*p.height)
	for n := 0; p.remaining() > 0; {
		n += p.read(b[n:min(n+10_000, len(b))], p.height)
	}
	return b
}

func TestSamePage(t *testing.T) {
	settings := scan.Settings{Mode: scan.ModeColor, Depth: 8, Resolution: 100}
	subject := func(n int) subject { return feederSubject(n, 10, scan.SideFront, scan.SourceADF) }
	first, again, other := render(newPage(subject(3), settings)), render(newPage(subject(3), settings)), render(newPage(subject(5), settings))
	if !bytes.Equal(first, again) {
		t.Error("the same page was drawn differently")
	}
	if bytes.Equal(first, other) {
		t.Error("two pages are the same")
	}
}

func TestBlankPage(t *testing.T) {
	settings := scan.Settings{Mode: scan.ModeGray, Depth: 8, Resolution: 75}
	darkest := func(s subject) byte { return slices.Min(render(newPage(s, settings))) }
	if got := darkest(feederSubject(4, 10, scan.SideBack, scan.SourceADFDuplex)); got < 240 {
		t.Errorf("the blank back has a sample of %d", got)
	}
	if got := darkest(feederSubject(4, 5, scan.SideFront, scan.SourceADF)); got > 100 {
		t.Errorf("the darkest sample of a printed page is %d", got)
	}
}

// TestRegion compares a cut page with the same part of the whole one.
func TestRegion(t *testing.T) {
	for _, depth := range []int{8, 16} {
		whole := newPage(glassSubject(1), scan.Settings{Mode: scan.ModeColor, Depth: depth, Resolution: 150})
		part := newPage(glassSubject(1), scan.Settings{
			Mode: scan.ModeColor, Depth: depth, Resolution: 150, Region: &scan.Region{X: 15, Y: 90, Width: 100, Height: 70},
		})
		all, cut := render(whole), render(part)
		pixel := 3 * depth / 8
		for y := range part.height {
			from := (part.top+y)*whole.stride() + part.left*pixel
			if !bytes.Equal(cut[y*part.stride():(y+1)*part.stride()], all[from:from+part.stride()]) {
				t.Fatalf("%d bits: row %d of the region differs from the page's", depth, y)
			}
		}
	}
}

func TestPack(t *testing.T) {
	got := make([]byte, 2)
	pack(got, []byte{0, 255, 127, 128, 0, 0, 255, 255, 10, 200})
	if want := []byte{0b10101100, 0b10000000}; !bytes.Equal(got, want) {
		t.Errorf("pack() = %08b, want %08b", got, want)
	}
}

// TestCode128 reads a bar code back.
func TestCode128(t *testing.T) {
	symbols := make(map[string]int)
	for value, widths := range code128Widths {
		sum := 0
		for _, w := range widths {
			sum += int(w - '0')
		}
		if _, twice := symbols[widths]; twice || sum != 11 || len(widths) != 6 {
			t.Errorf("symbol %d, %s, has %d modules, or comes twice", value, widths, sum)
		}
		symbols[widths] = value
	}
	const text = "PLATEN-0003-F"
	modules := code128(text)
	var widths []byte
	for i, dark := range modules {
		if i == 0 || dark != modules[i-1] {
			widths = append(widths, '0')
		}
		widths[len(widths)-1]++
	}
	body, stop := string(widths[:len(widths)-7]), string(widths[len(widths)-7:])
	if stop != code128Stop {
		t.Errorf("it ends with %s", stop)
	}
	var values []int
	for ; len(body) >= 6; body = body[6:] {
		value, ok := symbols[body[:6]]
		if !ok {
			t.Fatalf("no symbol has the widths %s", body[:6])
		}
		values = append(values, value)
	}
	check, got := values[0], ""
	for i, v := range values[1 : len(values)-1] {
		check += (i + 1) * v
		got += string(rune(v + ' '))
	}
	if got != text || values[0] != code128StartB || values[len(values)-1] != check%103 {
		t.Errorf("it reads %q with check symbol %d, want %q with %d", got, values[len(values)-1], text, check%103)
	}
}
