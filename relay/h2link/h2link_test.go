package h2link_test

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/h2link"
	"github.com/platen-scan/platen/relay/relaytest"
)

func TestConformance(t *testing.T) { relaytest.Run(t, connect) }

// connect is a gateway on a loopback port.
func connect(t *testing.T) relaytest.Harness {
	gateway, node := relaytest.NewIdentity(t), relaytest.NewIdentity(t)
	config, err := gateway.AcceptTLS(relay.ALPNLink)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	links := make(chan relay.Link, 8)
	gate := new(relaytest.Gate)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			raw, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				conn := tls.Server(relay.NewStream(raw), config)
				ctx, cancel := context.WithTimeout(context.Background(), relay.HandshakeTimeout)
				defer cancel()
				if conn.HandshakeContext(ctx) != nil {
					raw.Close()
					return
				}
				if l, err := h2link.Accept(conn, gate.Allowed); err == nil {
					links <- l
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	address := listener.Addr().String()
	return relaytest.Harness{
		Dialer: &h2link.Dialer{}, Links: links, Gateway: gateway.Public(), Allow: gate.Allow,
		Target: relay.Target{Addr: address, Pin: gateway.Pin(), Identity: node},
		Shake: func(ctx context.Context, c *tls.Config) error {
			conn, err := (&tls.Dialer{Config: c}).DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			defer conn.Close()
			conn.SetReadDeadline(time.Now().Add(relaytest.Patience))
			_, err = conn.Read(make([]byte, 1)) // TLS 1.3 tells a client of its refusal here
			return err
		},
	}
}
