package relay

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
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
	// What counts is what the other end acknowledges, where the system tells (Linux): the
	// system itself takes more of a write only once a good part of its own buffer is free.
	StallLimit time.Duration

	mu      sync.Mutex
	held    []byte // a lent buffer; nil unless held
	stalled error  // of a write that the StallLimit ended: no goodbye of TLS waits for it again

	deadlineMu sync.Mutex
	deadline   time.Time // of writes, as the owner set it; zero: none

	start   time.Time
	waiting atomic.Int64 // since when a write has been under way, nanoseconds from start; 0: none is
	waited  atomic.Int64 // nanoseconds that writes took that were slow

	// of the one goroutine that reads
	ahead  []byte // read, not yet given out; part of lent
	lent   []byte
	flowed bool // the last read brought all that it could
}

const (
	looks = 10      // at what is acknowledged, in a StallLimit
	least = 1 << 10 // bytes acknowledged in a StallLimit: less counts as nothing

	longWait = 100 * time.Millisecond // of a write of 16 KiB, as TLS's are: the connection is slow
)

// flow is the size of a read that says that more is on its way.
const flow = 4 << 10

// NewStream wraps a connection. It starts nothing.
func NewStream(c net.Conn) *Stream { return &Stream{Conn: c, start: time.Now()} }

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
	if s.stalled != nil {
		return 0, s.stalled
	}
	began := time.Since(s.start)
	s.waiting.Store(int64(began))
	defer func() {
		if took := time.Since(s.start) - began; took >= longWait {
			s.waited.Add(int64(took))
		}
		s.waiting.Store(0)
	}()
	var before uint64 // acknowledged
	for last := time.Now(); ; {
		s.lookAgain()
		m, err := s.Conn.Write(p[n:])
		if n += m; n == len(p) || !errors.Is(err, os.ErrDeadlineExceeded) || s.late() {
			return n, err
		}
		if now := acknowledged(s.Conn); m > 0 || now >= before+least {
			before, last = now, time.Now()
		} else if time.Since(last) >= s.StallLimit {
			s.stalled = err
			return n, err
		}
	}
}

// waits is how long the connection has been waiting for the other end, in all.
func (s *Stream) waits() time.Duration {
	since := time.Duration(s.waiting.Load()) // before waited, so that none is missed
	sum := time.Duration(s.waited.Load())
	if now := time.Since(s.start); since > 0 && now-since >= longWait {
		sum += now - since
	}
	return sum
}

// lookAgain lets a write wait for a part of the StallLimit.
func (s *Stream) lookAgain() {
	s.deadlineMu.Lock()
	defer s.deadlineMu.Unlock()
	next := time.Now().Add(s.StallLimit / looks)
	if !s.deadline.IsZero() && s.deadline.Before(next) {
		next = s.deadline
	}
	s.Conn.SetWriteDeadline(next)
}

func (s *Stream) late() bool {
	s.deadlineMu.Lock()
	defer s.deadlineMu.Unlock()
	return !s.deadline.IsZero() && !time.Now().Before(s.deadline)
}

// SetWriteDeadline ends writes at t, whatever the other end takes.
func (s *Stream) SetWriteDeadline(t time.Time) error {
	s.deadlineMu.Lock()
	defer s.deadlineMu.Unlock()
	s.deadline = t
	return s.Conn.SetWriteDeadline(t)
}

// SetDeadline is net.Conn's.
func (s *Stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
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
