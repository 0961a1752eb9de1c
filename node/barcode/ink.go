package barcode

import (
	"image"

	"github.com/makiuchi-d/gozxing"
)

const (
	minContrast = 40 // between ink and paper on the whole page, of 255
	// What is less than so many per cent of the page's contrast is noise of the scanner.
	noiseFloor  = 45
	shadesReach = 2 // blocks around a block that its threshold comes from
)

// binarize decides for each pixel whether it is ink, by the brightness around it: half-way
// between the darkest and the brightest pixel nearby where these are far apart, and by the
// whole page where they are not. gozxing's own way takes the grain of blank paper for ink.
// It is nil for a page without ink.
func binarize(m *image.Gray) *gozxing.BitMatrix {
	ink, paper := extremes(m)
	if paper-ink < minContrast {
		return nil
	}
	width, height := m.Rect.Dx(), m.Rect.Dy()
	black, err := gozxing.NewBitMatrix(width, height)
	if err != nil {
		return nil
	}
	w, h := (width+block-1)/block, (height+block-1)/block
	low, high := shades(m, w, h)
	for by := range h {
		for bx := range w {
			lo, hi := 255, 0
			for y := max(by-shadesReach, 0); y <= min(by+shadesReach, h-1); y++ {
				for x := max(bx-shadesReach, 0); x <= min(bx+shadesReach, w-1); x++ {
					lo, hi = min(lo, int(low[y*w+x])), max(hi, int(high[y*w+x]))
				}
			}
			threshold := (ink + paper) / 2
			if (hi-lo)*100 > (paper-ink)*noiseFloor {
				threshold = (lo + hi) / 2
			}
			for y := by * block; y < min((by+1)*block, height); y++ {
				row := m.Pix[y*m.Stride:][:width]
				for x := bx * block; x < min((bx+1)*block, width); x++ {
					if int(row[x]) < threshold {
						black.Set(x, y)
					}
				}
			}
		}
	}
	return black
}

// extremes are how dark and how bright the page is, without its few strangest pixels.
func extremes(m *image.Gray) (ink, paper int) {
	var count [256]int
	for _, v := range m.Pix {
		count[v]++
	}
	few := len(m.Pix) / 2000
	for n := 0; ink < 255; ink++ {
		if n += count[ink]; n > few {
			break
		}
	}
	paper = 255
	for n := 0; paper > 0; paper-- {
		if n += count[paper]; n > few {
			break
		}
	}
	return ink, paper
}

// shades are the darkest and the brightest pixel of each block.
func shades(m *image.Gray, w, h int) (low, high []uint8) {
	low, high = make([]uint8, w*h), make([]uint8, w*h)
	for i := range low {
		low[i] = 255
	}
	for y := range m.Rect.Dy() {
		row, at := m.Pix[y*m.Stride:][:m.Rect.Dx()], y/block*w
		for x, v := range row {
			i := at + x/block
			low[i], high[i] = min(low[i], v), max(high[i], v)
		}
	}
	return low, high
}

// cropped is a part of a bit matrix.
func cropped(black *gozxing.BitMatrix, r image.Rectangle) *gozxing.BitMatrix {
	part, err := gozxing.NewBitMatrix(r.Dx(), r.Dy())
	if err != nil {
		return nil
	}
	if r.Min.X%32 == 0 { // whole words
		row, short := gozxing.NewBitArray(black.GetWidth()), gozxing.NewBitArray(r.Dx())
		for y := range r.Dy() {
			row = black.GetRow(r.Min.Y+y, row)
			words := short.GetBitArray()
			n := copy(words, row.GetBitArray()[r.Min.X/32:])
			if rest := r.Dx() % 32; rest != 0 && n == (r.Dx()+31)/32 {
				words[n-1] &= 1<<rest - 1
			}
			part.SetRow(y, short)
		}
		return part
	}
	for y := range r.Dy() {
		for x := range r.Dx() {
			if black.Get(r.Min.X+x, r.Min.Y+y) {
				part.Set(x, y)
			}
		}
	}
	return part
}

// ready is a gozxing.Binarizer of what is black and white already.
type ready struct{ black *gozxing.BitMatrix }

func (r ready) GetWidth() int                                             { return r.black.GetWidth() }
func (r ready) GetHeight() int                                            { return r.black.GetHeight() }
func (r ready) GetBlackMatrix() (*gozxing.BitMatrix, error)               { return r.black, nil }
func (r ready) GetLuminanceSource() gozxing.LuminanceSource               { return nil }
func (r ready) CreateBinarizer(gozxing.LuminanceSource) gozxing.Binarizer { return r }

func (r ready) GetBlackRow(y int, row *gozxing.BitArray) (*gozxing.BitArray, error) {
	return r.black.GetRow(y, row), nil
}
