package mdns

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// Times of claims (RFC 6762, sections 8 and 9).
const (
	probeGap    = 250 * time.Millisecond
	probes      = 3
	announceGap = time.Second
	announces   = 2
	loserWait   = time.Second // of the one whose data is less, when two probe at once
	manyClashes = 15
	clashWait   = 5 * time.Second // after so many, so that quarrels don't fill the network
)

// claim is a name that has to be ours alone, and how far it has come on each link.
type claim struct {
	name    string // as instanceName
	key     string // as key
	on      map[link]*standing
	clashes int // names given up
}

type phase int

const (
	probing phase = iota + 1
	announcing
	held
)

// standing is how far a claim has come on a link.
type standing struct {
	phase phase
	sent  int // probes or announcements in this phase
	due   time.Time
	// again: the name was ours and is probed again, because somebody else has used it.
	// Questions get their answers meanwhile: else one false packet would hide us.
	again bool
}

// ours reports whether the name is the claim's on a link.
func (c *claim) ours(at link) bool {
	s := c.on[at]
	return s != nil && (s.phase != probing || s.again)
}

// call gives the claim a name.
func (c *claim) call(name string) { c.name, c.key = name, key(name) }

// probe starts to claim the name on a link.
func (c *claim) probe(at link, due time.Time) {
	if c.clashes > manyClashes {
		due = due.Add(clashWait)
	}
	c.on[at] = &standing{phase: probing, due: due}
}

// soon is when machines that get power at once don't all speak (section 8.1).
func soon(now time.Time) time.Time { return now.Add(rand.N(probeGap)) }

// announce tells everybody again, after a change.
func (c *claim) announce(at link, now time.Time) {
	if s := c.on[at]; s != nil && s.phase != probing {
		s.phase, s.sent, s.due = announcing, 0, now
	}
}

// doubt probes again for a name that was ours.
func (c *claim) doubt(now time.Time) {
	for _, s := range c.on {
		if s.phase != probing {
			*s = standing{phase: probing, due: now, again: true}
		}
	}
}

// later compares records of two that probe at once for one name, as section 8.2.1 has it:
// the later data win. 0: they are the same.
func later(a, b []dns.RR) int {
	return slices.CompareFunc(sorted(a), sorted(b), bytes.Compare)
}

// sorted are class, type and data of records in the order of section 8.2.1.
func sorted(rrs []dns.RR) [][]byte {
	var all [][]byte
	buf := make([]byte, maxPacket)
	for _, rr := range rrs {
		h := rr.Header()
		start, err := dns.PackDomainName(h.Name, buf, 0, nil, false)
		if err != nil {
			continue
		}
		end, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			continue
		}
		data := append([]byte{byte(h.Class >> 8), byte(h.Class), byte(h.Rrtype >> 8), byte(h.Rrtype)}, buf[start+10:end]...)
		all = append(all, data)
	}
	slices.SortFunc(all, bytes.Compare)
	return all
}
