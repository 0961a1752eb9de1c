package imaging

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/platen-scan/platen/proto/scan"
)

// JPEGHeader is what a JPEG file says before its scan.
type JPEGHeader struct {
	Width, Height int
	Components    int  // 1 gray, 3 colour, 4 CMYK
	Progressive   bool // more than one scan
	HSamp, VSamp  int  // how much finer the first component is than the others, 2 and 2 for 4:2:0; 0: it is not so simple
	RGB           bool // the three components are red, green and blue, not YCbCr
	Resolution    int  // dots per inch; 0: not said

	tables   []byte // DQT, DHT and APP14 segments as they stand
	frame    []byte // SOF segment
	scan     []byte // SOS segment
	interval int    // MCUs between restart markers; 0: none
	adobe    int    // transform of the APP14 segment; -1: there is none
	ids      [3]byte
}

// Limits of a header. What is skipped (thumbnails, colour profiles) is bounded too.
const (
	maxHeaderSegments = 4096
	maxHeaderTables   = 64 << 10
)

// ReadJPEGHeader reads up to the first byte of the scan.
func ReadJPEGHeader(r io.Reader) (*JPEGHeader, error) {
	return readJPEGHeader(bufio.NewReader(r))
}

// Image describes the page that the file holds.
func (h *JPEGHeader) Image() (Image, error) {
	img := Image{Mode: scan.ModeColor, Depth: 8, Width: h.Width, Height: h.Height, Resolution: h.Resolution}
	switch h.Components {
	case 1:
		img.Mode = scan.ModeGray
	case 3:
	default:
		return img, fmt.Errorf("%w: JPEG with %d components", ErrUnsupported, h.Components)
	}
	return img, img.Validate()
}

func readJPEGHeader(r *bufio.Reader) (*JPEGHeader, error) {
	h := &JPEGHeader{adobe: -1}
	if err := h.read(r); err != nil {
		return nil, fmt.Errorf("reading a JPEG header: %w", damagedEOF(err))
	}
	return h, nil
}

func (h *JPEGHeader) read(r *bufio.Reader) error {
	var soi [2]byte
	if _, err := io.ReadFull(r, soi[:]); err != nil {
		return err
	}
	if soi != [2]byte{0xff, markerSOI} {
		return fmt.Errorf("%w: it is no JPEG file", ErrDamaged)
	}
	for range maxHeaderSegments {
		seg, err := readSegment(r)
		if err != nil {
			return err
		}
		data := seg[4:]
		switch marker := seg[1]; marker {
		case markerDQT, markerDHT:
			h.tables = append(h.tables, seg...)
		case markerAPP14:
			if len(data) >= 12 && string(data[:5]) == "Adobe" {
				h.adobe = int(data[11])
				h.tables = append(h.tables, seg...)
			}
		case markerAPP0:
			h.readJFIF(data)
		case markerDRI:
			if len(data) != 2 {
				return fmt.Errorf("%w: DRI of %d bytes", ErrDamaged, len(data))
			}
			h.interval = int(binary.BigEndian.Uint16(data))
		case markerSOF0, markerSOF1, markerSOF2:
			if err := h.readFrame(marker, seg); err != nil {
				return err
			}
		case markerSOS:
			if h.frame == nil || len(data) < 1 {
				return fmt.Errorf("%w: scan header", ErrDamaged)
			}
			h.scan = seg
			h.RGB = h.Components == 3 && (h.adobe == 0 || h.adobe < 0 && string(h.ids[:]) == "RGB")
			return nil
		default:
			if marker >= 0xc3 && marker <= 0xcf && marker != 0xc8 {
				return fmt.Errorf("%w: JPEG process %#x", ErrUnsupported, marker)
			}
		}
		if len(h.tables) > maxHeaderTables {
			return fmt.Errorf("%w: tables of more than %d bytes", ErrTooLarge, maxHeaderTables)
		}
	}
	return fmt.Errorf("%w: more than %d segments before the scan", ErrTooLarge, maxHeaderSegments)
}

// readSegment reads a marker segment with its length, at least 4 bytes.
func readSegment(r *bufio.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return nil, err
	}
	for head[0] == 0xff && head[1] == 0xff { // fill bytes may precede a marker
		b, err := r.ReadByte()
		if err != nil {
			return nil, err
		}
		head[1] = b
	}
	if head[0] != 0xff || head[1] < 0xc0 || head[1] >= markerRST0 && head[1] <= markerEOI {
		return nil, fmt.Errorf("%w: bytes %x where a segment should begin", ErrDamaged, head[:2])
	}
	if _, err := io.ReadFull(r, head[2:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head[2:]))
	if n < 2 {
		return nil, fmt.Errorf("%w: segment of %d bytes", ErrDamaged, n)
	}
	seg := append(make([]byte, 0, 2+n), head[:]...)[:2+n]
	_, err := io.ReadFull(r, seg[4:])
	return seg, err
}

func (h *JPEGHeader) readJFIF(data []byte) {
	if len(data) < 12 || string(data[:5]) != "JFIF\x00" {
		return
	}
	density := float64(binary.BigEndian.Uint16(data[8:]))
	switch data[7] {
	case 1:
		h.Resolution = int(density)
	case 2: // dots per centimetre
		h.Resolution = min(int(math.Round(density*scan.MMPerInch/10)), maxResolution)
	}
}

func (h *JPEGHeader) readFrame(marker byte, seg []byte) error {
	data := seg[4:]
	if h.frame != nil || len(data) < 6 || len(data) != 6+3*int(data[5]) {
		return fmt.Errorf("%w: frame header", ErrDamaged)
	}
	if data[0] != 8 {
		return fmt.Errorf("%w: JPEG with %d bits", ErrUnsupported, data[0])
	}
	h.Progressive = marker == markerSOF2
	h.Height, h.Width = int(binary.BigEndian.Uint16(data[1:])), int(binary.BigEndian.Uint16(data[3:]))
	h.Components = int(data[5])
	if h.Width < 1 || h.Height < 1 || h.Components < 1 || h.Components > 4 {
		return fmt.Errorf("%w: %d × %d pixels with %d components", ErrDamaged, h.Width, h.Height, h.Components)
	}
	if h.Width > MaxSide || h.Height > MaxSide || int64(h.Width)*int64(h.Height)*int64(h.Components) > MaxBytes {
		return fmt.Errorf("%w: %d × %d pixels with %d components", ErrTooLarge, h.Width, h.Height, h.Components)
	}
	h.HSamp, h.VSamp = 1, 1
	for i := range h.Components {
		component := data[6+3*i:]
		if i < len(h.ids) {
			h.ids[i] = component[0]
		}
		hs, vs := int(component[1]>>4), int(component[1]&15)
		if hs < 1 || hs > 4 || vs < 1 || vs > 4 {
			return fmt.Errorf("%w: sampling factors", ErrDamaged)
		}
		switch {
		case h.Components == 1:
		case i == 0:
			h.HSamp, h.VSamp = hs, vs
		case hs != 1 || vs != 1:
			h.HSamp, h.VSamp = 0, 0
		}
	}
	h.frame = seg
	return nil
}

// stripRows is how many rows lie between restart markers, 0 where the file cannot be
// decoded in strips.
func (h *JPEGHeader) stripRows() int {
	scanned := int(h.scan[4])
	if h.Progressive || h.interval == 0 || scanned != h.Components || h.HSamp == 0 || h.RGB || h.Components == 4 {
		return 0
	}
	perRow := (h.Width + 8*h.HSamp - 1) / (8 * h.HSamp)
	if h.interval%perRow != 0 {
		return 0
	}
	return h.interval / perRow * 8 * h.VSamp
}
