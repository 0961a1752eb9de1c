package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
)

// errNotServing is what a request from inside gets before Serve runs and after.
var errNotServing = errors.New("the node is not running")

// insideIdle is how long a connection from inside is kept for the next request.
const insideIdle = 10 * time.Second

// inside is the HTTP API for clients within this process, on connections in memory:
// requests pass the same guard, routes and handlers as those from outside.
type inside struct {
	node  *Node
	conns chan net.Conn // that were dialed, for the server
	pool  *http.Transport
}

func newInside(n *Node) *inside {
	i := &inside{node: n, conns: make(chan net.Conn)}
	i.pool = &http.Transport{
		DialContext: i.dial, DisableCompression: true,
		IdleConnTimeout: insideIdle, MaxIdleConnsPerHost: 2, MaxIdleConns: 64,
	}
	return i
}

// API is the HTTP API of this node for somebody of the local network at an address, who
// has not signed in: what it makes belongs to that address. It speaks in memory, while
// Serve runs; package airscan uses it for the node's own scanners.
func (n *Node) API(client netip.Addr) *api.Client {
	// The guard learns the address as that of the connection's peer, as it does from TCP.
	at := netip.AddrPortFrom(client.Unmap().WithZone(""), 80)
	base := url.URL{Scheme: "http", Host: at.String(), Path: "/api/v1/"}
	return &api.Client{Server: base.String(), Client: &http.Client{Transport: n.inside.pool}}
}

// dial makes a connection whose server side takes addr for the peer's address.
func (i *inside) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	peer, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	if !i.node.running.Load() {
		return nil, errNotServing
	}
	near, far := net.Pipe()
	select {
	case i.conns <- insideConn{far, net.TCPAddrFromAddrPort(peer)}:
		return near, nil
	case <-i.node.ctx.Done():
		return nil, errNotServing
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve answers until the node ends. Then it breaks off what is under way, and returns
// once the last handler has.
func (i *inside) serve(ctx context.Context) {
	server := &http.Server{
		Handler: i.node.Handler(access.RoadESCL), ReadHeaderTimeout: 2 * insideIdle, IdleTimeout: 2 * insideIdle,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(i.node.log.Handler(), slog.LevelDebug),
	}
	if err := serveJoined(ctx, server, insideListener{ctx, i.conns}, nil); err != nil {
		i.node.log.Error("serving inside of this process", "error", err)
	}
	i.pool.CloseIdleConnections()
}

// insideListener accepts what dial made, until ctx ends.
type insideListener struct {
	ctx   context.Context
	conns <-chan net.Conn
}

func (l insideListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (l insideListener) Close() error   { return nil } // ctx ends it
func (l insideListener) Addr() net.Addr { return &net.UnixAddr{Net: "pipe"} }

// insideConn is the server side of a connection.
type insideConn struct {
	net.Conn
	peer net.Addr
}

func (c insideConn) RemoteAddr() net.Addr { return c.peer }
