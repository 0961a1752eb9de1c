package front

import (
	"bytes"
	"net"
	"slices"
	"testing"

	"github.com/platen-scan/platen/relay"
)

// handshake is the beginning of a packet with a long header.
func handshake(flags byte, dest, source string, rest ...byte) []byte {
	return slices.Concat([]byte{flags, 0, 0, 0, 1, byte(len(dest))}, []byte(dest), []byte{byte(len(source))}, []byte(source), rest)
}

var packets = []struct {
	name   string
	packet []byte
	marked bool
}{
	{"a node's", handshake(0xc0, "destined", relay.LinkMark+"12345678", 1, 2, 3), true},
	{"a node's, of another version", handshake(0xd3, "", relay.LinkMark), true},
	{"no destination", handshake(0xc0, "", "12345678"), false},
	{"the mark is the destination's", handshake(0xc0, relay.LinkMark, "12345678"), false},
	{"the mark is not at the beginning", handshake(0xc0, "destined", "1"+relay.LinkMark), false},
	{"a short header", handshake(0x40, "destined", relay.LinkMark+"12345678"), false},
	{"a browser's without ID", handshake(0xc0, "destined", ""), false},
	{"an ID that is cut off", handshake(0xc0, "destined", relay.LinkMark+"12345678")[:18], false},
	{"nothing", nil, false},
	{"a byte", []byte{0xc0}, false},
}

func TestMarked(t *testing.T) {
	for _, row := range packets {
		if got := marked(row.packet); got != row.marked {
			t.Errorf("%s: marked(%x) = %t, want %t", row.name, row.packet, got, row.marked)
		}
	}
}

// TestMarkTravels: the address stays what it was, for whoever looks at it as usual.
func TestMarkTravels(t *testing.T) {
	with, without := packets[0].packet, packets[2].packet
	for _, from := range []*net.UDPAddr{
		{IP: net.IPv4(192, 0, 2, 1).To4(), Port: 7},
		{IP: net.ParseIP("fe80::1"), Port: 7, Zone: "eth0"},
		{},
	} {
		if isNode(from) || isNode(sender(without, from)) {
			t.Errorf("%v is a node's without a mark", from)
		}
		got := sender(with, from).(*net.UDPAddr)
		if !isNode(got) {
			t.Errorf("%v lost the mark", from)
		}
		if got.String() != from.String() || len(got.IP) != len(from.IP) || isNode(from) {
			t.Errorf("the address is %v, want %v as it was", got, from)
		}
	}
	odd := &net.TCPAddr{}
	if sender(with, odd) != net.Addr(odd) || isNode(odd) {
		t.Error("an address that is not UDP's was touched")
	}
}

func TestPagesAreNotLookedAt(t *testing.T) {
	packet, from := bytes.Repeat([]byte{0x40}, 1200), net.Addr(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if n := testing.AllocsPerRun(100, func() { sender(packet, from) }); n != 0 {
		t.Errorf("a page's packet costs %v allocations", n)
	}
}

// FuzzMarked: what comes from the network never panics, the mark counts only where it
// is, and nothing of a packet but the mark can make an address a node's.
func FuzzMarked(f *testing.F) {
	for _, row := range packets {
		f.Add(row.packet)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		got := marked(packet)
		if got && !bytes.Contains(packet, []byte(relay.LinkMark)) {
			t.Errorf("marked(%x) without the mark", packet)
		}
		if got && packet[0]&0x80 == 0 {
			t.Errorf("marked(%x) with a short header", packet)
		}
		from := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1).To4(), Port: 7}
		if addr := sender(packet, from); isNode(addr) != got || addr.String() != from.String() {
			t.Errorf("sender(%x) = %v, a node's: %t", packet, addr, isNode(addr))
		}
		if len(packet) > 12 && len(packet) < 200 { // a node's packet stays one, whatever follows
			node := handshake(0x80|packet[0], string(packet[1:1+packet[0]%12]), relay.LinkMark+string(packet[2:4]), packet...)
			if !marked(node) {
				t.Errorf("marked(%x) = false", node)
			}
		}
	})
}
