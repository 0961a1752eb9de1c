package front

import (
	"net"
	"strings"

	"golang.org/x/net/ipv4"

	"github.com/platen-scan/platen/relay"
)

// A link has windows of 160 MiB, and a browser, which anybody can be, small ones. QUIC
// wants them chosen at a connection's first packet, and TLS tells the protocol later.
// So a node's connection IDs have a mark (relay.LinkMark), which the socket looks for in
// packets with a long header; those are a handshake's, never a page's.
//
// quic-go shows the chooser (GetConfigForClient) nothing of that packet but the address
// it came from, the very value that the socket gave. The mark goes with it, in the part
// of the IP's slice behind its length. A table by address would have to be bounded, and
// could then be flooded.
//
// Who forges the mark gains nothing: a link's windows are for streams that the gateway
// opens. Its client may open one, of relay.StreamWindow bytes, and has to be a node by
// the end of the handshake.

// marked reports whether a datagram begins with a long header (RFC 8999 5.1) whose
// source connection ID has the mark.
func marked(packet []byte) bool {
	const (
		longHeader = 0x80
		destLength = 5 // where that is: behind a byte of flags and four of version
	)
	if len(packet) <= destLength || packet[0]&longHeader == 0 {
		return false
	}
	_, rest, ok := cutID(packet[destLength:])
	if !ok {
		return false
	}
	source, _, ok := cutID(rest)
	return ok && strings.HasPrefix(string(source), relay.LinkMark)
}

// cutID takes a connection ID with its length off.
func cutID(b []byte) (id, rest []byte, ok bool) {
	if len(b) == 0 || len(b)-1 < int(b[0]) {
		return nil, nil, false
	}
	end := 1 + int(b[0])
	return b[1:end], b[end:], true
}

// sender is the address that a packet came from, with the mark if the packet has it.
func sender(packet []byte, from net.Addr) net.Addr {
	if !marked(packet) {
		return from
	}
	udp, ok := from.(*net.UDPAddr)
	if !ok {
		return from
	}
	ip := make(net.IP, len(udp.IP)+len(relay.LinkMark))
	copy(ip[copy(ip, udp.IP):], relay.LinkMark)
	return &net.UDPAddr{IP: ip[:len(udp.IP)], Port: udp.Port, Zone: udp.Zone}
}

// isNode reports whether sender put the mark to an address.
func isNode(from net.Addr) bool {
	udp, ok := from.(*net.UDPAddr)
	if !ok {
		return false
	}
	n := len(udp.IP)
	return cap(udp.IP) >= n+len(relay.LinkMark) && string(udp.IP[n:n+len(relay.LinkMark)]) == relay.LinkMark
}

// lookingConn is a UDP socket that looks for the mark; where the kernel joins packets
// groConn does. quic-go reads it in one of two ways, by the system.
type lookingConn struct {
	*net.UDPConn
	batch *ipv4.PacketConn
}

// look wraps a socket as it comes from receiveJoined.
func look(c net.PacketConn) net.PacketConn {
	udp, ok := c.(*net.UDPConn)
	if !ok {
		return c
	}
	return &lookingConn{UDPConn: udp, batch: ipv4.NewPacketConn(udp)}
}

func (c *lookingConn) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	n, err := c.batch.ReadBatch(ms, flags)
	for i := range max(n, 0) {
		ms[i].Addr = sender(ms[i].Buffers[0][:ms[i].N], ms[i].Addr)
	}
	return n, err
}

func (c *lookingConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.UDPConn.ReadFrom(p)
	if err == nil {
		from = sender(p[:n], from)
	}
	return n, from, err
}
