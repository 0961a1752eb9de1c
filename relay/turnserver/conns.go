package turnserver

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/logging"
)

const (
	// firstWord is how long a TCP client has to get an allocation, and a packet to come.
	firstWord = 10 * time.Second
	// silence is how long it may say nothing afterwards. A client in use refreshes what it
	// holds every five minutes.
	silence = 6 * time.Minute
	// stuck is how long a client may take none of what it is sent.
	stuck = 10 * time.Second
)

// listener accepts TCP clients.
type listener struct {
	net.Listener
	s *Server
}

// Accept waits for a client that there is room for.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		t := newTCPConn(c, l.s)
		l.s.mu.Lock()
		room := !l.s.ended && len(l.s.conns) < l.s.config.Limits.Conns
		if room {
			l.s.conns[t] = true
			l.s.running.Add(1)
		}
		l.s.mu.Unlock()
		if room {
			return t, nil
		}
		c.Close()
	}
}

// tcpConn is a client's connection. pion closes it after reading has failed.
type tcpConn struct {
	net.Conn
	s      *Server
	in     *bufio.Reader
	until  time.Time   // to have an allocation
	proven atomic.Bool // it has, or had, one
	once   sync.Once
}

func newTCPConn(c net.Conn, s *Server) *tcpConn {
	return &tcpConn{Conn: c, s: s, in: bufio.NewReaderSize(c, maxFrame), until: time.Now().Add(firstWord)}
}

// Read gives one frame, all of it. pion would take a frame apart from whatever it is given,
// but a length near 65,536 overflows there, and it would turn in circles for ever.
func (c *tcpConn) Read(b []byte) (int, error) {
	limit := c.until
	if c.proven.Load() {
		limit = time.Now().Add(silence)
	}
	c.SetReadDeadline(limit)
	head, err := c.in.Peek(frameHead)
	if err != nil {
		return 0, err
	}
	size, ok := frameSize(head)
	if !ok || size > len(b) {
		return 0, errFrame
	}
	if soon := time.Now().Add(firstWord); c.in.Buffered() < size && soon.Before(limit) {
		c.SetReadDeadline(soon)
	}
	return io.ReadFull(c.in, b[:size])
}

const (
	frameHead = 4
	maxFrame  = 1600 // bytes, as pion takes them
	stunHead  = 20
)

var errFrame = errors.New("it is no packet of STUN or TURN")

// frameSize is how many bytes a packet has over TCP, by its first ones (RFC 8656, sections
// 5 and 12.5).
func frameSize(head []byte) (size int, ok bool) {
	length := int(binary.BigEndian.Uint16(head[2:]))
	switch head[0] >> 6 {
	case 0:
		size = stunHead + length
	case 1:
		size = frameHead + (length+3)&^3
	}
	return size, size > 0 && size < maxFrame
}

// proveLocked notes that a client has credentials.
func (s *Server) proveLocked(from net.Addr) {
	for c := range s.conns {
		if at := c.RemoteAddr(); at.Network() == from.Network() && at.String() == from.String() {
			c.proven.Store(true)
		}
	}
}

func (c *tcpConn) Write(b []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(stuck))
	n, err := c.Conn.Write(b)
	if err != nil {
		c.Conn.Close() // half a packet is the end of what can be understood
	}
	return n, err
}

func (c *tcpConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		delete(c.s.conns, c)
		c.s.running.Done()
	})
	return err
}

// watched is the UDP port; end is called when it can be read no more.
type watched struct {
	net.PacketConn
	end func()
}

func (w *watched) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := w.PacketConn.ReadFrom(b)
	if err != nil {
		w.end()
	}
	return n, from, err
}

// loggers gives pion's packages loggers. What they warn of is a client's doing.
func loggers(log *slog.Logger) logging.LoggerFactory {
	return &logging.DefaultLoggerFactory{
		Writer:          slog.NewLogLogger(log.Handler(), slog.LevelDebug).Writer(),
		DefaultLogLevel: logging.LogLevelWarn, ScopeLevels: map[string]logging.LogLevel{},
	}
}
