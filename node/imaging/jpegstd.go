package imaging

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"
	"io"
)

// jpegEncoder makes JPEG with the standard library, which cannot stream: it encodes
// each strip as an image of its own and joins their scans by restart markers. That is
// the same file as an encoder with one restart interval a strip would write, for a
// restart resets the DC predictors just as a new image does, and the tables are equal.
type jpegEncoder struct {
	w       io.Writer
	img     Image
	count   Counter
	strips  *strips
	started bool // the header is written
	restart byte // number of the next restart marker, 0 to 7
	scratch [2]byte
	sof     int64 // offset of the height in the file
	closed  bool
}

// stripRows is the height of a strip: one row of 4:2:0 MCUs or two of gray ones.
const stripRows = 16

func newJPEGEncoder(w io.Writer, img Image, quality int) (Encoder, error) {
	e := &jpegEncoder{w: w, img: img, count: NewCounter(img)}
	codec := func() stripCodec { return &jpegStrip{img: img, quality: jpeg.Options{Quality: quality}} }
	e.strips = newStrips(img.Stride(), stripRows, codec, e.emit)
	return e, nil
}

func (e *jpegEncoder) Rows() int { return e.count.Rows() }

func (e *jpegEncoder) WriteRows(p []byte) error {
	if _, err := e.count.Add(p); err != nil {
		return err
	}
	return e.strips.write(p)
}

// emit writes one strip's scan, after the header or a restart marker.
func (e *jpegEncoder) emit(slot *stripSlot) error {
	codec := slot.codec.(*jpegStrip)
	if !e.started {
		header, sof, err := joinedHeader(codec.out[:codec.scan], e.img)
		if err != nil {
			return err
		}
		if _, err := e.w.Write(header); err != nil {
			return err
		}
		e.started, e.sof = true, int64(sof)
	} else {
		e.scratch = [2]byte{0xff, markerRST0 + e.restart}
		e.restart = (e.restart + 1) % 8
		if _, err := e.w.Write(e.scratch[:]); err != nil {
			return err
		}
	}
	_, err := e.w.Write(slot.out)
	return err
}

func (e *jpegEncoder) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	if err := e.count.End(); err != nil {
		return err
	}
	if err := e.strips.finish(); err != nil {
		return err
	}
	_, err := e.w.Write([]byte{0xff, markerEOI})
	return err
}

func (e *jpegEncoder) Patch() (int64, []byte, bool) {
	if e.img.Height > 0 || !e.closed || !e.started {
		return 0, nil, false
	}
	return e.sof, binary.BigEndian.AppendUint16(nil, uint16(e.count.Rows())), true
}

// joinedHeader makes the header of the whole file from that of its first strip: with
// JFIF density, the page's height, and the restart interval. sof is where the height is.
func joinedHeader(strip []byte, img Image) (header []byte, sof int, err error) {
	header = append(header, 0xff, markerSOI)
	header = append(header, jfifSegment(img.Resolution)...)
	mcu, perRow := 16, 1 // pixels of an MCU; rows of MCUs in a strip
	if img.Channels() == 1 {
		mcu, perRow = 8, 2
	}
	for p := 2; p+4 <= len(strip); {
		marker, n := strip[p+1], 2+int(binary.BigEndian.Uint16(strip[p+2:]))
		if strip[p] != 0xff || p+n > len(strip) {
			break
		}
		segment := strip[p : p+n]
		switch marker {
		case markerSOF0:
			sof = len(header) + 5
			header = append(header, segment...)
			height := img.Height
			if height == 0 {
				height = MaxSide
			}
			binary.BigEndian.PutUint16(header[sof:], uint16(height))
		case markerSOS:
			interval := (img.Width + mcu - 1) / mcu * perRow
			header = append(header, 0xff, markerDRI, 0, 4, byte(interval>>8), byte(interval))
			return append(header, segment...), sof, nil
		default:
			header = append(header, segment...)
		}
		p += n
	}
	return nil, 0, fmt.Errorf("joining JPEG strips: the encoder wrote an unexpected header")
}

// jpegStrip encodes one strip as an image and answers its scan.
type jpegStrip struct {
	img     Image
	quality jpeg.Options
	rgba    *image.RGBA
	out     []byte
	scan    int // where the scan begins in out
}

func (s *jpegStrip) compress(raw, _ []byte) ([]byte, error) {
	rows := len(raw) / s.img.Stride()
	s.out = s.out[:0]
	if err := jpeg.Encode(s, s.picture(raw, rows), &s.quality); err != nil {
		return nil, fmt.Errorf("encoding a strip: %w", err)
	}
	var err error
	if s.scan, err = scanOffset(s.out); err != nil {
		return nil, err
	}
	return s.out[s.scan : len(s.out)-2], nil // without the end marker
}

// picture wraps or converts the raw rows into what image/jpeg has a fast path for.
func (s *jpegStrip) picture(raw []byte, rows int) image.Image {
	bounds := image.Rect(0, 0, s.img.Width, rows)
	if s.img.Channels() == 1 {
		return &image.Gray{Pix: raw, Stride: s.img.Width, Rect: bounds}
	}
	if s.rgba == nil {
		s.rgba = image.NewRGBA(image.Rect(0, 0, s.img.Width, stripRows))
	}
	dst := s.rgba.Pix[:rows*s.img.Width*4]
	for len(dst) >= 4 && len(raw) >= 3 {
		binary.LittleEndian.PutUint32(dst, uint32(raw[0])|uint32(raw[1])<<8|uint32(raw[2])<<16|0xff<<24)
		dst, raw = dst[4:], raw[3:]
	}
	return &image.RGBA{Pix: s.rgba.Pix, Stride: s.rgba.Stride, Rect: bounds}
}

// Write, WriteByte and Flush are what image/jpeg wants of a buffered writer.
func (s *jpegStrip) Write(p []byte) (int, error) { s.out = append(s.out, p...); return len(p), nil }

// WriteByte appends one byte.
func (s *jpegStrip) WriteByte(b byte) error { s.out = append(s.out, b); return nil }

// Flush has nothing to do.
func (s *jpegStrip) Flush() error { return nil }
