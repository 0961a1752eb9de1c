package h3link_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"testing"

	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/front"
	"github.com/platen-scan/platen/relay/h2link"
	"github.com/platen-scan/platen/relay/h3link"
	"github.com/platen-scan/platen/relay/relaytest"
)

// TestConformanceAtAFront: what holds on a port for links holds on the one that
// browsers share, for nodes whose connection IDs have the mark and for those without.
func TestConformanceAtAFront(t *testing.T) {
	for name, dialer := range map[string]*h3link.Dialer{"marked": {}, "unmarked": h3link.Unmarked()} {
		t.Run(name, func(t *testing.T) {
			relaytest.Run(t, func(t *testing.T) relaytest.Harness { return connectFront(t, dialer, name == "unmarked") })
		})
	}
}

func connectFront(t *testing.T, dialer *h3link.Dialer, narrow bool) relaytest.Harness {
	gateway, node := relaytest.NewIdentity(t), relaytest.NewIdentity(t)
	links := make(chan relay.Link, 8)
	gate := new(relaytest.Gate)
	f, err := front.New(front.Config{
		Addr: "127.0.0.1:0", Identity: gateway,
		Certificate:    func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") },
		BrowserHandler: http.NotFoundHandler(), NodeHandler: http.NotFoundHandler(),
		LinkAllowed: gate.Allowed, OnLink: func(l relay.Link) { links <- l },
		QUIC: h3link.ServerConfig(), QUICLink: h3link.Accept, TCPLink: h2link.Accept,
		StatelessResetKey: [32]byte{1}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- f.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
	})
	address := f.Addr().String()
	return relaytest.Harness{
		Dialer: dialer, Links: links, Gateway: gateway.Public(), Allow: gate.Allow, Narrow: narrow,
		Target: relay.Target{Addr: address, Pin: gateway.Pin(), Identity: node},
		Shake:  shake(address),
	}
}
