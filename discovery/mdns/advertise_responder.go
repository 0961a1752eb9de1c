package mdns

import (
	"hash/maphash"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
)

// holder has a name of its own.
type holder interface {
	state() *claim
	// records are those of the name that nobody else may have.
	records(*place) []dns.RR
}

func (h *host) state() *claim    { return &h.claim }
func (s *service) state() *claim { return &s.claim }

// responder is the work of an Advertiser, without its goroutines: what is to be told to
// whom, and when. Each call gets the time. It never waits.
type responder struct {
	log      *slog.Logger
	wire     wire
	label    string // of the host
	places   []place
	hosts    []*host
	services []*service
	speech   map[link]*speech
	held     map[netip.AddrPort]*question // whose known answers are still coming
	budget   *budget
	seed     maphash.Seed
	own      [256]uint64 // hashes of packets that were sent last: they come back
	ownNext  int
	news     bool // what is announced may have changed
}

// speech is what is said on a link, beside probes and announcements.
type speech struct {
	due  map[answer]time.Time
	told map[answer]time.Time // when last, to all
}

func newResponder(label string, w wire, log *slog.Logger) *responder {
	return &responder{
		log: log, wire: w, label: label,
		speech: map[link]*speech{}, held: map[netip.AddrPort]*question{},
		budget: newBudget(), seed: maphash.MakeSeed(),
	}
}

func (r *responder) holders() []holder {
	all := make([]holder, 0, len(r.hosts)+len(r.services))
	for _, h := range r.hosts {
		all = append(all, h)
	}
	for _, s := range r.services {
		all = append(all, s)
	}
	return all
}

func (r *responder) place(at link) *place {
	for i := range r.places {
		if r.places[i].link == at {
			return &r.places[i]
		}
	}
	return nil
}

// use makes these the interfaces that are used.
func (r *responder) use(networks []network, now time.Time) {
	old := r.places
	r.places = nil
	for _, n := range networks {
		for _, six := range []bool{false, true} {
			p := place{link{n.Index, six}, n}
			if !n.has(!six) {
				continue
			}
			i := slices.IndexFunc(old, func(o place) bool { return o.link == p.link })
			if i < 0 {
				if err := r.wire.open(&p); err != nil {
					r.log.Debug("interface cannot be announced on yet", "interface", n.Name, "error", err)
					continue
				}
				r.speech[p.link] = &speech{map[answer]time.Time{}, map[answer]time.Time{}}
			}
			r.places = append(r.places, p)
			if i >= 0 && !old[i].equal(n) {
				r.announceHosts(&p, now)
			}
		}
	}
	for _, o := range old {
		if r.place(o.link) == nil {
			r.wire.close(o.link)
			delete(r.speech, o.link)
			for _, h := range r.holders() {
				delete(h.state().on, o.link)
			}
		}
	}
	r.news = true
	r.settle(now)
}

// wake asks for all names again: while the machine slept others may have taken them.
func (r *responder) wake(now time.Time) {
	for _, h := range r.holders() {
		h.state().doubt(now)
	}
}

func (r *responder) announceHosts(p *place, now time.Time) {
	for _, h := range r.hosts {
		h.announce(p.link, now)
	}
}

// settle makes claims on the links where there is something to tell, and ends others.
func (r *responder) settle(now time.Time) {
	due := soon(now) // one for all, so that one packet asks for all
	for i := range r.places {
		p := &r.places[i]
		for _, h := range r.hosts {
			r.fit(h, len(h.addrs(p)) > 0, p, due)
		}
		for _, s := range r.services {
			r.fit(s, len(s.host.addrs(p)) > 0, p, due)
		}
	}
}

func (r *responder) fit(h holder, fits bool, p *place, due time.Time) {
	c := h.state()
	switch has := c.on[p.link] != nil; {
	case fits && !has:
		c.probe(p.link, due)
	case !fits && has:
		r.farewell([]holder{h}, p)
		delete(c.on, p.link)
	}
}

// step does what is due and returns when the next is.
func (r *responder) step(now time.Time) time.Time {
	for from, q := range r.held {
		if !q.due.After(now) {
			delete(r.held, from)
			r.answer(q, now)
		}
	}
	for i := range r.places {
		r.advance(&r.places[i], now)
		r.speak(&r.places[i], now)
	}
	return r.next(now)
}

// advance probes and announces on a link.
func (r *responder) advance(p *place, now time.Time) {
	var asks []holder
	var news messages
	for _, h := range r.holders() {
		c := h.state()
		st := c.on[p.link]
		if st == nil || st.phase == held || st.due.After(now) {
			continue
		}
		if st.phase == probing && st.sent < probes {
			st.sent, st.due = st.sent+1, now.Add(probeGap)
			asks = append(asks, h)
			continue
		}
		s, isService := h.(*service)
		if isService && !s.host.ours(p.link) {
			st.due = now.Add(probeGap) // its host's name is not sure yet
			continue
		}
		if st.phase == probing {
			*st = standing{phase: announcing}
			r.news = true
		}
		st.sent, st.due = st.sent+1, now.Add(announceGap)
		if st.sent == announces {
			st.phase = held
		}
		if isService {
			news.add(everything(s, p), nil)
			r.said(p.link, now, answer{kind: listing, of: s}, answer{kind: instance, of: s})
		} else {
			news.add(withRest(h.records(p)), nil)
		}
		r.said(p.link, now, answer{kind: address, of: hostOf(h)})
	}
	r.probe(p, asks)
	r.sendAll(p, news.done)
}

func hostOf(h holder) *host {
	if s, ok := h.(*service); ok {
		return s.host
	}
	return h.(*host)
}

// probe asks whether names are free, and says what will be told of them (section 8.1).
// It asks for answers to everybody: an answer to us alone may reach another program.
func (r *responder) probe(p *place, asks []holder) {
	for len(asks) > 0 {
		m := &dns.Msg{Compress: true}
		n := 0
		for ; n < len(asks); n++ {
			grown := *m
			grown.Question = append(slices.Clip(grown.Question), dns.Question{Name: asks[n].state().name, Qtype: dns.TypeANY, Qclass: dns.ClassINET})
			grown.Ns = append(slices.Clip(grown.Ns), asks[n].records(p)...)
			if n > 0 && grown.Len() > maxMessage {
				break
			}
			*m = grown
		}
		asks = asks[n:]
		r.send(p, netip.AddrPort{}, m)
	}
}

func (r *responder) said(at link, now time.Time, as ...answer) {
	for _, a := range as {
		r.speech[at].told[a] = now
	}
}

// next is when something is due.
func (r *responder) next(now time.Time) time.Time {
	next := now.Add(time.Hour)
	sooner := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	for _, h := range r.holders() {
		for _, s := range h.state().on {
			if s.phase != held {
				sooner(s.due)
			}
		}
	}
	for _, s := range r.speech {
		for _, due := range s.due {
			sooner(due)
		}
	}
	for _, q := range r.held {
		sooner(q.due)
	}
	return next
}

func (r *responder) sendAll(p *place, ms []*dns.Msg) {
	for _, m := range ms {
		markUnique(m)
		r.send(p, netip.AddrPort{}, m)
	}
}

func (r *responder) send(p *place, to netip.AddrPort, m *dns.Msg) {
	data, err := m.Pack()
	if err == nil {
		r.own[r.ownNext] = maphash.Bytes(r.seed, data)
		r.ownNext = (r.ownNext + 1) % len(r.own)
		err = r.wire.send(p, to, data)
	}
	if err != nil {
		r.log.Debug("announcement could not be sent", "interface", p.Name, "error", err)
	}
}

// farewell says that records are no more (section 10.1).
func (r *responder) farewell(gone []holder, p *place) {
	var m messages
	for _, h := range gone {
		if !h.state().ours(p.link) {
			continue
		}
		rrs := h.records(p)
		if s, ok := h.(*service); ok {
			rrs = append(rrs, s.ptr())
		}
		m.add(ended(rrs), nil)
	}
	for _, msg := range m.done {
		r.send(p, netip.AddrPort{}, msg)
	}
}

func ended(rrs []dns.RR) []dns.RR {
	for _, rr := range rrs {
		rr.Header().Ttl = 0
	}
	return rrs
}

// leave says goodbye everywhere.
func (r *responder) leave() {
	for i := range r.places {
		r.farewell(r.holders(), &r.places[i])
	}
}

// announced are the records as others see them now.
func (r *responder) announced() []discovery.Record {
	var list []discovery.Record
	for _, s := range r.services {
		rec := s.want
		rec.Name, rec.Host, rec.Addrs = s.group.name(), s.host.fullName(), nil
		for i := range r.places {
			if p := &r.places[i]; s.ours(p.link) && s.host.ours(p.link) {
				for _, addr := range s.host.addrs(p) {
					if addr.IsLinkLocalUnicast() && addr.Is6() {
						addr = addr.WithZone(p.Name)
					}
					if !slices.Contains(rec.Addrs, addr) {
						rec.Addrs = append(rec.Addrs, addr)
					}
				}
			}
		}
		if len(rec.Addrs) > 0 {
			list = append(list, rec)
		}
	}
	return list
}
