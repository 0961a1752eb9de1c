package imaging

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
)

// jpegReader decodes a JPEG file from top to bottom in pictures of the page's full
// width: strips between restart markers where the file has them at whole rows of MCUs,
// else the page in one.
type jpegReader struct {
	r      *bufio.Reader
	src    io.ReadSeeker
	header *JPEGHeader
	img    Image
	strip  int    // rows of a strip; 0: the file is decoded whole
	done   int    // rows
	next   byte   // number of the restart marker to come
	file   []byte // a strip as a JPEG file
	rows   []byte // what Next answers
}

func newJPEGReader(src io.ReadSeeker) (*jpegReader, error) {
	r := &jpegReader{src: src, r: bufio.NewReaderSize(src, 32<<10)}
	var err error
	if r.header, err = readJPEGHeader(r.r); err != nil {
		return nil, err
	}
	if r.img, err = r.header.Image(); err != nil {
		return nil, err
	}
	r.strip = r.header.stripRows()
	return r, nil
}

// picture answers the next picture, an *image.Gray, *image.YCbCr or, rarely, another
// with 3 channels; io.EOF after the last.
func (r *jpegReader) picture() (image.Image, error) {
	if r.done == r.img.Height {
		return nil, io.EOF
	}
	rows := r.img.Height - r.done
	var m image.Image
	var err error
	if r.strip > 0 {
		rows = min(rows, r.strip)
		m, err = r.decodeStrip(rows)
	} else {
		m, err = r.decodeWhole()
	}
	if err != nil {
		return nil, fmt.Errorf("decoding JPEG rows from %d: %w", r.done, damagedJPEG(err))
	}
	if b := m.Bounds(); b.Dx() != r.img.Width || b.Dy() != rows {
		return nil, fmt.Errorf("%w: JPEG of %v where %d × %d was announced", ErrDamaged, b, r.img.Width, rows)
	}
	r.done += rows
	return m, nil
}

func (r *jpegReader) decodeWhole() (image.Image, error) {
	if _, err := r.src.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	r.r.Reset(r.src)
	return jpeg.Decode(r.r)
}

// decodeStrip decodes up to the next marker as a file of its own: a restart resets the
// decoder just as a new file does.
func (r *jpegReader) decodeStrip(rows int) (image.Image, error) {
	h := r.header
	r.file = append(r.file[:0], 0xff, markerSOI)
	r.file = append(r.file, h.tables...)
	height := len(r.file) + 5
	r.file = append(r.file, h.frame...)
	binary.BigEndian.PutUint16(r.file[height:], uint16(rows))
	r.file = append(r.file, h.scan...)
	marker, err := r.copyScan(rows)
	if err != nil {
		return nil, err
	}
	want := markerRST0 + r.next
	r.next = (r.next + 1) % 8
	if r.done+rows == r.img.Height {
		want = markerEOI
	}
	if marker != want {
		return nil, fmt.Errorf("%w: marker %#x where %#x should be", ErrDamaged, marker, want)
	}
	r.file = append(r.file, 0xff, markerEOI)
	return jpeg.Decode(bytes.NewReader(r.file))
}

// copyScan appends entropy-coded data up to a marker, and answers the marker.
func (r *jpegReader) copyScan(rows int) (marker byte, err error) {
	// The longest code for a coefficient is 26 bits, and any byte may need stuffing.
	limit := len(r.file) + 8*r.img.Stride()*(rows+16) + 4096
	for {
		part, err := r.r.ReadSlice(0xff)
		r.file = append(r.file, part...)
		if len(r.file) > limit {
			return 0, fmt.Errorf("%w: a strip of more than %d bytes", ErrDamaged, limit)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return 0, err
		}
		b, err := r.r.ReadByte()
		for err == nil && b == 0xff { // fill bytes may precede a marker
			b, err = r.r.ReadByte()
		}
		if err != nil {
			return 0, err
		}
		if b != 0 {
			r.file = r.file[:len(r.file)-1]
			return b, nil
		}
		r.file = append(r.file, 0)
	}
}

// damagedJPEG marks errors of the decoder as damage; those of the file stay as they are.
func damagedJPEG(err error) error {
	var format jpeg.FormatError
	var unsupported jpeg.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	case errors.As(err, &format), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// Image describes the rows that Next answers.
func (r *jpegReader) Image() Image { return r.img }

// Next answers rows of gray or RGB samples, and io.EOF after the last.
func (r *jpegReader) Next() ([]byte, error) {
	m, err := r.picture()
	if err != nil {
		return nil, err
	}
	r.rows = appendPixels(r.rows[:0], m)
	return r.rows, nil
}
