package document

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

// writeTIFF writes JPEG pages as they are (compression 7, TIFF Technical Note 2) and PNG
// pages as raw rows: so each page's length is known before it is written, and each
// directory can stand before its page. Rotation is told by the orientation.
func writeTIFF(ctx context.Context, w io.Writer, meta Meta, pages []Page) error {
	all, err := inspect(ctx, pages, func(f *found, _ io.Reader) error {
		if f.jpeg != nil && f.jpeg.HSamp == 0 {
			return fmt.Errorf("%w: JPEG with these sampling factors in TIFF", imaging.ErrUnsupported)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("writing a TIFF: %w", err)
	}
	layout, err := layTIFF(meta, all)
	if err != nil {
		return fmt.Errorf("writing a TIFF: %w", err)
	}
	if _, err := io.WriteString(w, imaging.TIFFHeader); err != nil {
		return fmt.Errorf("writing a TIFF: %w", err)
	}
	for i := range all {
		if err := layout[i].write(ctx, w, &all[i]); err != nil {
			return fmt.Errorf("writing page %d of a TIFF: %w", i+1, err)
		}
	}
	return nil
}

// tiffPlace is a page's place in the file.
type tiffPlace struct {
	dir []byte
	pad bool // a byte follows the data, so that the next directory has an even offset
}

// layTIFF places all pages, so that a file that gets too long is never begun.
func layTIFF(meta Meta, all []found) ([]tiffPlace, error) {
	places := make([]tiffPlace, len(all))
	at := int64(len(imaging.TIFFHeader))
	for i, f := range all {
		page := imaging.TIFFPage{
			Image: f.img, JPEG: f.jpeg, Bytes: f.size, Rotate: f.Rotate, Number: i, Total: len(all),
			Title: strings.ReplaceAll(meta.Title, "\x00", ""), Created: meta.Created,
		}
		dir, next, err := page.Directory(at, i == len(all)-1)
		if err != nil {
			return nil, err
		}
		places[i] = tiffPlace{dir: dir, pad: at+int64(len(dir))+page.DataBytes() != next}
		at = next
	}
	return places, nil
}

func (p *tiffPlace) write(ctx context.Context, w io.Writer, f *found) error {
	if _, err := w.Write(p.dir); err != nil {
		return err
	}
	var err error
	if f.Format == scan.FormatJPEG {
		err = f.copyFile(ctx, w)
	} else {
		err = f.read(ctx, func(r io.Reader) error { return copyRows(w, r) })
	}
	if err == nil && p.pad {
		_, err = w.Write([]byte{0})
	}
	return err
}

// copyRows writes the rows of a PNG file.
func copyRows(w io.Writer, r io.Reader) error {
	png, err := imaging.NewPNGReader(r)
	if err != nil {
		return err
	}
	for {
		rows, err := png.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(rows); err != nil {
			return err
		}
	}
}
