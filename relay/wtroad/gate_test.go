package wtroad

import (
	"net"
	"testing"
)

func TestGate(t *testing.T) {
	g := newGate(Limits{Sessions: 5, SessionsPerIP: 3, Handshakes: 4}.filled())
	from := func(ip string) *net.UDPAddr { return &net.UDPAddr{IP: net.ParseIP(ip), Port: 1000} }
	admit := func(ip string, want bool) *ticket {
		t.Helper()
		ticket := g.admit(from(ip))
		if (ticket != nil) != want {
			t.Errorf("admit(%s) = %v, want %v, with %d handshakes of %d connections", ip, ticket != nil, want, g.handshakes, g.total)
		}
		return ticket
	}
	if g.crowded() {
		t.Error("nobody makes a crowd")
	}
	a, b, c := admit("192.0.2.1", true), admit("192.0.2.1", true), admit("::ffff:192.0.2.1", true)
	if !g.crowded() {
		t.Error("three handshakes of four are no crowd")
	}
	admit("192.0.2.1", false) // too many of one address
	d := admit("2001:db8::1", true)
	admit("192.0.2.2", false) // too many handshakes
	a.shaken()
	a.shaken()
	e := admit("2001:db8::2", true)
	d.shaken()
	admit("192.0.2.2", false) // too many in all
	b.leave()
	b.leave()
	f := admit("2001:db8::ffff", true)
	for _, ticket := range []*ticket{a, c, d, e, f} {
		ticket.leave()
	}
	if g.handshakes != 0 || g.total != 0 || len(g.byIP) != 0 {
		t.Errorf("after all have left there are %d handshakes, %d connections, %d addresses", g.handshakes, g.total, len(g.byIP))
	}
	if got, want := clientOf(from("2001:db8:1:2:3::4")).String(), "2001:db8:1:2::/64"; got != want {
		t.Errorf("clientOf = %s, want %s", got, want)
	}
	if clientOf(&net.TCPAddr{}) != clientOf(nil) {
		t.Error("an address of no UDP is one of its own")
	}
}
