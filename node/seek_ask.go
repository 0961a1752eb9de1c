package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

// askedOne is how asking went.
type askedOne struct {
	of    *nearby
	asked *asked
	err   error
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
