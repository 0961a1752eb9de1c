package relay

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"
)

// Times of a Keeper.
const (
	raceStagger   = 300 * time.Millisecond  // the next kind starts so much later
	raceLead      = 3 * time.Second         // the same after ErrForgotten, when the first kind gets through, and before the kind of a silent link
	leadKept      = 10 * time.Second        // so long after it
	verdictFirst  = time.Minute             // a kind that lost a race, or went silent once, is tried again after this
	verdictKept   = 10 * time.Minute        // a kind that was tried alone and failed, or went silent twice
	silenceLimit  = 1500 * time.Millisecond // a link whose packets nobody answers for so long is suspect
	silenceTick   = 250 * time.Millisecond
	drainLinger   = 2 * time.Second // a drained link stays open so long after its last answer
	drainLimit    = 5 * time.Minute // and is closed with answers under way after this
	backoffBase   = 200 * time.Millisecond
	backoffCap    = 8 * time.Second // in the first minute without a link
	backoffLate   = time.Minute     // later, and when the gateway said no
	backoffSettle = 10 * time.Second

	companionIdle     = 10 * time.Minute // a companion without use is closed after this
	companionPast     = 5 * time.Second  // one that bodies pass by is replaced after this, and after twice as long each time
	companionPastMost = time.Minute      // up to this
)

// Config is what a Keeper needs.
type Config struct {
	// Dialers in order of preference; the next one starts a little after the one before.
	Dialers []Dialer
	// Target is asked before each dial: an address may change.
	Target func(ctx context.Context) (Target, error)
	// Handler answers the gateway's requests. Its requests carry the gateway's key
	// (PeerKeyOf) and end early when their link is drained (Draining).
	Handler http.Handler
	Log     *slog.Logger
	// OnUp and OnDown, if set, hear that a link stands (also when a new one, or the
	// companion, takes the place of the last) and why none does: once when it is lost,
	// then after each dial that failed. They are called one at a time and must not block.
	OnUp   func(Kind)
	OnDown func(err error)
	// Rand gives numbers in [0,1) for jitter; nil: math/rand.
	Rand func() float64
}

// Keeper keeps one link to the gateway up, and while bodies are sent that need it, a
// companion beside it (companion.go).
type Keeper struct {
	config  Config
	redial  chan time.Duration
	suspect chan struct{}
}

// NewKeeper makes a Keeper; Serve starts it.
func NewKeeper(c Config) (*Keeper, error) {
	switch {
	case len(c.Dialers) == 0:
		return nil, errors.New("a keeper needs a dialer")
	case c.Target == nil, c.Handler == nil, c.Log == nil:
		return nil, errors.New("a keeper needs a target, a handler and a log")
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	return &Keeper{config: c, redial: make(chan time.Duration, 1), suspect: make(chan struct{}, 1)}, nil
}

// Serve keeps the link until ctx ends, then returns nil; links, dials and handlers
// have ended by then. It is called once.
func (k *Keeper) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	s := newKeeping(ctx, k.config)
	defer s.wait()
	defer cancel()
	s.dial(toConnect)
	for {
		select {
		case <-ctx.Done():
			return nil
		case d := <-s.dialed:
			s.onDialed(d)
		case e := <-s.ended:
			s.onEnded(e)
		case after := <-k.redial:
			s.next.Reset(after)
		case <-s.next.C:
			s.dial(toReplace)
		case <-k.suspect:
			s.dial(toRescue)
		case <-s.retry.C:
			s.dial(toConnect)
		case <-s.probe.C:
			s.dial(toUpgrade)
		case <-s.tick.C:
			s.watch()
		case <-s.wanted:
			s.accompany()
		case j := <-s.joined:
			s.onJoined(j)
		case <-s.idle.C:
			s.dismissIdle()
		}
	}
}

// Redial opens the next link after a while and drains the present one: the
// gateway's POST /link/drain. It returns at once.
func (k *Keeper) Redial(after time.Duration) {
	select {
	case k.redial <- after:
	default: // one is on its way already
	}
}

// Suspect says that the present link looks dead to the caller. The Keeper dials
// the other kinds next to it, and changes over if one answers before the present
// link is heard again. It returns at once. A QUIC link finds out for itself when
// its packets are no longer answered.
func (k *Keeper) Suspect() {
	select {
	case k.suspect <- struct{}{}:
	default:
	}
}
