package front

import (
	"context"
	"io"
	"net"
	"sync"

	"github.com/platen-scan/platen/relay"
)

// handover is a net.Listener whose connections have been accepted and shaken
// hands with already.
type handover struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   *sync.Once
}

func newHandover(addr net.Addr) handover {
	return handover{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{}), once: new(sync.Once)}
}

func (h handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h handover) Addr() net.Addr { return h.addr }

func (h handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// give passes a connection on, or closes it if nobody takes any.
func (h handover) give(ctx context.Context, c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		c.Close()
	case <-ctx.Done():
		c.Close()
	}
}

// countedConn tells when it is closed.
type countedConn struct {
	net.Conn
	once    sync.Once
	onClose func()
}

// NetConn is for relay.TuneSender and its like.
func (c *countedConn) NetConn() net.Conn { return c.Conn }

func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.onClose)
	return err
}

// connections are all that are open, so that none outlives Serve.
type connections struct {
	mu     sync.Mutex
	closed bool
	open   map[io.Closer]struct{}
	load   relay.Load // as many
}

func (c *connections) add(conn io.Closer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if c.open == nil {
		c.open = map[io.Closer]struct{}{}
	}
	c.open[conn] = struct{}{}
	c.load.Enter()
	return true
}

func (c *connections) remove(conn io.Closer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.open[conn]; there {
		delete(c.open, conn)
		c.load.Leave()
	}
}

// wait waits until none is open, or ctx ends.
func (c *connections) wait(ctx context.Context) {
	select {
	case <-c.load.Idle():
	case <-ctx.Done():
	}
}

func (c *connections) closeAll() {
	c.mu.Lock()
	c.closed = true
	open := make([]io.Closer, 0, len(c.open))
	for conn := range c.open {
		open = append(open, conn)
	}
	c.mu.Unlock()
	for _, conn := range open {
		conn.Close()
	}
}
