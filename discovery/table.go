package discovery

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Bounds of a Table, beside those of a Record.
const (
	maxEntries = 1000 // of all senders
	// maxOwned is what one sender can fill: enough for the scanners of an office that one
	// machine shares.
	maxOwned = maxEntries / 4
	// ownSeen is how many records of a type one sender can keep when others want room.
	ownSeen = MaxSeen / 4
	// maxTaken is how many entries of a packet are read.
	maxTaken = 200
	// maxValues is how many different SRV or TXT a name can have while it is decided which
	// one is true.
	maxValues = 4
	// lackFor is how long an instance may lack something before it is forgotten.
	lackFor = 30 * time.Second
)

// Table makes records of what packets say, by the rules of a cache of multicast DNS (RFC
// 6762). Whatever it is told it stays within its bounds, and one sender cannot push out
// what others said.
//
// A Table belongs to one goroutine. Its user tells it the interfaces, gives it packets
// that it admits, asks what it is due to ask, and looks at it again at Next.
type Table struct {
	now       func() time.Time
	types     map[string]string // as they are asked for, by their folded name
	links     map[string]*link
	owned     map[netip.Addr]int // entries by who said them first
	entries   int
	admission admission
	next      time.Time // see Next; right if clean
	clean     bool      // nothing was said since the last sweep
}

// link is what was heard on one interface.
type link struct {
	prefixes  []netip.Prefix
	instances map[instanceKey]*instance
	hosts     map[string]*host // by their folded name; only those that an instance names
}

type instanceKey struct{ typ, name string }

type instance struct {
	typ, name    string
	raw          string // the name as it is asked for
	since        time.Time
	lacks        time.Time // since when it is not complete; zero: it is
	ptr, srv, tx set
}

type host struct {
	name    string
	a, aaaa set
	named   bool // while sweep looks at who names it
}

// NewTable makes a Table of services of these types. now is the clock; nil: time.Now.
func NewTable(types []string, now func() time.Time) *Table {
	t := &Table{now: now, types: map[string]string{}, links: map[string]*link{}, owned: map[netip.Addr]int{}}
	if t.now == nil {
		t.now = time.Now
	}
	for _, typ := range types {
		t.types[fold(typ)] = typ
	}
	return t
}

// SetInterfaces says which interfaces there are, with their subnets. What was heard on
// others is gone. On one whose subnets have changed everything has to be confirmed: it may
// be another network.
func (t *Table) SetInterfaces(prefixes map[string][]netip.Prefix) {
	now := t.now()
	t.clean = false
	for name, l := range t.links {
		if _, there := prefixes[name]; !there {
			for key := range l.instances {
				t.forget(l, key)
			}
			for _, h := range l.hosts {
				t.dropAll(&h.a, &h.aaaa)
			}
			delete(t.links, name)
		} else if !slices.Equal(l.prefixes, prefixes[name]) {
			l.doubt(now)
		}
	}
	for name, p := range prefixes {
		if t.links[name] == nil {
			t.links[name] = &link{instances: map[instanceKey]*instance{}, hosts: map[string]*host{}}
		}
		t.links[name].prefixes = slices.Clone(p)
	}
}

// Doubt makes everything need to be confirmed, as after a sleep.
func (t *Table) Doubt() {
	t.clean = false
	for _, l := range t.links {
		l.doubt(t.now())
	}
}

func (l *link) doubt(now time.Time) {
	l.each(func(s *set) {
		for _, v := range s.values {
			v.suspect(now)
		}
	})
}

func (l *link) each(do func(*set)) {
	for _, in := range l.instances {
		do(&in.ptr)
		do(&in.srv)
		do(&in.tx)
	}
	for _, h := range l.hosts {
		do(&h.a)
		do(&h.aaaa)
	}
}

// Take remembers what a packet said.
func (t *Table) Take(a Answer) {
	t.sweep()
	l, from := t.links[a.Interface], a.From.Unmap().WithZone("")
	if l == nil {
		return
	}
	t.clean = false
	entries := a.Entries[:min(len(a.Entries), maxTaken)]
	// Addresses are only kept of hosts that an instance names, and SRV and TXT only of
	// instances that are there: the order in the packet is the sender's.
	for _, e := range entries {
		if e.Kind == PTR {
			t.takePTR(l, from, e)
		}
	}
	for _, e := range entries {
		if e.Kind == SRV || e.Kind == TXT {
			t.takeInstance(l, from, e)
		}
	}
	for _, e := range entries {
		if e.Kind == A || e.Kind == AAAA {
			t.takeAddr(l, from, e)
		}
	}
}

// find is the type as it is asked for, the key of an instance, and the instance if it is
// there. Of two names that look the same when clean the first one counts.
func (t *Table) find(l *link, e *Entry) (instanceKey, *instance, bool) {
	typ, name := t.types[fold(e.Type)], Clean(e.Name)
	if typ == "" || name == "" || len(e.Name) > MaxName {
		return instanceKey{}, nil, false
	}
	key := instanceKey{typ, fold(name)}
	in := l.instances[key]
	return key, in, in == nil || fold(in.raw) == fold(e.Name)
}

func (t *Table) takePTR(l *link, from netip.Addr, e Entry) {
	key, in, ok := t.find(l, &e)
	if !ok || in == nil && (e.TTL <= 0 || !t.room(key.typ, from)) {
		return
	}
	if in == nil {
		in = &instance{typ: key.typ, name: Clean(e.Name), raw: e.Name, since: t.now()}
		in.ptr.limit, in.srv.limit, in.tx.limit = 1, maxValues, maxValues
		l.instances[key] = in
	}
	in.ptr.hear(t.now(), from, e, t.hold, t.drop)
}

func (t *Table) takeInstance(l *link, from netip.Addr, e Entry) {
	_, in, ok := t.find(l, &e)
	if !ok || in == nil {
		return
	}
	if e.Kind == TXT {
		size := 0
		for i, s := range e.Text {
			if size += len(s) + 1; size > MaxText {
				e.Text = e.Text[:i]
				break
			}
		}
		in.tx.hear(t.now(), from, e, t.hold, t.drop)
		return
	}
	if !ValidHost(e.Host) || e.Port == 0 {
		return
	}
	in.srv.hear(t.now(), from, e, t.hold, t.drop)
	for _, v := range in.srv.values {
		if l.hosts[v.host] == nil {
			h := &host{name: v.Host}
			h.a.limit, h.aaaa.limit = MaxAddrs, MaxAddrs
			l.hosts[v.host] = h
		}
	}
}

func (t *Table) takeAddr(l *link, from netip.Addr, e Entry) {
	h := l.hosts[fold(e.Host)]
	e.Addr = e.Addr.Unmap().WithZone("")
	if h == nil || !Usable(e.Addr) || e.Addr.Is4() != (e.Kind == A) {
		return
	}
	if e.Kind == A {
		h.a.hear(t.now(), from, e, t.hold, t.drop)
	} else {
		h.aaaa.hear(t.now(), from, e, t.hold, t.drop)
	}
}

// room makes sure that one more instance of a type fits. If there are MaxSeen, who has
// most of them gives up his newest one, but only if he has more than his part and from
// has not yet got it.
func (t *Table) room(typ string, from netip.Addr) bool {
	type place struct {
		link *link
		key  instanceKey
	}
	have, newest := map[netip.Addr]int{}, map[netip.Addr]place{}
	total := 0
	for _, l := range t.links {
		for key, in := range l.instances {
			if key.typ != typ {
				continue
			}
			total++
			owner := in.ptr.first().owner
			have[owner]++
			if p, there := newest[owner]; !there || p.link.instances[p.key].since.Before(in.since) {
				newest[owner] = place{l, key}
			}
		}
	}
	if t.entries >= maxEntries || t.owned[from] >= maxOwned {
		return false
	}
	if total < MaxSeen {
		return true
	}
	most := from
	for owner, n := range have {
		if n > have[most] {
			most = owner
		}
	}
	if have[most] <= ownSeen || have[from] >= ownSeen {
		return false
	}
	t.forget(newest[most].link, newest[most].key)
	return true
}

// hold counts a new value, and reports whether there is room for it.
func (t *Table) hold(v *value) bool {
	if t.entries >= maxEntries || t.owned[v.owner] >= maxOwned {
		return false
	}
	t.entries++
	t.owned[v.owner]++
	return true
}

// drop counts a value that is forgotten.
func (t *Table) drop(v *value) {
	t.entries--
	if t.owned[v.owner]--; t.owned[v.owner] <= 0 {
		delete(t.owned, v.owner)
	}
}

func (t *Table) dropAll(sets ...*set) {
	for _, s := range sets {
		for _, v := range s.values {
			t.drop(v)
		}
		s.values = nil
	}
}

func (t *Table) forget(l *link, key instanceKey) {
	in := l.instances[key]
	t.dropAll(&in.ptr, &in.srv, &in.tx)
	delete(l.instances, key)
}

// sweep forgets what has ended, says what is missing and when to look again.
func (t *Table) sweep() {
	now := t.now()
	if t.clean && (t.next.IsZero() || now.Before(t.next)) {
		return
	}
	for _, l := range t.links {
		l.each(func(s *set) { s.sweep(now, t.drop) })
		for _, h := range l.hosts {
			h.named = false
		}
		for key, in := range l.instances {
			switch {
			case l.complete(in):
				in.lacks = time.Time{}
			case in.lacks.IsZero():
				in.lacks = now
			}
			if len(in.ptr.values) == 0 || !in.lacks.IsZero() && now.Sub(in.lacks) >= lackFor {
				t.forget(l, key)
				continue
			}
			in.srv.want(now, asks)
			in.tx.want(now, asks)
			for _, v := range in.srv.values {
				if h := l.hosts[v.host]; h != nil {
					h.named = true
				}
			}
		}
		maps.DeleteFunc(l.hosts, func(_ string, h *host) bool {
			if h.named {
				h.want(now)
				return false
			}
			t.dropAll(&h.a, &h.aaaa)
			return true
		})
	}
	t.next, t.clean = t.wake(), true
}

// wake is when something ends or is to be asked for; zero: never.
func (t *Table) wake() time.Time {
	var next time.Time
	for _, l := range t.links {
		l.each(func(s *set) { next = earlier(next, s.wake()) })
		for _, in := range l.instances {
			if !in.lacks.IsZero() {
				next = earlier(next, in.lacks.Add(lackFor))
			}
		}
	}
	return next
}

func (h *host) want(now time.Time) {
	h.a.want(now, h.a.times(&h.aaaa))
	h.aaaa.want(now, h.aaaa.times(&h.a))
}

// times is how often addresses of one family are asked for: a host need not have both.
func (s *set) times(other *set) int {
	if len(other.values) > 0 {
		return familyAsks
	}
	return asks
}
