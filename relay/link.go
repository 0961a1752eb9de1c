package relay

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"

	"github.com/platen-scan/platen/proto/problem"
)

// ErrLinkLost is the cause of a request that failed because the link went away
// after it had been sent: the node may have acted on it.
var ErrLinkLost = errors.New("the link to the node was lost")

// Carrier is what an adapter brings to make a Link: one connection that a node
// dialed, turned round.
type Carrier struct {
	Kind       Kind
	Peer       ed25519.PublicKey // proven
	RemoteAddr net.Addr
	Transport  http.RoundTripper   // sends every request over the connection; waits for no slot
	Done       <-chan struct{}     // closed when the connection is gone
	Close      func(reason string) // closes the connection; safe to call again
}

// NewLink makes the gateway's end of a link. It starts nothing.
func NewLink(c Carrier) Link {
	return &link{
		Carrier: c,
		bodies:  make(chan struct{}, MaxRequests),
		control: make(chan struct{}, ControlRequests),
	}
}

type link struct {
	Carrier
	bodies, control chan struct{} // slots: full means wait
}

func (l *link) Kind() Kind              { return l.Carrier.Kind }
func (l *link) Peer() ed25519.PublicKey { return l.Carrier.Peer }
func (l *link) RemoteAddr() net.Addr    { return l.Carrier.RemoteAddr }
func (l *link) Done() <-chan struct{}   { return l.Carrier.Done }
func (l *link) Close(reason string)     { l.Carrier.Close(reason) }

// RoundTrip waits for a slot and sends the request. If the link went away before
// the request did, the error is a problem node-offline and the request may be
// sent over another link; else it is ErrLinkLost or the transport's error.
func (l *link) RoundTrip(r *http.Request) (*http.Response, error) {
	if !pathOnly(r.URL) {
		closeBody(r)
		return nil, fmt.Errorf("a request over a link needs an absolute path, not %q", r.URL)
	}
	release, err := l.slot(r.Context())
	if err != nil {
		closeBody(r)
		return nil, err
	}
	var sent atomic.Bool
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	answer, err := l.Transport.RoundTrip(outgoing(ctx, r))
	if err != nil {
		release()
		return nil, l.failure(r.Context(), err, sent.Load())
	}
	answer.Request = r
	answer.Body = &body{ReadCloser: answer.Body, link: l, ctx: r.Context(), left: bodyLength(r, answer), release: release}
	return answer, nil
}

// slot takes a slot; release gives it back, and may be called again.
func (l *link) slot(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	slots := l.bodies
	if isControl(ctx) {
		slots = l.control
	}
	select {
	case <-l.Done():
		return nil, problem.NodeOffline.Error()
	default:
	}
	select {
	case slots <- struct{}{}:
		return sync.OnceFunc(func() { <-slots }), nil
	case <-l.Done():
		return nil, problem.NodeOffline.Error()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// failure gives a transport's error the meaning that callers act on.
func (l *link) failure(ctx context.Context, err error, sent bool) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !sent {
		return problem.NodeOffline.Error()
	}
	select {
	case <-l.Done():
		return fmt.Errorf("%w: %w", ErrLinkLost, err)
	default:
		return fmt.Errorf("asking the node: %w", err)
	}
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		r.Body.Close()
	}
}

// bodyLength is how many bytes an answer's body must have; -1 unknown.
func bodyLength(r *http.Request, answer *http.Response) int64 {
	if r.Method == http.MethodHead || answer.StatusCode == http.StatusNotModified {
		return -1
	}
	return answer.ContentLength
}

// body is an answer's body that gives its slot back at the end and knows a short
// body from a whole one, which HTTP/3 leaves to the caller.
type body struct {
	io.ReadCloser
	link    *link
	ctx     context.Context
	left    int64 // bytes still to come; negative: unknown
	release func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left >= 0 {
		b.left = max(b.left-int64(n), 0)
	}
	if err == nil {
		return n, nil
	}
	b.release()
	switch {
	case err == io.EOF && b.left > 0:
		return n, io.ErrUnexpectedEOF
	case err == io.EOF:
		return n, io.EOF
	}
	return n, b.link.failure(b.ctx, err, true)
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.release()
	return err
}
