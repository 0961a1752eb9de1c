package mdns

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// What is read from the network at most. Beyond it packets stay in the kernel, which
// drops them, or are dropped before anything looks into them.
const (
	maxPacket  = 9000 // bytes (RFC 6762, section 17)
	maxRecords = 200  // of a packet
	maxSources = 256  // that have a budget of their own
	readRate   = 1000 // packets a second that are taken from the kernel
	parseRate  = 400  // packets a second that are looked into
	sourceRate = 20   // packets a second from one source
)

// budget says how many packets of whom are looked into.
type budget struct {
	all     *rate.Limiter
	others  *rate.Limiter // for all the sources that are too many
	sources map[netip.Addr]*rate.Limiter
}

func newBudget() *budget {
	return &budget{
		all:     rate.NewLimiter(parseRate, parseRate),
		others:  rate.NewLimiter(sourceRate, 2*sourceRate),
		sources: map[netip.Addr]*rate.Limiter{},
	}
}

// take reports whether a packet from there may be looked into now.
func (b *budget) take(from netip.Addr, now time.Time) bool {
	l := b.sources[from]
	if l == nil {
		if len(b.sources) >= maxSources {
			b.forget(now)
		}
		l = b.others
		if len(b.sources) < maxSources {
			l = rate.NewLimiter(sourceRate, 2*sourceRate)
			b.sources[from] = l
		}
	}
	return l.AllowN(now, 1) && b.all.AllowN(now, 1)
}

// forget drops the sources that have been quiet.
func (b *budget) forget(now time.Time) {
	for addr, l := range b.sources {
		if l.TokensAt(now) >= 2*sourceRate {
			delete(b.sources, addr)
		}
	}
}
