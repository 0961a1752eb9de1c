package mdns

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// compete looks into somebody's probe for names that we probe for too: the one with the
// lesser data waits and asks again, and will get the other's answer (RFC 6762, section 8.2).
func (r *responder) compete(m *dns.Msg, p *place, now time.Time) {
	for h, theirs := range r.about(m.Ns) {
		st := h.state().on[p.link]
		if st != nil && st.phase == probing && st.sent > 0 && len(theirs.own) > 0 && later(theirs.own, h.records(p)) > 0 {
			st.sent, st.due = 0, now.Add(loserWait)
		}
	}
}

// claimed is what somebody says about a name of ours.
type claimed struct {
	own  []dns.RR // records of the name
	list []dns.RR // records that list it under its type
}

// about sorts out what is about names of ours.
func (r *responder) about(rrs []dns.RR) map[holder]claimed {
	if len(rrs) == 0 {
		return nil
	}
	names := make(map[string]holder, len(r.hosts)+len(r.services))
	for _, h := range r.holders() {
		names[h.state().key] = h
	}
	all := map[holder]claimed{}
	for _, rr := range rrs {
		if h := names[key(rr.Header().Name)]; h != nil {
			c := all[h]
			c.own = append(c.own, rr)
			all[h] = c
		}
		if ptr, ok := rr.(*dns.PTR); ok {
			if h := names[key(ptr.Ptr)]; h != nil {
				c := all[h]
				c.list = append(c.list, rr)
				all[h] = c
			}
		}
	}
	return all
}

// response looks at what somebody announces for names of ours.
func (r *responder) response(m *dns.Msg, p *place, now time.Time) {
	for h, theirs := range r.about(slices.Concat(m.Answer, m.Extra)) {
		c := h.state()
		st := c.on[p.link]
		switch {
		case st == nil:
		case !r.clashes(h, theirs.own, st.phase == probing):
			r.rescue(h, theirs, p, now)
		case st.phase != probing:
			r.log.Info("somebody else uses a name that is announced here; asking who has it", "name", c.name)
			c.doubt(now)
		case st.sent > 0:
			r.rename(h, now)
		}
	}
}

// clashes reports whether records of our name are not ours on any link: we may be on one
// network twice.
func (r *responder) clashes(h holder, theirs []dns.RR, probing bool) bool {
	for _, rr := range theirs {
		t := rr.Header().Rrtype
		if rr.Header().Ttl == 0 || t == dns.TypeNSEC || rr.Header().Class != dns.ClassINET {
			continue
		}
		same, ours := false, false
		for i := range r.places {
			for _, mine := range h.records(&r.places[i]) {
				same = same || mine.Header().Rrtype == t
				ours = ours || dns.IsDuplicate(mine, rr)
			}
		}
		if !ours && (same || probing) {
			return true
		}
	}
	return false
}

// rescue tells again what somebody has said of us is soon no more (section 6.6): it may be
// a false goodbye.
func (r *responder) rescue(h holder, theirs claimed, p *place, now time.Time) {
	var all []answer
	if s, ok := h.(*service); ok {
		all = append(all, answer{kind: listing, of: s}, answer{kind: instance, of: s})
	} else {
		all = append(all, answer{kind: address, of: h})
	}
	for _, a := range all {
		if !a.still(p.link) {
			continue
		}
		mine, _ := a.records(p)
		if slices.ContainsFunc(slices.Concat(theirs.own, theirs.list), func(rr dns.RR) bool {
			i := slices.IndexFunc(mine, func(m dns.RR) bool { return dns.IsDuplicate(m, rr) })
			return i >= 0 && rr.Header().Ttl < mine[i].Header().Ttl/2
		}) {
			r.say(a, p, false, now)
		}
	}
}

// rename gives a name up for the next one. Services of one name go together.
func (r *responder) rename(lost holder, now time.Time) {
	before := lost.state().name
	again := []holder{lost}
	switch h := lost.(type) {
	case *host:
		h.n++
		h.call(h.fullName() + ".")
	case *service:
		again = nil
		for _, s := range r.services {
			if s.group == h.group {
				again = append(again, s)
			}
		}
		for i := range r.places {
			r.withdraw(again, lost, &r.places[i])
		}
		for ok := false; !ok; ok = r.free(h.group) {
			h.group.n++
			for _, s := range again {
				r.name(s.(*service))
			}
		}
	}
	lost.state().clashes++
	r.news = true
	r.log.Info("name is another's; announcing under the next one", "taken", before, "name", lost.state().name)
	due := soon(now)
	for _, h := range again {
		c := h.state()
		c.clashes = max(c.clashes, lost.state().clashes)
		r.restart(h, due)
	}
	if h, ok := lost.(*host); ok {
		for _, s := range r.services {
			for at := range s.on {
				if s.host == h {
					s.announce(at, now)
				}
			}
		}
	}
}

func (r *responder) restart(h holder, due time.Time) {
	c := h.state()
	at := make([]link, 0, len(c.on))
	for l := range c.on {
		at = append(at, l)
	}
	r.forget(h)
	for _, l := range at {
		c.probe(l, due)
	}
}

// withdraw ends the old names of a group. Of the one that is another's now only our data
// end: he may be listed under it.
func (r *responder) withdraw(group []holder, lost holder, p *place) {
	var others []holder
	for _, h := range group {
		if h != lost {
			others = append(others, h)
		}
	}
	r.farewell(others, p)
	if lost.state().ours(p.link) {
		var m messages
		m.add(ended(lost.records(p)), nil)
		for _, msg := range m.done {
			r.send(p, netip.AddrPort{}, msg)
		}
	}
}
