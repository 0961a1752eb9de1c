package mdns

import (
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// Times of answers (RFC 6762, sections 6 and 7.2).
const (
	listGap   = 20 * time.Millisecond // and at most listSpan more, so that several don't answer at once
	listSpan  = 100 * time.Millisecond
	sameGap   = time.Second // between two times that the same is told to all
	moreKnown = 450 * time.Millisecond
	maxHeld   = 32
)

// question is what somebody asks.
type question struct {
	at    link
	from  netip.AddrPort
	msg   *dns.Msg
	known []dns.RR // what he has already
	due   time.Time
}

// hear takes a packet in and reports whether anything may have come of it.
func (r *responder) hear(in packet, now time.Time) bool {
	p := r.place(in.at)
	if p == nil || slices.Contains(r.own[:], maphash.Bytes(r.seed, in.data)) || !r.budget.take(in.from.Addr(), now) {
		return false
	}
	m := parse(in.data)
	switch {
	case m == nil:
		return false
	case !m.Response:
		r.question(&question{at: in.at, from: in.from, msg: m, known: m.Answer}, p, now)
	case in.from.Port() == groupV4.Port(): // from another port it is nobody's answer (section 6)
		r.response(m, p, now)
	}
	return true
}

// parse reads a packet; nil if it is none that counts.
func parse(data []byte) *dns.Msg {
	m := unpack(data)
	if m == nil || m.Opcode != dns.OpcodeQuery || m.Rcode != dns.RcodeSuccess {
		return nil
	}
	for _, rrs := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range rrs {
			if rr.Header().Rrtype != dns.TypeOPT { // its class is none
				rr.Header().Class &^= flush
			}
		}
	}
	return m
}

func (r *responder) question(q *question, p *place, now time.Time) {
	if before := r.held[q.from]; before != nil {
		if len(before.known) < maxRecords {
			before.known = append(before.known, q.known...)
		}
		if len(q.msg.Question) == 0 {
			if !q.msg.Truncated {
				before.due = now
			}
			return
		}
	}
	r.compete(q.msg, p, now)
	if q.msg.Truncated && len(r.held) < maxHeld && r.held[q.from] == nil {
		q.due = now.Add(moreKnown)
		r.held[q.from] = q
		return
	}
	r.answer(q, now)
}

// answer answers, at once to one who asks by himself, soon to all.
func (r *responder) answer(q *question, now time.Time) {
	p := r.place(q.at)
	if p == nil {
		return
	}
	var private []answer
	old := q.from.Port() != groupV4.Port()
	for _, ask := range q.msg.Question {
		alone := old || ask.Qclass&flush != 0 // the bit that wants an answer to one (section 5.4)
		ask.Qclass &^= flush
		if ask.Qclass != dns.ClassINET && ask.Qclass != dns.ClassANY {
			continue
		}
		probe := slices.ContainsFunc(q.msg.Ns, func(rr dns.RR) bool { return key(rr.Header().Name) == key(ask.Name) })
		for _, a := range r.answers(ask, p) {
			if a.still(p.link) && !(probe && a.sought(p.link)) && !knows(q.known, a, p) {
				if alone && !(old && a.kind == absence) { // which a resolver would not understand
					private = append(private, a)
				}
				if !alone || !old && now.Sub(r.speech[p.link].told[a]) > shortTTL/4*time.Second {
					r.say(a, p, probe, now)
				}
			}
		}
	}
	if len(private) == 0 || !p.onLink(q.from.Addr()) {
		return // who is not of this network gets nothing sent: his address may be another's
	}
	m := reply(q.msg, private, p)
	if old {
		legacy(m, q.msg)
	} else {
		markUnique(m)
	}
	r.send(p, q.from, m)
}

// answers are what a question wants of us.
func (r *responder) answers(ask dns.Question, p *place) []answer {
	var as []answer
	name := key(ask.Name)
	list := ask.Qtype == dns.TypePTR || ask.Qtype == dns.TypeANY
	for _, s := range r.services {
		switch {
		case list && name == metaName:
			if a := (answer{kind: typeList, typ: s.want.Type}); s.ours(p.link) && !slices.Contains(as, a) {
				as = append(as, a)
			}
		case list && name == s.want.Type+"."+domain:
			as = append(as, answer{kind: listing, of: s})
		case name == s.key:
			as = append(as, uniqueAnswer(s, ask.Qtype, p))
		}
	}
	for _, h := range r.hosts {
		if name == h.key {
			as = append(as, uniqueAnswer(h, ask.Qtype, p))
		}
	}
	return as
}

// uniqueAnswer is what a name of ours has of a type, or that it has none (section 6.1).
func uniqueAnswer(h holder, qtype uint16, p *place) answer {
	has := func(rr dns.RR) bool { return qtype == dns.TypeANY || rr.Header().Rrtype == qtype }
	switch _, isHost := h.(*host); {
	case !slices.ContainsFunc(h.records(p), has):
		return answer{kind: absence, of: h}
	case isHost:
		return answer{kind: address, of: h}
	}
	return answer{kind: instance, of: h}
}

// knows reports whether who asks has the whole answer, for at least half of its life
// still (section 7.1).
func knows(known []dns.RR, a answer, p *place) bool {
	if len(known) == 0 {
		return false
	}
	rrs, _ := a.records(p)
	for _, rr := range rrs {
		if !slices.ContainsFunc(known, func(k dns.RR) bool { return dns.IsDuplicate(k, rr) && k.Header().Ttl >= rr.Header().Ttl/2 }) {
			return false
		}
	}
	return true
}

// say tells all on the link soon, but the same not more than once a second (section 6):
// only who probes for our name is answered sooner.
func (r *responder) say(a answer, p *place, probe bool, now time.Time) {
	s := r.speech[p.link]
	due, gap := now, sameGap
	switch {
	case probe:
		gap = probeGap
	case a.kind == typeList || a.kind == listing:
		due = now.Add(listGap + rand.N(listSpan))
	}
	if told, ok := s.told[a]; ok && due.Before(told.Add(gap)) {
		due = told.Add(gap)
	}
	if before, ok := s.due[a]; !ok || due.Before(before) {
		s.due[a] = due
	}
}

// polite is the first time at which something may be told to all again.
func (r *responder) polite(at link, now time.Time, a answer) time.Time {
	if told, ok := r.speech[at].told[a]; ok && now.Before(told.Add(sameGap)) {
		return told.Add(sameGap)
	}
	return now
}

// speak tells what is due, and with it what would be soon.
func (r *responder) speak(p *place, now time.Time) {
	s := r.speech[p.link]
	var as []answer
	for a, due := range s.due {
		if !due.After(now) {
			as = append(as, a)
		}
	}
	if len(as) == 0 {
		return
	}
	for a, due := range s.due {
		if due.After(now) && !due.After(now.Add(listSpan)) && now.Sub(s.told[a]) >= sameGap {
			as = append(as, a)
		}
	}
	var m messages
	for _, a := range r.inOrder(as) {
		delete(s.due, a)
		if !a.still(p.link) {
			continue
		}
		m.add(a.records(p))
		s.told[a] = now
		if h, ok := a.of.(*service); ok && a.kind == listing {
			r.said(p.link, now, answer{kind: instance, of: h})
		}
	}
	r.sendAll(p, m.done)
}

// inOrder puts answers into the order of the services, so that packets are the same
// each time.
func (r *responder) inOrder(as []answer) []answer {
	all := r.holders()
	rank := func(a answer) int {
		return slices.IndexFunc(all, func(h holder) bool { return h == a.of })*8 + int(a.kind)
	}
	slices.SortStableFunc(as, func(a, b answer) int { return rank(a) - rank(b) })
	return as
}
