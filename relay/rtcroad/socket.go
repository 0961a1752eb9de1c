package rtcroad

import (
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/pion/ice/v4"
)

// socketBuffer is what the system is asked to hold for a busy node, each way.
const socketBuffer = 4 << 20

// socket is the port of all peer connections. It keeps what STUN servers answer to
// itself.
type socket struct {
	*net.UDPConn
	broke func(error)

	mu    sync.Mutex
	asked map[transaction]question
}

var _ ice.AddrPortReaderWriter = (*socket)(nil)

func listen(address string, broke func(error)) (*socket, error) {
	local, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, fmt.Errorf("the address %q of WebRTC: %w", address, err)
	}
	conn, err := net.ListenUDP("udp", local)
	if err != nil {
		return nil, err
	}
	conn.SetReadBuffer(socketBuffer) // as much as the system allows
	conn.SetWriteBuffer(socketBuffer)
	return &socket{UDPConn: conn, broke: broke, asked: map[transaction]question{}}, nil
}

// local is the socket's own address.
func (s *socket) local() netip.AddrPort {
	a := s.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// ReadFromAddrPort reads the next packet that is for a peer connection.
func (s *socket) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := s.ReadFromUDPAddrPort(b)
		if err != nil {
			s.broke(err) // means nothing once the road is closed
			return 0, from, err
		}
		if !s.answered(b[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port())) {
			return n, from, nil
		}
	}
}

// WriteToAddrPort sends a packet.
func (s *socket) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return s.WriteToUDPAddrPort(b, to)
}

// mux shares the socket among the peer connections.
type mux struct {
	*ice.UDPMuxDefault
	addresses func() []netip.Addr
}

// GetListenAddresses is asked for the host candidates of each peer connection.
func (m *mux) GetListenAddresses() []net.Addr {
	port := m.LocalAddr().(*net.UDPAddr).Port
	var all []net.Addr
	for _, ip := range m.addresses() {
		all = append(all, &net.UDPAddr{IP: ip.AsSlice(), Port: port, Zone: ip.Zone()})
	}
	return all
}
