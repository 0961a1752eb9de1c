package front

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"
)

// Limits of a port; a zero field means its default. An IPv6 address is its /48: who has one
// has 65,536 networks.
type Limits struct {
	Handshakes       int // in flight, TCP and QUIC together; 1024
	HandshakesPerIP  int // 256, but at most half as many as are free: an office behind one address comes back at once
	Connections      int // 20,000
	ConnectionsPerIP int // 4,096
	RetryAbove       int // QUIC handshakes a second above which a client must prove its address; 200
}

const sitePrefix = 48 // bits of an IPv6 address

func (l Limits) filled() Limits {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.Handshakes, 1024)
	def(&l.HandshakesPerIP, 256)
	def(&l.Connections, 20_000)
	def(&l.ConnectionsPerIP, 4096)
	def(&l.RetryAbove, 200)
	return l
}

// gate counts connections from their first packet to their end.
type gate struct {
	limits Limits

	mu    sync.Mutex
	total count
	byIP  map[netip.Prefix]count
}

type count struct{ handshakes, connections int }

func newGate(l Limits) *gate { return &gate{limits: l, byIP: map[netip.Prefix]count{}} }

// ticket is one admitted connection.
type ticket struct {
	gate          *gate
	from          netip.Prefix
	node          bool // over QUIC: it has the mark, and so a link's windows
	onceShaken    sync.Once
	onceConnected sync.Once
}

// admit counts a new connection in, or returns nil if there are too many. However many
// handshakes a few addresses leave open, there is room for those of others: each address
// may have half as many as are free.
func (g *gate) admit(from net.Addr) *ticket {
	prefix := clientOf(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	ip := g.byIP[prefix]
	if ip.handshakes >= min(g.limits.HandshakesPerIP, (g.limits.Handshakes-g.total.handshakes+1)/2) ||
		g.total.connections >= g.limits.Connections || ip.connections >= g.limits.ConnectionsPerIP {
		return nil
	}
	g.addLocked(prefix, count{1, 1})
	return &ticket{gate: g, from: prefix}
}

// handshakes counts those under way.
func (g *gate) handshakes() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.total.handshakes
}

func (g *gate) add(prefix netip.Prefix, c count) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.addLocked(prefix, c)
}

func (g *gate) addLocked(prefix netip.Prefix, c count) {
	sum := func(a count) count { return count{a.handshakes + c.handshakes, a.connections + c.connections} }
	g.total = sum(g.total)
	if ip := sum(g.byIP[prefix]); ip == (count{}) {
		delete(g.byIP, prefix)
	} else {
		g.byIP[prefix] = ip
	}
}

// crowded reports whether half of the handshakes that may be in flight are. Then whoever
// comes over QUIC must prove his address: made-up ones cannot take the other half.
func (g *gate) crowded() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return 2*g.total.handshakes > g.limits.Handshakes
}

// shaken ends the handshake, well or not.
func (t *ticket) shaken() {
	t.onceShaken.Do(func() { t.gate.add(t.from, count{handshakes: -1}) })
}

// leave ends the connection.
func (t *ticket) leave() {
	t.shaken()
	t.onceConnected.Do(func() { t.gate.add(t.from, count{connections: -1}) })
}

func clientOf(a net.Addr) netip.Prefix {
	var addr netip.Addr
	switch a := a.(type) {
	case *net.TCPAddr:
		addr = a.AddrPort().Addr()
	case *net.UDPAddr:
		addr = a.AddrPort().Addr()
	}
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = sitePrefix
	}
	return netip.PrefixFrom(addr, bits).Masked()
}

type ticketKey struct{}

var errTooMany = errors.New("too many connections")

// admitQUIC runs at a client's first packet. The context it gets ends with the
// connection, also with one whose handshake fails.
func (s *serving) admitQUIC(ctx context.Context, client *quic.ClientInfo) (context.Context, error) {
	t := s.gate.admit(client.RemoteAddr)
	if t == nil {
		return nil, errTooMany
	}
	t.node = isNode(client.RemoteAddr)
	context.AfterFunc(ctx, t.leave)
	return context.WithValue(ctx, ticketKey{}, t), nil
}
