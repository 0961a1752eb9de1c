// Package memlink is a link in memory, for tests: no socket, no goroutine but the
// handlers', and time that testing/synctest can fake. It keeps the promises of
// package relay that relaytest checks, so what works over it works over a network.
// No product code calls it.
package memlink

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

// Gateway accepts links in memory. Its Dialer may be used by any number of nodes.
type Gateway struct {
	Key     ed25519.PublicKey
	Kind    relay.Kind                      // that its links claim; "" is relay.KindMem
	Allowed func(ed25519.PublicKey) error   // nil: every key
	OnLink  func(relay.Link)                // runs inside Dial
	Reach   func(ctx context.Context) error // nil: always; an error or a wait is the network's
}

// Dialer dials the gateway, whatever the target's address.
func (g *Gateway) Dialer() relay.Dialer { return dialer{g} }

type dialer struct{ *Gateway }

func (d dialer) Kind() relay.Kind {
	if d.Gateway.Kind == "" {
		return relay.KindMem
	}
	return d.Gateway.Kind
}

func (d dialer) Dial(ctx context.Context, t relay.Target) (relay.Conn, error) {
	if d.Reach != nil {
		if err := d.Reach(ctx); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if got := identity.PinOf(d.Key); !slices.Contains(t.Pins(), got) {
		return nil, fmt.Errorf("%w: it has %s, pinned is %s", identity.ErrWrongPeer, got, t.Pins())
	}
	node := t.Identity.Public()
	if d.Allowed != nil {
		if err := d.Allowed(node); err != nil {
			return nil, relay.Refused(string(problem.From(err).Code))
		}
	}
	link, conn := pair(d.Kind(), d.Key, node)
	d.OnLink(link)
	return conn, nil
}

// New is a link that stands: the gateway's end and the node's.
func New(gateway, node ed25519.PublicKey) (relay.Link, relay.Conn) {
	return pair(relay.KindMem, gateway, node)
}

func pair(kind relay.Kind, gateway, node ed25519.PublicKey) (relay.Link, *conn) {
	c := &conn{kind: kind, gateway: gateway, serving: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	return relay.NewLink(relay.Carrier{
		Kind: kind, Peer: node, RemoteAddr: address{}, Transport: c, Done: c.ctx.Done(),
		Close: func(reason string) {
			if reason == "" {
				c.cancel(errClosed)
			} else {
				c.cancel(relay.Refused(reason))
			}
		},
	}), c
}

var errClosed = errors.New("closed by the other end")

type address struct{}

func (address) Network() string { return "mem" }
func (address) String() string  { return "mem" }

var _ net.Addr = address{}

// conn is the node's end, and the gateway's transport to it.
type conn struct {
	kind    relay.Kind
	gateway ed25519.PublicKey
	ctx     context.Context // ends with the link
	cancel  context.CancelCauseFunc

	mu      sync.Mutex
	handler http.Handler
	serving chan struct{} // closed once handler is set
	closed  bool          // no handler begins
	working sync.WaitGroup
}

func (c *conn) Kind() relay.Kind { return c.kind }

func (c *conn) Serve(ctx context.Context, h http.Handler) error {
	c.mu.Lock()
	c.handler = relay.Answering(h, c.gateway, nil)
	close(c.serving)
	c.mu.Unlock()
	select {
	case <-ctx.Done():
		c.cancel(ctx.Err())
	case <-c.ctx.Done():
	}
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.working.Wait()
	return context.Cause(c.ctx)
}

func (c *conn) Close() error {
	c.cancel(errClosed)
	return nil
}

// begin runs f as one of the link's handlers, unless the link is gone.
func (c *conn) begin(f func(http.Handler)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.ctx.Err() != nil {
		return false
	}
	c.working.Go(func() { f(c.handler) })
	return true
}
