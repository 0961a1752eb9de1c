package virtual

import (
	"encoding/binary"
	"math/rand/v2"
	"sort"

	"github.com/platen-scan/platen/proto/scan"
)

// rgb is a colour.
type rgb [3]byte

// luma is the gray of a colour (ITU-R BT.601).
func (c rgb) luma() byte {
	return byte((299*int(c[0]) + 587*int(c[1]) + 114*int(c[2]) + 500) / 1000)
}

// The colours of the paper and of what is printed on it.
var (
	paperTint = rgb{249, 247, 242}
	inkBlack  = rgb{38, 38, 44}
	inkBlue   = rgb{24, 78, 140}
	inkGray   = rgb{120, 120, 126}
)

// canvas is a sheet at one resolution. Its rows are drawn on demand, from top to bottom
// and in 8 bit samples, gray or colour.
type canvas struct {
	dpi      int
	mode     scan.ColorMode
	channels int
	width    int // pixels

	paper  []byte // a row of paper, twice as wide as the sheet
	marks  []mark // by their tops
	active []mark // those that the present row may cross
	line   []byte // the row
}

// mark is something on the sheet.
type mark interface {
	// span is the first row and the row after the last.
	span() (top, bottom int)
	// draw paints the mark's row y into a row of the canvas.
	draw(c *canvas, row []byte, y int)
}

func newCanvas(s subject, dpi int, mode scan.ColorMode) *canvas {
	c := &canvas{dpi: dpi, mode: mode, channels: 1, width: scan.Pixels(sheetWidth, dpi)}
	if mode == scan.ModeColor {
		c.channels = 3
	}
	c.paper = c.makePaper()
	c.line = make([]byte, c.width*c.channels)
	if !s.blank {
		c.marks = s.layout(c)
	}
	sort.SliceStable(c.marks, func(i, j int) bool { return top(c.marks[i]) < top(c.marks[j]) })
	return c
}

func top(m mark) int {
	t, _ := m.span()
	return t
}

// row draws row y. The result stays valid until the next call.
func (c *canvas) row(y int) []byte {
	// Rows begin at different places of the paper, so that its grain shows no columns.
	start := int(uint32(y)*2654435761>>8) % c.width * c.channels
	copy(c.line, c.paper[start:])
	for len(c.marks) > 0 && top(c.marks[0]) <= y {
		c.active = append(c.active, c.marks[0])
		c.marks[0] = nil // or it would keep its coverage to the end of the page
		c.marks = c.marks[1:]
	}
	kept := c.active[:0]
	for _, m := range c.active {
		if _, bottom := m.span(); y >= bottom {
			continue
		}
		m.draw(c, c.line, y)
		kept = append(kept, m)
	}
	clear(c.active[len(kept):])
	c.active = kept
	return c.line
}

// makePaper draws the grain of slightly tinted paper, the same in every run.
func (c *canvas) makePaper() []byte {
	grain := rand.New(rand.NewPCG(1, 2))
	tint := c.samples(paperTint)
	row := make([]byte, 2*c.width*c.channels)
	for i := range row {
		v := tint[i%c.channels]
		switch grain.Uint32() & 15 {
		case 0:
			v++
		case 1:
			v--
		}
		row[i] = v
	}
	return row
}

// samples are the channels of a colour.
func (c *canvas) samples(color rgb) []byte {
	if c.channels == 3 {
		return color[:]
	}
	return []byte{color.luma()}
}

// px is a length on this canvas.
func (c *canvas) px(mm float64) int { return scan.Pixels(mm, c.dpi) }

// fill paints n pixels from x on.
func (c *canvas) fill(row []byte, x, n int, samples []byte) {
	x, end := max(x, 0), min(x+n, c.width)
	if x >= end {
		return
	}
	dst := row[x*c.channels : end*c.channels]
	if len(samples) == 1 {
		for i := range dst {
			dst[i] = samples[0]
		}
		return
	}
	for i := 0; i+2 < len(dst); i += 3 {
		dst[i], dst[i+1], dst[i+2] = samples[0], samples[1], samples[2]
	}
}

// blend paints ink where coverage, one byte a pixel from x on, lets it.
func (c *canvas) blend(row, coverage []byte, x int, ink []byte) {
	for i := 0; i < len(coverage); i++ {
		if coverage[i] == 0 {
			for i+8 < len(coverage) && binary.LittleEndian.Uint64(coverage[i:]) == 0 {
				i += 8
			}
			if coverage[i] == 0 {
				continue
			}
		}
		a := uint32(coverage[i]) + uint32(coverage[i])>>7 // 0 to 256
		px := row[(x+i)*c.channels:]
		for k, v := range ink {
			px[k] = byte((uint32(px[k])*(256-a) + uint32(v)*a) >> 8)
		}
	}
}
