package wtroad_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"

	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/relaytest"
	"github.com/platen-scan/platen/relay/wtroad"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// try joins and reports how that ended.
func (e *end) try(t *testing.T, v visit) (*browser, int, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), relaytest.Patience)
	defer cancel()
	b, status, err := e.join(ctx, v)
	if err == nil {
		t.Cleanup(func() { b.Close() })
	}
	if ctx.Err() != nil {
		t.Errorf("joining took until its deadline: %v", err)
	}
	return b, status, err
}

// echo serves exchanges that bring back what they sent first.
func (e *end) echo(t testing.TB) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := e.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(c).ReadString('\n')
			io.WriteString(c, line)
			c.Close()
		}
	}()
	t.Cleanup(func() { e.Close(); <-done })
}

// works fails the test unless a session carries an exchange.
func works(t testing.TB, b *browser) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), relaytest.Patience)
	defer cancel()
	c, err := b.Open(ctx)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(relaytest.Patience))
	io.WriteString(c, "hello\n")
	if got, err := io.ReadAll(c); err != nil || string(got) != "hello\n" {
		t.Errorf("the exchange brought %q, %v", got, err)
	}
}

func TestWhoMayJoin(t *testing.T) {
	e := newEnd(t, nil)
	for _, row := range []struct {
		name   string
		path   string
		header http.Header
		status int
	}{
		{"a page", wtroad.Path, http.Header{"Origin": {origin}}, 200},
		{"a query", wtroad.Path + "?x=y", http.Header{"Origin": {origin}}, 200},
		{"no page", wtroad.Path, nil, 403},
		{"an empty origin", wtroad.Path, http.Header{"Origin": {""}}, 403},
		{"a page of no origin", wtroad.Path, http.Header{"Origin": {"null"}}, 403},
		{"two origins", wtroad.Path, http.Header{"Origin": {origin, "https://evil.example"}}, 403},
		{"another path", "/", http.Header{"Origin": {origin}}, 404},
		{"a path below", wtroad.Path + "/", http.Header{"Origin": {origin}}, 404},
		{"the API", "/api/v1/road", http.Header{"Origin": {origin}}, 404},
	} {
		v := e.visit()
		v.path, v.header = row.path, row.header
		b, status, err := e.try(t, v)
		if status != row.status || (err == nil) != (row.status == 200) {
			t.Errorf("%s: status %d, %v; want %d", row.name, status, err, row.status)
		}
		if err == nil {
			b.Close()
		}
	}
}

// TestOrdinaryRequests are HTTP/3 without WebTransport.
func TestOrdinaryRequests(t *testing.T) {
	e := newEnd(t, nil)
	transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // what is answered is the question
	defer transport.Close()
	for _, row := range []struct{ method, path string }{{"GET", "/"}, {"GET", wtroad.Path}, {"POST", wtroad.Path}, {"CONNECT", wtroad.Path}} {
		r, err := http.NewRequestWithContext(t.Context(), row.method, "https://"+e.Addr().String()+row.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		answer, err := transport.RoundTrip(r)
		if err != nil {
			t.Errorf("%s %s: %v", row.method, row.path, err)
			continue
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s %s = %d, want 404", row.method, row.path, answer.StatusCode)
		}
	}
}

func TestHandshakes(t *testing.T) {
	e := newEnd(t, nil)
	for _, row := range []struct {
		name   string
		change func(*tls.Config)
		joins  bool
	}{
		{"a browser's", func(*tls.Config) {}, true},
		{"any name", func(c *tls.Config) { c.ServerName = "192-168-1-5.example" }, true},
		{"another protocol", func(c *tls.Config) { c.NextProtos = []string{"hq-interop"} }, false},
		{"a link's protocol", func(c *tls.Config) { c.NextProtos = []string{relay.ALPNLink} }, false},
	} {
		v := e.visit()
		v.tls = row.change
		if _, _, err := e.try(t, v); (err == nil) != row.joins {
			t.Errorf("%s: %v, want it to join: %v", row.name, err, row.joins)
		}
	}
	v := e.visit()
	v.hashes = v.hashes[1:] // of the certificate whose turn has not come
	if _, _, err := e.try(t, v); err == nil {
		t.Error("the next certificate serves")
	}
}

func TestSessions(t *testing.T) {
	for _, limits := range []wtroad.Limits{{Sessions: 3}, {SessionsPerIP: 3}, {Handshakes: 1}} {
		e := newEnd(t, func(c *wtroad.Config) { c.Limits = limits })
		e.echo(t)
		var first *browser
		for range 3 {
			b := e.mustJoin(t)
			works(t, b)
			first = b
		}
		_, _, err := e.try(t, e.visit())
		if limits.Handshakes == 1 {
			if err != nil {
				t.Errorf("a fourth session, after the others' handshakes: %v", err)
			}
			continue
		}
		var refused *quic.TransportError
		if !errors.As(err, &refused) || refused.ErrorCode != quic.ConnectionRefused {
			t.Errorf("a fourth session with %+v: %v, want it refused", limits, err)
		}
		first.Close()
		for { // the node hears of it soon
			if b, _, err := e.try(t, e.visit()); err == nil {
				works(t, b)
				break
			}
		}
	}
}

// TestStreams: a browser that opens more than it may waits; it hurts nobody.
func TestStreams(t *testing.T) {
	e := newEnd(t, func(c *wtroad.Config) { c.Limits = wtroad.Limits{Streams: 2} })
	e.echo(t)
	b := e.mustJoin(t)
	var held []net.Conn
	for range 2 {
		c, err := b.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
		defer c.Close()
	}
	if c, err := b.session.OpenStream(); err == nil {
		c.Close()
		t.Error("a third exchange at once")
	}
	works(t, e.mustJoin(t))
	for _, c := range held {
		c.Close()
	}
	works(t, b)
}

// TestRetry: above a rate, browsers prove their addresses and notice nothing.
func TestRetry(t *testing.T) {
	e := newEnd(t, func(c *wtroad.Config) { c.Limits = wtroad.Limits{RetryAbove: 1} })
	e.echo(t)
	for range 4 {
		works(t, e.mustJoin(t))
	}
}

// TestNoSession: who connects and does not join is sent away.
func TestNoSession(t *testing.T) {
	e := newEnd(t, nil)
	conn, err := quic.DialAddr(t.Context(), e.Addr().String(),
		&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, // nothing is said
		&quic.Config{KeepAlivePeriod: time.Second, MaxIdleTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseWithError(0, "")
	start := time.Now()
	select {
	case <-conn.Context().Done():
	case <-time.After(relaytest.Patience):
		t.Fatal("a connection without a session stays")
	}
	t.Logf("closed after %v: %v", time.Since(start), context.Cause(conn.Context()))
}

// TestReason: the page can show why the node closed its session.
func TestReason(t *testing.T) {
	e := newEnd(t, nil)
	b := e.mustJoin(t)
	c, err := b.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "x")
	accepted, err := e.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted.(relay.RoadConn).Session().Close("the grant has run out" + strings.Repeat("é", 1000))
	if err := b.gone(t); err == nil || !strings.Contains(err.Error(), "the grant has run out") {
		t.Errorf("the browser hears %v", err)
	}
	if _, err := accepted.Write([]byte("x")); err == nil {
		t.Error("an exchange of a closed session can be written to")
	}
}

func TestListen(t *testing.T) {
	e := newEnd(t, nil)
	other, err := wtroad.New(wtroad.Config{Certificates: e.certificates, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Listen(e.Addr().String()); !isInUse(err) {
		t.Errorf("Listen on a port that is taken = %v", err)
	}
	if _, err := wtroad.New(wtroad.Config{Log: quiet}); err == nil {
		t.Error("New without certificates")
	}
	if err := other.Close(); err != nil {
		t.Errorf("Close of a road that never opened: %v", err)
	}
	if err := other.Serve(t.Context()); err != nil {
		t.Errorf("Serve of a closed road: %v", err)
	}
	e.Close()
	if err := <-e.done; err != nil {
		t.Errorf("Serve after Close = %v, want nil", err)
	}
}

func isInUse(err error) bool {
	var sys *os.SyscallError
	return errors.As(err, &sys) && sys.Syscall == "bind"
}

// TestSmallPackets: a path that drops what is larger than IPv6's least.
func TestSmallPackets(t *testing.T) {
	e := newEnd(t, nil)
	e.echo(t)
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	narrow := &narrowConn{PacketConn: socket}
	v := e.visit()
	v.network = narrow
	b, _, err := e.try(t, v)
	if err != nil {
		t.Fatalf("joining over a narrow path: %v", err)
	}
	works(t, b)
	if first := narrow.first.Load(); first > 1200 {
		t.Errorf("the node's first packet has %d bytes, want at most 1200", first)
	}
	b.Close()
	<-b.session.Context().Done()
}

type narrowConn struct {
	net.PacketConn
	first atomic.Int64
}

const narrowest = 1280 - 40 - 8 // bytes of a packet, without the headers of IPv6 and UDP

func (c *narrowConn) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(p)
		c.first.CompareAndSwap(0, int64(n))
		if err != nil || n <= narrowest {
			return n, from, err
		}
	}
}

func (c *narrowConn) WriteTo(p []byte, to net.Addr) (int, error) {
	if len(p) > narrowest {
		return len(p), nil
	}
	return c.PacketConn.WriteTo(p, to)
}
