package mdns

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/platen-scan/platen/discovery"
)

// Times of questions (RFC 6762, section 5.2).
const (
	firstQuestion = 20 * time.Millisecond // and at most questionSpan more: many machines may start at once
	questionSpan  = 100 * time.Millisecond
	maxGap        = time.Hour
	// askGap is how long questions are collected after some were asked.
	askGap = 100 * time.Millisecond
)

// search is one call of Browse. It belongs to one goroutine.
type search struct {
	browser *Browser
	wire    wire
	types   []string
	table   *discovery.Table
	places  []place
	plans   map[string]*plan // by interface
	failed  map[link]bool    // those that could not be opened
	asked   time.Time
}

// plan is when an interface is asked for all types.
type plan struct {
	index int
	next  time.Time
	gap   time.Duration
}

func newPlan(index int, now time.Time) *plan {
	return &plan{index: index, next: now.Add(firstQuestion + rand.N(questionSpan)), gap: time.Second}
}

// advance sets the next time: after 1, 3, 9 seconds and so on, at last every hour.
func (p *plan) advance(now time.Time) {
	p.next = now.Add(p.gap + rand.N(p.gap/20))
	p.gap = min(3*p.gap, maxGap)
}

// use makes these the interfaces that are used.
func (s *search) use(networks []network, now time.Time) {
	old := s.places
	s.places = nil
	for _, n := range networks {
		for _, six := range []bool{false, true} {
			p := place{link{n.Index, six}, n}
			if !n.has(!six) || !s.open(&p, old) {
				continue
			}
			s.places = append(s.places, p)
		}
	}
	for _, o := range old {
		if s.place(o.link) == nil {
			s.wire.close(o.link)
		}
	}
	prefixes := map[string][]netip.Prefix{}
	for _, p := range s.places {
		prefixes[p.Name] = p.Prefixes
	}
	for name, plan := range s.plans {
		// One that has come back under its name is another one: what was heard on it goes.
		if i := slices.IndexFunc(s.places, func(p place) bool { return p.Name == name }); i < 0 || s.places[i].index != plan.index {
			delete(s.plans, name)
			without := map[string][]netip.Prefix{}
			for other, p := range prefixes {
				if other != name {
					without[other] = p
				}
			}
			s.table.SetInterfaces(without)
		}
	}
	s.table.SetInterfaces(prefixes)
	for _, p := range s.places {
		i := slices.IndexFunc(old, func(o place) bool { return o.link == p.link })
		if s.plans[p.Name] == nil || i < 0 || !old[i].equal(p.network) {
			s.plans[p.Name] = newPlan(p.index, now)
		}
	}
}

// open reports whether a place is open now.
func (s *search) open(p *place, old []place) bool {
	if slices.ContainsFunc(old, func(o place) bool { return o.link == p.link }) {
		return true
	}
	err := s.wire.open(p)
	if err != nil && !s.failed[p.link] {
		s.browser.log.Warn("interface cannot be looked at yet", "interface", p.Name, "error", err)
	}
	s.failed[p.link] = err != nil
	return err == nil
}

func (s *search) place(at link) *place {
	i := slices.IndexFunc(s.places, func(p place) bool { return p.link == at })
	if i < 0 {
		return nil
	}
	return &s.places[i]
}

func (s *search) leave() {
	for _, p := range s.places {
		s.wire.close(p.link)
	}
}

// wake looks at everything anew after a sleep: the machine may be elsewhere.
func (s *search) wake(now time.Time) {
	s.table.Doubt()
	for name, p := range s.plans {
		s.plans[name] = newPlan(p.index, now)
	}
}

// hear takes a packet in.
func (s *search) hear(in packet) {
	p := s.place(in.at)
	if p == nil || len(in.data) >= 3 && in.data[2]&0x80 == 0 {
		return // a question, also our own
	}
	if in.from.Port() != groupV4.Port() || !p.onLink(in.from.Addr()) || !s.table.Admit(in.from.Addr()) {
		s.browser.ignored.Add(1)
		return
	}
	entries, ok := readEntries(in.data)
	if !ok {
		s.browser.ignored.Add(1)
		return
	}
	s.table.Take(discovery.Answer{Interface: p.Name, From: in.from.Addr(), Entries: entries})
}

// step asks what is due and says when it is to be called again.
func (s *search) step(now time.Time) time.Time {
	if next := s.next(); next.IsZero() || next.After(now) {
		return next
	}
	ask := map[string][]discovery.Question{}
	for name, p := range s.plans {
		if !p.next.After(now) {
			p.advance(now)
			for _, typ := range s.types {
				ask[name] = append(ask[name], discovery.Question{Interface: name, Kind: discovery.PTR, Type: typ})
			}
		}
	}
	for _, q := range s.table.Due() {
		if !slices.Contains(ask[q.Interface], q) {
			ask[q.Interface] = append(ask[q.Interface], q)
		}
	}
	for name, questions := range ask {
		s.asked = now
		for _, data := range writeQuestions(questions, s.table.Known) {
			s.send(name, data)
		}
	}
	return s.next()
}

// next is when something is due. Questions wait for others, so that they can go in one
// packet.
func (s *search) next() time.Time {
	next := s.table.Next()
	for _, p := range s.plans {
		if next.IsZero() || p.next.Before(next) {
			next = p.next
		}
	}
	if rest := s.asked.Add(askGap); !next.IsZero() && next.Before(rest) {
		return rest
	}
	return next
}

func (s *search) send(name string, data []byte) {
	for i := range s.places {
		if p := &s.places[i]; p.Name == name {
			if err := s.wire.send(p, netip.AddrPort{}, data); err != nil {
				s.browser.log.Debug("sending a question failed", "interface", name, "error", err)
			}
		}
	}
}
