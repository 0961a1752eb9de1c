package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/identity"
)

const (
	seenAlone   = 2 * time.Second  // a gateway must be the only one for so long before it is asked
	goneCounts  = time.Minute      // one that went still counts: somebody else may have said goodbye for it
	goneSilent  = 30 * time.Second // the one that was asked is given up if it is silent for so long
	askPause    = 5 * time.Second  // between two tries
	askPauseMax = time.Minute
	maxAsked    = 8           // addresses of a gateway at one try
	hintsAnew   = time.Minute // others have their turn where records name many addresses
	seekTick    = time.Second
)

// seeker finds a gateway for a node that has none, and the gateway of a node whose link
// fell. Records are hints: whatever they say, the node joins nobody whom no person has
// approved, and links to nobody without the gateway's key.
type seeker struct {
	uplink  *uplink
	browser discovery.Browser // nil: it does not browse
	listed  []*nearby         // that the configuration names
	tell    func(GatewayNews)
	changed chan struct{} // the uplink has

	// Of serve's goroutine.
	running  sync.WaitGroup
	seen     chan []discovery.Record // nil: it does not browse now
	stopLook context.CancelFunc
	list     []*nearby // those that are there and those that went lately
	alone    time.Time // since when the only one is that; zero: there is none, or there are more
	several  bool      // people were told so
	asking   chan askedOne
	stopAsk  context.CancelFunc
	tries    int
	next     time.Time       // not before this is one asked
	pending  *asked          // that was asked and has not decided
	warned   map[string]bool // addresses where another key was than announced
	hinted   time.Time       // when hints were given; zero: records have changed since

	mu    sync.Mutex
	found []FoundGateway
}

func newSeeker(u *uplink, c Config) *seeker {
	s := &seeker{uplink: u, browser: c.Find, tell: c.OnGateway, changed: make(chan struct{}, 1), warned: map[string]bool{}}
	for _, address := range c.Gateways {
		s.listed = append(s.listed, &nearby{addresses: []string{address}})
	}
	if s.tell == nil {
		s.tell = func(GatewayNews) {}
	}
	return s
}

// FoundGateways are the gateways nearby, while the node has none and looks for one.
// Nothing of what they say is proven.
func (n *Node) FoundGateways() []FoundGateway {
	s := n.uplink.seeker
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.found)
}

func (s *seeker) setFound(list []FoundGateway) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found = list
}

// serve looks until ctx ends.
func (s *seeker) serve(ctx context.Context) {
	if s.uplink.dir == "" || s.browser == nil && len(s.listed) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer s.running.Wait()
	defer cancel()
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		if s.look(ctx, time.Now()) {
			tick.Reset(seekTick)
		} else {
			tick.Stop()
		}
		var ended chan struct{}
		if s.pending != nil {
			ended = s.pending.done
		}
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
		case <-tick.C:
		case records := <-s.seen:
			s.take(gatewaysIn(records), time.Now())
		case one := <-s.asking:
			s.onAsked(one, time.Now())
		case <-ended:
			s.onEnded(time.Now())
		}
	}
}

// look does what is to be done now, and reports whether to look again soon though
// nothing happens.
func (s *seeker) look(ctx context.Context, now time.Time) (again bool) {
	u := s.uplink
	u.mu.Lock()
	gateway, asked, up, down := u.gateway, u.asked, u.up != "", u.down
	u.mu.Unlock()
	switch {
	case gateway == nil && asked != nil && asked.from == nil: // a person chose
		s.rest(now)
	case gateway == nil && len(s.listed) > 0:
		s.stopBrowsing(now)
		s.askListed(ctx, asked, now)
		return true
	case gateway == nil:
		s.browse(ctx)
		s.askFound(ctx, asked, now)
		return len(s.list) > 0
	case up:
		s.rest(now)
		if err := u.rememberAddress(); err != nil {
			u.log.Error("the gateway's address cannot be remembered", "error", err)
		}
	case s.browser != nil && len(u.dialers) > 0:
		s.setFound(nil)
		s.stopAsking()
		if now.Sub(down) >= linkLost {
			s.browse(ctx)
			s.hint(gateway, now)
		}
		return true
	default:
		s.rest(now)
	}
	return false
}

// rest ends looking.
func (s *seeker) rest(now time.Time) {
	s.stopAsking()
	s.stopBrowsing(now)
	s.tries = 0
}

func (s *seeker) stopBrowsing(now time.Time) {
	s.setFound(nil)
	if s.seen != nil {
		s.stopLook()
		s.seen = nil
		s.take(nil, now)
	}
}

func (s *seeker) stopAsking() {
	if s.asking != nil {
		s.stopAsk()
	}
}

// browse looks at records from now on.
func (s *seeker) browse(ctx context.Context) {
	if s.seen != nil {
		return
	}
	ctx, s.stopLook = context.WithCancel(ctx)
	seen := make(chan []discovery.Record)
	s.seen = seen
	s.running.Go(func() {
		for ctx.Err() == nil {
			err := s.browser.Browse(ctx, []string{discovery.TypeGateway}, func(records []discovery.Record) {
				select {
				case seen <- records:
				case <-ctx.Done():
				}
			})
			if ctx.Err() != nil {
				return
			}
			s.uplink.log.Warn("cannot look for gateways nearby", "error", err)
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
			}
		}
	})
}

// take makes these the gateways that are there.
func (s *seeker) take(list []*nearby, now time.Time) {
	before := s.list
	s.hinted = time.Time{}
	s.list = slices.Clip(list)
	for _, old := range before {
		if len(s.list) >= 2*maxNearby || slices.ContainsFunc(list, old.same) {
			continue
		}
		if old.gone.IsZero() {
			left := *old
			left.gone = now
			old = &left
		}
		s.list = append(s.list, old)
	}
}

// hint has the node dial where records say that its gateway is.
func (s *seeker) hint(g *joined, now time.Time) {
	if now.Sub(s.hinted) < hintsAnew {
		return
	}
	s.hinted = now
	pins := []string{identity.ShortFingerprint(g.Pin)}
	if next := g.next(now); next != "" {
		pins = append(pins, identity.ShortFingerprint(next))
	}
	var list []string
	for _, near := range s.list {
		if !near.gone.IsZero() || !slices.Contains(pins, near.fingerprint) {
			continue
		}
		for _, a := range near.addresses {
			if !slices.Contains(g.Addresses, a) {
				list = append(list, a)
			}
		}
	}
	s.uplink.setHints(some(list, maxHints))
}
