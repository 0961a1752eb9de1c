package front_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/front"
	"github.com/platen-scan/platen/relay/h2link"
	"github.com/platen-scan/platen/relay/h3link"
)

// says answers with who was asked and how.
func says(who string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", who, r.Proto, identity.PinOf(relay.PeerKeyOf(r.Context())))
	})
}

func handlers(c *front.Config) { c.BrowserHandler, c.NodeHandler = says("browser"), says("node") }

// noLeaks fails a test that leaves goroutines; call it first.
func noLeaks(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
}

// browser is a client that trusts the gateway's CA.
func (g *gateway) browser(t *testing.T, change func(*tls.Config)) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(g.ca.CertificatePEM())
	config := &tls.Config{
		RootCAs: roots,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			t.Error("a browser was asked for a certificate")
			return new(tls.Certificate), nil
		},
	}
	change(config)
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: len(config.NextProtos) == 0}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	answer, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestOnePortForAll(t *testing.T) {
	noLeaks(t)
	g := newGateway(t, handlers)
	url := fmt.Sprintf("https://%s/", g.Addr())

	for _, row := range []struct {
		name   string
		change func(*tls.Config)
		want   string
	}{
		{"h2", func(*tls.Config) {}, "browser HTTP/2.0 "},
		{"http/1.1", func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }, "browser HTTP/1.1 "},
		{"TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "browser HTTP/2.0 "},
	} {
		if got := get(t, g.browser(t, row.change), url); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}

	node := newIdentity(t)
	client, err := relay.NodeClient(g.target(node))
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	if got, want := get(t, client, "https://gateway/api/v1/node/join"), "node HTTP/1.1 "+node.Pin(); got != want {
		t.Errorf("a node: %q, want %q", got, want)
	}
	if _, err := client.Get("http://gateway/"); err == nil {
		t.Error("the node's client speaks plain HTTP")
	}

	for _, dialer := range []relay.Dialer{&h3link.Dialer{}, &h2link.Dialer{}} {
		link := g.up(t, dialer, says("link"))
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://node/", nil)
		answer, err := link.RoundTrip(r)
		if err != nil {
			t.Fatalf("over %s: %v", dialer.Kind(), err)
		}
		b, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if got, want := string(b), "link "+answer.Proto+" "+g.id.Pin(); got != want || link.Kind() != dialer.Kind() {
			t.Errorf("over %s: %q over %s, want %q", dialer.Kind(), got, link.Kind(), want)
		}
	}
}

func TestNoALPNIsABrowser(t *testing.T) {
	g := newGateway(t, handlers)
	conn, err := tls.Dial("tcp", g.Addr().String(), &tls.Config{RootCAs: g.roots()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	conn.SetReadDeadline(time.Now().Add(patience))
	if b, _ := io.ReadAll(conn); !strings.HasSuffix(string(b), "browser HTTP/1.1 ") {
		t.Errorf("answer = %q", b)
	}
}

// TestPlainHTTP: who forgot the s in https:// learns it; what is no HTTP is told nothing.
func TestPlainHTTP(t *testing.T) {
	noLeaks(t)
	g := newGateway(t, handlers)
	for _, row := range []struct{ sent, want string }{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "https://"},
		{"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request"},
		{"SSH-2.0-OpenSSH_9.2\r\n", ""},
	} {
		conn, err := net.Dial("tcp", g.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, row.sent)
		conn.SetReadDeadline(time.Now().Add(patience))
		b, _ := io.ReadAll(conn) // the gateway has not read all, so that this may end with a reset
		conn.Close()
		if got := string(b); !strings.Contains(got, row.want) || row.want == "" && got != "" {
			t.Errorf("to %q: %q, want %q", row.sent, got, row.want)
		}
	}
}

// TestChallengeIsALook: an ACME server gets a certificate and nothing else.
func TestChallengeIsALook(t *testing.T) {
	const challenge = "acme-tls/1" // RFC 8737
	g := newGateway(t, handlers)
	conn, err := tls.Dial("tcp", g.Addr().String(), &tls.Config{RootCAs: g.roots(), NextProtos: []string{challenge}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	conn.SetReadDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(conn)
	if got := conn.ConnectionState().NegotiatedProtocol; got != challenge || len(b) > 0 || os.IsTimeout(err) {
		t.Errorf("over %q the answer is %q, %v, want the connection's end", got, b, err)
	}
}

func (g *gateway) roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(g.ca.CertificatePEM())
	return roots
}

// TestNodesMustProveTheirKeys: an offer of a node's protocol is never answered by a
// browser's rules.
func TestNodesMustProveTheirKeys(t *testing.T) {
	g := newGateway(t, handlers)
	for _, offer := range [][]string{{relay.ALPNLink}, {relay.ALPNNode}, {relay.ALPNLink, "h2"}, {"http/1.1", relay.ALPNNode}} {
		conn, err := tls.Dial("tcp", g.Addr().String(), &tls.Config{RootCAs: g.roots(), NextProtos: offer, ServerName: "localhost", InsecureSkipVerify: true})
		if err == nil {
			conn.SetReadDeadline(time.Now().Add(patience))
			_, err = conn.Read(make([]byte, 1)) // TLS 1.3 tells a client of its refusal here
			conn.Close()
		}
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("offer %q without a certificate: %v, want a refusal", offer, err)
		}
	}
	wrong := g.target(newIdentity(t))
	wrong.Pin = newIdentity(t).Pin()
	client, err := relay.NodeClient(wrong)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get("https://gateway/"); !errors.Is(err, identity.ErrWrongPeer) {
		t.Errorf("a node whose gateway has another key: %v, want %v", err, identity.ErrWrongPeer)
	}
}

func TestRefusedLinks(t *testing.T) {
	g := newGateway(t, func(c *front.Config) {
		c.LinkAllowed = func(key ed25519.PublicKey) error { return problem.NodeUnknown.Error() }
	})
	for _, dialer := range []relay.Dialer{&h3link.Dialer{}, &h2link.Dialer{}} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := dialer.Dial(ctx, g.target(newIdentity(t)))
		cancel()
		if !errors.Is(err, problem.NodeUnknown.Error()) {
			t.Errorf("over %s: %v, want %s", dialer.Kind(), err, problem.NodeUnknown)
		}
	}
	if len(g.links) != 0 {
		t.Error("a refused link was handed over")
	}
}

func TestTakenPort(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	comm := filepath.Base(self)
	comm = comm[:min(len(comm), 15)] // Linux keeps so much of a name
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for network, address := range map[string]string{"tcp": tcp.Addr().String(), "udp": udp.LocalAddr().String()} {
		f, err := front.New(newConfig(t, address))
		if err != nil {
			t.Fatal(err)
		}
		err = f.Listen()
		if err == nil {
			f.Close()
			t.Fatalf("%s: Listen on a taken port succeeded", network)
		}
		_, port, _ := net.SplitHostPort(address)
		for _, word := range []string{port, network, "taken", comm, fmt.Sprint(os.Getpid())} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: error %q lacks %q", network, err, word)
			}
		}
	}
	f, err := front.New(newConfig(t, "no port"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Listen(); err == nil {
		t.Error("Listen on an address without a port succeeded")
	}
	if _, err := front.New(front.Config{}); err == nil {
		t.Error("New without a configuration succeeded")
	}
}

// TestCaps: a client has so many connections and no more; one that goes makes room.
func TestCaps(t *testing.T) {
	noLeaks(t)
	g := newGateway(t, handlers, func(c *front.Config) { c.Limits = front.Limits{ConnectionsPerIP: 2} })
	open := func() (*tls.Conn, error) {
		return tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", g.Addr().String(), &tls.Config{RootCAs: g.roots()})
	}
	first, err := open()
	if err != nil {
		t.Fatal(err)
	}
	link := g.up(t, &h3link.Dialer{}, says("link")) // counts too
	if c, err := open(); err == nil {
		c.Close()
		t.Error("a third connection was taken")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if c, err := (&h3link.Dialer{}).Dial(ctx, g.target(newIdentity(t))); err == nil {
		c.Close()
		t.Error("a third connection was taken, over QUIC")
	}
	link.Close("")
	for { // the gateway hears of the end a moment later
		c, err := open()
		if err == nil {
			c.Close()
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("no room after a connection went: %v", err)
		}
	}
	first.Close()
}

func TestHandshakeCap(t *testing.T) {
	g := newGateway(t, handlers, func(c *front.Config) { c.Limits = front.Limits{HandshakesPerIP: 1} })
	silent, err := net.Dial("tcp", g.Addr().String()) // begins no handshake
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dial := func() error {
		c, err := (&h2link.Dialer{}).Dial(ctx, g.target(newIdentity(t)))
		if err == nil {
			c.Close()
		}
		return err
	}
	for dial() == nil { // until the silent one has been accepted
		if ctx.Err() != nil {
			t.Fatal("handshakes are not limited")
		}
	}
	// The silent client is put out after its time, not kept for ever.
	silent.SetReadDeadline(time.Now().Add(patience))
	if _, err := silent.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the silent client: %v, want a closed connection", err)
	}
	for dial() != nil {
		if ctx.Err() != nil {
			t.Fatal("no handshake is possible after the silent client went")
		}
	}
}

func TestRequestHeaderLimits(t *testing.T) {
	g := newGateway(t, handlers)
	config := &tls.Config{RootCAs: g.roots(), NextProtos: []string{"http/1.1"}}
	big, err := tls.Dial("tcp", g.Addr().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer big.Close()
	slow, err := tls.Dial("tcp", g.Addr().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	io.WriteString(slow, "GET / HTTP/1.1\r\nHost: ")
	big.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(big, "GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", 32<<10))
	if b, _ := io.ReadAll(big); !strings.HasPrefix(string(b), "HTTP/1.1 431 ") {
		t.Errorf("a header of 32 KiB: %q, want 431", b)
	}
	slow.SetDeadline(time.Now().Add(patience))
	began := time.Now()
	if _, err := io.ReadAll(slow); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a header that does not end: the connection stays open for %v", time.Since(began))
	}
}

// TestAddressValidation: above the threshold nodes must prove their address, and do.
func TestAddressValidation(t *testing.T) {
	noLeaks(t)
	g := newGateway(t, func(c *front.Config) { c.Limits = front.Limits{RetryAbove: 1} })
	for range 5 {
		g.up(t, &h3link.Dialer{}, says("link"))
	}
}

// retried counts the packets that ask for a proof of the node's address.
type retried struct {
	net.PacketConn
	count *atomic.Int64
}

func (s retried) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := s.PacketConn.ReadFrom(p)
	if err == nil && n > 0 && p[0]&0xf0 == 0xf0 { // a long header of type Retry
		s.count.Add(1)
	}
	return n, from, err
}

// TestProvenAddress: who had to prove its address need not do so again.
func TestProvenAddress(t *testing.T) {
	noLeaks(t)
	g := newGateway(t, func(c *front.Config) { c.Limits = front.Limits{RetryAbove: 1} })
	var asked atomic.Int64
	var dialer *h3link.Dialer
	for end := time.Now().Add(patience); asked.Load() == 0; {
		if time.Now().After(end) {
			t.Fatal("nobody had to prove its address")
		}
		dialer = &h3link.Dialer{Listen: func(netip.AddrPort) (net.PacketConn, error) {
			socket, err := net.ListenUDP("udp4", nil)
			return retried{socket, &asked}, err
		}}
		g.up(t, dialer, says("link"))
	}
	for range 3 {
		asked.Store(0)
		g.up(t, dialer, says("link"))
		if n := asked.Load(); n != 0 {
			t.Errorf("asked %d times for a proof that it had", n)
		}
	}
}

func TestServeEnds(t *testing.T) {
	noLeaks(t)
	f, err := front.New(newConfig(t, "127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- f.Serve(ctx) }()
	idle, err := net.Dial("tcp", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	cancel()
	if err := await(t, served, "Serve to end"); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	idle.SetReadDeadline(time.Now().Add(patience))
	if _, err := idle.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection outlives Serve: %v", err)
	}
	again, err := net.Listen("tcp", f.Addr().String())
	if err != nil {
		t.Errorf("the port is not free: %v", err)
	} else {
		again.Close()
	}
}

func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}
