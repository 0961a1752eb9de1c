package imaging

import (
	"fmt"
	"io"

	"github.com/platen-scan/platen/proto/scan"
)

// Spec says what rendition to make of a page.
type Spec struct {
	Format  scan.Format // "": JPEG where a Width is given, else the stored format
	Width   int         // pixels to scale down to, JPEG only; 0 or more than the page has: as it is
	Quality int         // of a JPEG, 1 to 100; 0: DefaultQuality
}

// rowReader reads a page's rows in the layout of Image.
type rowReader interface {
	Image() Image
	// Next answers some whole rows, valid until the next call; io.EOF after the last.
	Next() ([]byte, error)
}

// rowWriter writes a page's rows.
type rowWriter interface {
	WriteRows(p []byte) error
	Close() error
}

// Convert makes a rendition with the standard codecs. See Codecs.Convert.
func Convert(src io.ReadSeeker, from scan.Format, spec Spec, dst io.Writer) error {
	return Codecs{}.Convert(src, from, spec, dst)
}

// Convert reads the stored page src, a JPEG or PNG file, and writes a rendition of it to
// dst. PNG, TIFF and PNM keep every sample as it is; JPEG of lineart is gray, and of 16
// bit samples has their upper halves. What needs no change is copied byte by byte.
//
// It holds a few strips of rows, but for JPEG files without usable restart markers,
// which none of our encoders makes: they are decoded whole, at most MaxBytes. Errors in
// the file are ErrDamaged, ErrTooLarge or ErrUnsupported; dst is then incomplete.
func (c Codecs) Convert(src io.ReadSeeker, from scan.Format, spec Spec, dst io.Writer) error {
	if err := c.convert(src, from, spec, dst); err != nil {
		return fmt.Errorf("converting a %s page: %w", from, err)
	}
	return nil
}

func (c Codecs) convert(src io.ReadSeeker, from scan.Format, spec Spec, dst io.Writer) error {
	if spec.Format == "" {
		spec.Format = from
		if spec.Width > 0 {
			spec.Format = scan.FormatJPEG
		}
	}
	if spec.Width < 0 || spec.Width > 0 && spec.Format != scan.FormatJPEG {
		return fmt.Errorf("%w: %s of width %d", ErrUnsupported, spec.Format, spec.Width)
	}
	rows, err := open(src, from)
	if err != nil {
		return err
	}
	img := rows.Image()
	scaled := spec.Width > 0 && spec.Width < img.Width
	if spec.Format == from && !scaled && spec.Quality == 0 {
		return copyFile(src, dst)
	}
	if spec.Format == scan.FormatJPEG {
		return c.toJPEG(rows, spec, scaled, dst)
	}
	var w rowWriter
	switch spec.Format {
	case scan.FormatPNG:
		w, err = NewEncoder(dst, img, scan.FormatPNG, 0, c)
	case scan.FormatTIFF:
		w, err = newTIFFWriter(dst, img)
	case scan.FormatPNM:
		w, err = newPNMWriter(dst, img)
	default:
		err = fmt.Errorf("%w: format %q", ErrUnsupported, spec.Format)
	}
	if err != nil {
		return err
	}
	return finish(w, copyRows(rows, w))
}

// toJPEG writes a JPEG file, scaled or not.
func (c Codecs) toJPEG(rows rowReader, spec Spec, scaled bool, dst io.Writer) error {
	out := rows.Image()
	out.Depth = 8
	if out.Mode == scan.ModeLineart {
		out.Mode = scan.ModeGray
	}
	if scaled {
		out = out.scaledTo(spec.Width)
	}
	e, err := NewEncoder(dst, out, scan.FormatJPEG, spec.Quality, c)
	if err != nil {
		return err
	}
	file, isJPEG := rows.(*jpegReader)
	switch {
	case !scaled:
		err = eightBitRows(rows, e.WriteRows)
	case isJPEG && !file.header.RGB:
		err = scaleJPEG(file, out, e)
	default:
		err = scaleRows(rows, out, e)
	}
	return finish(e, err)
}

func open(src io.ReadSeeker, from scan.Format) (rowReader, error) {
	switch from {
	case scan.FormatJPEG:
		return newJPEGReader(src)
	case scan.FormatPNG:
		return NewPNGReader(src)
	}
	return nil, fmt.Errorf("%w: pages are not stored as %q", ErrUnsupported, from)
}

// finish closes w; an error from before counts more than that of closing too early.
func finish(w rowWriter, err error) error {
	closed := w.Close()
	if err != nil {
		return err
	}
	return closed
}

func copyFile(src io.ReadSeeker, dst io.Writer) error {
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(dst, src)
	return err
}

func copyRows(src rowReader, w rowWriter) error {
	for {
		rows, err := src.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.WriteRows(rows); err != nil {
			return err
		}
	}
}

// eightBitRows hands the rows of src on as 8 bit samples, some whole rows at a time.
func eightBitRows(src rowReader, take func([]byte) error) error {
	var buf []byte
	for {
		rows, err := src.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		buf = appendEightBit(buf[:0], src.Image(), rows)
		if err := take(buf); err != nil {
			return err
		}
	}
}
