package pagestore

import (
	"bytes"
	"fmt"

	"github.com/platen-scan/platen/proto/scan"
)

var (
	jpegStart = []byte{0xff, 0xd8, 0xff}
	jpegEnd   = []byte{0xff, 0xd9}
	pngStart  = []byte("\x89PNG\r\n\x1a\n")
	pngEnd    = []byte("\x00\x00\x00\x00IEND\xae\x42\x60\x82")
)

// ends remembers the first and last bytes that passed by.
type ends struct {
	head [8]byte
	tail [12]byte
	n    int64
}

func (e *ends) write(p []byte) {
	if e.n < int64(len(e.head)) {
		copy(e.head[e.n:], p)
	}
	if len(p) >= len(e.tail) {
		copy(e.tail[:], p[len(p)-len(e.tail):])
	} else {
		copy(e.tail[:], e.tail[len(p):])
		copy(e.tail[len(e.tail)-len(p):], p)
	}
	e.n += int64(len(p))
}

// check finds images that stop early or were never one. It is no decoder: the
// worker that encoded the page vouches for what lies between.
func (e *ends) check(f scan.Format) error {
	var start, end []byte
	switch f {
	case scan.FormatJPEG:
		start, end = jpegStart, jpegEnd
	case scan.FormatPNG:
		start, end = pngStart, pngEnd
	default:
		return fmt.Errorf("%w: %q is no master format", ErrBadPage, f)
	}
	switch {
	case e.n == 0:
		return fmt.Errorf("%w: no bytes", ErrBadPage)
	case e.n < int64(len(start)+len(end)) || !bytes.HasPrefix(e.head[:], start):
		return fmt.Errorf("%w: it does not begin as %s does", ErrBadPage, f)
	case !bytes.HasSuffix(e.tail[:], end):
		return fmt.Errorf("%w: it does not end as %s does", ErrBadPage, f)
	}
	return nil
}
