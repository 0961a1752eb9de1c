package ocr

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"github.com/platen-scan/platen/proto/api"
)

var lines = []string{
	"The scanner takes the sheet, the lamp passes over it,",
	"and a narrow line of light becomes a row of numbers.",
	"We thank you for your order of the ninth and confirm",
	"that the goods have left our warehouse. Invoice 47110",
	"The boxes are marked with the number printed below.",
	"Please count them before you sign, and write what is",
	"missing on both copies. In the second quarter it rose",
	"by a little more than four per cent.",
}

// typed is a page with the lines on it, turned clockwise by quarters, with noise.
func typed(t testing.TB, dpi, quarters int) *image.Gray {
	t.Helper()
	f, err := opentype.Parse(goregular.TTF)
	need(t, err)
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: 11, DPI: float64(dpi)})
	need(t, err)
	m := image.NewGray(image.Rect(0, 0, dpi*6, dpi*4))
	random := rand.New(rand.NewPCG(1, 2))
	for i := range m.Pix {
		m.Pix[i] = uint8(240 + random.IntN(15))
	}
	d := font.Drawer{Dst: m, Src: image.NewUniform(color.Gray{40}), Face: face}
	for i, line := range lines {
		d.Dot = fixed.P(dpi/2, dpi/2+i*dpi/4)
		d.DrawString(line)
	}
	for range quarters {
		r := image.NewGray(image.Rect(0, 0, m.Rect.Dy(), m.Rect.Dx()))
		for y := range m.Rect.Dy() {
			for x := range m.Rect.Dx() {
				r.Pix[x*r.Stride+m.Rect.Dy()-1-y] = m.Pix[y*m.Stride+x]
			}
		}
		m = r
	}
	return m
}

func pageOf(t testing.TB, m *image.Gray, dpi int) Page {
	t.Helper()
	var b bytes.Buffer
	need(t, (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, m))
	path := filepath.Join(t.TempDir(), "page.png")
	need(t, os.WriteFile(path, b.Bytes(), 0o600))
	f, err := os.Open(path)
	need(t, err)
	t.Cleanup(func() { f.Close() })
	return Page{File: f, Width: m.Rect.Dx(), Height: m.Rect.Dy(), Resolution: dpi}
}

// real is an engine with tesseract itself, which the tests need.
func real(t testing.TB) *Engine {
	t.Helper()
	e := engine(t, Config{})
	if s := e.State(context.Background()); s.Path == "" || !s.Turns {
		t.Fatalf("the tests need tesseract with eng and osd: make deps installs them; found %+v", s)
	}
	return e
}

// TestRead reads a page in four directions: words, their places, and how it stands.
func TestRead(t *testing.T) {
	e := real(t)
	const dpi = 200
	for quarters, want := range []api.PageTextOrientation{0, 270, 180, 90} {
		m := typed(t, dpi, quarters)
		got, err := e.Read(t.Context(), pageOf(t, m, dpi), "eng")
		need(t, err)
		if got.Orientation != want {
			t.Errorf("turned by %d°: orientation %d°, want %d°", 90*quarters, got.Orientation, want)
		}
		words, found := strings.Fields(strings.Join(lines, " ")), 0
		for _, w := range words {
			if strings.Contains(got.Text, w) {
				found++
			}
		}
		if found*100 < 97*len(words) {
			t.Errorf("turned by %d°: %d of %d words in %q", 90*quarters, found, len(words), got.Text)
		}
		// "47110" stands at the end of the fourth line.
		for _, w := range got.Words {
			if w.Text != "47110" {
				continue
			}
			x, y := w.Left+w.Width/2, w.Top+w.Height/2
			width, height := m.Rect.Dx(), m.Rect.Dy()
			for range quarters { // back to the page as it was typed
				x, y, width, height = y, width-1-x, height, width
			}
			if y < dpi/2+5*dpi/8 || y > dpi/2+7*dpi/8 || x < 4*dpi || x > 5*dpi {
				t.Errorf("turned by %d°: 47110 stands at %d, %d of the page", 90*quarters, x, y)
			}
		}
	}
}

// TestReadNothing reads pages without text, and files that are none.
func TestReadNothing(t *testing.T) {
	e := real(t)
	white := image.NewGray(image.Rect(0, 0, 800, 600))
	for i := range white.Pix {
		white.Pix[i] = 255
	}
	got, err := e.Read(t.Context(), pageOf(t, white, 100), "eng")
	if err != nil || got.Text != "" || len(got.Words) != 0 {
		t.Errorf("of a white page: %+v, %v", got, err)
	}
	whole := pageOf(t, typed(t, 100, 0), 100)
	b, err := os.ReadFile(whole.File.Name())
	need(t, err)
	for name, content := range map[string][]byte{"nothing": nil, "no image": []byte(strings.Repeat("hello ", 1000)), "cut off": b[:len(b)/2], "a list of files": []byte(whole.File.Name() + "\n")} {
		path := filepath.Join(t.TempDir(), "page")
		need(t, os.WriteFile(path, content, 0o600))
		f, err := os.Open(path)
		need(t, err)
		got, err := e.Read(t.Context(), Page{File: f, Width: 600, Height: 400}, "eng")
		f.Close()
		if err == nil && name != "cut off" || got.Text != "" && name != "cut off" {
			t.Errorf("%s: %+v, %v, want an error", name, got, err)
		}
	}
}

// BenchmarkRead reads an A4 page at 300 dpi.
func BenchmarkRead(b *testing.B) {
	if _, err := exec.LookPath("tesseract"); err != nil {
		b.Fatal(err)
	}
	e := real(b)
	p := pageOf(b, typed(b, 300, 0), 300)
	for b.Loop() {
		_, err := e.Read(context.Background(), p, "eng")
		need(b, err)
	}
}
