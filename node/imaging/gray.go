package imaging

import (
	"fmt"
	"image"
	"image/color"
	"io"
	"math"

	"github.com/platen-scan/platen/proto/scan"
)

// Gray decodes the stored page src, a JPEG or PNG file, as gray samples for reading what
// is on it. A page of more than most pixels is scaled down to that while it is decoded.
// It answers the page's own description too. Errors are those of Convert.
func Gray(src io.ReadSeeker, from scan.Format, most int) (*image.Gray, Image, error) {
	m, img, err := gray(src, from, most)
	if err != nil {
		return nil, Image{}, fmt.Errorf("decoding a %s page: %w", from, err)
	}
	return m, img, nil
}

func gray(src io.ReadSeeker, from scan.Format, most int) (*image.Gray, Image, error) {
	rows, err := open(src, from)
	if err != nil {
		return nil, Image{}, err
	}
	img := rows.Image()
	if img.Height < 1 {
		return nil, Image{}, fmt.Errorf("%w: its height is not known", ErrUnsupported)
	}
	out := img
	if pixels := img.Width * img.Height; pixels > most {
		out = img.scaledTo(max(int(float64(img.Width)*math.Sqrt(float64(most)/float64(pixels))), 1))
	}
	if out.Width*out.Height > 2*most { // a line of pixels cannot be scaled to its shape
		return nil, Image{}, fmt.Errorf("%w: %d × %d pixels", ErrTooLarge, img.Width, img.Height)
	}
	m := image.NewGray(image.Rect(0, 0, out.Width, out.Height))
	pix := m.Pix
	take := func(row []byte) error {
		pix = pix[copy(pix, row):]
		return nil
	}
	add := take
	if out.Width != img.Width || out.Height != img.Height {
		add = newBoxScaler(1, img.Width, img.Height, out.Width, out.Height, take).add
	}
	if err := grayRows(rows, img, add); err != nil {
		return nil, Image{}, err
	}
	return m, img, nil
}

// grayRows gives all rows to add. Of a JPEG file only the luma is looked at.
func grayRows(rows rowReader, img Image, add func(row []byte) error) error {
	file, isJPEG := rows.(*jpegReader)
	if isJPEG && !file.header.RGB {
		for {
			m, err := file.picture()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			pix, stride := luma(m)
			if pix == nil {
				return fmt.Errorf("%w: JPEG decoded to %T", ErrUnsupported, m)
			}
			for y := range m.Bounds().Dy() {
				if err := add(pix[y*stride:][:img.Width]); err != nil {
					return err
				}
			}
		}
	}
	var buf, line []byte
	for {
		part, err := rows.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		buf = appendEightBit(buf[:0], img, part)
		for step := img.Width * img.Channels(); len(buf) >= step; buf = buf[step:] {
			line = appendGray(line[:0], buf[:step], img.Channels())
			if err := add(line); err != nil {
				return err
			}
		}
	}
}

func luma(m image.Image) (pix []byte, stride int) {
	switch m := m.(type) {
	case *image.Gray:
		return m.Pix, m.Stride
	case *image.YCbCr:
		return m.Y, m.YStride
	}
	return nil, 0
}

// appendGray appends a row of gray or RGB samples as gray ones.
func appendGray(dst, row []byte, channels int) []byte {
	if channels == 1 {
		return append(dst, row...)
	}
	for ; len(row) >= 3; row = row[3:] {
		y, _, _ := color.RGBToYCbCr(row[0], row[1], row[2])
		dst = append(dst, y)
	}
	return dst
}
