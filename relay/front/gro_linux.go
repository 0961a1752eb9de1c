package front

import (
	"encoding/binary"
	"net"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

const (
	groReads  = 4        // system buffers read at once
	groBuffer = 64 << 10 // the most that the kernel joins
	groOOB    = 128      // as much as quic-go takes
)

// groConn is a UDP socket that takes packets from the kernel joined (UDP_GRO), as
// quic-go sends them (UDP_SEGMENT), and gives them to quic-go one by one: one
// system call and one walk through the kernel for up to 45 packets of a page. It
// reads for one goroutine, which is quic-go's.
type groConn struct {
	*net.UDPConn
	batch  *ipv4.PacketConn
	joined []ipv4.Message // as read; those before next are used up
	next   int
	rest   []byte // of joined[next], not yet given out
	size   int    // of its packets
}

// receiveJoined turns joining on, where the kernel can.
func receiveJoined(c net.PacketConn) net.PacketConn {
	udp, ok := c.(*net.UDPConn)
	if !ok {
		return c
	}
	raw, err := udp.SyscallConn()
	if err != nil {
		return c
	}
	var refused error
	if err := raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	}); err != nil || refused != nil {
		return c
	}
	g := &groConn{UDPConn: udp, batch: ipv4.NewPacketConn(udp), joined: make([]ipv4.Message, 0, groReads)}
	for i := range groReads {
		g.joined[:groReads][i] = ipv4.Message{Buffers: [][]byte{make([]byte, groBuffer)}, OOB: make([]byte, groOOB)}
	}
	return g
}

// ReadBatch is what quic-go reads with where a socket has it.
func (g *groConn) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	if g.next == len(g.joined) {
		g.joined = g.joined[:groReads]
		n, err := g.batch.ReadBatch(g.joined, flags)
		g.joined, g.next = g.joined[:max(n, 0)], 0
		if err != nil || n == 0 {
			return 0, err
		}
		g.begin()
	}
	n := 0
	for ; n < len(ms) && g.next < len(g.joined); n++ {
		from := &g.joined[g.next]
		packet := g.rest[:min(g.size, len(g.rest))]
		ms[n].N = copy(ms[n].Buffers[0], packet)
		ms[n].NN = copy(ms[n].OOB, from.OOB[:from.NN])
		ms[n].Addr, ms[n].Flags = sender(packet, from.Addr), from.Flags
		if g.rest = g.rest[len(packet):]; len(g.rest) == 0 {
			g.next++
			g.begin()
		}
	}
	return n, nil
}

// begin looks at the next joined message.
func (g *groConn) begin() {
	if g.next == len(g.joined) {
		return
	}
	m := &g.joined[g.next]
	g.rest = m.Buffers[0][:m.N]
	g.size = max(m.N, 1)
	if size := segment(m.OOB[:m.NN]); size > 0 {
		g.size = size
	}
}

// segment is the size of the packets that the kernel joined, by its control
// message; 0: it joined none.
func segment(oob []byte) int {
	for len(oob) > 0 {
		header, body, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return 0
		}
		if header.Level == unix.IPPROTO_UDP && header.Type == unix.UDP_GRO && len(body) >= 4 {
			return int(int32(binary.NativeEndian.Uint32(body)))
		}
		oob = rest
	}
	return 0
}
