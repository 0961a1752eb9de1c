package virtual

import (
	"image"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// weight is a font of the page.
type weight int

const (
	regular weight = iota
	bold
)

// fonts are parsed once; they are part of the program.
var fonts = [...]func() *sfnt.Font{
	regular: sync.OnceValue(func() *sfnt.Font { return parse(goregular.TTF) }),
	bold:    sync.OnceValue(func() *sfnt.Font { return parse(gobold.TTF) }),
}

func parse(ttf []byte) *sfnt.Font {
	f, err := opentype.Parse(ttf)
	if err != nil {
		panic("an embedded font is damaged: " + err.Error())
	}
	return f
}

// typeface draws glyphs of one weight and size and remembers them.
type typeface struct {
	face   font.Face
	ascent int // pixels above the baseline
	height int
	glyphs map[rune]glyph
}

type glyph struct {
	mask    []byte          // coverage
	bounds  image.Rectangle // around the origin on the baseline
	advance fixed.Int26_6
}

func newTypeface(w weight, points, dpi float64) *typeface {
	face, err := opentype.NewFace(fonts[w](), &opentype.FaceOptions{Size: points, DPI: dpi, Hinting: font.HintingNone})
	if err != nil {
		panic("an embedded font has no such size: " + err.Error())
	}
	m := face.Metrics()
	return &typeface{
		face: face, ascent: m.Ascent.Ceil(), height: m.Ascent.Ceil() + m.Descent.Ceil() + 1,
		glyphs: make(map[rune]glyph),
	}
}

func (t *typeface) glyph(r rune) glyph {
	if g, ok := t.glyphs[r]; ok {
		return g
	}
	bounds, mask, at, advance, ok := t.face.Glyph(fixed.Point26_6{}, r)
	g := glyph{bounds: bounds, advance: advance}
	if a, isAlpha := mask.(*image.Alpha); ok && isAlpha {
		g.mask = make([]byte, 0, bounds.Dx()*bounds.Dy())
		for y := range bounds.Dy() {
			row := a.Pix[a.PixOffset(at.X, at.Y+y):]
			g.mask = append(g.mask, row[:bounds.Dx()]...)
		}
	}
	t.glyphs[r] = g
	return g
}

// text is one line of text. Its coverage is drawn when its first row is.
type text struct {
	face     *typeface
	words    string
	left     int // pixels
	top      int
	width    int
	ink      []byte
	coverage []byte
}

func (t *text) span() (int, int) { return t.top, t.top + t.face.height }

func (t *text) draw(c *canvas, row []byte, y int) {
	if t.coverage == nil {
		t.render(c)
	}
	line := t.coverage[(y-t.top)*t.width:]
	c.blend(row, line[:t.width], t.left, t.ink)
}

func (t *text) render(c *canvas) {
	t.width = max(min(t.face.measure(t.words)+2, c.width-t.left), 0)
	t.coverage = make([]byte, t.width*t.face.height)
	var pen fixed.Int26_6
	for _, r := range t.words {
		g := t.face.glyph(r)
		x, y := pen.Round()+g.bounds.Min.X, t.face.ascent+g.bounds.Min.Y
		w := g.bounds.Dx()
		for i := 0; i < len(g.mask); i, y = i+w, y+1 {
			if y < 0 || y >= t.face.height {
				continue
			}
			merge(t.coverage[y*t.width:(y+1)*t.width], g.mask[i:i+w], x)
		}
		pen += g.advance
	}
}

// merge lays a glyph's row over the line's, where both are inside.
func merge(line, mask []byte, x int) {
	if x < 0 {
		mask, x = mask[min(-x, len(mask)):], 0
	}
	if x >= len(line) {
		return
	}
	for i, v := range mask[:min(len(mask), len(line)-x)] {
		line[x+i] = max(line[x+i], v)
	}
}

func (t *typeface) measure(words string) int {
	var w fixed.Int26_6
	for _, r := range words {
		w += t.glyph(r).advance
	}
	return w.Ceil()
}
