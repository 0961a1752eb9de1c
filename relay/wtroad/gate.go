package wtroad

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"sync"
)

// Limits of a road; a zero field means its default. An IPv6 client is its /64.
type Limits struct {
	Sessions      int // 256; a connection counts from its first packet
	SessionsPerIP int // 32
	Streams       int // of a session, at once; 32
	Handshakes    int // in flight; 64
	RetryAbove    int // handshakes a second above which a browser must prove its address; 20
}

func (l Limits) filled() Limits {
	return Limits{
		Sessions:      cmp.Or(l.Sessions, 256),
		SessionsPerIP: cmp.Or(l.SessionsPerIP, 32),
		Streams:       cmp.Or(l.Streams, 32),
		Handshakes:    cmp.Or(l.Handshakes, 64),
		RetryAbove:    cmp.Or(l.RetryAbove, 20),
	}
}

var errTooMany = errors.New("too many connections")

// gate counts connections from their first packet to their end.
type gate struct {
	limits Limits

	mu         sync.Mutex
	handshakes int
	total      int
	byIP       map[netip.Prefix]int
}

func newGate(l Limits) *gate { return &gate{limits: l, byIP: map[netip.Prefix]int{}} }

// admit counts a connection in, or returns nil if there are too many.
func (g *gate) admit(from net.Addr) *ticket {
	client := clientOf(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.handshakes >= g.limits.Handshakes || g.total >= g.limits.Sessions || g.byIP[client] >= g.limits.SessionsPerIP {
		return nil
	}
	g.handshakes++
	g.total++
	g.byIP[client]++
	return &ticket{gate: g, client: client}
}

// crowded tells that strangers who do not even have the addresses that they claim
// could keep others out.
func (g *gate) crowded() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.handshakes >= g.limits.Handshakes/4
}

// ticket is one admitted connection.
type ticket struct {
	gate       *gate
	client     netip.Prefix
	onceShaken sync.Once
	onceLeft   sync.Once
}

// shaken ends the handshake, well or not.
func (t *ticket) shaken() {
	t.onceShaken.Do(func() {
		t.gate.mu.Lock()
		defer t.gate.mu.Unlock()
		t.gate.handshakes--
	})
}

// leave ends the connection.
func (t *ticket) leave() {
	t.shaken()
	t.onceLeft.Do(func() {
		g := t.gate
		g.mu.Lock()
		defer g.mu.Unlock()
		g.total--
		if g.byIP[t.client]--; g.byIP[t.client] == 0 {
			delete(g.byIP, t.client)
		}
	})
}

func clientOf(a net.Addr) netip.Prefix {
	var addr netip.Addr
	if udp, ok := a.(*net.UDPAddr); ok {
		addr = udp.AddrPort().Addr().Unmap().WithZone("")
	}
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(addr, bits).Masked()
}
