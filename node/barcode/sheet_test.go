package barcode

import (
	"image"
	"image/color"
	"image/draw"
	_ "image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"github.com/platen-scan/platen/proto/api"
)

// fixtures are codes that another program (zint) has made, a pixel a module.
var fixtures = []struct {
	file   string
	format api.BarcodeFormat
	text   string
}{
	{"qr", api.BarcodeFormatQr, "https://platen.example/b/4711?x=ä"},
	{"data-matrix", api.BarcodeFormatDataMatrix, "Data Matrix 42 ÄÖ"},
	{"data-matrix-rectangular", api.BarcodeFormatDataMatrix, "rectangular"},
	{"aztec", api.BarcodeFormatAztec, "Aztec: Platen 7/3"},
	{"aztec-large", api.BarcodeFormatAztec, "A longer Aztec code that has several layers of data around its middle, 0123456789"},
	{"code128", api.BarcodeFormatCode128, "PLATEN-0042-F"},
	{"code39", api.BarcodeFormatCode39, "ABC-1234"},
	{"code93", api.BarcodeFormatCode93, "CODE 93 A"},
	{"ean13", api.BarcodeFormatEan13, "4006381333931"},
	{"ean8", api.BarcodeFormatEan8, "96385074"},
	{"upca", api.BarcodeFormatUpca, "036000291452"},
	{"upce", api.BarcodeFormatUpce, "04252614"},
	{"itf", api.BarcodeFormatItf, "12345678901231"},
	{"codabar", api.BarcodeFormatCodabar, "40156"},
}

func need(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stamp is a code with modules of so many pixels, turned clockwise by quarters.
func stamp(t testing.TB, file string, module, quarters int) *image.Gray {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", file+".png"))
	need(t, err)
	defer f.Close()
	src, _, err := image.Decode(f)
	need(t, err)
	b := src.Bounds()
	m := image.NewGray(image.Rect(0, 0, b.Dx()*module, b.Dy()*module))
	for y := range m.Rect.Dy() {
		for x := range m.Rect.Dx() {
			m.Set(x, y, src.At(b.Min.X+x/module, b.Min.Y+y/module))
		}
	}
	for range quarters {
		m = turn(m)
	}
	return m
}

// turn turns an image clockwise by a quarter.
func turn(m *image.Gray) *image.Gray {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	r := image.NewGray(image.Rect(0, 0, h, w))
	for y := range h {
		for x := range w {
			r.Pix[x*r.Stride+h-1-y] = m.Pix[y*m.Stride+x]
		}
	}
	return r
}

// sheet is white paper.
func sheet(w, h int) *image.Gray {
	m := image.NewGray(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = 250
	}
	return m
}

func put(dst, src *image.Gray, x, y int) image.Rectangle {
	at := src.Rect.Add(image.Pt(x, y))
	draw.Draw(dst, at, src, image.Point{}, draw.Src)
	return at
}

const prose = "The scanner takes the sheet, the lamp passes over it, and a narrow line of light becomes a row of numbers. "

// write fills a part of the sheet with lines of text.
func write(t testing.TB, m *image.Gray, r image.Rectangle, points, dpi float64) {
	t.Helper()
	f, err := opentype.Parse(goregular.TTF)
	need(t, err)
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: points, DPI: dpi})
	need(t, err)
	d := font.Drawer{Dst: m.SubImage(r).(*image.Gray), Src: image.NewUniform(color.Gray{30}), Face: face}
	leading := int(points * dpi / 72 * 1.3)
	for y, n := r.Min.Y+leading, 0; y < r.Max.Y; y, n = y+leading, n+1 {
		d.Dot = fixed.P(r.Min.X, y)
		d.DrawString(prose[n*7%50:] + prose + prose)
	}
}

// scanned is the image as a scanner sees it: askew by some degrees, a little out of
// focus, unevenly lit, with noise.
func scanned(m *image.Gray, degrees, noise float64, seed uint64) *image.Gray {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	out := image.NewGray(m.Rect)
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	random := rand.New(rand.NewPCG(seed, 1))
	at := func(x, y int) float64 {
		if x < 0 || y < 0 || x >= w || y >= h {
			return 235
		}
		return float64(m.Pix[y*m.Stride+x])
	}
	for y := range h {
		for x := range w {
			dx, dy := float64(x-w/2), float64(y-h/2)
			sx, sy := float64(w/2)+cos*dx+sin*dy, float64(h/2)-sin*dx+cos*dy
			x0, y0 := math.Floor(sx), math.Floor(sy)
			fx, fy := sx-x0, sy-y0
			i, k := int(x0), int(y0)
			v := (at(i, k)*(1-fx)+at(i+1, k)*fx)*(1-fy) + (at(i, k+1)*(1-fx)+at(i+1, k+1)*fx)*fy
			v = 20 + v*0.86 - 25*float64(x)/float64(w) + noise*random.NormFloat64()
			out.Pix[y*out.Stride+x] = uint8(max(min(v, 255), 0))
		}
	}
	return out
}
