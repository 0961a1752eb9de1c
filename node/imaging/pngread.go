package imaging

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/platen-scan/platen/proto/scan"
)

// PNGReader reads a PNG file of a kind that scanners make: gray with 1, 8 or 16 bits or
// RGB with 8 or 16, not interlaced, without transparency. It checks all checksums. Its
// rows or its data can be read, not both.
type PNGReader struct {
	img  Image
	data pngData
	rows *pngRows
}

// NewPNGReader reads the header. Files of another kind are ErrUnsupported, larger ones
// than the limits ErrTooLarge.
func NewPNGReader(r io.Reader) (*PNGReader, error) {
	p := &PNGReader{data: pngData{r: bufio.NewReaderSize(r, 32<<10), crc: crc32.NewIEEE()}}
	if err := p.readHeader(); err != nil {
		return nil, fmt.Errorf("reading a PNG header: %w", damagedEOF(err))
	}
	return p, nil
}

// Image describes the page.
func (p *PNGReader) Image() Image { return p.img }

// Data gives the zlib stream, as it stands in the IDAT chunks.
func (p *PNGReader) Data() io.Reader { return &p.data }

// Next answers some whole rows in the layout of Image, valid until the next call, and
// io.EOF after the last, once all that follows was found in order.
func (p *PNGReader) Next() ([]byte, error) {
	if p.rows == nil {
		p.rows = newPNGRows(p.img)
	}
	rows, err := p.rows.next(&p.data)
	if err == io.EOF {
		return nil, io.EOF
	}
	if err != nil {
		return nil, fmt.Errorf("reading PNG rows: %w", damagedEOF(err))
	}
	return rows, nil
}

// damagedEOF makes errors of truncated and malformed streams ErrDamaged.
func damagedEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends too early", ErrDamaged)
	}
	return err
}

func (p *PNGReader) readHeader() error {
	var signature [len(pngSignature)]byte
	if _, err := io.ReadFull(p.data.r, signature[:]); err != nil {
		return err
	}
	if string(signature[:]) != pngSignature {
		return fmt.Errorf("%w: it is no PNG file", ErrDamaged)
	}
	for first := true; ; first = false {
		kind, err := p.data.nextChunk()
		if err != nil {
			return err
		}
		switch {
		case first != (kind == "IHDR"):
			return fmt.Errorf("%w: chunk %q out of place", ErrDamaged, kind)
		case kind == "IHDR":
			err = p.readIHDR()
		case kind == "pHYs":
			err = p.readPHYS()
		case kind == "IDAT":
			return nil
		case kind == "IEND":
			return fmt.Errorf("%w: no image data", ErrDamaged)
		case kind == "tRNS" || kind != "PLTE" && kind[0]&0x20 == 0:
			return fmt.Errorf("%w: PNG with chunk %q", ErrUnsupported, kind)
		}
		if err == nil {
			err = p.data.endChunk()
		}
		if err != nil {
			return err
		}
	}
}

func (p *PNGReader) readIHDR() error {
	var b [13]byte
	if p.data.left != uint32(len(b)) {
		return fmt.Errorf("%w: IHDR of %d bytes", ErrDamaged, p.data.left)
	}
	if err := p.data.readFull(b[:]); err != nil {
		return err
	}
	width, height := binary.BigEndian.Uint32(b[0:]), binary.BigEndian.Uint32(b[4:])
	if width < 1 || width > MaxSide || height < 1 || height > MaxSide {
		return fmt.Errorf("%w: %d × %d pixels", ErrTooLarge, width, height)
	}
	p.img = Image{Depth: int(b[8]), Width: int(width), Height: int(height)}
	switch {
	case b[9] == pngRGB:
		p.img.Mode = scan.ModeColor
	case b[9] == pngGray && b[8] == 1:
		p.img.Mode = scan.ModeLineart
	case b[9] == pngGray:
		p.img.Mode = scan.ModeGray
	}
	if p.img.Mode == "" || b[10] != 0 || b[11] != 0 || b[12] != 0 {
		return fmt.Errorf("%w: PNG of colour type %d with %d bits, methods %d", ErrUnsupported, b[9], b[8], b[10:13])
	}
	return p.img.Validate()
}

func (p *PNGReader) readPHYS() error {
	var b [9]byte
	if p.data.left != uint32(len(b)) {
		return fmt.Errorf("%w: pHYs of %d bytes", ErrDamaged, p.data.left)
	}
	if err := p.data.readFull(b[:]); err != nil {
		return err
	}
	dpi := math.Round(float64(binary.BigEndian.Uint32(b[:])) * inchMetres)
	if b[8] == 1 && dpi <= maxResolution {
		p.img.Resolution = int(dpi)
	}
	return nil
}
