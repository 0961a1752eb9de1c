package relay_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
	"github.com/platen-scan/platen/relay/relaytest"
)

// road is one kind's way to the gateway, whose weather a test makes.
type road struct {
	kind relay.Kind

	mu      sync.Mutex
	delay   time.Duration // of a dial; negative: for ever
	write   time.Duration // that each write of an answer takes
	err     error
	dialed  []time.Duration // since the test began
	end     error           // what the node hears when a link ends; nil: that it was closed
	allowed error
	links   []relay.Link
	traffic *traffic // what its links say they sent and heard; nil: they do not say
}

// world is a node's Keeper and the gateway it dials, in fake time.
type world struct {
	t          *testing.T
	began      time.Time
	quic, tcp  *road
	keeper     *relay.Keeper
	mu         sync.Mutex
	ups        []relay.Kind
	downs      []error
	handler    http.HandlerFunc
	gateway    *identity.Identity
	target     relay.Target
	random     float64
	stopped    chan error
	noFallback bool
}

func (w *world) set(r *road, change func(*road)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

// run starts a Keeper inside a synctest bubble and stops it after the test.
func run(t *testing.T, prepare func(*world), test func(*world)) {
	t.Helper()
	gateway, node := relaytest.NewIdentity(t), relaytest.NewIdentity(t)
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, began: time.Now(), quic: &road{kind: relay.KindQUIC}, tcp: &road{kind: relay.KindTCP},
			gateway: gateway, target: relay.Target{Addr: "mem", Pin: gateway.Pin(), Identity: node},
			random: 0.999999999, stopped: make(chan error, 1),
			handler: func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "pong") },
		}
		prepare(w)
		dialers := []relay.Dialer{w.dialer(w.quic), w.dialer(w.tcp)}
		if w.noFallback {
			dialers = dialers[:1]
		}
		var err error
		w.keeper, err = relay.NewKeeper(relay.Config{
			Dialers: dialers, Log: slog.New(slog.DiscardHandler),
			Target:  func(context.Context) (relay.Target, error) { return w.target, nil },
			Handler: w.handler,
			OnUp:    func(k relay.Kind) { w.mu.Lock(); defer w.mu.Unlock(); w.ups = append(w.ups, k) },
			OnDown:  func(err error) { w.mu.Lock(); defer w.mu.Unlock(); w.downs = append(w.downs, err) },
			Rand:    func() float64 { return w.random },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { w.stopped <- w.keeper.Serve(ctx) }()
		synctest.Wait()
		test(w)
		cancel()
		if err := <-w.stopped; err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
	})
}

func (w *world) dialer(r *road) relay.Dialer {
	g := &memlink.Gateway{
		Key: w.gateway.Public(), Kind: r.kind,
		Reach: func(ctx context.Context) error {
			r.mu.Lock()
			r.dialed = append(r.dialed, time.Since(w.began))
			delay, err := r.delay, r.err
			r.mu.Unlock()
			if delay < 0 {
				<-ctx.Done()
				return ctx.Err()
			}
			select {
			case <-time.After(delay):
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		Allowed: func(ed25519.PublicKey) error { r.mu.Lock(); defer r.mu.Unlock(); return r.allowed },
		OnLink:  func(l relay.Link) { r.mu.Lock(); defer r.mu.Unlock(); r.links = append(r.links, l) },
	}
	return countingDialer{g.Dialer(), r}
}

// traffic is the packets of a road's links.
type traffic struct{ sent, heard atomic.Uint64 }

func (c *traffic) Traffic() (sent, heard uint64) { return c.sent.Load(), c.heard.Load() }

// countingDialer adds a road's traffic to its connections.
type countingDialer struct {
	relay.Dialer
	road *road
}

func (d countingDialer) Dial(ctx context.Context, t relay.Target) (relay.Conn, error) {
	c, err := d.Dialer.Dial(ctx, t)
	if err != nil {
		return nil, err
	}
	c = endingConn{c, d.road}
	if d.road.traffic == nil {
		return c, nil
	}
	return struct {
		relay.Conn
		*traffic
	}{c, d.road.traffic}, nil
}

// endingConn takes its road's time to write, and ends with its error.
type endingConn struct {
	relay.Conn
	road *road
}

func (c endingConn) Serve(ctx context.Context, h http.Handler) error {
	if over := c.road.write; over > 0 {
		inner := h
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.ServeHTTP(heldUp{w, over}, r) })
	}
	err := c.Conn.Serve(ctx, h)
	c.road.mu.Lock()
	defer c.road.mu.Unlock()
	if c.road.end != nil && ctx.Err() == nil {
		return c.road.end
	}
	return err
}

// heldUp is an answer whose writes take a while.
type heldUp struct {
	http.ResponseWriter
	write time.Duration
}

func (w heldUp) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w heldUp) Write(p []byte) (int, error) {
	time.Sleep(w.write)
	return w.ResponseWriter.Write(p)
}

// pass lets fake time go by.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// newest is the road's newest link.
func (w *world) newest(r *road) relay.Link {
	w.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.links) == 0 {
		w.t.Fatalf("no link over %s", r.kind)
	}
	return r.links[len(r.links)-1]
}

func (w *world) wantUps(kinds ...relay.Kind) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.ups, kinds) {
		w.t.Errorf("links came up over %v, want %v", w.ups, kinds)
	}
}

func (w *world) wantDials(r *road, at ...time.Duration) {
	w.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.dialed) != len(at) {
		w.t.Fatalf("%s dialed at %v, want %v", r.kind, r.dialed, at)
	}
	for i := range at {
		if d := r.dialed[i] - at[i]; d < -time.Millisecond || d > time.Millisecond {
			w.t.Errorf("%s dialed at %v, want %v", r.kind, r.dialed, at)
		}
	}
}

func alive(l relay.Link) bool {
	select {
	case <-l.Done():
		return false
	default:
		return true
	}
}

func (w *world) answers(l relay.Link) {
	w.t.Helper()
	r, _ := http.NewRequestWithContext(w.t.Context(), "GET", "http://node/ping", nil)
	answer, err := l.RoundTrip(r)
	if err != nil {
		w.t.Fatalf("RoundTrip: %v", err)
	}
	defer answer.Body.Close()
	if b, _ := io.ReadAll(answer.Body); string(b) != "pong" {
		w.t.Errorf("answer = %q, want pong", b)
	}
}

var errBlocked = errors.New("no route")
