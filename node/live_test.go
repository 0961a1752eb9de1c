package node

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// memListener is a loopback listener in memory, so that HTTP over it lives in fake time.
type memListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newMemListener() *memListener {
	return &memListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *memListener) Addr() net.Addr { return memAddr }

func (l *memListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- memConn{server}:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

var memAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 18622}

// memConn says that it comes from this machine.
type memConn struct{ net.Conn }

func (memConn) LocalAddr() net.Addr  { return memAddr }
func (memConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 50000} }

// live serves the rig over HTTP in memory.
type live struct {
	*rig
	client *http.Client
}

func serveLive(g *rig) *live {
	g.t.Helper()
	l := newMemListener()
	server := &http.Server{Handler: g.local, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	go func() { defer close(ended); server.Serve(l) }()
	transport := &http.Transport{DialContext: l.dial, DisableCompression: true}
	stop := g.stop
	g.stop = sync.OnceFunc(func() {
		stop()
		transport.CloseIdleConnections()
		server.Close()
		<-ended
	})
	return &live{g, &http.Client{Transport: transport}}
}

// open sends a request and returns its answer while it is still coming.
func (l *live) open(ctx context.Context, method, path string, header ...string) *http.Response {
	l.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1:18622"+path, nil)
	need(l.t, err)
	r.Header.Set("Authorization", "Bearer "+adminToken)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := l.client.Do(r)
	need(l.t, err)
	return answer
}
