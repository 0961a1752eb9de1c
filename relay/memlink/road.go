package memlink

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/platen-scan/platen/relay"
)

// Road is a road in memory: a listener, and browsers that join it. Like a link in
// memory it has no goroutine and time that testing/synctest can fake.
type Road struct {
	kind   relay.Kind
	accept chan net.Conn

	mu       sync.Mutex
	browsers map[*RoadBrowser]bool
	joined   int // ever
	closed   chan struct{}
}

// NewRoad is a road whose sessions claim kind; "" is relay.KindMem.
func NewRoad(kind relay.Kind) *Road {
	if kind == "" {
		kind = relay.KindMem
	}
	return &Road{kind: kind, accept: make(chan net.Conn), browsers: map[*RoadBrowser]bool{}, closed: make(chan struct{})}
}

// Accept waits for the next exchange. What it returns is a relay.RoadConn.
func (r *Road) Accept() (net.Conn, error) { return relay.AcceptExchange(r.accept, r.closed) }

// Close ends every session.
func (r *Road) Close() error {
	r.mu.Lock()
	select {
	case <-r.closed:
	default:
		close(r.closed)
	}
	browsers := r.browsers
	r.browsers = map[*RoadBrowser]bool{}
	r.mu.Unlock()
	for b := range browsers {
		b.end()
	}
	return nil
}

// Addr is that of no network.
func (r *Road) Addr() net.Addr { return address{} }

// Join opens a session as a page of origin does.
func (r *Road) Join(origin string) *RoadBrowser {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.joined++
	b := &RoadBrowser{
		road: r, origin: origin, conns: map[*roadConn]bool{}, done: make(chan struct{}),
		// of the network that stands for none (RFC 5737), one port each
		addr: &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1024 + r.joined%60_000},
	}
	select {
	case <-r.closed:
		close(b.done)
	default:
		r.browsers[b] = true
	}
	return b
}

// RoadBrowser is a browser with a session; for the node it is the session.
type RoadBrowser struct {
	road   *Road
	origin string
	addr   net.Addr

	mu    sync.Mutex
	conns map[*roadConn]bool // the node's ends of what is under way
	done  chan struct{}
}

// Open begins an exchange; it waits until the node accepts it. Closing the
// connection before the answer's end resets it.
func (b *RoadBrowser) Open(ctx context.Context) (net.Conn, error) {
	up, down := newPipe(relay.RoadWindow), newPipe(relay.RoadWindow)
	node := &roadConn{session: b, in: up, out: down}
	if !b.begin(node) {
		return nil, net.ErrClosed
	}
	select {
	case b.road.accept <- node:
		return &browserConn{roadConn{session: b, in: down, out: up}}, nil
	case <-b.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		node.Close()
		return nil, ctx.Err()
	}
}

func (b *RoadBrowser) begin(c *roadConn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.done:
		return false
	default:
	}
	b.conns[c] = true
	return true
}

// Close ends the session, as a page that goes away does.
func (b *RoadBrowser) Close() error {
	b.end()
	return nil
}

// Session is the node's end of the session.
func (b *RoadBrowser) Session() relay.RoadSession { return roadSession{b} }

func (b *RoadBrowser) end() {
	b.road.mu.Lock()
	delete(b.road.browsers, b)
	b.road.mu.Unlock()
	b.mu.Lock()
	conns := b.conns
	b.conns = nil
	select {
	case <-b.done:
	default:
		close(b.done)
	}
	b.mu.Unlock()
	for c := range conns {
		c.in.fail(errLost)
		c.out.abort(errLost)
	}
}

// roadSession is the node's end; two of one browser are equal.
type roadSession struct{ b *RoadBrowser }

func (s roadSession) Kind() relay.Kind      { return s.b.road.kind }
func (s roadSession) Origin() string        { return s.b.origin }
func (s roadSession) RemoteAddr() net.Addr  { return s.b.addr }
func (s roadSession) Done() <-chan struct{} { return s.b.done }
func (s roadSession) Close(string)          { s.b.end() }

// roadConn is the node's end of an exchange.
type roadConn struct {
	session *RoadBrowser
	in, out *pipe
}

var _ relay.RoadConn = (*roadConn)(nil)

func (c *roadConn) Session() relay.RoadSession        { return roadSession{c.session} }
func (c *roadConn) Read(p []byte) (int, error)        { return c.in.Read(p) }
func (c *roadConn) Write(p []byte) (int, error)       { return c.out.Write(p) }
func (c *roadConn) LocalAddr() net.Addr               { return address{} }
func (c *roadConn) RemoteAddr() net.Addr              { return c.session.addr }
func (c *roadConn) SetReadDeadline(t time.Time) error { c.in.setReadDeadline(t); return nil }

func (c *roadConn) SetWriteDeadline(t time.Time) error { c.out.setDeadline(t); return nil }

func (c *roadConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// Close leaves what was written to its reader.
func (c *roadConn) Close() error {
	c.session.mu.Lock()
	delete(c.session.conns, c)
	c.session.mu.Unlock()
	c.out.end()
	c.in.abort(net.ErrClosed)
	c.SetDeadline(time.Time{})
	return nil
}

// browserConn is the browser's end of an exchange.
type browserConn struct{ roadConn }

// Close resets what has not ended.
func (c *browserConn) Close() error {
	c.out.fail(errReset)
	c.in.abort(errReset)
	c.SetDeadline(time.Time{})
	return nil
}

// CloseWrite ends the browser's direction only.
func (c *browserConn) CloseWrite() error {
	c.out.end()
	return nil
}
