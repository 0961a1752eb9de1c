package document

import (
	"context"
	"fmt"
	"io"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

// found is what a page's file turned out to be.
type found struct {
	Page
	img  imaging.Image       // of the file; the resolution is the page's
	jpeg *imaging.JPEGHeader // of a JPEG file
	size int64               // of the file
	data int64               // bytes of the zlib stream in a PNG file, where asked for
	crc  uint32              // of the file, where asked for
}

// inspect looks into every page's file before the first byte of the document is
// written, so that a damaged page is an error and not half a document. look is called
// with each file, rewound.
func inspect(ctx context.Context, pages []Page, look func(f *found, r io.Reader) error) ([]found, error) {
	if len(pages) == 0 {
		return nil, ErrNoPages
	}
	all := make([]found, len(pages))
	for i, p := range pages {
		all[i].Page = p
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := all[i].inspect(ctx, look); err != nil {
			return nil, fmt.Errorf("inspecting page %d: %w", i+1, err)
		}
	}
	return all, nil
}

func (f *found) inspect(ctx context.Context, look func(f *found, r io.Reader) error) error {
	switch f.Rotate {
	case 0, 90, 180, 270:
	default:
		return fmt.Errorf("%w: rotation by %d degrees", imaging.ErrUnsupported, f.Rotate)
	}
	file, err := f.Open()
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	defer file.Close()
	if f.size, err = file.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	if err := rewind(file); err != nil {
		return err
	}
	switch f.Format {
	case scan.FormatJPEG:
		if f.jpeg, err = imaging.ReadJPEGHeader(file); err != nil {
			return err
		}
		f.img, err = f.jpeg.Image()
	case scan.FormatPNG:
		var png *imaging.PNGReader
		if png, err = imaging.NewPNGReader(file); err != nil {
			return err
		}
		f.img = png.Image()
	default:
		err = fmt.Errorf("%w: page format %q", imaging.ErrUnsupported, f.Format)
	}
	if err != nil {
		return err
	}
	f.img.Resolution = f.Resolution
	if f.img.Mode != f.Mode || f.img.Depth != f.Depth || f.img.Width != f.Width || f.img.Height != f.Height {
		return fmt.Errorf("%w: %s%d %d × %d where %s%d %d × %d was described", ErrMismatch,
			f.img.Mode, f.img.Depth, f.img.Width, f.img.Height, f.Mode, f.Depth, f.Width, f.Height)
	}
	if err := rewind(file); err != nil {
		return err
	}
	return look(f, &contextReader{ctx, file})
}

func rewind(file io.Seeker) error {
	_, err := file.Seek(0, io.SeekStart)
	return err
}

// copyFile copies the whole file to w.
func (f *found) copyFile(ctx context.Context, w io.Writer) error {
	return f.read(ctx, func(r io.Reader) error { return copyExactly(w, r, f.size) })
}

// read opens the file and gives it to use.
func (f *found) read(ctx context.Context, use func(r io.Reader) error) error {
	file, err := f.Open()
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	defer file.Close()
	return use(&contextReader{ctx, file})
}

// copyExactly copies n bytes; r must then be at its end. What was counted before is
// already written into the document.
func copyExactly(w io.Writer, r io.Reader, n int64) error {
	copied, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(r, n+1), make([]byte, 256<<10))
	if err == nil && copied != n {
		err = fmt.Errorf("%w: its size has changed from %d bytes", ErrMismatch, n)
	}
	return err
}

// contextReader ends with the context's error.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
