package discovery

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// each calls do with every set, how to ask for it and how often while it is empty.
func (t *Table) each(do func(q Question, s *set, times int)) {
	for name, l := range t.links {
		for _, in := range l.instances {
			do(Question{Interface: name, Kind: PTR, Type: in.typ}, &in.ptr, 0)
			do(Question{Interface: name, Kind: SRV, Type: in.typ, Name: in.raw}, &in.srv, asks)
			do(Question{Interface: name, Kind: TXT, Type: in.typ, Name: in.raw}, &in.tx, asks)
		}
		for _, h := range l.hosts {
			do(Question{Interface: name, Kind: A, Host: h.name}, &h.a, h.a.times(&h.aaaa))
			do(Question{Interface: name, Kind: AAAA, Host: h.name}, &h.aaaa, h.aaaa.times(&h.a))
		}
	}
}

// Due is what is to be asked now: what is missing, what is near its end and what has to be
// confirmed. The Table takes it as asked.
func (t *Table) Due() []Question {
	t.sweep()
	var due []Question
	if now := t.now(); t.next.IsZero() || now.Before(t.next) {
		return nil
	}
	t.clean = false
	t.each(func(q Question, s *set, times int) {
		if s.due(t.now(), times) && !(q.Kind == PTR && slices.Contains(due, q)) {
			due = append(due, q)
		}
	})
	slices.SortFunc(due, func(a, b Question) int {
		return cmp.Or(strings.Compare(a.Interface, b.Interface), cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Type, b.Type),
			strings.Compare(a.Name, b.Name), strings.Compare(a.Host, b.Host))
	})
	return due
}

// Known is what those who answer a question for instances of a type need not say: what
// will live for more than half its time (RFC 6762, section 7.1). Its TTL is what is left.
func (t *Table) Known(q Question) []Entry {
	l := t.links[q.Interface]
	if l == nil || q.Kind != PTR {
		return nil
	}
	var known []Entry
	for key, in := range l.instances {
		v := in.ptr.first()
		if key.typ != q.Type || v == nil || !v.doubt.IsZero() || !v.gone.IsZero() {
			continue
		}
		if left := v.received.Add(v.TTL).Sub(t.now()); left > v.TTL/2 {
			known = append(known, Entry{Kind: PTR, Type: in.typ, Name: in.raw, TTL: left})
		}
	}
	slices.SortFunc(known, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return known
}

// Next is when List may have changed or something is due without a packet having come;
// zero: never.
func (t *Table) Next() time.Time {
	t.sweep()
	return t.next
}

// List is every record that is complete, in order of type, name and interface.
func (t *Table) List() []Record {
	t.sweep()
	var list []Record
	for name, l := range t.links {
		for _, in := range l.instances {
			if !l.complete(in) {
				continue
			}
			srv := in.srv.first()
			list = append(list, Record{
				Type: in.typ, Name: in.name, Host: srv.Host, Port: srv.Port,
				Text: maps.Clone(in.tx.first().text), Addrs: l.addrs(name, l.hosts[srv.host]), Interface: name,
			})
		}
	}
	Sort(list)
	return list
}

func (l *link) complete(in *instance) bool {
	srv := in.srv.first()
	if len(in.ptr.values) == 0 || len(in.tx.values) == 0 || srv == nil {
		return false
	}
	h := l.hosts[srv.host]
	return h != nil && (slices.ContainsFunc(h.a.values, l.near) || slices.ContainsFunc(h.aaaa.values, l.near))
}

// near reports whether an address belongs to this link.
func (l *link) near(v *value) bool {
	return v.Addr.IsLinkLocalUnicast() || slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool { return p.Contains(v.Addr) })
}

// addrs are the addresses of a host that belong to this link, best first.
func (l *link) addrs(zone string, h *host) []netip.Addr {
	var addrs []netip.Addr
	for _, s := range []*set{&h.a, &h.aaaa} {
		for _, v := range s.values {
			switch {
			case !l.near(v):
			case v.Addr.Is6() && v.Addr.IsLinkLocalUnicast():
				addrs = append(addrs, v.Addr.WithZone(zone))
			default:
				addrs = append(addrs, v.Addr)
			}
		}
	}
	SortAddrs(addrs)
	return addrs[:min(len(addrs), MaxAddrs)]
}

// SortAddrs puts the best addresses first: IPv4, then IPv6, and those that are only of
// one link last.
func SortAddrs(addrs []netip.Addr) {
	rank := func(a netip.Addr) int {
		n := 0
		if a.Is6() {
			n = 1
		}
		if a.IsLinkLocalUnicast() {
			n += 2
		}
		return n
	}
	slices.SortFunc(addrs, func(a, b netip.Addr) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Compare(b)) })
}
