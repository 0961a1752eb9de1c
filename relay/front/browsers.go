package front

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/platen-scan/platen/relay"
)

// browserQUIC is the QUIC configuration for whoever is not marked as a node. Windows
// begin small and grow only for who is read from, so that a stranger who fills them
// holds little: his requests are small. Links of nodes that have no mark work with it
// too, if not as well: their gateway opens all streams.
func browserQUIC() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           maxHandshake,
		MaxIdleTimeout:                 idleTimeout,
		InitialPacketSize:              1200, // as of links
		InitialStreamReceiveWindow:     64 << 10,
		MaxStreamReceiveWindow:         256 << 10,
		InitialConnectionReceiveWindow: 256 << 10,
		MaxConnectionReceiveWindow:     2 << 20,
		MaxIncomingStreams:             maxStreams,
		MaxIncomingUniStreams:          8, // control and QPACK, and some that we do not know
	}
}

// browsers are the browsers that came over HTTP/3. net/http has nothing for those:
// http3 has its own server.
type browsers struct {
	server *http3.Server
	// A connection without a request is closed: its first must be there so soon, the next
	// so long after the last.
	first, idle time.Duration

	mu      sync.Mutex
	leaving bool
	open    map[*browser]struct{}
	// begun are calls of ServeQUICConn that http3 has not yet counted: http3 must not be
	// shut down then, or it closes a channel twice.
	begun sync.WaitGroup
}

func newBrowsers(h http.Handler) *browsers {
	b := &browsers{first: readHeaderTimeout, idle: idleTimeout, open: map[*browser]struct{}{}}
	b.server = &http3.Server{
		Handler:        requests(relay.Bodiless(h)),
		MaxHeaderBytes: maxHeader,
		ConnContext:    b.connContext,
		Logger:         slog.New(slog.DiscardHandler), // what strangers send is no news
	}
	return b
}

// serve answers one browser until its connection has ended, and its requests with it.
func (b *browsers) serve(conn *quic.Conn) {
	defer conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	b.mu.Lock()
	if b.leaving {
		b.mu.Unlock()
		return
	}
	b.begun.Add(1)
	b.mu.Unlock()
	b.server.ServeQUICConn(conn)
}

type browserKey struct{}

func (b *browsers) connContext(ctx context.Context, conn *quic.Conn) context.Context {
	defer b.begun.Done()
	one := &browser{conn: conn, rests: b.idle}
	one.timer = time.AfterFunc(b.first, one.goodbye)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[one] = struct{}{}
	context.AfterFunc(conn.Context(), func() {
		one.stop()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.open, one)
	})
	return context.WithValue(ctx, browserKey{}, one)
}

// shutdown tells all browsers to come back over another connection (GOAWAY), and waits
// until they have what they asked for, or ctx ends. Browsers close then; one that does
// not is closed a while after its last request.
func (b *browsers) shutdown(ctx context.Context) {
	b.mu.Lock()
	b.leaving = true
	b.mu.Unlock()
	b.begun.Wait()
	b.mu.Lock()
	open := slices.Collect(maps.Keys(b.open))
	b.mu.Unlock()
	for _, one := range open {
		one.leave()
	}
	b.server.Shutdown(ctx)
}

// browser is one connection. It is closed when no request has been under way for a
// while, whatever else goes over it: streams whose headers do not end are no requests.
type browser struct {
	conn  *quic.Conn
	rests time.Duration // without a request, as long as nobody is leaving

	mu       sync.Mutex
	timer    *time.Timer
	requests int
	last     time.Time // when none was under way any more; zero: there was none yet
	leaving  bool
}

// goodbyeTime is how long a browser has, when told, to close a connection of which it
// has had all.
const goodbyeTime = 250 * time.Millisecond

// goodbye closes a connection without requests.
func (b *browser) goodbye() {
	b.mu.Lock()
	busy := b.requests > 0
	b.mu.Unlock()
	if !busy {
		b.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	}
}

func (b *browser) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests++
	b.timer.Stop()
}

func (b *browser) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.requests--; b.requests == 0 {
		b.last = time.Now()
		b.restLocked()
	}
}

func (b *browser) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.leaving = true; b.requests == 0 {
		b.restLocked()
	}
}

// restLocked begins the time without requests.
func (b *browser) restLocked() {
	switch {
	case b.conn.Context().Err() != nil: // no timer holds on to what is gone
	case b.leaving:
		b.timer.Reset(max(lastBytes-time.Since(b.last), goodbyeTime))
	default:
		b.timer.Reset(b.rests)
	}
}

// stop ends the watch over a connection that has ended.
func (b *browser) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timer.Stop()
}

// requests counts each connection's requests, and refuses to be a tunnel: http3 offers
// that to everybody.
func requests(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := r.Context().Value(browserKey{}).(*browser)
		b.begin()
		defer b.end()
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		h.ServeHTTP(w, r)
	})
}
