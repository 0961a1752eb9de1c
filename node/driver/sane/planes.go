package sane

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

func unsupported(format string, args ...any) *driver.Stop {
	return &driver.Stop{Reason: scan.ReasonUnsupported, Detail: fmt.Sprintf(format, args...)}
}

// planeMemory is how much of the first two planes of a page in three passes is held in
// memory; the rest goes to a temporary file.
const planeMemory = 4 << 20

// planes puts the three passes of a page together. The first two are kept; the rows
// of the page come out while the third one is read.
type planes struct {
	d      *device
	now    *frameRows
	kept   [2]spool
	places [3]int // the channel of each pass, in their order
	pass   int

	row   []byte // of the last pass, as far as it was read
	other [2][]byte
	mixed []byte // rows of the page that were not given out
	buf   []byte
	done  int // rows
}

func newPlanes(d *device, first *frameRows, format frame) *planes {
	p := &planes{d: d, now: first}
	p.places[0] = int(format - frameRed)
	return p
}

func (p *planes) close() {
	for i := range p.kept {
		p.kept[i].close()
	}
}

func (p *planes) read(b []byte) (int, error) {
	if p.pass < 2 {
		return 0, p.keep()
	}
	if len(p.mixed) == 0 {
		if err := p.mix(); err != nil {
			return 0, err
		}
	}
	n := copy(b, p.mixed)
	p.mixed = p.mixed[n:]
	return n, nil
}

// keep takes one piece of an early pass, and starts the next pass at its end.
func (p *planes) keep() error {
	if p.buf == nil {
		p.buf = make([]byte, readBytes)
	}
	n, err := p.now.read(p.buf)
	if n > 0 {
		if p.kept[0].size+p.kept[1].size+int64(n) > imaging.MaxBytes {
			p.d.cancelNow()
			return unsupported("a page in three passes of more than %d bytes", imaging.MaxBytes)
		}
		if err := p.kept[p.pass].write(p.buf[:n]); err != nil {
			p.d.cancelNow()
			return fmt.Errorf("keeping a pass: %w", err)
		}
	}
	if err != io.EOF {
		return err
	}
	return p.nextPass()
}

func (p *planes) nextPass() error {
	if st := p.d.start(); st != statusGood {
		return p.d.stopped(st, "starting a pass")
	}
	params, st := p.d.b.parameters()
	if st != statusGood {
		return p.d.stopped(st, "asking for parameters")
	}
	p.pass++
	p.places[p.pass] = int(params.Format - frameRed)
	seen := [3]bool{}
	for _, place := range p.places[:p.pass+1] {
		if place < 0 || place > 2 || seen[place] {
			p.d.cancelNow()
			return unsupported("pass %d has format %d", p.pass+1, params.Format)
		}
		seen[place] = true
	}
	if int(params.BytesPerLine) != p.now.given || int(params.Depth) != p.now.depth {
		p.d.cancelNow()
		return unsupported("pass %d differs from the first: %+v", p.pass+1, params)
	}
	p.now = newFrame(p.d, params, p.now.used)
	return nil
}

// mix makes rows of the page as far as the last pass has come.
func (p *planes) mix() error {
	used := p.now.used
	if p.row == nil {
		p.row = make([]byte, 0, max(readBytes/used, 1)*used)
	}
	n, err := p.now.read(p.row[len(p.row):cap(p.row)])
	p.row = p.row[:len(p.row)+n]
	whole := len(p.row) / used * used
	if whole == 0 {
		if err == io.EOF && len(p.row) > 0 {
			p.mixed, p.row = p.row, p.row[:0] // a part of a row: the page is short, whoever counts will say so
			return nil
		}
		return err
	}
	for i := range p.kept {
		p.other[i] = slices.Grow(p.other[i][:0], whole)[:whole]
		if err := p.kept[i].readAt(p.other[i], int64(p.done)*int64(used)); err != nil {
			p.d.cancelNow()
			return &driver.Stop{Reason: scan.ReasonShortPage, Detail: "a pass has fewer rows than the last one"}
		}
	}
	p.mixed = interleave(p.mixed[:0], [3][]byte{p.other[0], p.other[1], p.row[:whole]}, p.places, max(p.now.depth/8, 1))
	p.done += whole / used
	p.row = append(p.row[:0], p.row[whole:]...)
	return nil
}

// interleave appends pixels made of three planes; places says which channel each plane is.
func interleave(dst []byte, from [3][]byte, places [3]int, sample int) []byte {
	n := len(from[0])
	start := len(dst)
	dst = slices.Grow(dst, 3*n)[:start+3*n]
	out := dst[start:]
	for i, plane := range from {
		for s := 0; s < n; s += sample {
			copy(out[3*s+places[i]*sample:], plane[s:s+sample])
		}
	}
	return dst
}

// spool keeps bytes in memory up to planeMemory and in a temporary file beyond it.
type spool struct {
	memory []byte
	file   *os.File
	size   int64
}

func (s *spool) write(b []byte) error {
	if s.file == nil && len(s.memory)+len(b) > planeMemory {
		f, err := os.CreateTemp("", "platen-pass-")
		if err != nil {
			return err
		}
		s.file = f
		os.Remove(f.Name()) // where it cannot be removed while open, close does it
	}
	s.size += int64(len(b))
	if s.file == nil {
		s.memory = append(s.memory, b...)
		return nil
	}
	_, err := s.file.Write(b)
	return err
}

// readAt fills b from offset on.
func (s *spool) readAt(b []byte, offset int64) error {
	if in := int64(len(s.memory)) - offset; in > 0 {
		n := copy(b, s.memory[offset:])
		b, offset = b[n:], offset+int64(n)
	}
	if len(b) == 0 {
		return nil
	}
	if s.file == nil {
		return io.ErrUnexpectedEOF
	}
	_, err := s.file.ReadAt(b, offset-int64(len(s.memory)))
	return err
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
	*s = spool{}
}
