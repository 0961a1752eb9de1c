package imaging

import (
	"encoding/binary"
	"hash/adler32"
	"io"

	"github.com/klauspost/compress/flate"
)

// Sizes and levels of PNG strips. Text compresses better with more to look back at and
// is small anyway; photographs gain nothing from either.
const (
	pngStripBytes   = 256 << 10
	pngStripRows    = 256
	pngLevel        = 1
	pngLineartLevel = 6
)

// pngEncoder makes PNG. Each strip is deflated by itself and ends on a byte boundary,
// so strips can be deflated side by side and joined into one zlib stream.
type pngEncoder struct {
	w       io.Writer
	img     Image
	count   Counter
	strips  *strips
	buf     []byte
	sum     uint32 // Adler-32 of the stream so far
	started bool
	closed  bool
}

func newPNGEncoder(w io.Writer, img Image) (Encoder, error) {
	e := &pngEncoder{w: w, img: img, count: NewCounter(img), sum: 1}
	rows := min(max(pngStripBytes/img.Stride(), 1), pngStripRows)
	e.strips = newStrips(img.Stride(), rows, func() stripCodec { return &pngStrip{img: img} }, e.emit)
	return e, nil
}

func (e *pngEncoder) Rows() int { return e.count.Rows() }

func (e *pngEncoder) WriteRows(p []byte) error {
	if _, err := e.count.Add(p); err != nil {
		return err
	}
	return e.strips.write(p)
}

// emit writes a strip as one IDAT chunk.
func (e *pngEncoder) emit(slot *stripSlot) error {
	codec := slot.codec.(*pngStrip)
	e.buf = e.buf[:0]
	var zlibHeader []byte
	if !e.started {
		e.started = true
		e.buf = append(e.buf, pngSignature...)
		e.buf = appendChunk(e.buf, "IHDR", ihdr(e.img))
		if e.img.Resolution > 0 {
			e.buf = appendChunk(e.buf, "pHYs", phys(e.img.Resolution))
		}
		zlibHeader = []byte{0x78, 0x01} // deflate, 32 KiB window
	}
	e.buf = appendChunk(e.buf, "IDAT", zlibHeader, slot.out)
	e.sum = adlerJoin(e.sum, codec.sum, len(codec.filtered))
	_, err := e.w.Write(e.buf)
	return err
}

func (e *pngEncoder) Close() error {
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
	// An empty last block of fixed codes, then the checksum.
	e.buf = appendChunk(e.buf[:0], "IDAT", []byte{0x03, 0x00}, binary.BigEndian.AppendUint32(nil, e.sum))
	e.buf = appendChunk(e.buf, "IEND")
	_, err := e.w.Write(e.buf)
	return err
}

func (e *pngEncoder) Patch() (int64, []byte, bool) {
	if e.img.Height > 0 || !e.closed || !e.started {
		return 0, nil, false
	}
	img := e.img
	img.Height = e.count.Rows()
	const afterWidth = 4 + 4 + 4 // within the chunk: length, kind, width
	chunk := appendChunk(nil, "IHDR", ihdr(img))
	return int64(len(pngSignature) + afterWidth), chunk[afterWidth:], true
}

// pngStrip filters and deflates one strip.
type pngStrip struct {
	img      Image
	deflate  *flate.Writer
	filtered []byte
	out      []byte
	sum      uint32
}

func (s *pngStrip) compress(raw, above []byte) ([]byte, error) {
	if s.deflate == nil {
		level := pngLevel
		if s.img.Depth == 1 {
			level = pngLineartLevel
		}
		var err error
		if s.deflate, err = flate.NewWriter(s, level); err != nil {
			return nil, err
		}
	}
	s.filter(raw, above)
	s.sum = adler32.Checksum(s.filtered)
	s.out = s.out[:0]
	s.deflate.Reset(s)
	if _, err := s.deflate.Write(s.filtered); err != nil {
		return nil, err
	}
	if err := s.deflate.Flush(); err != nil {
		return nil, err
	}
	return s.out, nil
}

// Write collects what is deflated.
func (s *pngStrip) Write(p []byte) (int, error) { s.out = append(s.out, p...); return len(p), nil }

// filter fills s.filtered with the filtered rows, each after the number of its filter.
func (s *pngStrip) filter(raw, above []byte) {
	stride := s.img.Stride()
	s.filtered = s.filtered[:0]
	for ; len(raw) > 0; raw = raw[stride:] {
		row := raw[:stride]
		if s.img.Depth == 1 {
			s.filtered = appendInverted(append(s.filtered, filterNone), row, s.img.Width)
			continue
		}
		s.filtered = appendFiltered(s.filtered, row, above, s.img.pixelBytes())
		above = row
	}
}

// appendInverted appends a lineart row with black as 0, as PNG wants it. Bits after the
// last pixel become 0.
func appendInverted(dst, row []byte, width int) []byte {
	for _, b := range row {
		dst = append(dst, ^b)
	}
	if rest := width % 8; rest != 0 {
		dst[len(dst)-1] &= 0xff << (8 - rest)
	}
	return dst
}

// adlerJoin is the Adler-32 of two pieces, the second of length n (RFC 1950, section 9).
func adlerJoin(a, b uint32, n int) uint32 {
	const mod = 65521
	rest := uint64(n) % mod
	a1, a2, b1, b2 := uint64(a&0xffff), uint64(a>>16), uint64(b&0xffff), uint64(b>>16)
	lo := (a1 + b1 + mod - 1) % mod
	hi := (a2 + b2 + rest*(a1+mod-1)) % mod
	return uint32(hi<<16 | lo)
}
