package relay

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// Stream is a TCP connection as it lies under the TLS of a link. TLS writes and
// reads one record of 16 KiB at a time; a Stream makes one system call of many:
// between Hold and Release it collects what is written, and it reads ahead while
// bytes flow. An idle one keeps no buffer.
type Stream struct {
	net.Conn

	// StallLimit, if set, ends a write of which the other end takes nothing for so
	// long, however long the write takes in all. Set it before the first write.
	StallLimit time.Duration

	mu   sync.Mutex
	held []byte // a lent buffer; nil unless held

	// of the one goroutine that reads
	ahead  []byte // read, not yet given out; part of lent
	lent   []byte
	flowed bool // the last read brought all that it could
}

// flow is the size of a read that says that more is on its way.
const flow = 4 << 10

// NewStream wraps a connection. It starts nothing.
func NewStream(c net.Conn) *Stream { return &Stream{Conn: c} }

// Hold makes writes wait for Release, as far as a buffer goes.
func (s *Stream) Hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = copyBuffers.Get()[:0]
	}
}

// Release writes what is held.
func (s *Stream) Release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		return nil
	}
	_, err := s.writeLocked(s.held)
	copyBuffers.Put(s.held[:cap(s.held)])
	s.held = nil
	return err
}

func (s *Stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		return s.writeLocked(p)
	}
	if len(s.held)+len(p) > cap(s.held) {
		if _, err := s.writeLocked(s.held); err != nil {
			return 0, err
		}
		s.held = s.held[:0]
	}
	if len(p) > cap(s.held) {
		return s.writeLocked(p)
	}
	s.held = append(s.held, p...)
	return len(p), nil
}

func (s *Stream) writeLocked(p []byte) (n int, err error) {
	if s.StallLimit == 0 {
		return s.Conn.Write(p)
	}
	for n < len(p) {
		s.Conn.SetWriteDeadline(time.Now().Add(s.StallLimit))
		m, err := s.Conn.Write(p[n:])
		n += m
		if err != nil && (m == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return n, err
		}
	}
	return n, nil
}

func (s *Stream) Read(p []byte) (int, error) {
	if len(s.ahead) == 0 {
		if !s.flowed || len(p) > BufferSize {
			n, err := s.Conn.Read(p)
			s.flowed = n == len(p) && n >= flow
			return n, err
		}
		s.lent = copyBuffers.Get()
		n, err := s.Conn.Read(s.lent)
		s.flowed = n == len(s.lent)
		s.ahead = s.lent[:n]
		if n == 0 {
			s.giveBack()
			return 0, err
		} // an error comes again with the next read
	}
	n := copy(p, s.ahead)
	if s.ahead = s.ahead[n:]; len(s.ahead) == 0 {
		s.giveBack()
	}
	return n, nil
}

func (s *Stream) giveBack() {
	copyBuffers.Put(s.lent)
	s.lent, s.ahead = nil, nil
}
