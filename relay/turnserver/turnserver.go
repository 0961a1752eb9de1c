// Package turnserver is the gateway's TURN server (RFC 8656): where a browser and a node
// find no way to each other, or the browser's network lets no UDP out, the packets of
// their peer connection take the way over it. It is a STUN server for anybody, too: who
// asks is told the address that it is seen at. The gateway's command runs it; it knows no
// nodes or sessions, only who may be reached.
//
// Who relays has credentials that the gateway gave it for a while; an allocation ends with
// them. Peers are reached by UDP only, at ports from 1024, if Allowed names their address
// at the moment of the packet and it is no special one: the server is no way into a network.
package turnserver

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/turn/v5"
)

// Config says where the server is and whom it serves.
type Config struct {
	Addr string // UDP and TCP host:port; port 0 chooses one

	// Relay is the address that peers see, and clients are told. It may be one that a
	// router translates to this machine's. Zero: the host of Addr, else the machine's
	// first public address, else its first one, of the family that is asked for.
	Relay      netip.Addr
	RelayPorts [2]uint16 // UDP, the first and the last; zero: 49160 to 49200

	Secret []byte // of the credentials; nil: made by New

	// Allowed says whether a peer is one to be reached. It is asked for every packet and
	// must not wait. Loopback, link-local and other special addresses are none, whatever
	// it says.
	Allowed func(peer netip.Addr) bool

	Limits Limits
	Log    *slog.Logger     // nil: none
	Now    func() time.Time // nil: time.Now
}

// Limits keep clients from exhausting the gateway. Zero means the default.
type Limits struct {
	Allocations int // at once, 40: one port each
	PerUser     int // of one user, 4
	Conns       int // TCP connections at once, 256
}

const realm = "platen" // of the credentials

// Server relays packets. Its methods are safe for concurrent use.
type Server struct {
	config Config
	log    *slog.Logger

	// near lets tests reach peers on this machine.
	near bool

	closed chan struct{}

	mu      sync.Mutex
	ended   bool
	udp     net.PacketConn
	tcp     net.Listener
	turn    *turn.Server
	conns   map[*tcpConn]bool
	relays  map[*relayed]bool
	users   map[string]int // allocations of each
	running sync.WaitGroup // of conns, relays and what reads from udp
}

// New opens nothing.
func New(c Config) (*Server, error) {
	if c.Allowed == nil {
		return nil, errors.New("the TURN server has nobody to say who may be reached")
	}
	if c.RelayPorts == [2]uint16{} {
		c.RelayPorts = [2]uint16{49160, 49200}
	}
	if c.RelayPorts[0] == 0 || c.RelayPorts[1] < c.RelayPorts[0] {
		return nil, fmt.Errorf("the relay ports %d to %d are no range", c.RelayPorts[0], c.RelayPorts[1])
	}
	if c.Secret == nil {
		c.Secret = make([]byte, 32)
		rand.Read(c.Secret)
	}
	c.Limits.Allocations = cmp.Or(c.Limits.Allocations, 40)
	c.Limits.PerUser = cmp.Or(c.Limits.PerUser, 4)
	c.Limits.Conns = cmp.Or(c.Limits.Conns, 256)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Server{
		config: c, log: c.Log, closed: make(chan struct{}),
		conns: map[*tcpConn]bool{}, relays: map[*relayed]bool{}, users: map[string]int{},
	}, nil
}

// Credentials let a user relay for a while, as browsers take them: the name is
// "expiry:user", the password the HMAC-SHA1 of it.
func (s *Server) Credentials(user string, life time.Duration) (username, password string) {
	username = strconv.FormatInt(s.config.Now().Add(life).Unix(), 10) + ":" + user
	return username, s.password(username)
}

func (s *Server) password(username string) string {
	mac := hmac.New(sha1.New, s.config.Secret)
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// parseUsername takes a name apart.
func parseUsername(username string) (user string, expires time.Time, ok bool) {
	expiry, user, ok := strings.Cut(username, ":")
	seconds, err := strconv.ParseInt(expiry, 10, 64)
	return user, time.Unix(seconds, 0), ok && err == nil && user != ""
}

// authenticate is asked for the key of a name. An allocation belongs to the whole name.
func (s *Server) authenticate(ra *turn.RequestAttributes) (userID string, key []byte, ok bool) {
	_, expires, ok := parseUsername(ra.Username)
	if !ok || !s.config.Now().Before(expires) || ra.Realm != realm {
		return "", nil, false
	}
	return ra.Username, turn.GenerateAuthKey(ra.Username, ra.Realm, s.password(ra.Username)), true
}

// permitted says whether packets may go to a peer and come from it.
func (s *Server) permitted(ip netip.Addr) bool {
	ip = ip.Unmap()
	if ip.Zone() != "" || !ip.IsGlobalUnicast() && !(s.near && ip.IsLoopback()) {
		return false
	}
	return s.config.Allowed(ip)
}

// Listen opens the ports.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.turn != nil {
		return errors.New("the TURN server has been opened before")
	}
	udp, tcp, err := listen(s.config.Addr)
	if err != nil {
		return fmt.Errorf("opening the TURN server's ports: %w", err)
	}
	s.udp, s.tcp = udp, tcp
	permission := func(_ net.Addr, ip net.IP) bool {
		peer, ok := netip.AddrFromSlice(ip)
		return ok && s.permitted(peer)
	}
	s.running.Add(1) // until udp is closed
	s.turn, err = turn.NewServer(turn.ServerConfig{
		Realm: realm, AuthHandler: s.authenticate, QuotaHandler: s.quota, LoggerFactory: loggers(s.log),
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn: &watched{PacketConn: udp, end: sync.OnceFunc(s.running.Done)}, RelayAddressGenerator: allocator{s}, PermissionHandler: permission,
		}},
		ListenerConfigs: []turn.ListenerConfig{{
			Listener: &listener{tcp, s}, RelayAddressGenerator: allocator{s}, PermissionHandler: permission,
		}},
	})
	if err != nil {
		s.running.Done()
		udp.Close()
		tcp.Close()
	}
	return err
}

// listen opens a UDP and a TCP port of the same number.
func listen(address string) (net.PacketConn, net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, nil, err
	}
	for tries := 0; ; tries++ {
		udp, err := net.ListenPacket("udp", address)
		if err != nil {
			return nil, nil, err
		}
		same := strconv.Itoa(udp.LocalAddr().(*net.UDPAddr).Port)
		tcp, err := net.Listen("tcp", net.JoinHostPort(host, same))
		if err == nil {
			return udp, tcp, nil
		}
		udp.Close()
		if port != "0" || tries == 10 {
			return nil, nil, err
		}
	}
}

// Addr is the address of both ports; nil before Listen.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.udp == nil {
		return nil
	}
	return s.udp.LocalAddr()
}

// Serve relays until ctx or the server ends, and ends every allocation.
func (s *Server) Serve(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-s.closed:
	}
	s.Close()
	s.running.Wait()
	return nil
}

// Close ends the server. It may be called again.
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.ended {
		s.ended = true
		close(s.closed)
	}
	server := s.turn
	var open []interface{ Close() error }
	for c := range s.conns {
		open = append(open, c)
	}
	for r := range s.relays {
		open = append(open, r)
	}
	s.mu.Unlock()
	if server != nil {
		server.Close()
	}
	for _, o := range open {
		o.Close()
	}
	return nil
}
