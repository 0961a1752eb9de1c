package relay

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// purpose is why a dial was made.
type purpose int

const (
	toConnect purpose = iota + 1 // there is no link
	toReplace                    // the gateway asked for a drain
	toUpgrade                    // a better kind may work again
	toRescue                     // the present link is silent
)

// dialed is the end of a dial.
type dialed struct {
	purpose purpose
	heard   uint64 // the present link's count when the dial began
	target  Target
	conn    Conn
	err     error
}

// ended is the end of a link.
type ended struct {
	held *held
	err  error
}

// keeping is the state of one Keeper.Serve; only its goroutine touches it.
type keeping struct {
	ctx     context.Context
	config  Config
	backoff backoff

	current *held // nil: no link
	dialing bool
	company

	bad map[Kind]time.Time // kinds that are not trusted before that time

	forgotten time.Time // when the gateway said last, over the first kind, that it was started again
	rescued   time.Time // when another kind last took the place of a silent link

	silence silence // of current

	dialed chan dialed
	ended  chan ended
	next   *time.Timer // a drain is due
	retry  *time.Timer // no link: dial again
	probe  *time.Timer // try the better kind
	tick   *time.Ticker

	running sync.WaitGroup
}

func newKeeping(ctx context.Context, c Config) *keeping {
	s := &keeping{
		ctx: ctx, config: c, backoff: backoff{random: c.Rand},
		bad:    map[Kind]time.Time{},
		dialed: make(chan dialed), ended: make(chan ended),
		next: time.NewTimer(0), retry: time.NewTimer(0), probe: time.NewTimer(0),
		tick:    time.NewTicker(silenceTick),
		company: newCompany(),
	}
	s.next.Stop()
	s.retry.Stop()
	s.probe.Stop()
	s.backoff.down(time.Now())
	return s
}

// wait joins everything once ctx has ended.
func (s *keeping) wait() {
	s.tick.Stop()
	s.next.Stop()
	s.retry.Stop()
	s.probe.Stop()
	s.idle.Stop()
	s.running.Wait()
}

// dial starts a dial unless one is under way; its end comes over s.dialed.
func (s *keeping) dial(why purpose) {
	switch {
	case s.dialing:
		if why == toReplace {
			s.next.Reset(silenceTick) // must not be forgotten
		}
		return
	case why != toConnect && s.current == nil:
		return // a dial to connect is due anyway
	case why == toConnect && s.current != nil:
		return
	}
	dialers := s.order(why)
	if len(dialers) == 0 {
		return
	}
	s.dialing = true
	stagger := raceStagger
	if why == toRescue || why == toConnect && time.Since(s.forgotten) < leadKept {
		stagger = raceLead
	}
	d := dialed{purpose: why}
	if s.current != nil {
		_, d.heard, _ = s.current.traffic()
	}
	s.running.Go(func() {
		d.target, d.err = s.config.Target(s.ctx)
		if d.err == nil {
			d.conn, d.err = race(s.ctx, &s.running, dialers, d.target, stagger)
		}
		select {
		case s.dialed <- d:
		case <-s.ctx.Done():
			if d.conn != nil {
				d.conn.Close()
			}
		}
	})
}

// order is which kinds to race, the favourite first.
func (s *keeping) order(why purpose) []Dialer {
	rank := func(d Dialer) int {
		switch {
		case why == toRescue && d.Kind() == s.current.kind:
			return 2
		case time.Now().Before(s.bad[d.Kind()]):
			return 1
		}
		return 0
	}
	dialers := slices.Clone(s.config.Dialers)
	if why == toUpgrade {
		return dialers[:slices.IndexFunc(dialers, func(d Dialer) bool { return d.Kind() == s.current.kind })]
	}
	slices.SortStableFunc(dialers, func(a, b Dialer) int { return rank(a) - rank(b) })
	return dialers
}

func (s *keeping) onDialed(d dialed) {
	s.dialing = false
	now := time.Now()
	if d.err != nil {
		s.onDialFailed(d, now)
		return
	}
	if d.purpose == toRescue && s.current != nil {
		if _, heard, _ := s.current.traffic(); heard != d.heard {
			d.conn.Close() // it was only slow
			return
		}
	}
	if d.purpose == toRescue && s.current == nil {
		d.purpose = toConnect // the silence was not the road's fault
	}
	s.judge(d.purpose, d.conn.Kind(), now)
	if d.purpose == toRescue {
		s.rescued = now
	}
	s.next.Stop() // a drain that was asked for was of the links before
	old := s.current
	s.dismiss()
	s.alone(d.target)
	s.present(s.hold(d.conn, now, false), old != nil)
	if old != nil {
		s.running.Go(func() { old.drain(s.ctx) })
	}
	s.planProbe(now)
}

// present makes h the link that is kept.
func (s *keeping) present(h *held, replaces bool) {
	s.current = h
	s.silence = silence{}
	s.retry.Stop()
	s.config.Log.Info("link to the gateway stands", "kind", h.kind, "replaces", replaces)
	if s.config.OnUp != nil {
		s.config.OnUp(h.kind)
	}
}

func (s *keeping) onDialFailed(d dialed, now time.Time) {
	if s.ctx.Err() != nil {
		return
	}
	switch {
	case s.current == nil:
		wait := s.backoff.wait(now, d.err)
		s.config.Log.Warn("cannot reach the gateway", "error", d.err, "again", wait)
		s.tellDown(d.err)
		s.retry.Reset(wait)
	case d.purpose == toUpgrade:
		s.judge(toUpgrade, s.current.kind, now)
		s.planProbe(now)
	case d.purpose == toReplace:
		s.config.Log.Warn("cannot open the next link", "error", d.err)
		s.next.Reset(s.backoff.wait(now, d.err))
	}
}

// judge remembers which kinds did worse than the one that works.
func (s *keeping) judge(why purpose, works Kind, now time.Time) {
	delete(s.bad, works)
	for _, d := range s.config.Dialers {
		if d.Kind() == works {
			return
		}
		kept := verdictKept
		switch {
		case why == toConnect || why == toReplace:
			kept = verdictFirst // a lost packet loses a race too
		case why == toRescue && now.Sub(s.rescued) > verdictKept:
			kept = verdictFirst // it may have been the gateway that was away
		}
		if until := now.Add(kept); until.After(s.bad[d.Kind()]) {
			s.bad[d.Kind()] = until
		}
	}
}

// planProbe sets the time at which a better kind is tried next to the present link.
func (s *keeping) planProbe(now time.Time) {
	s.probe.Stop()
	if s.current.kind == s.config.Dialers[0].Kind() {
		return
	}
	wait := s.bad[s.config.Dialers[0].Kind()].Sub(now)
	s.probe.Reset(max(wait, 0) + time.Duration(s.config.Rand()*float64(wait)/2))
}

func (s *keeping) onEnded(e ended) {
	now := time.Now()
	switch e.held {
	case s.current:
	case s.beside:
		s.onParted(e, now)
		return
	default:
		s.config.Log.Info("drained link closed", "kind", e.held.kind)
		return
	}
	if s.beside != nil {
		s.promote(e, now)
		return
	}
	s.current = nil
	s.probe.Stop()
	if now.Sub(e.held.since) >= backoffSettle {
		s.backoff.down(now)
	}
	if e.err == nil {
		e.err = errors.New("closed by the other end")
	}
	if errors.Is(e.err, ErrForgotten) && e.held.kind == s.config.Dialers[0].Kind() {
		delete(s.bad, e.held.kind)
		s.forgotten = now
	}
	wait := s.backoff.wait(now, e.err)
	s.config.Log.Warn("link to the gateway is gone", "kind", e.held.kind, "error", e.err, "again", wait)
	s.tellDown(e.err)
	s.retry.Reset(wait)
}

func (s *keeping) tellDown(err error) {
	if s.config.OnDown != nil {
		s.config.OnDown(err)
	}
}

// watch finds a link that hears nothing.
func (s *keeping) watch() {
	if s.current == nil {
		return
	}
	if sent, heard, counts := s.current.traffic(); counts && s.silence.suspect(sent, heard, time.Now()) {
		s.dial(toRescue)
	}
}

// silence notices that a link's packets are no longer answered: sooner than any
// timeout of the transport, which must not close a link that is only slow.
type silence struct {
	heard uint64    // at the last look
	sent  uint64    // when that was heard
	owed  time.Time // since when an answer is due; zero: none is
}

// unanswered packets make an answer due: one or two may be bare acknowledgements,
// which nobody answers.
const unanswered = 3

func (s *silence) suspect(sent, heard uint64, now time.Time) bool {
	switch {
	case heard != s.heard:
		*s = silence{heard: heard, sent: sent}
	case s.owed.IsZero() && sent-s.sent >= unanswered:
		s.owed = now
	}
	return !s.owed.IsZero() && now.Sub(s.owed) >= silenceLimit
}
