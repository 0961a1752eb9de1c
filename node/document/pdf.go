package document

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

// Numbers of the fixed objects; each page has three more: itself, its content, its image.
const (
	pdfCatalog = 1 + iota
	pdfPages
	pdfInfo
	pdfFirstPage

	pdfPerPage = 3
)

const (
	pointsPerInch = 72
	// maxPDFSide is the longest side of a page in its unit; longer pages get a larger
	// unit (ISO 32000-1, table 30 and annex C).
	maxPDFSide = 14400
	// defaultResolution is for pages that do not tell theirs: a point a pixel.
	defaultResolution = 72
)

func writePDF(ctx context.Context, w io.Writer, meta Meta, pages []Page) error {
	all, err := inspect(ctx, pages, func(f *found, r io.Reader) error {
		if f.Format != scan.FormatPNG {
			return nil
		}
		png, err := imaging.NewPNGReader(r)
		if err != nil {
			return err
		}
		f.data, err = io.Copy(io.Discard, png.Data())
		return err
	})
	if err != nil {
		return fmt.Errorf("writing a PDF: %w", err)
	}
	objects, searchable := pdfFirstPage-1+pdfPerPage*len(all), false
	for _, f := range all {
		searchable = searchable || f.Text != nil
	}
	p := newPDFFile(w, objects)
	if searchable {
		p.font = objects + 1
		p.offsets = append(p.offsets, make([]int64, pdfFontObjects)...)
	}
	p.raw("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	p.object(pdfCatalog, "<< /Type /Catalog /Pages %d 0 R >>", pdfPages)
	kids := make([]byte, 0, 10*len(all))
	for i := range all {
		kids = fmt.Appendf(kids, "%d 0 R ", pdfFirstPage+pdfPerPage*i)
	}
	p.object(pdfPages, "<< /Type /Pages /Count %d /Kids [%s] >>", len(all), kids)
	p.object(pdfInfo, "<< %s>>", pdfInfoEntries(meta))
	for i := range all {
		if err := p.page(ctx, pdfFirstPage+pdfPerPage*i, &all[i]); err != nil {
			return fmt.Errorf("writing page %d of a PDF: %w", i+1, err)
		}
	}
	if searchable {
		p.textFont(p.font)
	}
	if err := p.end(); err != nil {
		return fmt.Errorf("writing a PDF: %w", err)
	}
	return nil
}

// page writes a page of the image's true size, filled by the image.
func (p *pdfFile) page(ctx context.Context, n int, f *found) error {
	resolution := f.Resolution
	if resolution == 0 {
		resolution = defaultResolution
	}
	width := float64(f.img.Width) * pointsPerInch / float64(resolution)
	height := float64(f.img.Height) * pointsPerInch / float64(resolution)
	unit := ""
	if longest := max(width, height); longest > maxPDFSide {
		scale := longest / maxPDFSide
		unit = " /UserUnit " + pdfNumber(scale)
		width, height = width/scale, height/scale
	}
	rotate := ""
	if f.Rotate != 0 {
		rotate = fmt.Sprintf(" /Rotate %d", f.Rotate)
	}
	content := fmt.Sprintf("q %s 0 0 %s 0 0 cm /Page Do Q", pdfNumber(width), pdfNumber(height))
	font := ""
	if f.Text != nil {
		text, err := f.Text(ctx)
		if err != nil {
			return fmt.Errorf("reading its text: %w", err)
		}
		content = textLayer(text, height/float64(f.img.Height), height) + content
		font = fmt.Sprintf(" /Font << /T %d 0 R >>", p.font)
	}
	p.object(n, "<< /Type /Page /Parent %d 0 R /MediaBox [0 0 %s %s]%s%s /Contents %d 0 R /Resources << /XObject << /Page %d 0 R >>%s >> >>",
		pdfPages, pdfNumber(width), pdfNumber(height), unit, rotate, n+1, n+2, font)
	p.object(n+1, "<< /Length %d >>\nstream\n%s\nendstream", len(content), content)
	return p.image(ctx, n+2, f)
}

// image writes the stored image as it is: the JPEG file, or the zlib stream of the PNG
// file, whose row filters are PDF's PNG predictors. In both forms 0 is black.
func (p *pdfFile) image(ctx context.Context, n int, f *found) error {
	space := "/DeviceGray"
	if f.img.Mode == scan.ModeColor {
		space = "/DeviceRGB"
	}
	length, filter := f.size, "/DCTDecode"
	if f.Format == scan.FormatPNG {
		length = f.data
		filter = fmt.Sprintf("/FlateDecode /DecodeParms << /Predictor 15 /Colors %d /BitsPerComponent %d /Columns %d >>",
			f.img.Channels(), f.img.Depth, f.img.Width)
	}
	p.begin(n)
	p.raw(fmt.Sprintf("<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace %s /BitsPerComponent %d /Filter %s /Length %d >>\nstream\n",
		f.img.Width, f.img.Height, space, f.img.Depth, filter, length))
	if p.err != nil {
		return p.err
	}
	err := f.read(ctx, func(r io.Reader) error {
		if f.Format == scan.FormatPNG {
			png, err := imaging.NewPNGReader(r)
			if err != nil {
				return err
			}
			r = png.Data()
		}
		return copyExactly(p, r, length)
	})
	p.raw("\nendstream\nendobj\n")
	return err
}

// pdfNumber writes a number with up to four decimals.
func pdfNumber(v float64) string {
	const unit = 10000
	return strconv.FormatFloat(float64(int64(v*unit+0.5))/unit, 'f', -1, 64)
}
