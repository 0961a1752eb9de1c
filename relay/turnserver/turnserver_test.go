package turnserver

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/turn/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen soon.
const patience = 20 * time.Second

// start is a server on loopback that ends with the test.
func start(t *testing.T, c Config) *Server {
	t.Helper()
	c.Addr = "127.0.0.1:0"
	if c.Allowed == nil {
		c.Allowed = func(netip.Addr) bool { return true }
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.near = true
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		s.Close()
		select {
		case <-served:
		case <-time.After(patience):
			t.Error("Serve has not returned")
		}
	})
	return s
}

// client is a TURN client by UDP, or by TCP.
func client(t *testing.T, s *Server, network, username, password string) *turn.Client {
	t.Helper()
	var conn net.PacketConn
	if network == "tcp" {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn = turn.NewSTUNConn(c)
	} else {
		var err error
		if conn, err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	c, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: s.Addr().String(), TURNServerAddr: s.Addr().String(), Conn: conn,
		Username: username, Password: password, LoggerFactory: loggers(s.log),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); conn.Close() })
	return c
}

// user is a client with good credentials.
func user(t *testing.T, s *Server, network, name string) *turn.Client {
	username, password := s.Credentials(name, time.Minute)
	return client(t, s, network, username, password)
}

func allocate(t *testing.T, c *turn.Client) net.PacketConn {
	t.Helper()
	relay, err := c.Allocate()
	if err != nil {
		t.Fatalf("Allocate: %v", err)
	}
	t.Cleanup(func() { relay.Close() })
	return relay
}

// peer sends back what it gets, with a mark.
func peer(t *testing.T) net.Addr {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			conn.WriteTo(append([]byte("back: "), b[:n]...), from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn.LocalAddr()
}

// echoes sends to a peer by the relay and wants the echo.
func echoes(t *testing.T, relay net.PacketConn, to net.Addr) {
	t.Helper()
	text := bytes.Repeat([]byte("page "), 200)
	if _, err := relay.WriteTo(text, to); err != nil {
		t.Fatalf("WriteTo: %v", err)
	}
	b := make([]byte, 2000)
	relay.SetReadDeadline(time.Now().Add(patience))
	n, from, err := relay.ReadFrom(b)
	if err != nil || from.String() != to.String() || !bytes.Equal(b[:n], append([]byte("back: "), text...)) {
		t.Fatalf("ReadFrom = %d bytes from %v, %v", n, from, err)
	}
}

func TestRelay(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			s := start(t, Config{RelayPorts: [2]uint16{49300, 49340}})
			c := user(t, s, network, "s-1")
			relay := allocate(t, c)
			at := relay.LocalAddr().(*net.UDPAddr)
			if !at.IP.Equal(net.IPv4(127, 0, 0, 1)) || at.Port < 49300 || at.Port > 49340 {
				t.Errorf("relayed at %v", at)
			}
			to := peer(t)
			for range 20 { // the first as indications, then in a channel
				echoes(t, relay, to)
			}
		})
	}
}

func TestSTUNForAnybody(t *testing.T) {
	s := start(t, Config{})
	c := client(t, s, "udp", "", "")
	at, err := c.SendBindingRequest()
	if err != nil || !strings.HasPrefix(at.String(), "127.0.0.1:") {
		t.Errorf("SendBindingRequest = %v, %v", at, err)
	}
}

func TestCredentials(t *testing.T) {
	var now atomic.Int64
	now.Store(1_800_000_000)
	s := start(t, Config{Now: func() time.Time { return time.Unix(now.Load(), 0) }, Secret: []byte("secret")})
	username, password := s.Credentials("s-1", time.Hour)
	if username != "1800003600:s-1" || password != "qjEd5grqY4XsNFxXbq41Nx1aMVU=" {
		t.Errorf("Credentials = %q, %q", username, password)
	}
	other, _ := s.Credentials("s-2", time.Hour)
	for name, row := range map[string][2]string{
		"wrong password":       {username, "x" + password[1:]},
		"no password":          {username, ""},
		"another user":         {other, password},
		"a longer life":        {"1900000000:s-1", password},
		"no expiry":            {"s-1", s.password("s-1")},
		"expired":              {"1799999999:s-1", s.password("1799999999:s-1")},
		"expiring this moment": {"1800000000:s-1", s.password("1800000000:s-1")},
		"no user":              {"1800003600:", s.password("1800003600:")},
	} {
		if relay, err := client(t, s, "udp", row[0], row[1]).Allocate(); err == nil {
			relay.Close()
			t.Errorf("%s: Allocate succeeded", name)
		}
	}
	allocate(t, client(t, s, "udp", username, password))
	now.Add(3600)
	if relay, err := client(t, s, "udp", username, password).Allocate(); err == nil {
		relay.Close()
		t.Error("Allocate succeeded with expired credentials")
	}
}

func TestExpiryEndsAllocations(t *testing.T) {
	s := start(t, Config{})
	now := time.Now().Add(-time.Hour + time.Second)
	username := strconv.FormatInt(now.Add(time.Hour).Unix(), 10) + ":s-1"
	r := &relayed{PacketConn: nopConn{closed: make(chan struct{})}, s: s, user: "s-1"}
	if !s.keep(r, now.Add(time.Hour)) {
		t.Fatalf("no room for %s", username)
	}
	select {
	case <-r.PacketConn.(nopConn).closed:
	case <-time.After(patience):
		t.Error("the allocation outlives its credentials")
	}
}

type nopConn struct {
	net.PacketConn
	closed chan struct{}
}

func (c nopConn) Close() error { close(c.closed); return nil }

func TestPeers(t *testing.T) {
	var allowed atomic.Bool
	s := start(t, Config{Allowed: func(ip netip.Addr) bool { return allowed.Load() && ip == netip.MustParseAddr("127.0.0.1") }})
	c := user(t, s, "udp", "s-1")
	relay := allocate(t, c)
	to := peer(t)
	if err := c.CreatePermission(to); err == nil {
		t.Error("a permission for a peer that is not allowed")
	}
	if _, err := relay.WriteTo([]byte("x"), to); err == nil {
		t.Error("a packet went to a peer that is not allowed")
	}
	allowed.Store(true)
	echoes(t, relay, to)
	for _, other := range []string{"127.0.0.2:2000", "10.0.0.1:2000", "169.254.1.1:2000", "224.0.0.1:2000", "0.0.0.0:2000", "255.255.255.255:2000"} {
		if err := c.CreatePermission(net.UDPAddrFromAddrPort(netip.MustParseAddrPort(other))); err == nil {
			t.Errorf("a permission for %s", other)
		}
	}

	// Whoever is allowed no more gets no packet more, although the permission stands.
	allowed.Store(false)
	relay.WriteTo([]byte("x"), to)
	s.mu.Lock()
	for r := range s.relays {
		if _, err := r.WriteTo([]byte("x"), to); !errors.Is(err, errNotPeer) {
			t.Errorf("WriteTo a peer that is allowed no more = %v", err)
		}
	}
	s.mu.Unlock()
}

func TestPermitted(t *testing.T) {
	s, err := New(Config{Allowed: func(ip netip.Addr) bool { return ip != netip.MustParseAddr("192.168.1.7") }})
	if err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string]bool{
		"192.168.1.6": true, "203.0.113.9": true, "2001:db8::1": true, "fd00::1": true, "::ffff:192.168.1.6": true,
		"192.168.1.7": false, "::ffff:192.168.1.7": false, "127.0.0.1": false, "::1": false, "::ffff:127.0.0.1": false,
		"169.254.0.1": false, "fe80::1": false, "fe80::1%eth0": false, "fd00::1%eth0": false, "224.0.0.1": false, "ff02::1": false,
		"0.0.0.0": false, "::": false, "255.255.255.255": false,
	} {
		if got := s.permitted(netip.MustParseAddr(ip)); got != want {
			t.Errorf("permitted(%s) = %v, want %v", ip, got, want)
		}
	}
	r := &relayed{s: s}
	if r.peer(net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.168.1.6:53"))) {
		t.Error("a service's port may be reached")
	}
}

func TestLimits(t *testing.T) {
	s := start(t, Config{Limits: Limits{Allocations: 3, PerUser: 2}})
	first := allocate(t, user(t, s, "udp", "s-1"))
	allocate(t, user(t, s, "tcp", "s-1"))
	if relay, err := user(t, s, "udp", "s-1").Allocate(); err == nil {
		relay.Close()
		t.Error("one user has three allocations")
	}
	allocate(t, user(t, s, "udp", "s-2"))
	if relay, err := user(t, s, "udp", "s-3").Allocate(); err == nil {
		relay.Close()
		t.Error("there are four allocations")
	}
	first.Close() // gives its port back once the server has heard
	for deadline := time.Now().Add(patience); ; {
		relay, err := user(t, s, "udp", "s-3").Allocate()
		if err == nil {
			relay.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no room after an allocation ended: %v", err)
		}
	}
}

// TestAbandoned: a phone that has moved cannot end the allocations that it had.
func TestAbandoned(t *testing.T) {
	var late atomic.Int64
	s := start(t, Config{Limits: Limits{PerUser: 2}, Now: func() time.Time { return time.Now().Add(time.Duration(late.Load())) }})
	used := allocate(t, user(t, s, "udp", "s-1"))
	allocate(t, user(t, s, "udp", "s-1"))
	other := allocate(t, user(t, s, "udp", "s-2"))
	late.Add(int64(unused))
	to := peer(t)
	echoes(t, used, to)
	more := allocate(t, user(t, s, "udp", "s-1"))
	if relay, err := user(t, s, "udp", "s-1").Allocate(); err == nil {
		relay.Close()
		t.Error("an allocation in use has made room")
	}
	for _, relay := range []net.PacketConn{used, more, other} {
		echoes(t, relay, to)
	}
}

func TestConnLimit(t *testing.T) {
	s := start(t, Config{Limits: Limits{Conns: 1}})
	allocate(t, user(t, s, "tcp", "s-1"))
	second, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	second.SetReadDeadline(time.Now().Add(patience))
	if _, err := second.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Read on a connection too many = %v", err)
	}
}

func TestOnlyUDPToPeers(t *testing.T) {
	s := start(t, Config{})
	if relay, err := user(t, s, "tcp", "s-1").AllocateTCP(); err == nil {
		relay.Close()
		t.Error("peers can be reached by TCP")
	}
}

func TestShutdown(t *testing.T) {
	s := start(t, Config{})
	for _, network := range []string{"udp", "tcp"} {
		echoes(t, allocate(t, user(t, s, network, "s-1")), peer(t))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Serve(ctx); err != nil {
		t.Errorf("Serve = %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.relays)+len(s.conns)+len(s.users) != 0 {
		t.Errorf("%d allocations, %d connections of %d users are left", len(s.relays), len(s.conns), len(s.users))
	}
	if err := s.turn.Close(); err == nil {
		t.Error("the ports were open")
	}
}

func TestConfig(t *testing.T) {
	allowed := func(netip.Addr) bool { return true }
	for _, c := range []Config{{}, {Allowed: allowed, RelayPorts: [2]uint16{5, 4}}, {Allowed: allowed, RelayPorts: [2]uint16{0, 4}}} {
		if _, err := New(c); err == nil {
			t.Errorf("New(%+v) succeeded", c)
		}
	}
	s, err := New(Config{Allowed: allowed, Addr: "127.0.0.1:nothing"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err == nil {
		t.Error("Listen on no port succeeded")
	}
}
