package rtcroad

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/pion/sctp"

	"github.com/platen-scan/platen/relay"
)

var (
	errReset   = errors.New("the browser has closed the channel")
	errWindow  = errors.New("the browser's account of the window is wrong")
	errChannel = errors.New("the channel is not one for exchanges")
)

// messages holds buffers for incoming messages.
var messages = sync.Pool{New: func() any { return new([maxIncoming]byte) }}

// conn is one exchange: a data channel.
type conn struct {
	s        *session
	stream   *sctp.Stream
	windowed bool
	refused  bool // nothing is to be said

	closed chan struct{} // by the node
	gone   chan struct{} // by the browser, or by what it did; err says it
	err    error

	// receive hands over each message, and waits until it is taken as a whole.
	in     chan []byte
	taken  chan struct{}
	readBy deadline

	reading sync.Mutex
	rest    []byte // of the message at hand

	writing  sync.Mutex
	written  uint64 // bytes
	writeBy  deadline
	progress chan struct{} // holds one when there may be more room

	mu     sync.Mutex
	ended  bool   // closed is closed
	credit uint64 // bytes that the browser has taken, as it says
}

func newConn(s *session, stream *sctp.Stream) *conn {
	c := &conn{
		s: s, stream: stream, closed: make(chan struct{}), gone: make(chan struct{}),
		in: make(chan []byte), taken: make(chan struct{}), progress: make(chan struct{}, 1),
	}
	c.readBy.init()
	c.writeBy.init()
	stream.OnBufferedAmountLow(c.advance)
	return c
}

// The messages by which a channel is opened (RFC 8832, section 5).
const (
	dcepOpen       = 3
	dcepAck        = 2
	dcepHeader     = 12
	dcepMost       = 1024 // bytes, with label and protocol
	orderedForSure = 0    // the kind of channel that loses and reorders nothing
)

// handshake takes the browser's word of what the channel is.
func (c *conn) handshake() error {
	var b [dcepMost]byte
	n, kind, err := c.stream.ReadSCTP(b[:])
	if err != nil {
		return err
	}
	protocol, ok := parseOpen(b[:n])
	if !ok || kind != sctp.PayloadTypeWebRTCDCEP {
		return errChannel
	}
	c.windowed = protocol == WindowProtocol
	_, err = c.stream.WriteSCTP([]byte{dcepAck}, sctp.PayloadTypeWebRTCDCEP)
	return err
}

// parseOpen reads an OPEN message of a reliable and ordered channel.
func parseOpen(b []byte) (protocol string, ok bool) {
	if len(b) < dcepHeader || b[0] != dcepOpen || b[1] != orderedForSure {
		return "", false
	}
	label, rest := int(binary.BigEndian.Uint16(b[8:])), b[dcepHeader:]
	if length := int(binary.BigEndian.Uint16(b[10:])); len(rest) != label+length {
		return "", false
	}
	return string(rest[label:]), true
}

// advance wakes who waits for room.
func (c *conn) advance() {
	select {
	case c.progress <- struct{}{}:
	default:
	}
}

// accepted waits until the exchange may be served and is accepted.
func (c *conn) accepted() bool {
	defer func() {
		select {
		case <-c.s.done:
			c.Close()
		default:
		}
	}()
	select {
	case c.s.serving <- struct{}{}:
	case <-c.gone:
		c.Close()
		return false
	case <-c.s.done:
		return false
	}
	select {
	case c.s.road.conns <- c:
		return true
	case <-c.gone:
		c.Close()
	case <-c.s.done:
	}
	<-c.s.serving
	return false
}

// finish ends the channel in order. It returns when both ends have closed it and nobody
// uses it any more.
func (c *conn) finish() {
	select {
	case <-c.closed:
		if !c.refused {
			c.drain()
		}
	case <-c.gone:
	case <-c.s.done:
		return
	}
	c.s.peer.resets.reset(c.stream)
	linger := time.NewTimer(c.s.road.timing.linger)
	defer linger.Stop()
	select {
	case <-c.gone:
	case <-linger.C:
		c.stream.SetReadDeadline(time.Unix(1, 0)) // ends receive
		c.s.forget()
	case <-c.s.done:
		return
	}
	select { // a handler that has not ended may hold a channel that is gone
	case <-c.closed:
	case <-c.s.done:
	}
}

// drain says that no more comes, and waits until all has arrived, unless nothing does any
// more. The channel is closed after that: browsers put off what overtakes lost packets.
func (c *conn) drain() {
	c.writing.Lock() // a Write that was under way has returned
	defer c.writing.Unlock()
	if _, err := c.stream.WriteSCTP([]byte{0}, sctp.PayloadTypeWebRTCBinaryEmpty); err != nil {
		return
	}
	c.stream.SetBufferedAmountLowThreshold(0)
	stalled := time.NewTicker(c.s.road.timing.drain)
	defer stalled.Stop()
	for before := c.stream.BufferedAmount(); before > 0; {
		select {
		case <-c.progress:
			before = c.stream.BufferedAmount()
		case <-stalled.C:
			after := c.stream.BufferedAmount()
			if after >= before {
				return
			}
			before = after
		case <-c.gone:
			return
		case <-c.s.done:
			return
		}
	}
}

// receive takes messages until the channel ends. It needs a large buffer only while there
// is a message: many channels wait, and most of them for their end alone.
func (c *conn) receive() {
	defer close(c.gone)
	small := make([]byte, 32)
	for {
		message := small
		n, kind, err := c.stream.ReadSCTP(message)
		var buffer *[maxIncoming]byte
		if errors.Is(err, io.ErrShortBuffer) && n <= maxIncoming { // it is still there
			buffer = messages.Get().(*[maxIncoming]byte)
			message = buffer[:]
			n, kind, err = c.stream.ReadSCTP(message)
		}
		if err != nil {
			if c.err = errReset; !errors.Is(err, io.EOF) {
				c.err = err
			}
			return
		}
		switch kind {
		case sctp.PayloadTypeWebRTCString, sctp.PayloadTypeWebRTCStringEmpty: // which has one byte, of nothing
			if !c.told(message[:n]) {
				c.err = errWindow
				return
			}
		case sctp.PayloadTypeWebRTCBinary:
			if !c.hand(message[:n]) {
				// Who has the message may still be reading it: it must not be used again.
				buffer, small = nil, make([]byte, 32)
			}
		}
		if buffer != nil {
			messages.Put(buffer)
		}
	}
}

// hand hands a message over and waits until it is taken, unless nobody wants it any more.
// A message that was begun may then still be in use: it returns false.
func (c *conn) hand(message []byte) bool {
	select {
	case c.in <- message:
	case <-c.closed:
		return true
	case <-c.s.done:
		return true
	}
	select {
	case <-c.taken:
		return true
	case <-c.closed:
	case <-c.s.done:
	}
	return false
}

// told takes the browser's word of how much it has taken.
func (c *conn) told(text []byte) bool {
	if !c.windowed {
		return true
	}
	const longest = 20 // digits of 64 bits
	n, err := strconv.ParseUint(string(text[:min(len(text), longest+1)]), 10, 64)
	if err != nil || len(text) > longest {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n < c.credit {
		return false
	}
	c.credit = n
	c.advance()
	return true
}

// Session is the peer connection.
func (c *conn) Session() relay.RoadSession { return c.s }

func (c *conn) Read(b []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	case <-c.s.done:
		return 0, net.ErrClosed
	case <-c.readBy.passed():
		return 0, os.ErrDeadlineExceeded
	default:
	}
	if len(b) == 0 {
		return 0, nil
	}
	if len(c.rest) == 0 {
		select {
		case c.rest = <-c.in:
		case <-c.gone:
			return 0, c.failure("read", c.err)
		case <-c.closed:
			return 0, net.ErrClosed
		case <-c.s.done:
			return 0, net.ErrClosed
		case <-c.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		}
	}
	n := copy(b, c.rest)
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		select {
		case c.taken <- struct{}{}:
		case <-c.closed:
		case <-c.s.done:
		}
	}
	return n, nil
}

func (c *conn) Write(b []byte) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for len(b) > 0 {
		m, err := c.room(min(len(b), maxMessage))
		if err != nil {
			return n, err
		}
		if _, err := c.stream.WriteSCTP(b[:m], sctp.PayloadTypeWebRTCBinary); err != nil {
			return n, c.failure("write", err)
		}
		n, b = n+m, b[m:]
		c.written += uint64(m)
	}
	return n, nil
}

// room waits until some of n bytes may be written.
func (c *conn) room(n int) (int, error) {
	for {
		select {
		case <-c.closed:
			return 0, net.ErrClosed
		case <-c.s.done:
			return 0, net.ErrClosed
		case <-c.writeBy.passed():
			return 0, os.ErrDeadlineExceeded
		case <-c.gone:
			return 0, c.failure("write", c.err)
		default:
		}
		held, most := c.stream.BufferedAmount(), uint64(queued)
		if c.s.queued() >= maxQueued {
			most = minQueued
		}
		allowed := n
		if c.windowed {
			c.mu.Lock()
			allowed = int(min(uint64(n), c.credit+relay.RoadWindow-min(c.written, c.credit+relay.RoadWindow)))
			c.mu.Unlock()
		}
		if allowed > 0 && held+uint64(allowed) <= most {
			return allowed, nil
		}
		// Between the look above and the threshold below enough may have arrived.
		c.stream.SetBufferedAmountLowThreshold(held / 2)
		if allowed > 0 && c.stream.BufferedAmount() <= held/2 {
			continue
		}
		select {
		case <-c.progress:
		case <-c.gone:
		case <-c.closed:
		case <-c.s.done:
		case <-c.writeBy.passed():
		}
	}
}

func (c *conn) failure(op string, err error) error {
	return &net.OpError{Op: op, Net: string(relay.KindWebRTC), Addr: c.RemoteAddr(), Err: err}
}

// Close ends the exchange after what was written has arrived; it does not wait for that.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.ended = true
		close(c.closed)
	}
	return nil
}

func (c *conn) LocalAddr() net.Addr                { return c.s.road.socket.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr               { return c.s.RemoteAddr() }
func (c *conn) SetReadDeadline(t time.Time) error  { c.readBy.set(t); return nil }
func (c *conn) SetWriteDeadline(t time.Time) error { c.writeBy.set(t); return nil }

func (c *conn) SetDeadline(t time.Time) error {
	c.readBy.set(t)
	c.writeBy.set(t)
	return nil
}
