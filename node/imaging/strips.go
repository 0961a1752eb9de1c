package imaging

import (
	"runtime"
	"sync"
)

// maxParallel bounds the strips in work, and so the memory of an encoder.
const maxParallel = 4

// stripCodec compresses one strip so that it does not depend on others but for the row
// above. Each slot has its own, so a codec is used by one goroutine at a time.
type stripCodec interface {
	// compress answers what is valid until its next call. above is nil at the top.
	compress(raw, above []byte) ([]byte, error)
}

// strips gathers rows into strips of equal height and compresses several at once. The
// first strip goes alone, because readers wait for it; after that as many as there are
// processors. All goroutines end before a call returns.
type strips struct {
	size  int // bytes of a full strip
	slots []stripSlot
	full  int    // slots that are full
	above []byte // the last row of the strip before the first slot; nil at the top
	row   int    // bytes of a row
	begun bool   // the first strip went out
	emit  func(slot *stripSlot) error
}

type stripSlot struct {
	codec stripCodec
	raw   []byte // what is there of the strip
	out   []byte
	err   error
}

// newStrips makes strips of the given number of rows; emit is called for each in order.
func newStrips(stride, rows int, codec func() stripCodec, emit func(*stripSlot) error) *strips {
	s := &strips{size: stride * rows, row: stride, emit: emit}
	s.slots = make([]stripSlot, min(runtime.GOMAXPROCS(0), maxParallel))
	for i := range s.slots {
		s.slots[i].codec = codec()
	}
	return s
}

// write takes whole rows.
func (s *strips) write(p []byte) error {
	for len(p) > 0 {
		slot := &s.slots[s.full]
		if slot.raw == nil {
			slot.raw = make([]byte, 0, s.size)
		}
		n := min(len(p), s.size-len(slot.raw))
		slot.raw = append(slot.raw, p[:n]...)
		p = p[n:]
		if len(slot.raw) < s.size {
			return nil
		}
		if s.full++; !s.begun || s.full == len(s.slots) {
			if err := s.flush(s.full); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish compresses what is left, the last strip perhaps lower than the others.
func (s *strips) finish() error {
	n := s.full
	if n < len(s.slots) && len(s.slots[n].raw) > 0 {
		n++
	}
	return s.flush(n)
}

// flush compresses the first n slots, side by side, and emits them.
func (s *strips) flush(n int) error {
	var others sync.WaitGroup
	above := s.above
	for i := range s.slots[:n] {
		slot, rowAbove := &s.slots[i], above
		work := func() { slot.out, slot.err = slot.codec.compress(slot.raw, rowAbove) }
		if i < n-1 {
			others.Go(work)
		} else {
			work()
		}
		above = slot.raw[len(slot.raw)-s.row:]
	}
	others.Wait()
	if n > 0 {
		s.above = append(s.above[:0], above...)
	}
	for i := range s.slots[:n] {
		slot := &s.slots[i]
		if slot.err != nil {
			return slot.err
		}
		if err := s.emit(slot); err != nil {
			return err
		}
		slot.raw = slot.raw[:0]
	}
	s.full, s.begun = 0, true
	return nil
}
