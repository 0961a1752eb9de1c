package discovery

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// Times of the cache.
const (
	minTTL = time.Second
	maxTTL = 75 * time.Minute // what RFC 6762, section 10, gives to names that are no hosts
	// lastSecond is how long an entry lives after its goodbye (section 10.1), and how new
	// one must be to survive a flush (10.2).
	lastSecond = time.Second
	// doubtFor is how long a doubted entry has to be confirmed.
	doubtFor = 3 * time.Second
	// firstAsk lets the packets of one sender arrive before what they lack is asked for.
	firstAsk = 100 * time.Millisecond
	// asks is how often something missing is asked for: after 0, 1, 3, 7 and 15 seconds.
	asks = 5
	// familyAsks is how often one family of addresses is asked for if there is the other.
	familyAsks = 2
)

// doubtAsks is when a doubted entry is asked for.
var doubtAsks = []time.Duration{200 * time.Millisecond, time.Second, 2 * time.Second}

// value is one entry that is remembered.
type value struct {
	Entry
	host     string            // of SRV: Host, folded
	text     map[string]string // of TXT: what Text says
	owner    netip.Addr        // who said it first
	received time.Time         // when it was said last
	jitter   time.Duration
	asked    int       // how often it was asked for since
	doubt    time.Time // since when it must be confirmed; zero: it need not
	gone     time.Time // when it ends after a goodbye or a flush; zero: there was none
}

// ends is when v is to be forgotten.
func (v *value) ends() time.Time {
	end := v.received.Add(v.TTL)
	if !v.doubt.IsZero() {
		end = earlier(end, v.doubt.Add(doubtFor))
	}
	return earlier(end, v.gone)
}

// asks is when v is to be asked for again; zero: not.
func (v *value) asks() time.Time {
	switch {
	case !v.gone.IsZero():
		return time.Time{}
	case !v.doubt.IsZero():
		if v.asked < len(doubtAsks) {
			return v.doubt.Add(doubtAsks[v.asked])
		}
	case v.asked < 4: // at 80, 85, 90 and 95 % (RFC 6762, section 5.2)
		return v.received.Add(v.TTL*time.Duration(80+5*v.asked)/100 + v.jitter)
	}
	return time.Time{}
}

func (v *value) suspect(now time.Time) {
	if v.doubt.IsZero() && v.gone.IsZero() {
		v.doubt, v.asked = now, 0
	}
}

// set is what is known of one kind of one name, the oldest first.
type set struct {
	limit  int
	values []*value
	asked  int       // while there are none: how often it was asked for
	next   time.Time // while there are none: when it is asked for again
}

// room makes sure that one more value of from fits. If the set is full the one who has
// most in it gives up his newest, but only to somebody who would have less.
func (s *set) room(from netip.Addr, drop func(*value)) bool {
	if len(s.values) < s.limit {
		return true
	}
	have := map[netip.Addr]int{}
	most := s.values[0].owner
	for _, v := range s.values {
		have[v.owner]++
		if have[v.owner] > have[most] {
			most = v.owner
		}
	}
	if have[most] <= have[from]+1 {
		return false
	}
	for i, v := range slices.Backward(s.values) {
		if v.owner == most {
			s.values = slices.Delete(s.values, i, i+1)
			drop(v)
			return true
		}
	}
	return false
}

// hear takes what from said. A goodbye, or a flush of what somebody else said, is only
// believed after nobody has confirmed the value: anybody could have sent it.
func (s *set) hear(now time.Time, from netip.Addr, e Entry, hold func(*value) bool, drop func(*value)) {
	i := slices.IndexFunc(s.values, func(v *value) bool { return v.same(&e) })
	if e.TTL <= 0 {
		if i >= 0 {
			s.values[i].end(now, from)
		}
		return
	}
	e.TTL = min(max(e.TTL, minTTL), maxTTL)
	if e.Flush {
		for j, v := range s.values {
			if j != i && now.Sub(v.received) > lastSecond {
				v.end(now, from)
			}
		}
	}
	if i < 0 {
		v := &value{Entry: e, owner: from, host: fold(e.Host)}
		if e.Kind == TXT {
			v.text = ParseText(e.Text)
		}
		if !s.room(from, drop) || !hold(v) {
			return
		}
		s.values, i = append(s.values, v), len(s.values)
	}
	v := s.values[i]
	v.TTL, v.received, v.asked = e.TTL, now, 0
	v.doubt, v.gone = time.Time{}, time.Time{}
	v.jitter = time.Duration(rand.Float64() * 0.02 * float64(e.TTL))
	s.asked, s.next = 0, time.Time{}
}

// end is a goodbye of v, or a flush. One that a stranger sends just after v was confirmed
// is nothing: he could make us ask all the time.
func (v *value) end(now time.Time, from netip.Addr) {
	switch {
	case v.owner != from:
		if now.Sub(v.received) > lastSecond {
			v.suspect(now)
		}
	case v.gone.IsZero():
		v.gone = now.Add(lastSecond)
	}
}

// first is the value that counts where there can be one only: the oldest that is not on
// its way out; nil if there is none.
func (s *set) first() *value {
	for _, v := range s.values {
		if v.gone.IsZero() {
			return v
		}
	}
	if len(s.values) > 0 {
		return s.values[0]
	}
	return nil
}

// sweep forgets what has ended.
func (s *set) sweep(now time.Time, drop func(*value)) {
	s.values = slices.DeleteFunc(s.values, func(v *value) bool {
		if now.Before(v.ends()) {
			return false
		}
		drop(v)
		return true
	})
}

// want says that a missing value is to be asked for, at most times.
func (s *set) want(now time.Time, times int) {
	if len(s.values) == 0 && s.next.IsZero() && s.asked < times {
		s.next = now.Add(firstAsk)
	}
}

// due reports whether the set is to be asked for now, and remembers that it was.
func (s *set) due(now time.Time, times int) bool {
	if len(s.values) == 0 {
		if s.next.IsZero() || now.Before(s.next) {
			return false
		}
		s.next = now.Add(time.Second << s.asked)
		if s.asked++; s.asked >= times {
			s.next = time.Time{}
		}
		return true
	}
	due := false
	for _, v := range s.values {
		for at := v.asks(); !at.IsZero() && !now.Before(at); at = v.asks() {
			v.asked++
			due = true
		}
	}
	return due
}

// wake is when the set changes or is to be asked for; zero: never.
func (s *set) wake() time.Time {
	if len(s.values) == 0 {
		return s.next
	}
	var at time.Time
	for _, v := range s.values {
		at = earlier(earlier(at, v.ends()), v.asks())
	}
	return at
}

// earlier is the earlier of two times; a zero one does not count.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
