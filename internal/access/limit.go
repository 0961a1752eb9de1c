package access

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/platen-scan/platen/proto/problem"
)

const (
	burstSeconds  = 4    // of requests that may come at once: a page grid of thumbnails
	maxCounted    = 8192 // sessions, addresses and routes that are counted at a time
	parallelWait  = 10 * time.Second
	parallelRetry = time.Second
	// crowd is how many times the limits of one session a node has that presents scanners: it
	// speaks for all computers around it, and holds a stream of events for each of their jobs.
	crowd = 4
)

// limiter counts the requests of sessions and addresses, and the answers that
// sessions are receiving.
type limiter struct {
	mu      sync.Mutex
	buckets map[string]*rate.Limiter
	slots   map[string]*slot
}

// slot holds the places for one session's parallel answers of one route.
type slot struct {
	places chan struct{}
	users  int // requests that hold or wait for a place
}

func newLimiter() *limiter {
	return &limiter{buckets: map[string]*rate.Limiter{}, slots: map[string]*slot{}}
}

// take counts one request under key, or says after how long there is room for it.
func (l *limiter) take(key string, perSecond rate.Limit, burst int, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= maxCounted {
			l.forgetIdleLocked(now)
		}
		b = rate.NewLimiter(perSecond, burst)
		l.buckets[key] = b
	}
	res := b.ReserveN(now, 1)
	wait = res.DelayFrom(now)
	if wait > 0 {
		res.CancelAt(now)
	}
	return wait
}

// forgetIdleLocked drops the buckets that are full again. If all are in use, so many
// clients press at once that counting each has lost its point: all begin anew.
func (l *limiter) forgetIdleLocked(now time.Time) {
	for key, b := range l.buckets {
		if b.TokensAt(now) >= float64(b.Burst()) {
			delete(l.buckets, key)
		}
	}
	if len(l.buckets) >= maxCounted {
		clear(l.buckets)
	}
}

// enter takes one of n places under key, waiting for it. leave gives it back.
func (l *limiter) enter(ctx context.Context, key string, n int) (leave func(), ok bool) {
	l.mu.Lock()
	s := l.slots[key]
	if s == nil {
		s = &slot{places: make(chan struct{}, n)}
		l.slots[key] = s
	}
	s.users++
	l.mu.Unlock()
	forget := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if s.users--; s.users == 0 {
			delete(l.slots, key)
		}
	}
	wait := time.NewTimer(parallelWait)
	defer wait.Stop()
	select {
	case s.places <- struct{}{}:
		return func() { <-s.places; forget() }, true
	case <-wait.C:
	case <-ctx.Done():
	}
	forget()
	return nil, false
}

// throttle applies the limits on how often a caller comes. done is to be called when
// the answer has ended.
func (h *handler) throttle(ctx context.Context, route Route, c Caller, r *http.Request) (done func(), err error) {
	nothing := func() {}
	switch {
	case c.Session == "" && (h.road == RoadLink || h.road == RoadNode):
		return nothing, nil // between our own ends
	case h.road == RoadESCL:
		// eSCL clients ask twice a second and know no 429. How much one of them makes is
		// bounded by its scanner's queue, how much it takes at once by the eSCL server.
		return nothing, nil
	}
	if err := h.countRequest(c.Session, r); err != nil {
		return nil, err
	}
	key := route.Method + route.Path + " " + who(c.Session, r)
	many := heads(c.Session)
	if q := route.Policy.often; q.n > 0 {
		every := rate.Every(q.per / time.Duration(many*q.n))
		if wait := h.rates.take(key, every, many*q.n, h.Now()); wait > 0 {
			return nil, problem.TooManyRequests.Error().After(wait)
		}
	}
	if n := route.Policy.parallel; n > 0 {
		leave, ok := h.rates.enter(ctx, key, many*n)
		if !ok {
			return nil, problem.New(problem.TooManyRequests, "%d answers are under way at once.", many*n).After(parallelRetry)
		}
		return leave, nil
	}
	return nothing, nil
}

// countRequest counts a request of a session, or without one of the peer's address.
func (h *handler) countRequest(session string, r *http.Request) error {
	perSecond := heads(session) * h.Rate
	if wait := h.rates.take(who(session, r), rate.Limit(perSecond), burstSeconds*perSecond, h.Now()); wait > 0 {
		return problem.TooManyRequests.Error().After(wait)
	}
	return nil
}

// heads is for how many a session counts: a node's for a crowd, here and, by its gateway's
// word, at the node that owns the scanner. People's sessions have no colon.
func heads(session string) int {
	if strings.HasPrefix(strings.TrimPrefix(session, "gw-"), nodeSession("")) {
		return crowd
	}
	return 1
}

// who is counted as one: a session, or without one a peer's network.
func who(session string, r *http.Request) string {
	if session == "" {
		return "peer " + network(remoteIP(r)).String()
	}
	return "session " + session
}

// network is what one household or device has: an IPv4 address, an IPv6 /64.
func network(ip netip.Addr) netip.Prefix {
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // the zero Prefix for the zero Addr
	return p
}
