// Package document writes the pages of a document as one PDF, TIFF or ZIP file.
//
// The stored bytes of the pages go into these files as they are wherever the format
// allows: JPEG into PDF and TIFF, PNG into PDF, all into ZIP. Files are written from
// front to back to an io.Writer, with bounded memory, and the same pages and Meta give
// the same bytes. The node's HTTP handlers and the CLI call it. It keeps nothing and
// knows nothing of jobs, and it never decodes a JPEG.
package document

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// Meta is what a document says of itself.
type Meta struct {
	Title   string
	Created time.Time // zero: not said
}

// Page is one page of a document: a stored file and what is known about it. Width,
// Height, Mode and Depth are checked against the file: another file is ErrMismatch.
type Page struct {
	// Open opens the stored file. It is called twice, once before the first byte of the
	// document is written, and must give the same bytes both times.
	Open func() (io.ReadSeekCloser, error)

	Format     scan.Format // JPEG or PNG
	Mode       scan.ColorMode
	Depth      int // bits per sample
	Width      int // pixels, as stored
	Height     int // pixels, as stored
	Resolution int // dots per inch; 0: 72
	Rotate     int // clockwise when shown: 0, 90, 180 or 270 degrees

	// Text reads what is written on the page, in pixels as stored; nil: nobody knows. It is
	// called when the page is written, and may take seconds.
	Text func(context.Context) (api.PageText, error)
}

// Errors of this package. Those of imaging come too, for damaged and unsupported files.
var (
	ErrMismatch = errors.New("the stored file is not the page that was described")
	ErrNoPages  = errors.New("the document has no pages")
)

// WritePDF writes a PDF 1.7 file: every page at its true size, the stored images unchanged,
// over the words of pages that have a Text, which can be searched and copied.
func WritePDF(ctx context.Context, w io.Writer, meta Meta, pages []Page) error {
	return writePDF(ctx, w, meta, pages)
}

// WriteTIFF writes a TIFF file of several pages; more than 4 GiB are imaging.ErrTooLarge.
func WriteTIFF(ctx context.Context, w io.Writer, meta Meta, pages []Page) error {
	return writeTIFF(ctx, w, meta, pages)
}

// WriteZIP writes a ZIP file of the stored files, page-001.jpg and so on, uncompressed.
func WriteZIP(ctx context.Context, w io.Writer, meta Meta, pages []Page) error {
	return writeZIP(ctx, w, meta, pages)
}
