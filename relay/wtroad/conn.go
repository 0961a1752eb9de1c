package wtroad

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/quic-go/webtransport-go"

	"github.com/platen-scan/platen/relay"
)

// What the browser is told about a stream that did not end in order.
const (
	codeDone  webtransport.StreamErrorCode = 0 // nobody reads the rest of the request
	codeReset webtransport.StreamErrorCode = 1 // the answer is cut short
)

// conn is a stream that a browser opened.
type conn struct {
	stream  *webtransport.Stream
	session *session

	mu      sync.Mutex
	writing int
	broken  bool // the last write did not take all that it got
	closed  bool
}

var _ relay.RoadConn = (*conn)(nil)

func (c *conn) Session() relay.RoadSession         { return c.session }
func (c *conn) LocalAddr() net.Addr                { return c.session.wt.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr               { return c.session.remote }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.stream.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.stream.SetWriteDeadline(t) }

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.stream.Read(p)
	if err != nil && c.isClosed() {
		err = net.ErrClosed
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return 0, net.ErrClosed
	}
	c.writing++
	c.mu.Unlock()
	n, err := c.stream.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing--
	c.broken = err != nil
	if err != nil && c.closed {
		err = net.ErrClosed
	}
	return n, err
}

func (c *conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Close ends the answer in order, if all of it was written; else, and if a write is
// under way, it resets it: QUIC forbids anything else, and the rest of an answer whose
// browser took nothing would keep its stream for ever. A stream that the browser has
// reset is closed already. The rest of the request is not wanted in either case, but
// whose answer ends well is not told so: Firefox takes that for the end of both.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	cut := c.broken || c.writing > 0
	c.mu.Unlock()
	if cut {
		c.stream.CancelRead(codeDone)
		c.stream.CancelWrite(codeReset)
		return nil
	}
	c.stream.Close()
	c.session.drain(c.stream)
	return nil
}
