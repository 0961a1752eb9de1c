package discovery

import (
	"net/netip"
	"time"
)

// Bounds of packets that are processed.
const (
	perSource = 20  // a second, of one sender
	perSecond = 200 // of all senders
	// forStrangers is what senders of which nothing is known can use up of perSecond.
	forStrangers = perSecond / 2
)

// admission counts the packets of one second.
type admission struct {
	second    time.Time
	total     int
	strangers int
	by        map[netip.Addr]int // at most perSecond of them
}

func (a *admission) admit(now time.Time, from netip.Addr, known bool) bool {
	if since := now.Sub(a.second); since < 0 || since >= time.Second {
		*a = admission{second: now, by: map[netip.Addr]int{}}
	}
	if a.total >= perSecond || a.by[from] >= perSource || !known && a.strangers >= forStrangers {
		return false
	}
	a.total++
	a.by[from]++
	if !known {
		a.strangers++
	}
	return true
}

// Admit reports whether a packet of this sender is to be processed now; it is asked
// before anything is done with the packet. It stops whoever sends more than is usual, and
// keeps half of what is processed for those whose records are known.
func (t *Table) Admit(from netip.Addr) bool {
	from = from.Unmap().WithZone("")
	return t.admission.admit(t.now(), from, t.owned[from] > 0)
}
