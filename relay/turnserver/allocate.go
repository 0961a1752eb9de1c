package turnserver

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/turn/v5"
)

// lowestPort is the first that a peer may be reached at: what is below belongs to
// services of the peer's machine.
const lowestPort = 1024

var (
	errOnlyUDP   = errors.New("peers are reached by UDP only")
	errNoRoom    = errors.New("there are as many allocations as there may be")
	errNotPeer   = errors.New("the peer is not one to be reached")
	errNoAddress = errors.New("the machine has no address of this family to relay at")
)

// unused is after how long without a packet of its client an allocation makes room for
// another one. Who uses one shows every few seconds that he is there.
const unused = 20 * time.Second

// quota says whether a user may have one more allocation.
func (s *Server) quota(username, _ string, from net.Addr) bool {
	user, _, ok := parseUsername(username)
	if !ok {
		return false
	}
	if r := s.abandoned(user); r != nil {
		r.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.roomLocked(user) {
		return false
	}
	s.proveLocked(from)
	return true
}

func (s *Server) roomLocked(user string) bool {
	return !s.ended && len(s.relays) < s.config.Limits.Allocations && s.users[user] < s.config.Limits.PerUser
}

// abandoned is the allocation to end if there is no room for another one of a user's: a
// phone that has moved cannot end those that it had, which would last for minutes.
func (s *Server) abandoned(user string) (oldest *relayed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roomLocked(user) {
		return nil
	}
	his := s.users[user] >= s.config.Limits.PerUser
	last := s.config.Now().Add(-unused).UnixNano()
	for r := range s.relays {
		if used := r.used.Load(); used <= last && (!his || r.user == user) {
			oldest, last = r, used
		}
	}
	return oldest
}

// allocator opens the relay ports.
type allocator struct{ s *Server }

var _ turn.RelayAddressGenerator = allocator{}

func (allocator) Validate() error { return nil }

func (allocator) AllocateListener(turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, errOnlyUDP
}

func (allocator) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) { return nil, errOnlyUDP }

// AllocatePacketConn opens a port for a user, until its credentials expire at the latest.
func (a allocator) AllocatePacketConn(c turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	user, expires, ok := parseUsername(c.UserID)
	if !ok || c.RequestedPort != 0 { // pion tries out even ports for nobody
		return nil, nil, errNoRoom
	}
	relay, bind, err := a.s.relayAddress(c.Network)
	if err != nil {
		return nil, nil, err
	}
	socket, err := a.s.openPort(c.Network, bind)
	if err != nil {
		return nil, nil, err
	}
	r := &relayed{PacketConn: socket, s: a.s, user: user}
	if !a.s.keep(r, expires) {
		socket.Close()
		return nil, nil, errNoRoom
	}
	port := socket.LocalAddr().(*net.UDPAddr).Port
	return r, &net.UDPAddr{IP: relay.AsSlice(), Port: port}, nil
}

// relayAddress is what peers see, and what to bind to.
func (s *Server) relayAddress(network string) (relay, bind netip.Addr, err error) {
	six := network == "udp6"
	bind = netip.IPv4Unspecified()
	if six {
		bind = netip.IPv6Unspecified()
	}
	of := func(ip netip.Addr) bool { return ip.IsValid() && ip.Unmap().Is6() == six }
	if own := s.udp.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(); !own.IsUnspecified() && of(own) {
		bind = own
	}
	switch {
	case s.config.Relay.IsValid():
		relay = s.config.Relay.Unmap()
	case !bind.IsUnspecified():
		relay = bind
	default:
		relay = machine(of)
	}
	if !of(relay) {
		return relay, bind, errNoAddress
	}
	return relay, bind, nil
}

// machine is the first public address of the machine of those that suit, else the first.
func machine(suits func(netip.Addr) bool) (first netip.Addr) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return first
	}
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		ip := prefix.Addr().Unmap()
		switch {
		case err != nil || !ip.IsGlobalUnicast() || !suits(ip):
		case !ip.IsPrivate():
			return ip
		case !first.IsValid():
			first = ip
		}
	}
	return first
}

// openPort opens one of the relay ports, by chance.
func (s *Server) openPort(network string, bind netip.Addr) (net.PacketConn, error) {
	first, count := int(s.config.RelayPorts[0]), int(s.config.RelayPorts[1]-s.config.RelayPorts[0])+1
	var last error
	for i, begin := 0, rand.IntN(count); i < count; i++ {
		port := first + (begin+i)%count
		socket, err := net.ListenPacket(network, net.JoinHostPort(bind.String(), strconv.Itoa(port)))
		if err == nil {
			return socket, nil
		}
		last = err
	}
	return nil, fmt.Errorf("no relay port is free: %w", last)
}

// keep counts an allocation until it is closed.
func (s *Server) keep(r *relayed, expires time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.roomLocked(r.user) {
		return false
	}
	r.used.Store(s.config.Now().UnixNano())
	s.relays[r] = true
	s.users[r.user]++
	s.running.Add(1)
	r.timer = time.AfterFunc(expires.Sub(s.config.Now()), func() { r.Close() })
	return true
}

// relayed is the port of an allocation.
type relayed struct {
	net.PacketConn
	s     *Server
	user  string
	timer *time.Timer
	used  atomic.Int64 // when its client last sent by it; Unix nanoseconds
	once  sync.Once
}

// ReadFrom passes over what does not come from a peer.
func (r *relayed) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := r.PacketConn.ReadFrom(b)
		if err != nil || r.peer(from) {
			return n, from, err
		}
	}
}

func (r *relayed) WriteTo(b []byte, to net.Addr) (int, error) {
	if !r.peer(to) {
		return 0, errNotPeer
	}
	r.used.Store(r.s.config.Now().UnixNano())
	return r.PacketConn.WriteTo(b, to)
}

func (r *relayed) peer(at net.Addr) bool {
	a, ok := at.(*net.UDPAddr)
	return ok && a.Port >= lowestPort && r.s.permitted(a.AddrPort().Addr())
}

// Close ends the allocation; pion, which reads from it, then forgets it.
func (r *relayed) Close() (err error) {
	r.once.Do(func() {
		err = r.PacketConn.Close()
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		r.timer.Stop()
		delete(r.s.relays, r)
		if r.s.users[r.user]--; r.s.users[r.user] == 0 {
			delete(r.s.users, r.user)
		}
		r.s.running.Done()
	})
	return err
}
