package barcode

import (
	"image"
	"math"
)

const (
	magnification = 3
	maxMagnified  = 500 // pixels of a side of what is magnified
	minMagnified  = 30  // per cent of it that are black
)

// tilts are the angles, in degrees, by which small codes that are not read as they lie are
// turned back. The decoders follow edges from pixel to pixel and lose those of small
// modules that are askew.
var tilts = [...]float64{0, 3, -3}

// magnify enlarges a part of an image smoothly, turned around its middle.
func magnify(m *image.Gray, part image.Rectangle, degrees float64) *image.Gray {
	w, h := part.Dx()*magnification, part.Dy()*magnification
	large := image.NewGray(image.Rect(0, 0, w, h))
	// Places are in 1/256 of a small pixel.
	const unit = 256
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	dx, dy := int(cos*unit*unit/magnification), int(sin*unit*unit/magnification) // a step, in 1/256 of places
	clamp := func(v, size int) (first, second, weight int) {
		v = min(max(v, 0), (size-1)*unit)
		return v / unit, min(v/unit+1, size-1), v % unit
	}
	for y := range h {
		// The middle stays where it is, and half a large pixel is a sixth of a small one.
		x0 := int((float64(part.Dx())/2 - cos*float64(w)/2/magnification + sin*(float64(h)/2-float64(y))/magnification + (cos-sin)/2/magnification - 0.5) * unit)
		y0 := int((float64(part.Dy())/2 - sin*float64(w)/2/magnification - cos*(float64(h)/2-float64(y))/magnification + (cos+sin)/2/magnification - 0.5) * unit)
		row := large.Pix[y*w:][:w]
		for x := range row {
			left, right, fx := clamp(x0+x*dx/unit, part.Dx())
			top, bottom, fy := clamp(y0+x*dy/unit, part.Dy())
			upper, lower := m.Pix[(part.Min.Y+top)*m.Stride+part.Min.X:], m.Pix[(part.Min.Y+bottom)*m.Stride+part.Min.X:]
			a := int(upper[left])*(unit-fx) + int(upper[right])*fx
			b := int(lower[left])*(unit-fx) + int(lower[right])*fx
			row[x] = uint8((a*(unit-fy) + b*fy) / (unit * unit))
		}
	}
	return large
}
