package imaging

import (
	"encoding/binary"
	"fmt"
)

// JPEG markers (ITU-T T.81, table B.1).
const (
	markerSOF0  = 0xc0
	markerSOF1  = 0xc1
	markerSOF2  = 0xc2
	markerDHT   = 0xc4
	markerRST0  = 0xd0
	markerRST7  = 0xd7
	markerSOI   = 0xd8
	markerEOI   = 0xd9
	markerSOS   = 0xda
	markerDQT   = 0xdb
	markerDRI   = 0xdd
	markerAPP0  = 0xe0
	markerAPP14 = 0xee
)

// jfifSegment is an APP0 segment that tells the resolution in dots per inch; 0 says
// only that pixels are square.
func jfifSegment(dpi int) []byte {
	seg := []byte{0xff, markerAPP0, 0, 16, 'J', 'F', 'I', 'F', 0, 1, 1, 1, 0, 0, 0, 0, 0, 0}
	if dpi == 0 {
		seg[11], dpi = 0, 1
	}
	binary.BigEndian.PutUint16(seg[12:], uint16(dpi))
	binary.BigEndian.PutUint16(seg[14:], uint16(dpi))
	return seg
}

// scanOffset finds where the entropy-coded data begins in a JPEG image of one scan.
func scanOffset(b []byte) (int, error) {
	for p := 2; p+4 <= len(b) && b[p] == 0xff; {
		n := 2 + int(binary.BigEndian.Uint16(b[p+2:]))
		if b[p+1] == markerSOS {
			return p + n, nil
		}
		p += n
	}
	return 0, fmt.Errorf("%w: no scan in a JPEG strip", ErrDamaged)
}
