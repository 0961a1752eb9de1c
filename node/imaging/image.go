package imaging

import (
	"errors"
	"fmt"

	"github.com/platen-scan/platen/proto/scan"
)

// Limits of a page, checked before allocation.
const (
	MaxSide       = 65500   // pixels; also what JPEG files can hold in practice
	MaxBytes      = 1 << 30 // raw bytes of a page
	maxResolution = 65535   // dots per inch; what a JFIF header can hold
)

// Errors of this package. They come wrapped with what was found.
var (
	ErrShort       = errors.New("the page has fewer rows than announced")
	ErrLong        = errors.New("the page has more rows than announced")
	ErrTooLarge    = errors.New("the image is larger than the limits")
	ErrUnsupported = errors.New("the kind of image is not supported")
	ErrDamaged     = errors.New("the image file is damaged")
)

// Image describes the rows of a page. Rows run from top to bottom without padding
// between them. 16 bit samples are big-endian. At 1 bit a set bit is black, the first
// pixel is in the highest bit, and a row is padded to whole bytes.
type Image struct {
	Mode       scan.ColorMode
	Depth      int // bits per sample: 1, 8 or 16
	Width      int // pixels
	Height     int // rows; 0: not known before the end
	Resolution int // dots per inch, both ways; 0: not known
}

// Channels is the number of samples of a pixel.
func (i Image) Channels() int {
	if i.Mode == scan.ModeColor {
		return 3
	}
	return 1
}

// Stride is the number of bytes of a row.
func (i Image) Stride() int { return (i.Width*i.Channels()*i.Depth + 7) / 8 }

// pixelBytes is the distance of two neighbouring pixels in a row, at least 1.
func (i Image) pixelBytes() int { return max(i.Channels()*i.Depth/8, 1) }

// Validate checks that the image is one that scanners make and within the limits.
func (i Image) Validate() error {
	switch {
	case i.Mode == scan.ModeLineart && i.Depth == 1:
	case (i.Mode == scan.ModeGray || i.Mode == scan.ModeColor) && (i.Depth == 8 || i.Depth == 16):
	default:
		return fmt.Errorf("%w: mode %q with %d bits", ErrUnsupported, i.Mode, i.Depth)
	}
	if i.Width < 1 || i.Width > MaxSide || i.Height < 0 || i.Height > MaxSide {
		return fmt.Errorf("%w: %d × %d pixels, at most %d a side", ErrTooLarge, i.Width, i.Height, MaxSide)
	}
	if int64(i.Stride())*int64(i.Height) > MaxBytes {
		return fmt.Errorf("%w: %d rows of %d bytes, at most %d bytes", ErrTooLarge, i.Height, i.Stride(), MaxBytes)
	}
	if i.Resolution < 0 || i.Resolution > maxResolution {
		return fmt.Errorf("%w: %d dpi, at most %d", ErrTooLarge, i.Resolution, maxResolution)
	}
	return nil
}

// maxRows is how many rows the image may get: its height, or what the limits allow.
func (i Image) maxRows() int {
	if i.Height > 0 {
		return i.Height
	}
	return min(MaxSide, MaxBytes/i.Stride())
}
