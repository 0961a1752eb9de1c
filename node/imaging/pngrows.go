package imaging

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"
)

// pngRows inflates and unfilters rows.
type pngRows struct {
	img      Image
	inflate  io.ReadCloser
	filtered []byte // one row with the number of its filter
	above    []byte
	out      []byte
	batch    int // rows at a time
	done     int // rows
}

func newPNGRows(img Image) *pngRows {
	stride := img.Stride()
	batch := max(readBatch/stride, 1)
	return &pngRows{
		img: img, batch: batch,
		filtered: make([]byte, 1+stride), above: make([]byte, stride), out: make([]byte, 0, batch*stride),
	}
}

// readBatch is about how many bytes of rows a reader answers at once.
const readBatch = 64 << 10

func (p *pngRows) next(data io.Reader) ([]byte, error) {
	if p.inflate == nil {
		var err error
		if p.inflate, err = zlib.NewReader(data); err != nil {
			return nil, damagedZlib(err)
		}
	}
	if p.done == p.img.Height {
		return nil, p.end(data)
	}
	p.out = p.out[:0]
	for range min(p.batch, p.img.Height-p.done) {
		if _, err := io.ReadFull(p.inflate, p.filtered); err != nil {
			return nil, damagedZlib(err)
		}
		if err := unfilter(p.filtered[0], p.filtered[1:], p.above, p.img.pixelBytes()); err != nil {
			return nil, err
		}
		copy(p.above, p.filtered[1:])
		if p.img.Depth == 1 {
			p.out = appendInverted(p.out, p.above, p.img.Width)
		} else {
			p.out = append(p.out, p.above...)
		}
		p.done++
	}
	return p.out, nil
}

// end checks that the stream ends with the last row, and the file with the stream.
func (p *pngRows) end(data io.Reader) error {
	var one [1]byte
	if n, err := io.ReadFull(p.inflate, one[:]); n > 0 {
		return fmt.Errorf("%w: more image data than pixels", ErrDamaged)
	} else if err != io.EOF {
		return damagedZlib(err)
	}
	if _, err := io.Copy(io.Discard, data); err != nil {
		return err
	}
	return io.EOF
}

// damagedZlib marks errors of the decompressor as damage; those of the file stay as they are.
func damagedZlib(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, ErrDamaged):
		return err
	case errors.As(err, &corrupt), errors.Is(err, zlib.ErrChecksum), errors.Is(err, zlib.ErrHeader),
		errors.Is(err, zlib.ErrDictionary), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// unfilter undoes a PNG filter in place. above is the row above, zeros at the top.
func unfilter(kind byte, row, above []byte, bpp int) error {
	above = above[:len(row)]
	switch kind {
	case filterNone:
	case filterSub:
		for i := bpp; i < len(row); i++ {
			row[i] += row[i-bpp]
		}
	case filterUp:
		for i, b := range above {
			row[i] += b
		}
	case filterAverage:
		for i := range bpp {
			row[i] += above[i] / 2
		}
		for i := bpp; i < len(row); i++ {
			row[i] += byte((int(row[i-bpp]) + int(above[i])) / 2)
		}
	case filterPaeth:
		for i := range bpp {
			row[i] += above[i]
		}
		for i := bpp; i < len(row); i++ {
			row[i] += predictPaeth(row[i-bpp], above[i], above[i-bpp])
		}
	default:
		return fmt.Errorf("%w: filter %d", ErrDamaged, kind)
	}
	return nil
}
