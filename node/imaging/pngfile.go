package imaging

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/platen-scan/platen/proto/scan"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// PNG colour types (PNG specification, section 11.2.1).
const (
	pngGray = 0
	pngRGB  = 2
)

// inchMetres turns dots per inch into the pixels per metre of a pHYs chunk.
const inchMetres = 0.0254

// appendChunk appends a PNG chunk whose data is in pieces.
func appendChunk(dst []byte, kind string, pieces ...[]byte) []byte {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	start := len(dst)
	dst = append(dst, kind...)
	for _, p := range pieces {
		dst = append(dst, p...)
	}
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
}

// ihdr is the data of the IHDR chunk; an unknown height is announced as MaxSide.
func ihdr(img Image) []byte {
	height := img.Height
	if height == 0 {
		height = MaxSide
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(img.Width))
	b = binary.BigEndian.AppendUint32(b, uint32(height))
	kind := byte(pngGray)
	if img.Mode == scan.ModeColor {
		kind = pngRGB
	}
	return append(b, byte(img.Depth), kind, 0, 0, 0)
}

// phys is the data of the pHYs chunk.
func phys(dpi int) []byte {
	perMetre := uint32(math.Round(float64(dpi) / inchMetres))
	b := binary.BigEndian.AppendUint32(nil, perMetre)
	b = binary.BigEndian.AppendUint32(b, perMetre)
	return append(b, 1)
}
