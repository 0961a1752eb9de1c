package front_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/front"
	"github.com/platen-scan/platen/relay/h2link"
	"github.com/platen-scan/platen/relay/h3link"
)

const patience = 30 * time.Second

// gateway is a Front that serves on loopback.
type gateway struct {
	*front.Front
	id    *identity.Identity
	ca    *identity.CA
	links chan relay.Link
}

func noCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return nil, errors.New("no certificate")
}

func allowAll(ed25519.PublicKey) error { return nil }

// newConfig is a configuration in which everything is allowed and nothing found.
func newConfig(t testing.TB, address string) front.Config {
	t.Helper()
	return front.Config{
		Addr: address, Identity: newIdentity(t),
		Certificate:       noCertificate,
		BrowserHandler:    http.NotFoundHandler(),
		NodeHandler:       http.NotFoundHandler(),
		LinkAllowed:       allowAll,
		OnLink:            func(relay.Link) {},
		QUIC:              h3link.ServerConfig(),
		QUICLink:          h3link.Accept,
		TCPLink:           h2link.Accept,
		StatelessResetKey: [32]byte{1, 2, 3},
		Log:               slog.New(slog.DiscardHandler),
	}
}

// makeGateway has its port open. change may alter the configuration.
func makeGateway(t testing.TB, change ...func(*front.Config)) *gateway {
	t.Helper()
	ca, err := identity.LoadCA(t.TempDir(), "test")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf([]string{"127.0.0.1", "localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	config := newConfig(t, "127.0.0.1:0")
	g := &gateway{id: config.Identity, ca: ca, links: make(chan relay.Link, 1024)}
	config.Certificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &leaf, nil }
	config.OnLink = func(l relay.Link) { g.links <- l }
	for _, f := range change {
		f(&config)
	}
	if g.Front, err = front.New(config); err != nil {
		t.Fatal(err)
	}
	if err := g.Listen(); err != nil {
		t.Fatal(err)
	}
	return g
}

// newGateway serves until the test ends. change may alter the configuration.
func newGateway(t testing.TB, change ...func(*front.Config)) *gateway {
	t.Helper()
	g := makeGateway(t, change...)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-served:
			if err != nil {
				t.Errorf("Serve = %v, want nil", err)
			}
		case <-time.After(patience):
			t.Error("Serve did not end")
		}
	})
	return g
}

func (g *gateway) target(node *identity.Identity) relay.Target {
	return relay.Target{Addr: g.Addr().String(), Pin: g.id.Pin(), Identity: node}
}

// up is a link that a node serves with h until the test ends.
func (g *gateway) up(t testing.TB, d relay.Dialer, h http.Handler) relay.Link {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := d.Dial(ctx, g.target(newIdentity(t)))
	if err != nil {
		t.Fatalf("Dial over %s: %v", d.Kind(), err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn.Serve(context.Background(), h)
	}()
	t.Cleanup(func() {
		conn.Close()
		<-served
	})
	select {
	case l := <-g.links:
		return l
	case <-ctx.Done():
		t.Fatal("the gateway got no link")
		return nil
	}
}

func newIdentity(t testing.TB) *identity.Identity {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// heap is what lives after a collection.
func heap() int {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}
