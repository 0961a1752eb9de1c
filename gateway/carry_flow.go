package gateway

import (
	"sync"
	"time"

	"github.com/platen-scan/platen/relay"
)

// How the gateway judges what a link can carry.
const (
	estimateKept = 10 * time.Minute       // the network may have changed
	flowWindow   = 100 * time.Millisecond // the least time that a measurement takes
	flowFirst    = 10 * time.Millisecond  // the same while nothing is known
	flowBytes    = 1 << 20                // and the least bytes
	flowLong     = time.Second            // a measurement of less after so long
	flowSure     = 400 * time.Millisecond // one that takes so long needs no other beside it
	clearlyMore  = 1.25                   // below that two links count as equal
	moveGain     = 2                      // a companion is left in mid-body for so many times its rate
	shift        = 3                      // a rate that grew or fell so many times: the network has changed
)

// flows are the flows of a node's links, by kind: what a network does to one kind
// outlives a link.
type flows struct{ quic, tcp, other flow }

func (f *flows) of(k relay.Kind) *flow {
	switch k {
	case relay.KindQUIC:
		return &f.quic
	case relay.KindTCP:
		return &f.tcp
	}
	return &f.other
}

// flow measures the bodies that come over links of one kind, all together: beside
// another body none could have the whole link. A window of time in which somebody
// waited for the link for the half of it tells how much the link gives; another one
// tells how much it gives at least, because the browsers were slower.
type flow struct {
	mu      sync.Mutex
	bodies  int // under way
	waiting int // of them, for the link

	began  time.Time     // of the window
	waited time.Duration // in it
	since  time.Time     // somebody waits; void while nobody does
	bytes  int64
	warm   bool // a window before it was full: connections start slowly

	last    estimate
	usual   float64   // rate of the link since it shifted
	shifted time.Time // when it did; what was measured of the other link before is void
}

// estimate is what a link can carry.
type estimate struct {
	rate  float64   // bytes a second
	bound bool      // the link was the bottleneck; else it may carry more
	at    time.Time // zero: never measured
	rough bool      // of the beginning of a body: it may carry more
}

// known reports whether the estimate still counts.
func (e estimate) known(now time.Time) bool { return !e.at.IsZero() && now.Sub(e.at) < estimateKept }

// since is the estimate, unless it was made before a time.
func (e estimate) since(t time.Time) estimate {
	if e.at.Before(t) {
		return estimate{}
	}
	return e
}

// enter and leave frame a body.
func (f *flow) enter(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bodies == 0 {
		f.warm = false
		f.resetLocked(now)
	}
	f.bodies++
}

func (f *flow) leave(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bodies--
	f.settleLocked(now)
}

// wait says that a body waits for the link's bytes, got how many came.
func (f *flow) wait(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting++; f.waiting == 1 {
		f.since = now
	}
}

func (f *flow) got(n int, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.waited += now.Sub(f.since)
	}
	f.bytes += int64(n)
	f.settleLocked(now)
}

// forget drops what was measured in this window: a link that stalls has no rate.
func (f *flow) forget(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resetLocked(now)
}

func (f *flow) resetLocked(now time.Time) {
	f.began, f.since, f.waited, f.bytes = now, now, 0, 0
}

// settleLocked makes an estimate of the window if it is full. The first one, while a
// link's rate still grows, is rough: it counts only where nothing, or less, is known. On a
// fast network a page has no second window unless something held it up.
func (f *flow) settleLocked(now time.Time) {
	took := now.Sub(f.began)
	full := took >= flowWindow && f.bytes >= flowBytes || took >= flowLong
	first := !f.warm && f.bytes >= flowBytes && took >= flowFirst && !f.last.known(now)
	if !full && !first || took <= 0 {
		return
	}
	waited := f.waited
	if f.waiting > 0 {
		waited += now.Sub(f.since)
	}
	next := estimate{rate: float64(f.bytes) / took.Seconds(), bound: 2*waited >= took, at: now, rough: !f.warm && took < flowSure}
	if old := f.last; old.known(now) {
		switch {
		case (next.rough || !next.bound && old.bound) && next.rate <= old.rate:
			next = old
		case next.rough:
		case !next.bound:
			next.rate = max(next.rate, old.rate)
		case old.bound:
			next.rate = old.rate + (next.rate-old.rate)*min(1, took.Seconds()/flowSure.Seconds())
		}
	}
	if next.bound && !next.rough && (next.rate > shift*f.usual || next.rate < f.usual/shift) {
		if f.usual > 0 {
			f.shifted = now
		}
		f.usual = next.rate
	}
	f.last = next
	if full {
		f.warm = true
		f.resetLocked(now)
	}
}

// estimate is what is known of the link, and since when its network is the same.
func (f *flow) estimate() (e estimate, shifted time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, f.shifted
}
