package relaytest

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/relay"
)

// RoadHarness is a road and browsers that come by it.
type RoadHarness struct {
	Listener net.Listener // accepts relay.RoadConn
	Kind     relay.Kind
	Origin   string // that Session().Origin() must tell of whoever joins
	// Join opens a session, as a browser does. Whoever joined is closed by the test.
	Join func(t *testing.T) RoadClient
	// Large is the size in bytes of a large body; 0: 64 MiB. For slow roads.
	Large int64
}

// RoadClient is a browser's end of one session.
type RoadClient interface {
	// Open begins a stream or channel: one exchange. Closing the connection before
	// the answer's end resets it. A connection with CloseWrite can end the browser's
	// direction alone.
	Open(ctx context.Context) (net.Conn, error)
	Close() error
}

// RoadExchanges is how many exchanges of one session may be under way at once on
// every road.
const RoadExchanges = 32

// RunRoad checks the road behind connect, which makes a fresh harness; what it opens
// must be closed by t.Cleanup.
func RunRoad(t *testing.T, connect func(t *testing.T) RoadHarness) {
	run(t, both, func(t *testing.T) harness { return connect(t) })
	run(t, []row[RoadHarness]{
		{"many sessions at once", roadParallel},
		{"many in turn", roadSequence},
		{"headers", roadHeaders},
		{"sessions are told apart", roadSessions},
		{"a browser that ends its direction early", roadHalfClose},
		{"a browser that does not speak HTTP", roadGarbage},
		{"a silent exchange is ended", roadSilent},
		{"deadlines", roadDeadlines},
		{"stalled readers", roadStalledReaders},
		{"the node closes a session in flight", roadNodeCloses},
		{"the browser leaves in flight", roadBrowserLeaves},
		{"the listener closes in flight", roadListenerCloses},
	}, connect)
}

func (hs RoadHarness) serve(t *testing.T, h http.HandlerFunc) http.RoundTripper {
	t.Helper()
	return roadUp(t, hs, h)
}

func (RoadHarness) atOnce() int { return RoadExchanges }

func (hs RoadHarness) large() int64 {
	if hs.Large == 0 {
		return largeBody
	}
	return hs.Large
}

// silence is how long the server of the suite waits for a request's header.
const silence = 10 * time.Second

// serveRoad answers on the road with h, as a node does, until the test ends.
func serveRoad(t *testing.T, hs RoadHarness, h http.HandlerFunc) { serveRoadWithin(t, hs, h, silence) }

// serveRoadWithin is serveRoad for browsers that say what they want within limit.
func serveRoadWithin(t *testing.T, hs RoadHarness, h http.HandlerFunc, limit time.Duration) {
	t.Helper()
	var exchanges sync.WaitGroup
	server := &http.Server{
		ReadHeaderTimeout: limit,
		MaxHeaderBytes:    relay.MaxHeader,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			road, ok := c.(relay.RoadConn)
			if !ok {
				t.Errorf("the listener accepted a %T, which is no RoadConn", c)
				return ctx
			}
			return context.WithValue(ctx, sessionKey{}, road.Session())
		},
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				exchanges.Add(1)
			case http.StateClosed:
				exchanges.Done()
			}
		},
		Handler: h,
	}
	server.SetKeepAlivesEnabled(false)
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(hs.Listener)
	}()
	t.Cleanup(func() {
		server.Close()
		await(t, served, "the server to end")
		exchanges.Wait()
	})
}

type sessionKey struct{}

// sessionOf is the session by which a request came.
func sessionOf(r *http.Request) relay.RoadSession {
	s, _ := r.Context().Value(sessionKey{}).(relay.RoadSession)
	return s
}

// browser asks over a session, each time on an exchange of its own.
type browser struct{ RoadClient }

// join opens a session that ends with the test.
func join(t *testing.T, hs RoadHarness) browser {
	t.Helper()
	c := browser{hs.Join(t)}
	t.Cleanup(func() { c.Close() })
	return c
}

// roadUp is a served road with one session.
func roadUp(t *testing.T, hs RoadHarness, h http.HandlerFunc) browser {
	t.Helper()
	serveRoad(t, hs, h)
	return join(t, hs)
}

// open begins an exchange that ends with the test.
func open(t *testing.T, c RoadClient) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	conn, err := c.Open(ctx)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// RoundTrip makes a request. Closing the answer's body ends the exchange, and resets it
// if the body has not been read to its end.
func (b browser) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host, r.URL.Host = relay.Host, relay.Host
	r.Close = true
	conn, err := b.Open(r.Context())
	if err != nil {
		return nil, err
	}
	x := &exchange{conn: conn}
	x.stop = context.AfterFunc(r.Context(), func() { conn.Close() })
	x.writing.Go(func() { r.Write(conn) })
	answer, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		x.Close()
		return nil, err
	}
	x.ReadCloser = answer.Body
	answer.Body = x
	return answer, nil
}

// exchange is an answer's body and the connection that brings it.
type exchange struct {
	io.ReadCloser
	conn    net.Conn
	writing sync.WaitGroup // the request
	stop    func() bool
}

// Close never reads on: that would not be a reset.
func (x *exchange) Close() error {
	x.stop()
	err := x.conn.Close()
	x.writing.Wait()
	return err
}
