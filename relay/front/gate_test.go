package front

import (
	"fmt"
	"net"
	"testing"
)

func at(address string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(address), Port: 1} }

// However many handshakes some addresses leave open, others' come in.
func TestGateKeepsRoom(t *testing.T) {
	var networks []string // of one site
	for i := range 1 << 16 {
		networks = append(networks, fmt.Sprintf("2001:db8:0:%x::1", i))
	}
	for _, some := range [][]string{
		{"192.0.2.1"},
		{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"},
		{"2001:db8::1", "2001:db8:1::1", "2001:db8:2::1", "2001:db8:3::1", "2001:db8:4::1", "2001:db8:5::1"},
		networks,
	} {
		g := newGate(Limits{}.filled())
		var open []*ticket
		for _, address := range some {
			for {
				ticket := g.admit(at(address))
				if ticket == nil {
					break
				}
				open = append(open, ticket)
			}
		}
		if (len(some) == 1 || len(some) == len(networks)) && len(open) != g.limits.HandshakesPerIP {
			t.Errorf("one address or site has %d handshakes, want %d", len(open), g.limits.HandshakesPerIP)
		}
		for i := range 25 {
			if g.admit(at("203.0.113.1")) == nil {
				t.Errorf("of %d addresses with %d handshakes, another gets %d", len(some), len(open), i)
				break
			}
		}
		if crowded := len(open) > g.limits.Handshakes/2; g.crowded() != crowded {
			t.Errorf("with %d handshakes crowded = %v", len(open), !crowded)
		}
		for _, ticket := range open {
			ticket.shaken()
		}
		if g.crowded() || g.admit(at(some[0])) == nil {
			t.Errorf("after the handshakes of %d addresses there is no room", len(some))
		}
	}
}
