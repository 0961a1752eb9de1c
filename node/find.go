package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
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

// askedOne is how asking went.
type askedOne struct {
	of    *nearby
	asked *asked
	err   error
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

// askFound asks the gateway that is there, if it is the only one.
func (s *seeker) askFound(ctx context.Context, waits *asked, now time.Time) {
	s.setFound(foundOf(slices.DeleteFunc(slices.Clone(s.list), func(g *nearby) bool { return !g.gone.IsZero() })))
	s.list = slices.DeleteFunc(s.list, func(g *nearby) bool { return !g.gone.IsZero() && now.Sub(g.gone) >= goneCounts })
	if waits != nil && !slices.ContainsFunc(s.list, waits.from.same) {
		// It counts for as long as it is waited for.
		left := *waits.from
		left.gone = now
		s.list = append(s.list, &left)
	}
	only := len(s.list) == 1 && s.list[0].gone.IsZero()
	if len(s.list) > 1 {
		s.stopAsking()
		if waits != nil {
			s.uplink.withdraw(waits, errSeveral)
		}
		s.tellSeveral()
	}
	s.several = len(s.list) > 1
	switch {
	case !only:
		s.alone = time.Time{}
		if waits != nil && len(s.list) == 1 {
			s.giveUpSilent(waits, now)
		}
		return
	case s.alone.IsZero():
		s.alone, s.tries = now, 0
		if soon := now.Add(askPause); s.next.After(soon) {
			s.next = soon // it may be another one than the one that is to be spared
		}
	}
	g := s.list[0]
	switch {
	case waits != nil:
		if !slices.Contains(g.addresses, waits.target.Addr) {
			s.giveUpSilent(waits, now) // it has moved
		}
	case now.Sub(s.alone) >= seenAlone && !s.unwanted(g):
		s.ask(ctx, []*nearby{g}, now)
	}
}

func (s *seeker) tellSeveral() {
	if s.several {
		return
	}
	all := foundOf(s.list)
	s.uplink.log.Warn("several gateways are nearby, so that none is asked to let this node in", "number", len(all), "first", all[:2])
	s.tell(GatewayNews{Kind: NewsSeveral, Found: all})
}

// giveUpSilent ends the wait for a gateway that is not where it was.
func (s *seeker) giveUpSilent(a *asked, now time.Time) {
	s.uplink.mu.Lock()
	silent := a.silent
	s.uplink.mu.Unlock()
	if !silent.IsZero() && now.Sub(silent) >= goneSilent {
		s.uplink.withdraw(a, errGone)
	}
}

// askListed asks the gateways of the configuration in turn.
func (s *seeker) askListed(ctx context.Context, waits *asked, now time.Time) {
	var list []*nearby
	for _, g := range s.listed {
		if !s.unwanted(g) {
			list = append(list, g)
		}
	}
	switch {
	case waits == nil:
		s.ask(ctx, list, now)
	case len(list) > 1:
		s.giveUpSilent(waits, now)
	}
}

// unwanted reports whether the node does not ask a gateway by itself, because it refused
// the node or was left by it.
func (s *seeker) unwanted(g *nearby) bool {
	s.uplink.mu.Lock()
	defer s.uplink.mu.Unlock()
	for name := range s.uplink.unwanted {
		if g.fingerprint != "" && identity.ShortFingerprint(name) == g.fingerprint || g.fingerprint == "" && name == g.addresses[0] {
			return true
		}
	}
	return false
}

// ask asks one of the gateways, unless that is under way or it is too soon.
func (s *seeker) ask(ctx context.Context, list []*nearby, now time.Time) {
	if s.asking != nil || len(list) == 0 || now.Before(s.next) {
		return
	}
	ctx, s.stopAsk = context.WithCancel(ctx)
	asking := make(chan askedOne, 1)
	s.asking = asking
	warned := s.warned // this goroutine's until it answers
	s.running.Go(func() {
		var one askedOne
		for _, one.of = range list {
			if one.asked, one.err = s.uplink.askNearby(ctx, one.of, warned); one.err == nil || ctx.Err() != nil {
				break
			}
		}
		asking <- one
	})
}

// errOtherKey is the error of an address where another key is proven than announced.
var errOtherKey = errors.New("the key there is not the one that is announced")

// askNearby asks a gateway at each of its addresses until one of them answers.
func (u *uplink) askNearby(ctx context.Context, g *nearby, warned map[string]bool) (*asked, error) {
	var tried []error
	for _, address := range some(g.addresses, maxAsked) {
		pin, err := u.meet(ctx, address, u.identity)
		if err == nil && g.fingerprint != "" && identity.ShortFingerprint(pin) != g.fingerprint {
			if err = errOtherKey; !warned[address] && len(warned) < maxUnwanted {
				warned[address] = true
				u.log.Warn("somebody with another key answers for a gateway and is not asked", "gateway", g.name, "address", address,
					"announced", g.fingerprint, "met", identity.ShortFingerprint(pin))
			}
		}
		var a *asked
		if err == nil {
			a, err = u.askMet(ctx, relay.Target{Addr: address, Pin: pin, Identity: u.identity}, g)
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, errAskedAnew) {
			return a, err
		}
		if tried = append(tried, err); refuses(err) {
			u.mu.Lock()
			u.rejectLocked(pin, address)
			u.mu.Unlock()
		}
		if errors.As(err, new(*problem.Error)) {
			break // the gateway has said it; elsewhere it says the same
		}
	}
	return nil, errors.Join(tried...)
}

// onAsked takes in how asking went.
func (s *seeker) onAsked(one askedOne, now time.Time) {
	s.stopAsk()
	s.asking = nil
	switch {
	case one.err == nil:
		s.tries, s.pending = 0, one.asked
		s.tell(GatewayNews{Kind: NewsWaiting, Gateway: one.asked.found(), Check: one.asked.check})
		return
	case errors.Is(one.err, context.Canceled), errors.Is(one.err, errAskedAnew):
		s.next = now.Add(askPause)
		return
	}
	pause := min(askPause<<min(s.tries, 8), askPauseMax)
	level := slog.LevelInfo
	if s.tries++; s.tries > 1 {
		level = slog.LevelDebug // the same once a minute
	}
	var p *problem.Error
	if errors.As(one.err, &p) {
		pause = max(pause, min(p.RetryAfter, approvalLife))
	}
	s.next = now.Add(pause)
	s.uplink.log.Log(context.Background(), level, "cannot ask for approval", "error", one.err, "again", pause)
	if refuses(one.err) {
		s.tell(GatewayNews{Kind: NewsEnded, Gateway: one.of.found(), Err: one.err})
	}
}

// found is the gateway that was asked, at the address where it was.
func (a *asked) found() FoundGateway {
	f := FoundGateway{Address: a.target.Addr, Fingerprint: identity.ShortFingerprint(a.target.Pin)}
	if a.from != nil {
		f.Name = a.from.name
	}
	return f
}

// onEnded takes in that the gateway that was asked has decided, or is waited for no more.
func (s *seeker) onEnded(now time.Time) {
	a := s.pending
	s.pending, s.next = nil, now.Add(askPause)
	switch {
	case a.err == nil:
		if joined, _ := s.uplink.state(); joined != a.target.Addr {
			return // a person was faster
		}
		s.tell(GatewayNews{Kind: NewsJoined, Gateway: a.found()})
	case errors.Is(a.err, errAskedAnew), errors.Is(a.err, errGatewayLeft), errors.Is(a.err, errSeveral):
		// A person did it, or people were told.
	default:
		s.tell(GatewayNews{Kind: NewsEnded, Gateway: a.found(), Err: a.err})
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
