//lint:file-ignore SA1019 net/http cannot yet serve, nor speak, HTTP/2 on a connection that the other side dialed with the limits that a link needs

package h2link

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/relay"
)

// Dialer opens links over TCP. The zero value is ready.
type Dialer struct {
	Log *slog.Logger // of panics in handlers; nil: none
	// DialContext opens the TCP connection; nil: net.Dialer's.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// Kind is relay.KindTCP.
func (d *Dialer) Kind() relay.Kind { return relay.KindTCP }

// Dial connects and waits for the gateway's first frames, which it sends once it
// has accepted this node's key.
func (d *Dialer) Dial(ctx context.Context, t relay.Target) (relay.Conn, error) {
	config, err := t.Identity.DialTLS(t.Pins(), relay.ALPNLink)
	if err != nil {
		return nil, err
	}
	dial := d.DialContext
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	raw, err := dial(ctx, "tcp", t.Addr)
	if err != nil {
		return nil, err
	}
	relay.TuneSender(raw) // pages go from here
	c := &conn{wire: newWire(tls.Client(relay.NewStream(raw), config)), log: d.Log}
	if err := c.open(ctx); err != nil {
		raw.Close()
		return nil, fmt.Errorf("dialing %s: %w", raw.RemoteAddr(), err)
	}
	return c, nil
}

// conn is the node's end.
type conn struct {
	*wire
	log     *slog.Logger
	gateway ed25519.PublicKey
}

func (c *conn) Kind() relay.Kind { return relay.KindTCP }

// open proves both keys: the handshake proves the gateway's, its first frames
// that it has accepted this node's, which TLS 1.3 tells a client no sooner.
func (c *conn) open(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	err := c.Conn.HandshakeContext(ctx)
	var seen []byte
	if err == nil {
		seen, err = firstFrames(c.Conn)
	}
	if !stop() {
		return errors.Join(ctx.Err(), err)
	}
	if err != nil {
		return err
	}
	c.ahead = bytes.NewReader(seen)
	c.gateway, err = identity.PeerKey(c.ConnectionState())
	return err
}

// firstFrames reads an HTTP/2 client's preface and frames up to the first that is
// not SETTINGS, and returns all that it read. A GOAWAY there is the gateway's no.
func firstFrames(r io.Reader) ([]byte, error) {
	const header, limit = 9, 4 << 10
	seen := make([]byte, len(http2.ClientPreface), 256)
	if _, err := io.ReadFull(r, seen); err != nil {
		return nil, fmt.Errorf("waiting for the gateway to accept the link: %w", err)
	}
	if string(seen) != http2.ClientPreface {
		return nil, errors.New("the gateway does not speak HTTP/2")
	}
	for {
		start := len(seen)
		seen = append(seen, make([]byte, header)...)
		if _, err := io.ReadFull(r, seen[start:]); err != nil {
			return nil, fmt.Errorf("waiting for the gateway to accept the link: %w", err)
		}
		length := int(seen[start])<<16 | int(seen[start+1])<<8 | int(seen[start+2])
		kind := http2.FrameType(seen[start+3])
		if kind != http2.FrameSettings && kind != http2.FrameGoAway {
			return seen, nil
		}
		if len(seen)+length > limit {
			return nil, errors.New("the gateway's first frames are too large")
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(r, payload); err != nil {
			return nil, fmt.Errorf("waiting for the gateway to accept the link: %w", err)
		}
		if kind == http2.FrameGoAway {
			return nil, relay.Refused(string(payload[min(8, length):])) // after last stream and code: RFC 9113 6.8
		}
		seen = append(seen, payload...)
	}
}

func (c *conn) Serve(ctx context.Context, h http.Handler) error {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	handlers := newCrew(relay.Answering(h, c.gateway, c.log))
	new(http2.Server).ServeConn(c.wire, &http2.ServeConnOpts{
		Handler: handlers,
		BaseConfig: &http.Server{
			HTTP2:          settings(relay.StreamWindow),
			MaxHeaderBytes: relay.MaxHeader,
			ErrorLog:       stdlog.New(io.Discard, "", 0),
		},
	})
	c.Close()
	handlers.join()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.cause()
}

// crew joins the handlers of a connection, which the HTTP/2 server leaves behind
// when it returns.
type crew struct {
	handler http.Handler

	mu      sync.Mutex
	closed  bool
	working sync.WaitGroup
}

func newCrew(h http.Handler) *crew { return &crew{handler: h} }

func (c *crew) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	c.working.Add(1)
	c.mu.Unlock()
	defer c.working.Done()
	c.handler.ServeHTTP(w, r)
}

// join waits for the handlers under way; later ones do not begin.
func (c *crew) join() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.working.Wait()
}
