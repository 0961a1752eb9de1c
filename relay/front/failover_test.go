package front_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/front"
	"github.com/platen-scan/platen/relay/h2link"
	"github.com/platen-scan/platen/relay/h3link"
)

// lossySocket is a UDP socket whose packets vanish, both ways, while blocked is set.
type lossySocket struct {
	net.PacketConn
	blocked *atomic.Bool
}

func (s lossySocket) WriteTo(p []byte, to net.Addr) (int, error) {
	if s.blocked.Load() {
		return len(p), nil
	}
	return s.PacketConn.WriteTo(p, to)
}

func (s lossySocket) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := s.PacketConn.ReadFrom(p)
		if err != nil || !s.blocked.Load() {
			return n, from, err
		}
	}
}

// node is a node's Keeper with both kinds of link, whose UDP can be blocked.
type node struct {
	blocked atomic.Bool
	ups     chan relay.Kind
	downs   chan error
}

func startNode(t *testing.T, target relay.Target, h http.Handler, blocked bool) *node {
	t.Helper()
	n := &node{ups: make(chan relay.Kind, 64), downs: make(chan error, 1024)}
	n.blocked.Store(blocked)
	keeper, err := relay.NewKeeper(relay.Config{
		Dialers: []relay.Dialer{
			&h3link.Dialer{Listen: func(to netip.AddrPort) (net.PacketConn, error) {
				socket, err := net.ListenUDP("udp4", nil)
				return lossySocket{socket, &n.blocked}, err
			}},
			&h2link.Dialer{},
		},
		Target:  func(context.Context) (relay.Target, error) { return target, nil },
		Handler: h, Log: slog.New(slog.DiscardHandler),
		OnUp:   func(k relay.Kind) { n.ups <- k },
		OnDown: func(err error) { n.downs <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- keeper.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := await(t, stopped, "the keeper to stop"); err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
	})
	return n
}

// events beats as a node's event stream does.
func events(w http.ResponseWriter, r *http.Request) {
	beat := time.NewTicker(2 * time.Second)
	defer beat.Stop()
	for {
		fmt.Fprintf(w, "%64s\n", "")
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-beat.C:
		case <-relay.Draining(r.Context()):
			return
		case <-r.Context().Done():
			return
		}
	}
}

func TestUDPBlockedFromTheStart(t *testing.T) {
	noLeaks(t)
	g := newGateway(t)
	began := time.Now()
	n := startNode(t, g.target(newIdentity(t)), says("link"), true)
	if kind := await(t, n.ups, "a link"); kind != relay.KindTCP {
		t.Errorf("the link is over %s, want %s", kind, relay.KindTCP)
	}
	t.Logf("link over TCP after %v", time.Since(began))
}

// TestUDPBlockedInFlight: a page under way over QUIC goes on over TCP where it
// stopped, long before QUIC's idle timeout.
func TestUDPBlockedInFlight(t *testing.T) {
	noLeaks(t)
	page := make([]byte, 32<<20)
	for i := range page {
		page[i] = byte(i >> 12)
	}
	g := newGateway(t)
	n := startNode(t, g.target(newIdentity(t)), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"attempt"`)
		http.ServeContent(w, r, "page.jpg", time.Time{}, strings.NewReader(string(page)))
	}), false)
	if kind := await(t, n.ups, "a link"); kind != relay.KindQUIC {
		t.Fatalf("the link is over %s, want %s", kind, relay.KindQUIC)
	}
	first := await(t, g.links, "the link")
	fetch := func(l relay.Link, from int) *http.Response {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://node/page", nil)
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		answer, err := l.RoundTrip(r)
		if err != nil {
			t.Fatalf("fetching from %d: %v", from, err)
		}
		return answer
	}
	got := make([]byte, 0, len(page))
	answer := fetch(first, 0)
	defer answer.Body.Close()
	part := make([]byte, 5<<20)
	if _, err := io.ReadFull(answer.Body, part); err != nil {
		t.Fatal(err)
	}
	got = append(got, part...)

	n.blocked.Store(true)
	began := time.Now()
	second := await(t, g.links, "the next link")
	t.Logf("link over %s %v after UDP was blocked", second.Kind(), time.Since(began))
	if second.Kind() != relay.KindTCP {
		t.Fatalf("the next link is over %s, want %s", second.Kind(), relay.KindTCP)
	}
	if took := time.Since(began); took >= relay.IdleTimeout {
		t.Errorf("it took %v, no better than the idle timeout", took)
	}
	first.Close("superseded")
	rest := fetch(second, len(got))
	defer rest.Body.Close()
	b, err := io.ReadAll(rest.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got = append(got, b...); string(got) != string(page) {
		t.Errorf("the page has %d bytes and differs, want %d", len(got), len(page))
	}
	if len(n.downs) != 0 {
		t.Errorf("the node was without a link: %v", <-n.downs)
	}
}

// gatewayEnv makes this test binary a gateway: its address and keys folder.
const gatewayEnv = "PLATEN_TEST_GATEWAY"

// runGateway serves until it is killed, and follows the events of its nodes.
func runGateway(address, dir string) int {
	id, err := identity.Load(dir)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	f, err := front.New(front.Config{
		Addr: address, Identity: id,
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c, err := id.Certificate()
			return &c, err
		},
		BrowserHandler: http.NotFoundHandler(), NodeHandler: http.NotFoundHandler(), LinkAllowed: allowAll,
		OnLink: func(l relay.Link) {
			r, _ := http.NewRequest("GET", "http://node/events", nil)
			if answer, err := l.RoundTrip(r); err == nil {
				go io.Copy(io.Discard, answer.Body)
			}
		},
		QUIC: h3link.ServerConfig(), QUICLink: h3link.Accept, TCPLink: h2link.Accept,
		StatelessResetKey: [32]byte([]byte(id.Pin())[:32]), Log: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		err = f.Listen()
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(f.Addr())
	f.Serve(context.Background())
	return 1
}

// startProcess starts a gateway in a process of its own.
func startProcess(t *testing.T, address, dir string) (kill func(), bound string) {
	t.Helper()
	gateway := exec.Command(os.Args[0])
	gateway.Env = append(os.Environ(), gatewayEnv+"="+address+" "+dir)
	out, err := gateway.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() { gateway.Process.Kill(); gateway.Wait() }
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		kill()
		t.Fatalf("the gateway said %q, %v", line, err)
	}
	return kill, strings.TrimSpace(line)
}

// TestGatewayKilled: a gateway that is killed says no goodbye; the nodes learn of
// it by the stateless reset of the next one, not by the idle timeout.
func TestGatewayKilled(t *testing.T) {
	dir := t.TempDir()
	id, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	kill, address := startProcess(t, "127.0.0.1:0", dir)
	n := startNode(t, relay.Target{Addr: address, Pin: id.Pin(), Identity: newIdentity(t)}, http.HandlerFunc(events), false)
	if kind := await(t, n.ups, "a link"); kind != relay.KindQUIC {
		t.Errorf("the link is over %s, want %s", kind, relay.KindQUIC)
	}
	kill()
	began := time.Now()
	kill, _ = startProcess(t, address, dir)
	defer kill()
	await(t, n.ups, "a link to the new gateway")
	took := time.Since(began)
	t.Logf("the link stood again %v after the kill", took)
	if took >= relay.IdleTimeout {
		t.Errorf("it took %v, no better than the idle timeout", took)
	}
}
