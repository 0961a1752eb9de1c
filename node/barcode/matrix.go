package barcode

import (
	"image"
	"math"
	"slices"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/aztec"
	"github.com/makiuchi-d/gozxing/datamatrix"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/platen-scan/platen/proto/api"
)

// Matrix codes are looked for in the page's busy areas. The decoder of QR codes looks over
// the whole page too, and over overlapping parts of it, because a code may be framed or
// have a picture beside it.

const tile = 1216 // pixels of a side of such a part

// square is a decoder of matrix codes.
type square struct {
	format api.BarcodeFormat
	reader gozxing.Reader
}

func newSquares(only api.BarcodeFormat) []square {
	all := []square{
		{api.BarcodeFormatQr, qrcode.NewQRCodeReader()},
		{api.BarcodeFormatDataMatrix, datamatrix.NewDataMatrixReader()},
		{api.BarcodeFormatAztec, aztec.NewAztecReader()},
	}
	if only == "" {
		return all
	}
	return slices.DeleteFunc(all, func(s square) bool { return s.format != only })
}

var tryHarder = map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true}

// matrix finds the matrix codes of one format, or of all.
func (p *page) matrix(only api.BarcodeFormat) []Code {
	squares := newSquares(only)
	if len(squares) == 0 {
		return nil
	}
	var codes []Code
	add := func(c Code) {
		if !slices.ContainsFunc(codes, func(other Code) bool {
			return other.Format == c.Format && other.Text == c.Text && other.Box.Overlaps(c.Box)
		}) {
			codes = append(codes, c)
		}
	}
	for _, area := range p.areas() {
		if c, ok := p.decode(area, squares); ok {
			add(c)
		}
	}
	if squares[0].format == api.BarcodeFormatQr {
		for _, part := range p.tiles() {
			if r := squares[0].decode(cropped(p.black, part)); r != nil {
				if c, ok := newCode(r, around(r, part, 1)); ok {
					add(c)
				}
			}
		}
	}
	return codes
}

// decode looks for one code in an area, magnified too if it is small.
func (p *page) decode(a area, squares []square) (Code, bool) {
	black := cropped(p.black, a.box)
	for _, s := range squares {
		if r := s.decode(black); r != nil {
			return newCode(r, around(r, a.box, 1))
		}
	}
	if a.black < minMagnified || a.box.Dx() > maxMagnified || a.box.Dy() > maxMagnified {
		return Code{}, false
	}
	for _, degrees := range tilts {
		if black = binarize(magnify(p.gray, a.box, degrees)); black == nil {
			continue
		}
		for _, s := range squares {
			r := s.decode(black)
			switch {
			case r != nil && degrees == 0:
				return newCode(r, around(r, a.box, magnification))
			case r != nil:
				return newCode(r, a.box.Inset(quiet*block))
			}
		}
	}
	return Code{}, false
}

func (s square) decode(black *gozxing.BitMatrix) (found *gozxing.Result) {
	guarded(func() {
		bitmap, err := gozxing.NewBinaryBitmap(ready{black})
		if err != nil || black == nil {
			return
		}
		s.reader.Reset()
		if r, err := s.reader.Decode(bitmap, tryHarder); err == nil {
			found = r
		}
	})
	return found
}

// around is the box of a code that was read in a part of the page, enlarged so many times.
func around(r *gozxing.Result, part image.Rectangle, times float64) image.Rectangle {
	box := image.Rectangle{}
	for _, at := range r.GetResultPoints() {
		half := 1.0
		if finder, ok := at.(interface{ GetEstimatedModuleSize() float64 }); ok {
			half = 3.5 * finder.GetEstimatedModuleSize() // the point is the middle of a finder pattern
		}
		box = box.Union(image.Rect(
			part.Min.X+int(math.Floor((at.GetX()-half)/times)), part.Min.Y+int(math.Floor((at.GetY()-half)/times)),
			part.Min.X+int(math.Ceil((at.GetX()+half)/times)), part.Min.Y+int(math.Ceil((at.GetY()+half)/times))))
	}
	if box = box.Intersect(part); box.Empty() {
		return part
	}
	return box
}

// tiles are the whole page and parts of it that overlap by half.
func (p *page) tiles() []image.Rectangle {
	whole := p.gray.Rect
	all := []image.Rectangle{whole}
	if p.width <= tile && p.height <= tile {
		return all
	}
	const step = tile / 2 // and a multiple of 32, see cropped
	for y := 0; y == 0 || y+step < p.height; y += step {
		for x := 0; x == 0 || x+step < p.width; x += step {
			all = append(all, image.Rect(x, y, x+tile, y+tile).Intersect(whole))
		}
	}
	return all
}
