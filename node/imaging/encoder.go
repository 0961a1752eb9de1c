package imaging

import (
	"fmt"
	"io"

	"github.com/platen-scan/platen/proto/scan"
)

// DefaultQuality is the JPEG quality where none is asked for.
const DefaultQuality = 85

// Encoder writes one page as a file, as its rows come. It is for one goroutine.
type Encoder interface {
	// WriteRows takes any number of whole rows and keeps nothing of p. It may write to
	// the underlying writer, in pieces, before it returns. After an error the page is lost.
	WriteRows(p []byte) error
	// Close ends the file and frees the encoder; it is called on every path. Fewer rows
	// than Image.Height: ErrShort, and what was written is no whole file.
	Close() error
	// Rows is how many rows came so far.
	Rows() int
	// Patch, after Close, is what must be overwritten at offset in the file to tell its
	// height, where Image.Height was 0. Without the patch such a file announces MaxSide
	// rows. ok is false where there is nothing to patch.
	Patch() (offset int64, b []byte, ok bool)
}

// Codecs are the compressors to use. The zero value needs nothing but Go.
type Codecs struct {
	// NewJPEG makes an encoder for 8 bit gray and colour that puts a restart marker
	// after every row of MCUs, as turbo's does. Image and quality are valid.
	NewJPEG func(w io.Writer, img Image, quality int) (Encoder, error)
	// Name says in logs and reports what JPEG is made with; "" for the standard library.
	Name string
}

// NewEncoder makes an encoder that writes img to w. JPEG takes 8 bit gray and colour,
// PNG everything. The quality is for JPEG, 1 to 100; 0 means DefaultQuality.
func NewEncoder(w io.Writer, img Image, format scan.Format, quality int, codecs Codecs) (Encoder, error) {
	if err := img.Validate(); err != nil {
		return nil, err
	}
	switch format {
	case scan.FormatPNG:
		return newPNGEncoder(w, img)
	case scan.FormatJPEG:
		if img.Depth != 8 {
			return nil, fmt.Errorf("%w: JPEG with %d bits", ErrUnsupported, img.Depth)
		}
		if quality == 0 {
			quality = DefaultQuality
		}
		if quality < 1 || quality > 100 {
			return nil, fmt.Errorf("%w: JPEG quality %d is not 1 to 100", ErrUnsupported, quality)
		}
		if codecs.NewJPEG != nil {
			return codecs.NewJPEG(w, img, quality)
		}
		return newJPEGEncoder(w, img, quality)
	}
	return nil, fmt.Errorf("%w: pages are not stored as %q", ErrUnsupported, format)
}

// Counter checks the rows of a page against its image. Encoders outside this package use it too.
type Counter struct {
	img  Image
	rows int
}

// NewCounter starts counting at no rows.
func NewCounter(img Image) Counter { return Counter{img: img} }

// Add counts the rows in p: whole ones, and not more than the page has.
func (c *Counter) Add(p []byte) (rows int, err error) {
	stride := c.img.Stride()
	if len(p)%stride != 0 {
		return 0, fmt.Errorf("writing rows: %d bytes are no whole rows of %d bytes", len(p), stride)
	}
	rows = len(p) / stride
	if limit := c.img.maxRows(); rows > limit-c.rows {
		if c.img.Height == 0 {
			return 0, fmt.Errorf("%w: more than %d rows of %d bytes", ErrTooLarge, limit, stride)
		}
		return 0, fmt.Errorf("%w: %d of %d", ErrLong, c.rows+rows, c.img.Height)
	}
	c.rows += rows
	return rows, nil
}

// Rows is how many rows were counted.
func (c *Counter) Rows() int { return c.rows }

// End checks that all announced rows came, and at least one.
func (c *Counter) End() error {
	if c.rows == 0 || c.rows < c.img.Height {
		return fmt.Errorf("%w: %d of %d", ErrShort, c.rows, c.img.Height)
	}
	return nil
}
