package mdns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/time/rate"
)

var (
	groupV4 = netip.MustParseAddrPort("224.0.0.251:5353")
	groupV6 = netip.MustParseAddrPort("[ff02::fb]:5353")
)

const (
	sendTimeout = time.Second
	// readPause is how long nothing is read when too much comes in. A wait for each packet
	// would cost more than the packet.
	readPause = 100 * time.Millisecond
)

// link is one family of one interface: each has its own neighbours and caches.
type link struct {
	index int
	six   bool
}

// group is where everybody on the link listens.
func (l link) group() netip.AddrPort {
	if l.six {
		return groupV6
	}
	return groupV4
}

// place is a link that can be used, and the interface that it is of.
type place struct {
	link
	network
}

// packet is one that came in.
type packet struct {
	at   link
	from netip.AddrPort
	data []byte
}

// wire is what packets travel by.
type wire interface {
	// open takes part in a link; close ends that.
	open(at *place) error
	close(at link)
	// send sends to one address, or to all on the link if to is zero.
	send(at *place, to netip.AddrPort, data []byte) error
	// packets are those that come in.
	packets() <-chan packet
}

// sockets are the wire of this machine: one socket for each link. A single one would
// not know everywhere on which link a packet came, and may take part in few of them.
type sockets struct {
	ctx     context.Context // ends the readers
	readers sync.WaitGroup
	in      chan packet
	pace    *rate.Limiter
	conns   map[link]net.PacketConn
}

func newSockets(ctx context.Context) *sockets {
	return &sockets{ctx: ctx, in: make(chan packet, 64), pace: rate.NewLimiter(readRate, readRate/10), conns: map[link]net.PacketConn{}}
}

func (s *sockets) packets() <-chan packet { return s.in }

func (s *sockets) open(at *place) error {
	conn, err := listenGroup(at.link)
	if err != nil {
		return err
	}
	ifi := &net.Interface{Index: at.index, Name: at.Name}
	if at.six {
		p := ipv6.NewPacketConn(conn)
		err = errors.Join(p.JoinGroup(ifi, net.UDPAddrFromAddrPort(groupV6)), p.SetMulticastInterface(ifi),
			p.SetMulticastLoopback(true), p.SetMulticastHopLimit(255), p.SetHopLimit(255))
	} else {
		p := ipv4.NewPacketConn(conn)
		err = errors.Join(p.JoinGroup(ifi, net.UDPAddrFromAddrPort(groupV4)), p.SetMulticastInterface(ifi),
			p.SetMulticastLoopback(true), p.SetMulticastTTL(255), p.SetTTL(255))
	}
	if err != nil {
		conn.Close()
		return fmt.Errorf("preparing a multicast socket: %w", err)
	}
	s.conns[at.link] = conn
	s.readers.Go(func() { s.read(at.link, conn) })
	return nil
}

func (s *sockets) close(at link) {
	if conn := s.conns[at]; conn != nil {
		conn.Close()
		delete(s.conns, at)
	}
}

// shut closes all and waits for the readers, whose context must have ended.
func (s *sockets) shut() {
	for at := range s.conns {
		s.close(at)
	}
	s.readers.Wait()
}

func (s *sockets) send(at *place, to netip.AddrPort, data []byte) error {
	conn := s.conns[at.link]
	if conn == nil {
		return net.ErrClosed
	}
	if !to.IsValid() {
		to = at.group()
	}
	if at.six && to.Addr().Zone() == "" && (to.Addr().IsLinkLocalUnicast() || to.Addr().IsMulticast()) {
		to = netip.AddrPortFrom(to.Addr().WithZone(at.Name), to.Port())
	}
	if err := conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	_, err := conn.WriteTo(data, net.UDPAddrFromAddrPort(to))
	return err
}

// read passes packets on until the socket is closed or the context ends.
func (s *sockets) read(at link, conn net.PacketConn) {
	buf := make([]byte, maxPacket+1)
	for {
		n, from, err := conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if !s.pace.Allow() { // errors too: they may come as fast as packets
			select {
			case <-time.After(readPause):
			case <-s.ctx.Done():
				return
			}
		}
		udp, ok := from.(*net.UDPAddr)
		if err != nil || !ok || n > maxPacket {
			continue
		}
		addr := udp.AddrPort()
		select {
		case s.in <- packet{at, netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), append([]byte(nil), buf[:n]...)}:
		case <-s.ctx.Done():
			return
		}
	}
}
