package pdfium

import (
	"fmt"
	"io"
	"math"

	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"

	"github.com/platen-scan/platen/proto/scan"
)

const (
	minResolution, maxResolution = 50, 600
	maxSide                      = 1200.0 // mm of a page: A0 and a little
	maxPixels                    = 20000  // of a side

	pointsPerInch = 72
	mmPerInch     = 25.4

	stripBytes = 8 << 20 // of one bitmap
	white      = 0xFFFFFFFF
)

// raster draws one page strip by strip, so that memory does not grow with the page.
type raster struct {
	d             *device
	page          references.FPDF_PAGE
	bitmap        references.FPDF_BITMAP
	made          bool // bitmap is there
	width, height int
	rows          int // of a strip

	row   int    // the first that is not drawn
	strip []byte // rows that are drawn, as the caller gets them; what is left of them
	out   []byte // its memory
}

// draw opens a page.
func (d *device) draw(index int) (*raster, error) {
	loaded, err := d.pdf.FPDF_LoadPage(&requests.FPDF_LoadPage{Document: d.document, Index: index})
	if err != nil {
		return nil, unreadable(fmt.Sprintf("page %d is damaged", index+1))
	}
	r := &raster{d: d, page: loaded.Page}
	size, err := d.pdf.FPDF_GetPageSizeByIndex(&requests.FPDF_GetPageSizeByIndex{Document: d.document, Index: index})
	if err != nil {
		r.close()
		return nil, unreadable(fmt.Sprintf("page %d is damaged", index+1))
	}
	pixels := func(points float64) int {
		return int(math.Round(points * float64(d.settings.Resolution) / pointsPerInch))
	}
	longest := max(size.Width, size.Height) * mmPerInch / pointsPerInch
	r.width, r.height = pixels(size.Width), pixels(size.Height)
	if !(longest <= maxSide) || r.width < 1 || r.height < 1 || max(r.width, r.height) > maxPixels {
		r.close()
		return nil, unreadable(fmt.Sprintf("page %d has %.0f x %.0f mm, more than can be made at %d dpi",
			index+1, size.Width*mmPerInch/pointsPerInch, size.Height*mmPerInch/pointsPerInch, d.settings.Resolution))
	}
	r.rows = min(r.height, max(1, stripBytes/(4*r.width)))
	bitmap, err := d.pdf.FPDFBitmap_Create(&requests.FPDFBitmap_Create{Width: r.width, Height: r.rows})
	if err != nil {
		r.close()
		return nil, unreadable(fmt.Sprintf("page %d needs more memory than there is", index+1))
	}
	r.bitmap, r.made = bitmap.Bitmap, true
	return r, nil
}

// read gives rows as driver.Device says.
func (r *raster) read(p []byte) (int, error) {
	if len(r.strip) == 0 {
		if r.row == r.height {
			return 0, io.EOF
		}
		if err := r.paint(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.strip)
	r.strip = r.strip[n:]
	return n, nil
}

// paint draws the next strip.
func (r *raster) paint() error {
	rows := min(r.rows, r.height-r.row)
	page := requests.Page{ByReference: &r.page}
	if _, err := r.d.pdf.FPDFBitmap_FillRect(&requests.FPDFBitmap_FillRect{Bitmap: r.bitmap, Width: r.width, Height: r.rows, Color: white}); err != nil {
		return r.failed(err)
	}
	flags := enums.FPDF_RENDER_FLAG_ANNOT
	if r.d.settings.Mode != scan.ModeColor {
		flags |= enums.FPDF_RENDER_FLAG_GRAYSCALE
	}
	if _, err := r.d.pdf.FPDF_RenderPageBitmap(&requests.FPDF_RenderPageBitmap{
		Bitmap: r.bitmap, Page: page, StartY: -r.row, SizeX: r.width, SizeY: r.height, Flags: flags,
	}); err != nil {
		return r.failed(err)
	}
	if err := r.drawForm(flags); err != nil {
		return r.failed(err)
	}
	got, err := r.d.pdf.FPDFBitmap_GetBuffer(&requests.FPDFBitmap_GetBuffer{Bitmap: r.bitmap})
	if err != nil || len(got.Buffer) < 4*r.width*rows {
		return r.failed(err)
	}
	r.strip = r.convert(got.Buffer, rows)
	r.row += rows
	return nil
}

// convert makes rows of what PDFium drew: blue, green, red and a byte of nothing.
func (r *raster) convert(drawn []byte, rows int) []byte {
	pixels := r.width * rows
	r.out = r.out[:0]
	switch r.d.settings.Mode {
	case scan.ModeGray:
		for i := range pixels {
			r.out = append(r.out, drawn[4*i+1])
		}
	case scan.ModeLineart:
		for y := range rows {
			r.out = appendBits(r.out, drawn[4*r.width*y:4*r.width*(y+1)])
		}
	default:
		for i := range pixels {
			r.out = append(r.out, drawn[4*i+2], drawn[4*i+1], drawn[4*i])
		}
	}
	return r.out
}

// appendBits adds a row of black and white: a set bit is black.
func appendBits(out, row []byte) []byte {
	const half = 128
	for len(row) > 0 {
		var bits byte
		for i := range 8 {
			if 4*i < len(row) && row[4*i+1] < half {
				bits |= 0x80 >> i
			}
		}
		out = append(out, bits)
		row = row[min(32, len(row)):]
	}
	return out
}

// failed is a page that cannot be drawn. PDFium may be of no use afterwards.
func (r *raster) failed(err error) error {
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("drawing a page: %w", err)
}

func (r *raster) close() {
	if r.made {
		r.d.pdf.FPDFBitmap_Destroy(&requests.FPDFBitmap_Destroy{Bitmap: r.bitmap})
		r.made = false
	}
	r.d.pdf.FPDF_ClosePage(&requests.FPDF_ClosePage{Page: r.page})
}
