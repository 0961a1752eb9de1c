package mdns

import (
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/platen-scan/platen/discovery"
)

// want makes these the records that are announced. What stays the same is not touched.
func (r *responder) want(records []discovery.Record, now time.Time) {
	records = r.valid(records)
	match := r.match(records)
	var gone []holder
	r.services = slices.DeleteFunc(r.services, func(s *service) bool {
		if slices.Contains(match, s) {
			return false
		}
		gone = append(gone, s)
		return true
	})
	hosts := r.hostsFor(records, now)
	for i, rec := range records {
		s := match[i]
		if s == nil {
			s = &service{claim: claim{on: map[link]*standing{}}, want: rec, host: hosts[i]}
			r.add(s)
			continue
		}
		changed := s.want.Port != rec.Port || !maps.Equal(s.want.Text, rec.Text) || s.host != hosts[i]
		s.want, s.host = rec, hosts[i]
		if changed {
			for at := range s.on {
				s.announce(at, r.polite(at, now, answer{kind: instance, of: s}))
			}
		}
	}
	r.hosts = slices.DeleteFunc(r.hosts, func(h *host) bool {
		if slices.Contains(hosts, h) {
			return false
		}
		gone = append(gone, h)
		return true
	})
	for i := range r.places {
		r.farewell(gone, &r.places[i])
	}
	for _, h := range gone {
		r.forget(h)
	}
	r.news = true
	r.settle(now)
}

// valid leaves out what cannot be announced.
func (r *responder) valid(records []discovery.Record) []discovery.Record {
	var good []discovery.Record
	for _, rec := range records {
		rec.Host = strings.TrimSuffix(strings.TrimSuffix(rec.Host, "."), ".local")
		if rec.Host == "" {
			rec.Host = r.label
		}
		rec.Name = discovery.Cut(rec.Name, discovery.MaxName)
		if rec.Name == "" || rec.Port == 0 || !validType(rec.Type) || !validHost(rec.Host) || !validText(rec.Text) {
			r.log.Warn("record cannot be announced", "type", rec.Type, "name", rec.Name)
			continue
		}
		good = append(good, rec)
	}
	return good
}

// match finds for each record the service that it already is; nil: none.
func (r *responder) match(records []discovery.Record) []*service {
	match := make([]*service, len(records))
	for _, same := range []func(s *service, rec discovery.Record) bool{
		func(s *service, rec discovery.Record) bool { return s.want.Port == rec.Port },
		func(*service, discovery.Record) bool { return true }, // its port has changed
	} {
		for i, rec := range records {
			for _, s := range r.services {
				if match[i] == nil && s.want.Type == rec.Type && s.want.Name == rec.Name && !slices.Contains(match, s) && same(s, rec) {
					match[i] = s
				}
			}
		}
	}
	return match
}

// add takes a new service in. Services of different types with one name belong together
// and keep one name; those of one type are different things.
func (r *responder) add(s *service) {
	others := r.services
	r.services = append(r.services, s)
	for _, other := range others {
		if other.want.Name == s.want.Name && !r.member(other.group, s.want.Type) {
			if s.group = other.group; r.named(s) {
				return
			}
		}
	}
	base, n := numberOf(s.want.Name)
	for s.group = (&group{base, n}); !r.named(s); s.group.n++ {
	}
}

// named gives a service its group's name and reports whether no other of ours has it.
func (r *responder) named(s *service) bool {
	r.name(s)
	return r.free(s.group)
}

// member reports whether a group has a service of a type.
func (r *responder) member(g *group, typ string) bool {
	return slices.ContainsFunc(r.services, func(s *service) bool { return s.group == g && s.want.Type == typ })
}

// free reports whether no other service of ours has a name of the group.
func (r *responder) free(g *group) bool {
	names := map[string]*group{}
	for _, s := range r.services {
		if other := names[s.key]; other != nil && other != s.group && (other == g || s.group == g) {
			return false
		}
		names[s.key] = s.group
	}
	return true
}

func (r *responder) name(s *service) {
	name, err := instanceName(s.group.name(), s.want.Type)
	if err != nil {
		panic(fmt.Sprintf("mdns: name of a valid record: %v", err)) // its length was looked at
	}
	s.call(name)
}

// hostsFor finds or makes the host of each record. Records that tell the same addresses
// share one. The first kind of them has the host's name, those that tell all before
// others; the rest have a suffix, because one name has one set of addresses.
func (r *responder) hostsFor(records []discovery.Record, now time.Time) []*host {
	first := map[string][]netip.Addr{}
	for _, rec := range records {
		if only, ok := first[rec.Host]; !ok || len(only) > 0 && len(rec.Addrs) == 0 {
			first[rec.Host] = onlyOf(rec.Addrs)
		}
	}
	hosts := make([]*host, len(records))
	for i, rec := range records {
		only, label := onlyOf(rec.Addrs), rec.Host
		if !slices.Equal(only, first[rec.Host]) {
			sum := fnv.New32a()
			fmt.Fprint(sum, only)
			label = fmt.Sprintf("%s-%04x", label, sum.Sum32()&0xffff)
		}
		hosts[i] = r.host(label, only, now)
	}
	return hosts
}

func onlyOf(addrs []netip.Addr) []netip.Addr {
	var only []netip.Addr
	for _, addr := range addrs {
		only = append(only, addr.Unmap().WithZone(""))
	}
	slices.SortFunc(only, netip.Addr.Compare)
	return slices.Compact(only)
}

func (r *responder) host(label string, only []netip.Addr, now time.Time) *host {
	for _, h := range r.hosts {
		if key(h.label) == key(label) {
			if !slices.Equal(h.only, only) {
				h.only = only
				for at := range h.on {
					h.announce(at, now)
				}
			}
			return h
		}
	}
	h := &host{claim: claim{on: map[link]*standing{}}, label: label, n: 1, only: only}
	h.call(h.fullName() + ".")
	r.hosts = append(r.hosts, h)
	return h
}

// fullName is the name with its domain, without the last dot.
func (h *host) fullName() string { return hostLabel(h.label, h.n) + ".local" }

// forget ends all that is still to be said of a holder.
func (r *responder) forget(h holder) {
	clear(h.state().on)
	for _, s := range r.speech {
		maps.DeleteFunc(s.due, func(a answer, _ time.Time) bool { return a.of == h })
		maps.DeleteFunc(s.told, func(a answer, _ time.Time) bool { return a.of == h })
	}
}
