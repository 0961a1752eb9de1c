package imaging

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
)

// scaledTo is the image scaled down to a width, with its shape kept.
func (i Image) scaledTo(width int) Image {
	scaled := i
	scaled.Width = width
	scaled.Height = max(int(math.Round(float64(i.Height)*float64(width)/float64(i.Width))), 1)
	scaled.Resolution = int(math.Round(float64(i.Resolution) * float64(width) / float64(i.Width)))
	return scaled
}

// scaleRows scales the rows of src, made 8 bit, into e, which takes out.
func scaleRows(src rowReader, out Image, e Encoder) error {
	img := src.Image()
	s := newBoxScaler(img.Channels(), img.Width, img.Height, out.Width, out.Height, e.WriteRows)
	step := img.Width * img.Channels()
	return eightBitRows(src, func(rows []byte) error {
		for i := 0; i < len(rows); i += step {
			if err := s.add(rows[i : i+step]); err != nil {
				return err
			}
		}
		return nil
	})
}

// scaleJPEG scales the planes of a JPEG file as they are decoded, so that only the few
// pixels of the result are ever converted to RGB.
func scaleJPEG(src *jpegReader, out Image, e Encoder) error {
	var planes planeScaler
	for {
		m, err := src.picture()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := planes.add(src.img, out, m, e); err != nil {
			return err
		}
	}
}

// planeScaler scales the planes of a picture each by itself. Chroma is scaled from its
// own size to that of the result; the rows of a plane wait for those of the others.
type planeScaler struct {
	scalers []*boxScaler
	waiting [3][]byte
	rgb     []byte
}

func (p *planeScaler) add(in, out Image, m image.Image, e Encoder) error {
	switch m := m.(type) {
	case *image.Gray:
		if p.scalers == nil {
			p.scalers = []*boxScaler{newBoxScaler(1, in.Width, in.Height, out.Width, out.Height, e.WriteRows)}
		}
		return addPlane(p.scalers[0], m.Pix, m.Stride, in.Width, m.Rect.Dy())
	case *image.YCbCr:
		cw, ch := chromaSize(m.SubsampleRatio, in.Width, m.Rect.Dy())
		if p.scalers == nil {
			_, whole := chromaSize(m.SubsampleRatio, in.Width, in.Height)
			for i := range 3 {
				w, h := cw, whole
				if i == 0 {
					w, h = in.Width, in.Height
				}
				p.scalers = append(p.scalers, newBoxScaler(1, w, h, out.Width, out.Height, func(row []byte) error {
					p.waiting[i] = append(p.waiting[i], row...)
					return nil
				}))
			}
		}
		if err := errors.Join(
			addPlane(p.scalers[0], m.Y, m.YStride, in.Width, m.Rect.Dy()),
			addPlane(p.scalers[1], m.Cb, m.CStride, cw, ch),
			addPlane(p.scalers[2], m.Cr, m.CStride, cw, ch),
		); err != nil {
			return err
		}
		return p.join(out.Width, e)
	}
	return fmt.Errorf("%w: JPEG decoded to %T", ErrUnsupported, m)
}

// join writes the rows that all planes have.
func (p *planeScaler) join(width int, e Encoder) error {
	n := min(len(p.waiting[0]), len(p.waiting[1]), len(p.waiting[2])) / width * width
	if n == 0 {
		return nil
	}
	p.rgb = p.rgb[:0]
	for i := range n {
		r, g, b := color.YCbCrToRGB(p.waiting[0][i], p.waiting[1][i], p.waiting[2][i])
		p.rgb = append(p.rgb, r, g, b)
	}
	for i, w := range p.waiting {
		p.waiting[i] = w[:copy(w, w[n:])]
	}
	return e.WriteRows(p.rgb)
}

func addPlane(s *boxScaler, pix []byte, stride, width, height int) error {
	for y := range height {
		if err := s.add(pix[y*stride:][:width]); err != nil {
			return err
		}
	}
	return nil
}

// chromaSize is the size of the chroma planes of a picture.
func chromaSize(ratio image.YCbCrSubsampleRatio, w, h int) (int, int) {
	across, down := 1, 1
	switch ratio {
	case image.YCbCrSubsampleRatio422:
		across = 2
	case image.YCbCrSubsampleRatio420:
		across, down = 2, 2
	case image.YCbCrSubsampleRatio440:
		down = 2
	case image.YCbCrSubsampleRatio411:
		across = 4
	case image.YCbCrSubsampleRatio410:
		across, down = 4, 2
	}
	return (w + across - 1) / across, (h + down - 1) / down
}
