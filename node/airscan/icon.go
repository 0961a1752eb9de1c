package airscan

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"net/http"
	"strconv"
	"sync"
)

// iconSize is one that macOS takes: a power of two, square.
const iconSize = 128

// icon is a picture of a scanner: a flat device with its lid up, and a sheet on it.
var icon = sync.OnceValues(func() ([]byte, error) {
	img := image.NewNRGBA(image.Rect(0, 0, iconSize, iconSize))
	for y := range iconSize {
		for x := range iconSize {
			img.SetNRGBA(x, y, iconAt(float64(x)+0.5, float64(y)+0.5))
		}
	}
	var b bytes.Buffer
	err := png.Encode(&b, img)
	return b.Bytes(), err
})

// shape is a rectangle with round corners.
type shape struct {
	x, y, w, h, r float64
	color         color.NRGBA
}

var shapes = []shape{
	{14, 20, 100, 12, 6, color.NRGBA{0x52, 0x60, 0x6d, 0xff}}, // lid
	{30, 36, 68, 40, 3, color.NRGBA{0xff, 0xff, 0xff, 0xff}},  // sheet
	{40, 46, 48, 4, 2, color.NRGBA{0xb8, 0xc2, 0xcc, 0xff}},   // its lines
	{40, 56, 36, 4, 2, color.NRGBA{0xb8, 0xc2, 0xcc, 0xff}},   //
	{10, 68, 108, 40, 8, color.NRGBA{0x2b, 0x6c, 0xb0, 0xff}}, // body
	{22, 78, 84, 6, 3, color.NRGBA{0x9f, 0xe8, 0xff, 0xff}},   // light
	{92, 92, 12, 8, 4, color.NRGBA{0xff, 0xff, 0xff, 0xd0}},   // button
	{18, 106, 16, 8, 2, color.NRGBA{0x1e, 0x4e, 0x82, 0xff}},  // feet
	{94, 106, 16, 8, 2, color.NRGBA{0x1e, 0x4e, 0x82, 0xff}},  //
}

// iconAt is the colour of a point, soft at the edges.
func iconAt(x, y float64) color.NRGBA {
	var r, g, b, a float64
	for _, s := range shapes {
		cover := s.covers(x, y) * float64(s.color.A) / 255
		left := a * (1 - cover)
		total := left + cover
		if total == 0 {
			continue
		}
		mix := func(below float64, above uint8) float64 { return (below*left + float64(above)*cover) / total }
		r, g, b, a = mix(r, s.color.R), mix(g, s.color.G), mix(b, s.color.B), total
	}
	return color.NRGBA{uint8(r + 0.5), uint8(g + 0.5), uint8(b + 0.5), uint8(255*a + 0.5)}
}

// covers is how much of a pixel the shape covers, from 0 to 1, by its distance.
func (s shape) covers(x, y float64) float64 {
	dx := math.Abs(x-s.x-s.w/2) - s.w/2 + s.r
	dy := math.Abs(y-s.y-s.h/2) - s.h/2 + s.r
	distance := math.Hypot(max(dx, 0), max(dy, 0)) + min(max(dx, dy), 0) - s.r
	return min(max(0.5-distance, 0), 1)
}

func (s *Server) getIcon(w http.ResponseWriter, _ *http.Request, _ target) error {
	b, err := icon()
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "image/png")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Cache-Control", "max-age=86400")
	_, _ = w.Write(b) // who does not read it has gone
	return nil
}
