package virtual

import (
	"math"

	"github.com/platen-scan/platen/proto/scan"
)

// photo is a picture of a lake among hills, painted at a fixed size and enlarged to
// its place on the sheet. What differs between pages is the hour and the hills.
type photo struct {
	left, top, right, bottom int // pixels
	seed                     float64
	warm                     float64 // how low the sun stands, 0 to 1

	master  []byte // photoWidth × photoHeight, in the canvas's channels
	columns []column
	mixed   []uint16 // one row of the master between two of its rows, × 256
}

// column says which master columns make one of the picture.
type column struct {
	at     int // offset of the first one's samples
	weight uint32
}

const (
	photoWidth  = 320
	photoHeight = 240
)

func (c *canvas) newPhoto(x, y, w, h float64, n int) *photo {
	return &photo{left: c.px(x), top: c.px(y), right: c.px(x + w), bottom: c.px(y + h),
		seed: float64(n), warm: 0.5 + 0.5*math.Sin(float64(n)*0.9)}
}

func (p *photo) span() (int, int) { return p.top, p.bottom }

func (p *photo) draw(c *canvas, row []byte, y int) {
	if p.master == nil {
		p.prepare(c)
	}
	k := c.channels
	at := float64(y-p.top) * (photoHeight - 1) / float64(p.bottom-p.top)
	first := int(at)
	lower := uint16((at - float64(first)) * 256)
	a := p.master[first*photoWidth*k : (first+1)*photoWidth*k]
	b := p.master[(first+1)*photoWidth*k : (first+2)*photoWidth*k]
	for i := range p.mixed {
		p.mixed[i] = uint16(a[i])*(256-lower) + uint16(b[i])*lower
	}
	dst := row[p.left*k:]
	if k == 3 {
		for i, col := range p.columns {
			m := p.mixed[col.at : col.at+6 : col.at+6]
			w := col.weight
			d := dst[3*i : 3*i+3 : 3*i+3]
			d[0] = byte((uint32(m[0])*(256-w) + uint32(m[3])*w) >> 16)
			d[1] = byte((uint32(m[1])*(256-w) + uint32(m[4])*w) >> 16)
			d[2] = byte((uint32(m[2])*(256-w) + uint32(m[5])*w) >> 16)
		}
		return
	}
	for i, col := range p.columns {
		dst[i] = byte((uint32(p.mixed[col.at])*(256-col.weight) + uint32(p.mixed[col.at+1])*col.weight) >> 16)
	}
	if c.mode == scan.ModeLineart {
		dither(dst[:len(p.columns)], y)
	}
}

func (p *photo) prepare(c *canvas) {
	k := c.channels
	p.mixed = make([]uint16, photoWidth*k)
	p.columns = make([]column, p.right-p.left)
	for i := range p.columns {
		at := float64(i) * (photoWidth - 1) / float64(len(p.columns))
		p.columns[i] = column{at: int(at) * k, weight: uint32((at - math.Floor(at)) * 256)}
	}
	p.master = make([]byte, 0, photoWidth*photoHeight*k)
	hills := p.ridges()
	for y := range photoHeight {
		for x := range photoWidth {
			dot := p.scene(x, y, &hills)
			if k == 3 {
				p.master = append(p.master, dot[0], dot[1], dot[2])
			} else {
				p.master = append(p.master, dot.luma())
			}
		}
	}
}

// ridges are the heights of the two chains of hills over each column.
func (p *photo) ridges() [photoWidth][2]float64 {
	var h [photoWidth][2]float64
	for x := range h {
		t := float64(x)/40 + 3*p.seed
		h[x][0] = 95 + 22*math.Sin(t*0.7) + 9*math.Sin(t*2.1+1) + 3*math.Sin(t*5.3)
		h[x][1] = 130 + 15*math.Sin(t*0.9+2) + 6*math.Sin(t*3.1)
	}
	return h
}

// scene is the colour of one dot of the picture.
func (p *photo) scene(x, y int, hills *[photoWidth][2]float64) rgb {
	const shore = 165
	fx, fy := float64(x), float64(y)
	if fy >= shore { // the lake mirrors what stands above it, broken by waves
		wave := math.Sin(fy*1.3+math.Sin(fx*0.11)*2) * (fy - shore) / 12
		up := int(2*shore - fy*1.0 - wave)
		c := p.scene(min(max(x+int(wave), 0), photoWidth-1), min(max(up, 0), shore-1), hills)
		return mix(c, rgb{30, 60, 90}, 0.35)
	}
	switch ridge := hills[x]; {
	case fy > ridge[1]:
		grass := float64(uint32(x*7919+y*104729)*2654435761>>24) / 255
		return mix(rgb{46, 82, 40}, rgb{92, 120, 52}, grass)
	case fy > ridge[0]:
		return mix(rgb{88, 104, 128}, rgb{120, 130, 140}, (fy-ridge[0])/60)
	}
	sun := math.Sqrt((fx-60-40*p.warm)*(fx-60-40*p.warm) + (fy-45)*(fy-45))
	sky := mix(rgb{92, 142, 210}, rgb{242, uint8(190 + 30*p.warm), 160}, fy/130)
	if sun < 16 {
		return rgb{255, 244, 214}
	}
	const halo = 90
	if sun > halo {
		return sky
	}
	glow := (halo - sun) / (halo - 16)
	return mix(sky, rgb{255, 236, 190}, glow*glow*glow)
}

func mix(a, b rgb, t float64) rgb {
	t = min(max(t, 0), 1)
	var c rgb
	for i := range c {
		c[i] = byte(float64(a[i])*(1-t) + float64(b[i])*t + 0.5)
	}
	return c
}

// bayer is an ordered dither of 4 × 4 dots.
var bayer = [4][4]byte{{8, 136, 40, 168}, {200, 72, 232, 104}, {56, 184, 24, 152}, {248, 120, 216, 88}}

// dither makes gray samples black or white, so that a threshold keeps the picture.
func dither(samples []byte, y int) {
	for i, v := range samples {
		if v > bayer[y&3][i&3] {
			samples[i] = 255
		} else {
			samples[i] = 0
		}
	}
}
