package sane

import (
	"fmt"

	"github.com/platen-scan/platen/proto/scan"
)

// Sizes in millimetres.
const (
	autoLength = 600.0 // a feeder that is longer finds the end of the sheet by itself
	a4Height   = 297.0
	a3Width    = 297.0
	a3Height   = 420.0
)

// area is what the present source can see.
func (o *options) area() scan.Area {
	a := scan.Area{MaxWidth: o.extent(optPageWidth, optTLX, optBRX), MaxHeight: o.extent(optPageHeight, optTLY, optBRY)}
	if a.MaxWidth > 0 && a.MaxHeight > 0 {
		return a
	}
	// No geometry: what comes is what the device takes it to be.
	dpi := float64(max(o.resolution(300), 1))
	if p, st := o.b.parameters(); st == statusGood {
		a.MaxWidth = float64(p.PixelsPerLine) * scan.MMPerInch / dpi
		a.MaxHeight = float64(max(p.Lines, 0)) * scan.MMPerInch / dpi
	}
	if a.MaxWidth <= 0 {
		a.MaxWidth = 210
	}
	if a.MaxHeight <= 0 {
		a.MaxHeight = a4Height
	}
	return a
}

// extent is the size of one axis.
func (o *options) extent(page, from, to string) float64 {
	if opt := o.find(page); opt != nil {
		if _, high, ok := opt.bounds(); ok {
			return o.millimetres(opt, high)
		}
	}
	opt := o.byName[to]
	if opt == nil || !opt.scalar() {
		return 0
	}
	_, high, ok := opt.bounds()
	if !ok {
		return 0
	}
	low := 0.0
	if start := o.byName[from]; start != nil {
		if l, _, ok := start.bounds(); ok && l > 0 {
			low = l
		}
	}
	return o.millimetres(opt, high-low)
}

func (o *options) millimetres(opt *option, v float64) float64 {
	if opt.unit == unitPixel {
		return v * scan.MMPerInch / float64(max(o.resolution(300), 1))
	}
	return v
}

// setRegion sets the geometry: first the sheet, which feeders centre, then the rectangle
// on it, its end before its beginning, so that the end never stands before the beginning.
func (o *options) setRegion(source scan.Source, r *scan.Region) error {
	if r == nil {
		a := o.area()
		r = &scan.Region{Width: a.MaxWidth, Height: a.MaxHeight}
		if source.Feeder() && a.MaxHeight > autoLength {
			r.Height = a4Height
			if a.MaxWidth >= a3Width {
				r.Height = a3Height
			}
		}
	}
	for _, size := range []struct {
		name string
		mm   float64
	}{{optPageWidth, r.X + r.Width}, {optPageHeight, r.Y + r.Height}} {
		if o.find(size.name) != nil {
			if err := o.setLength(size.name, size.mm); err != nil {
				return err
			}
		}
	}
	for _, edge := range []struct {
		name, origin string
		mm           float64
	}{
		{optBRX, optTLX, r.X + r.Width}, {optBRY, optTLY, r.Y + r.Height},
		{optTLX, optTLX, r.X}, {optTLY, optTLY, r.Y},
	} {
		if o.find(edge.name) == nil {
			continue
		}
		if err := o.setLength(edge.name, edge.mm+o.origin(edge.origin)); err != nil {
			return err
		}
	}
	return nil
}

// origin is where an axis begins, in millimetres; it is 0 with nearly all devices.
func (o *options) origin(name string) float64 {
	opt := o.byName[name]
	if opt == nil {
		return 0
	}
	low, _, ok := opt.bounds()
	if !ok || low <= 0 {
		return 0
	}
	return o.millimetres(opt, low)
}

func (o *options) setLength(name string, mm float64) error {
	opt := o.byName[name]
	if !opt.scalar() {
		return fmt.Errorf("option %s is no number", name)
	}
	if opt.unit == unitPixel {
		mm = float64(scan.Pixels(mm, o.resolution(300)))
	}
	return o.setNumber(name, mm)
}
