package node

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/relay"
)

// Roads are the ways by which browsers reach the node without its gateway between them.
// Whoever opened the listeners keeps what is behind them going until Serve has returned.
type Roads struct {
	WebTransport WebTransport // nil: none
	WebRTC       WebRTC       // nil: none
	// Addresses are those, host:port, at which other devices reach WebTransport at present.
	// It must not block. nil: none.
	Addresses func() []string
}

// WebTransport is a listener whose connections are relay.RoadConns. Serve closes it.
type WebTransport interface {
	net.Listener
	// Hashes are those of the certificates that are or will soon be shown: SHA-256 of the
	// DER, base64url without padding.
	Hashes() []string
}

// WebRTC is a listener whose connections are relay.RoadConns. Serve closes it.
type WebRTC interface {
	net.Listener
	// Answer prepares for the browser that made the offer and says where it finds the node,
	// whose own address is found with these STUN servers too. It gathers for a moment and ends
	// early with ctx. A problem.Error is for the browser to read; other errors are the offer's fault.
	Answer(ctx context.Context, offer string, stun []string) (answer string, err error)
	Fingerprint() string // of the DTLS certificate, as in Hashes
}

// Times and limits of direct roads.
const (
	openTime          = 5 * time.Second // from the first exchange of a session to its grant
	roadHeaderTime    = 10 * time.Second
	maxRoads          = 256 // sessions of browsers at a time
	maxUnopened       = 64  // of which have shown no grant
	maxRoadsOfSession = 8   // of one session at the gateway: its tabs, and what a phone left when it moved
	maxExchanges      = 64  // under way on one road
	maxEnded          = 4096
	roadInUse         = 3 * time.Second // for which a road makes no room for another one after its last exchange began
)

// roads knows the browsers that have reached the node directly, and for whom each speaks.
type roads struct {
	node   *Node
	config Roads
	log    *slog.Logger

	running sync.WaitGroup // one goroutine for each road

	mu      sync.Mutex
	gateway string // whose grants open roads: the pin by which the node knows its users
	barred  bool   // the gateway has refused the node's link
	roads   map[relay.RoadSession]*road
	ended   map[string]endedSession // at the gateway
	floor   time.Time               // grants from before it, by the gateway's clock, open nothing
}

// endedSession has ended at a time by the gateway's clock; forget is by this process's.
type endedSession struct{ at, forget time.Time }

// road is one browser. roads.mu guards what is not set when it is made.
type road struct {
	session relay.RoadSession
	ctx     context.Context // of every request on it
	cancel  context.CancelFunc
	changed chan struct{} // holds a word when until has changed

	grant     access.RoadGrant
	until     time.Time // how long grant is good; before it is opened: how long that may take
	opened    bool
	exchanges int
	used      time.Time // when the last exchange began
}

func newRoads(n *Node, c Config) *roads {
	r := &roads{node: n, log: c.Log, roads: map[relay.RoadSession]*road{}, ended: map[string]endedSession{}}
	if c.Roads != nil {
		r.config = *c.Roads
	}
	return r
}

// serve answers on the roads until ctx ends. Then it breaks off what is under way, and
// returns once the last handler has.
func (r *roads) serve(ctx context.Context) {
	var servers sync.WaitGroup
	if r.config.WebTransport != nil {
		servers.Go(func() { r.serveOn(ctx, r.config.WebTransport) })
	}
	if r.config.WebRTC != nil {
		servers.Go(func() { r.serveOn(ctx, r.config.WebRTC) })
	}
	<-ctx.Done()
	servers.Wait()
	r.endAll("the node ends")
	r.running.Wait()
}

// serveOn answers on one listener.
func (r *roads) serveOn(ctx context.Context, l net.Listener) {
	server := &http.Server{
		Handler:           relay.Progress(r.node.Handler(access.RoadDirect), relay.StallLimit),
		ReadHeaderTimeout: roadHeaderTime, MaxHeaderBytes: relay.MaxHeader,
		ConnContext: r.begin,
		ErrorLog:    slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
	}
	server.SetKeepAlivesEnabled(false) // one exchange each
	if err := serveJoined(ctx, server, l, r.over); err != nil {
		r.log.Error("a direct road ended", "address", l.Addr().String(), "error", err)
	}
}

type roadKey struct{}

// roadOf is the road that brought a request; nil: none.
func roadOf(ctx context.Context) *road {
	w, _ := ctx.Value(roadKey{}).(*road)
	return w
}

// begin is http.Server.ConnContext: the requests of an exchange end with its road.
func (r *roads) begin(ctx context.Context, c net.Conn) context.Context {
	conn, ok := c.(relay.RoadConn)
	if !ok {
		c.Close()
		return ctx
	}
	w, ok := r.roadFor(conn.Session())
	if !ok {
		c.Close()
	}
	if w == nil {
		return ctx
	}
	ctx = context.WithValue(w.ctx, http.ServerContextKey, ctx.Value(http.ServerContextKey))
	return context.WithValue(ctx, roadKey{}, w)
}

// roadFor counts one more exchange of a session; ok is false if it is one too many. A
// session for which there is no room is closed.
func (r *roads) roadFor(s relay.RoadSession) (w *road, ok bool) {
	r.mu.Lock()
	w = r.roads[s]
	if w == nil {
		unopened := 0
		for _, other := range r.roads {
			if !other.opened {
				unopened++
			}
		}
		if len(r.roads) >= maxRoads || unopened >= maxUnopened || r.node.ctx.Err() != nil {
			r.mu.Unlock()
			s.Close("there is no room")
			return nil, false
		}
		w = &road{session: s, changed: make(chan struct{}, 1), until: time.Now().Add(openTime)}
		w.ctx, w.cancel = context.WithCancel(r.node.ctx)
		r.roads[s] = w
		r.running.Go(func() { r.watch(w) })
	}
	defer r.mu.Unlock()
	w.exchanges++
	w.used = time.Now()
	return w, w.exchanges <= maxExchanges
}

// over takes an exchange off its road.
func (r *roads) over(c net.Conn) {
	conn, ok := c.(relay.RoadConn)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.roads[conn.Session()]; w != nil {
		w.exchanges--
	}
}

// watch ends the road when its time is up, and forgets it when it is gone.
func (r *roads) watch(w *road) {
	timer := time.NewTimer(openTime)
	defer timer.Stop()
	for {
		select {
		case <-w.session.Done():
			r.end(w, "")
			return
		case <-w.ctx.Done():
			r.end(w, "the node ends")
			return
		case <-w.changed:
		case <-timer.C:
		}
		left, opened := r.left(w)
		switch {
		case left > 0:
			timer.Reset(left)
			continue
		case opened:
			r.end(w, "the grant has run out")
		default:
			r.end(w, "no grant came")
		}
		return
	}
}

func (r *roads) left(w *road) (left time.Duration, opened bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Until(w.until), w.opened
}

// end closes a road with everything that is under way on it.
func (r *roads) end(w *road, why string) {
	r.mu.Lock()
	if r.roads[w.session] == w {
		delete(r.roads, w.session)
	}
	r.mu.Unlock()
	if w.ctx.Err() == nil {
		r.log.Debug("direct road ended", "kind", w.session.Kind(), "why", why)
	}
	w.cancel()
	w.session.Close(why)
}

// endThose ends the roads that which says yes to. It needs no lock; which is called under it.
func (r *roads) endThose(why string, which func(*road) bool) {
	r.mu.Lock()
	var those []*road
	for _, w := range r.roads {
		if which(w) {
			those = append(those, w)
		}
	}
	r.mu.Unlock()
	for _, w := range those {
		r.end(w, why)
	}
}

func (r *roads) endAll(why string) { r.endThose(why, func(*road) bool { return true }) }
