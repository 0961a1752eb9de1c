package sane

import (
	"context"
	"io"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

// readBytes is as much as back ends give in one read.
const readBytes = 64 << 10

// newPage judges the parameters of a page that was started, before anything is
// allocated by them, and reads its first bytes.
func (d *device) newPage(p parameters) (driver.PageInfo, reader, error) {
	info := driver.PageInfo{
		Mode: modeOf(p), Depth: int(p.Depth), Width: int(p.PixelsPerLine), Height: max(int(p.Lines), 0), Resolution: d.resolution,
	}
	given := info.Image()
	planes := p.Format == frameRed || p.Format == frameGreen || p.Format == frameBlue
	if err := given.Validate(); err != nil || p.Format < frameGray || p.Format > frameBlue {
		return info, nil, unsupported("a page of format %d with parameters %+v", p.Format, p)
	}
	stride := given.Stride()
	if planes {
		stride /= 3
	}
	if int(p.BytesPerLine) < stride || int(p.BytesPerLine) > maxPadding+2*stride {
		return info, nil, unsupported("rows of %d bytes for %d pixels", p.BytesPerLine, p.PixelsPerLine)
	}
	f := newFrame(d, p, stride)
	if err := f.fill(); err != nil && err != io.EOF {
		return info, nil, err
	}
	switch {
	case planes:
		return info, newPlanes(d, f, p.Format), nil
	case d.threshold && info.Mode == scan.ModeGray && info.Depth == 8:
		info.Mode, info.Depth = scan.ModeLineart, 1
		return info, &thresholdRows{frameRows: f, width: info.Width}, nil
	}
	return info, f, nil
}

// maxPadding is more than any back end pads rows with.
const maxPadding = 1 << 16

// frameRows reads the rows of one frame: without padding, and big-endian.
type frameRows struct {
	d     *device
	given int // bytes of a row as the device gives it
	used  int // of them, without padding
	depth int

	raw   []byte // read and not yet given out
	buf   []byte // where raw lives
	at    int    // bytes of the present given row that were given out or skipped
	left  int64  // bytes that the device still has; not known: 0 or less
	ended error  // what a later read answers
}

func newFrame(d *device, p parameters, stride int) *frameRows {
	return &frameRows{
		d: d, given: int(p.BytesPerLine), used: stride, depth: int(p.Depth), left: int64(p.BytesPerLine) * int64(p.Lines),
	}
}

func (f *frameRows) close() {}

// fill reads from the device until there is something to give out.
func (f *frameRows) fill() error {
	if f.buf == nil {
		f.buf = make([]byte, readBytes)
	}
	odd := copy(f.buf, f.raw) // at most one byte: half a sample
	f.raw = f.buf[:odd]
	n, err := f.readDevice(f.buf[odd:])
	f.raw = f.buf[:odd+n]
	return err
}

// lastPause is a moment for the reader thread of a back end to end by itself. Back ends
// cancel it when the read that gets the last bytes finds it still there; one that is
// canceled within free() never ends, and the read waits for it for ever (seen with the
// test back end, once in some thousand pages).
const lastPause = 2 * time.Millisecond

// emptyPause is between reads that bring nothing, from back ends that do not block.
const emptyPause = 5 * time.Millisecond

// readDevice is sane_read in Go's terms: it waits for bytes, an error, or Cancel.
func (f *frameRows) readDevice(p []byte) (int, error) {
	for f.ended == nil {
		if f.left > 0 && f.left <= readBytes { // what is left fits into the back end's pipe
			f.left = 0
			time.Sleep(lastPause)
		}
		n, st := f.d.readBytes(p)
		f.left -= int64(n)
		switch {
		case st == statusEOF:
			f.ended = io.EOF
		case f.d.isCanceled():
			f.ended = context.Canceled
			f.d.cancelNow()
		case st != statusGood:
			f.ended = f.d.stopped(st, "reading a page")
		}
		if n > 0 {
			return n, nil
		}
		if f.ended == nil {
			time.Sleep(emptyPause)
		}
	}
	return 0, f.ended
}

func (f *frameRows) read(p []byte) (int, error) {
	if len(f.raw) == 0 && f.given == f.used && f.depth != 16 && len(p) > 0 {
		return f.readDevice(p) // nothing to change: straight to where it is wanted
	}
	if len(p) < 2 {
		return 0, io.ErrShortBuffer // no room for a sample of 16 bits
	}
	for {
		if n := f.take(p); n > 0 {
			return n, nil
		}
		if err := f.fill(); err != nil {
			return 0, err
		}
	}
}

// take moves what it can from raw to p: without padding, and with the bytes of 16 bit
// samples in big-endian order.
func (f *frameRows) take(p []byte) int {
	unit := 1
	if f.depth == 16 {
		unit = 2
	}
	n := 0
	for len(f.raw) >= unit {
		if f.at >= f.used {
			skip := min(f.given-f.at, len(f.raw))
			f.raw, f.at = f.raw[skip:], f.at+skip
			if f.at == f.given {
				f.at = 0
			}
			if skip > 0 || f.at == 0 {
				continue
			}
		}
		c := min(len(f.raw), f.used-f.at, len(p)-n) / unit * unit
		if c == 0 {
			break
		}
		copy(p[n:n+c], f.raw)
		if unit == 2 {
			bigEndian(p[n : n+c])
		}
		f.raw, f.at, n = f.raw[c:], f.at+c, n+c
	}
	return n
}

// thresholdRows makes lineart of gray.
type thresholdRows struct {
	*frameRows
	width int
	gray  []byte // of the row that is not complete
	bits  []byte // made and not yet given out
}

func (t *thresholdRows) read(p []byte) (int, error) {
	for len(t.bits) == 0 {
		if t.gray == nil {
			t.gray = make([]byte, 0, t.width)
		}
		n, err := t.frameRows.read(t.gray[len(t.gray):t.width])
		t.gray = t.gray[:len(t.gray)+n]
		if len(t.gray) == t.width {
			t.bits = packBits(t.bits, t.gray)
			t.gray = t.gray[:0]
			break
		}
		if err != nil || n == 0 {
			return 0, err
		}
	}
	n := copy(p, t.bits)
	t.bits = t.bits[n:]
	return n, nil
}

// packBits appends a row of bits: a dark sample is a set bit.
func packBits(bits, gray []byte) []byte {
	for i := 0; i < len(gray); i += 8 {
		var b byte
		for k, v := range gray[i:min(i+8, len(gray))] {
			b |= (^v >> 7) << (7 - k)
		}
		bits = append(bits, b)
	}
	return bits
}
