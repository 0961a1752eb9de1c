package driver

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// The frames of the worker protocol.
const (
	frameJSON = 1
	frameData = 2

	frameHeader = 4
	maxJSON     = 64 << 10
	maxData     = 256 << 10
)

var errFrame = errors.New("malformed frame")

// frameReader reads frames. A read that ends early, at a deadline, loses nothing: the
// next one goes on where it stood.
type frameReader struct {
	r    *bufio.Reader
	last int // bytes of the frame that next gave out and that are still in r
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, frameHeader+maxData)}
}

// next reads a frame. Its bytes stay valid until the next call.
func (f *frameReader) next() (kind byte, p []byte, err error) {
	if _, err := f.r.Discard(f.last); err != nil {
		return 0, nil, err // never: these bytes are buffered
	}
	f.last = 0
	head, err := f.r.Peek(frameHeader)
	if err != nil {
		if err == io.EOF && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	word := binary.BigEndian.Uint32(head)
	kind, n := byte(word>>24), int(word&0xffffff)
	if (kind != frameJSON || n > maxJSON) && (kind != frameData || n > maxData) {
		return 0, nil, fmt.Errorf("%w: kind %d of %d bytes", errFrame, kind, n)
	}
	p, err = f.r.Peek(frameHeader + n)
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	f.last = frameHeader + n
	return kind, p[frameHeader:], nil
}

// frameWriter writes frames, each in one Write. It may be used by several goroutines.
type frameWriter struct {
	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

func (f *frameWriter) json(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding a frame: %w", err)
	}
	if len(b) > maxJSON {
		return fmt.Errorf("encoding a frame: %d bytes, at most %d are allowed", len(b), maxJSON)
	}
	return f.send(frameJSON, b)
}

// data writes p as one or more frames.
func (f *frameWriter) data(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), maxData)
		if err := f.send(frameData, p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (f *frameWriter) send(kind byte, p []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buf = binary.BigEndian.AppendUint32(f.buf[:0], uint32(kind)<<24|uint32(len(p)))
	f.buf = append(f.buf, p...)
	if _, err := f.w.Write(f.buf); err != nil {
		return fmt.Errorf("writing a frame: %w", err)
	}
	return nil
}
