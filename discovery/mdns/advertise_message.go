package mdns

import (
	"slices"

	"github.com/miekg/dns"
)

// maxMessage is how many bytes of records go into one packet, so that it crosses any
// network in one piece.
const maxMessage = 1440

type kind int

const (
	typeList kind = iota + 1 // that there is this type
	listing                  // the service is listed under its type: PTR
	instance                 // the service: SRV and TXT
	address                  // the host: A and AAAA
	absence                  // a name of ours has no such record: NSEC
)

// answer is something that can be told. Equal answers are the same thing.
type answer struct {
	kind kind
	of   holder // nil of typeList
	typ  string // of typeList
}

// still reports whether it is true on a link.
func (a answer) still(at link) bool {
	if a.of == nil {
		return true
	}
	s, ok := a.of.(*service)
	return a.of.state().ours(at) && (!ok || s.host.ours(at))
}

// sought reports whether its name is being claimed on a link: then whoever claims it too
// gets no answer to that.
func (a answer) sought(at link) bool {
	return a.of != nil && a.of.state().on[at].phase == probing
}

// records are the answer and what who asked will ask next, so that one packet is enough
// (RFC 6763, section 12).
func (a answer) records(p *place) (rrs, more []dns.RR) {
	s, _ := a.of.(*service)
	switch a.kind {
	case typeList:
		return []dns.RR{&dns.PTR{Hdr: header(metaName, dns.TypePTR, longTTL), Ptr: a.typ + "." + domain}}, nil
	case listing:
		return []dns.RR{s.ptr()}, slices.Concat(s.records(p), withRest(s.host.records(p)), []dns.RR{rest(s.name, s.records(p))})
	case instance:
		return s.records(p), withRest(s.host.records(p))
	case address:
		rrs := a.of.records(p)
		return rrs, []dns.RR{rest(a.of.state().name, rrs)}
	case absence:
		return []dns.RR{rest(a.of.state().name, a.of.records(p))}, nil
	}
	panic("mdns: answer without a kind")
}

func withRest(rrs []dns.RR) []dns.RR {
	if len(rrs) == 0 {
		return nil
	}
	return append(rrs, rest(rrs[0].Header().Name, rrs))
}

// everything is what is told of a service when it is new.
func everything(s *service, p *place) []dns.RR {
	rrs, more := answer{kind: listing, of: s}.records(p)
	return append(rrs, more...)
}

// messages packs blocks of records into as few responses as there must be. A block stays
// together; what several need is in each message once.
type messages struct {
	done []*dns.Msg
	last *dns.Msg
}

func (m *messages) add(rrs, more []dns.RR) {
	if m.last != nil {
		grown := *m.last
		grown.Answer = appendNew(slices.Clip(grown.Answer), nil, rrs)
		grown.Extra = appendNew(slices.Clip(grown.Extra), grown.Answer, more)
		if grown.Len() <= maxMessage {
			*m.last = grown
			return
		}
	}
	m.last = &dns.Msg{Compress: true}
	m.last.Response, m.last.Authoritative = true, true
	m.last.Answer = appendNew(nil, nil, rrs)
	m.last.Extra = appendNew(nil, m.last.Answer, more)
	m.done = append(m.done, m.last)
}

// appendNew appends those that are in neither list yet.
func appendNew(list, other, rrs []dns.RR) []dns.RR {
	for _, rr := range rrs {
		if !contains(list, rr) && !contains(other, rr) {
			list = append(list, rr)
		}
	}
	return list
}

// contains reports whether a list has a record, whatever its life.
func contains(list []dns.RR, rr dns.RR) bool {
	return slices.ContainsFunc(list, func(other dns.RR) bool { return dns.IsDuplicate(other, rr) })
}

// reply makes one packet for one who asks by himself: what was asked first, and of the
// rest what has room.
func reply(q *dns.Msg, as []answer, p *place) *dns.Msg {
	m := &dns.Msg{Compress: true}
	m.Id, m.Response, m.Authoritative = q.Id, true, true
	var more []dns.RR
	for _, a := range as {
		rrs, extra := a.records(p)
		for _, rr := range rrs {
			if !asked(q.Question, a, rr) {
				more = append(more, rr)
			} else if m.Answer = appendNew(m.Answer, nil, []dns.RR{rr}); m.Len() > maxMessage && len(m.Answer) > 1 {
				m.Answer = m.Answer[:len(m.Answer)-1]
			}
		}
		more = append(more, extra...)
	}
	for _, rr := range more {
		if m.Extra = appendNew(m.Extra, m.Answer, []dns.RR{rr}); m.Len() > maxMessage {
			m.Extra = m.Extra[:len(m.Extra)-1]
			break
		}
	}
	return m
}

func asked(questions []dns.Question, a answer, rr dns.RR) bool {
	return a.kind == absence || slices.ContainsFunc(questions, func(q dns.Question) bool {
		return key(q.Name) == key(rr.Header().Name) && (q.Qtype == dns.TypeANY || q.Qtype == rr.Header().Rrtype)
	})
}

// markUnique sets the bit that replaces what others have cached, where the record is ours
// alone.
func markUnique(m *dns.Msg) {
	for _, rr := range slices.Concat(m.Answer, m.Extra) {
		if rr.Header().Rrtype != dns.TypePTR {
			rr.Header().Class |= flush
		}
	}
}

// legacy makes of m what a resolver expects that knows nothing of multicast DNS.
func legacy(m *dns.Msg, q *dns.Msg) {
	m.Question = slices.Clone(q.Question)
	for _, rr := range slices.Concat(m.Answer, m.Extra) {
		rr.Header().Ttl = min(rr.Header().Ttl, legacyTTL)
	}
}
