package virtual

import (
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

// page draws one side of a sheet, row by row, cut to the scan region.
type page struct {
	n     int // in the batch
	clock clock

	settings      scan.Settings
	width, height int // of the region, pixels
	left, top     int // of the region on the sheet, pixels
	row           int // rows given out

	canvas *canvas
	rest   []byte // of a row that did not fit whole
	packed []byte // one row
}

func newPage(s subject, settings scan.Settings) *page {
	dpi := settings.Resolution
	p := &page{
		settings: settings,
		width:    scan.Pixels(sheetWidth, dpi),
		height:   scan.Pixels(sheetHeight, dpi),
		canvas:   newCanvas(s, dpi, settings.Mode),
	}
	if r := settings.Region; r != nil {
		p.left, p.top = min(scan.Pixels(r.X, dpi), p.width-1), min(scan.Pixels(r.Y, dpi), p.height-1)
		p.width = max(min(scan.Pixels(r.Width, dpi), p.width-p.left), 1)
		p.height = max(min(scan.Pixels(r.Height, dpi), p.height-p.top), 1)
	}
	p.packed = make([]byte, p.stride())
	return p
}

func (p *page) stride() int {
	return imaging.Image{Mode: p.settings.Mode, Depth: p.settings.Depth, Width: p.width}.Stride()
}

// remaining is how many bytes are still to come.
func (p *page) remaining() int { return (p.height-p.row)*p.stride() + len(p.rest) }

// read fills b with the next rows, at most so many, and says how many bytes they were.
func (p *page) read(b []byte, rows int) int {
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	for ; rows > 0 && n < len(b) && p.row < p.height; rows-- {
		if len(b)-n >= len(p.packed) {
			p.draw(b[n : n+len(p.packed)])
			n += len(p.packed)
			continue
		}
		p.draw(p.packed)
		c := copy(b[n:], p.packed)
		p.rest = p.packed[c:]
		n += c
	}
	return n
}

// draw makes the next row in its final form.
func (p *page) draw(dst []byte) {
	c := p.canvas
	samples := c.row(p.top + p.row)
	samples = samples[p.left*c.channels : (p.left+p.width)*c.channels]
	switch p.settings.Depth {
	case 16:
		for i, v := range samples {
			dst[2*i], dst[2*i+1] = v, v // v × 257: the full range
		}
	case 1:
		pack(dst, samples)
	default:
		copy(dst, samples)
	}
	p.row++
}

// pack makes bits of gray samples: dark ones are set.
func pack(dst, samples []byte) {
	for i := range dst {
		var b byte
		part := samples[8*i : min(8*i+8, len(samples))]
		for k, v := range part {
			b |= (^v >> 7) << (7 - k)
		}
		dst[i] = b
	}
}
