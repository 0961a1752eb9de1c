package h3link_test

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/h3link"
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
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	transport := &quic.Transport{Conn: socket}
	listener, err := transport.Listen(config, h3link.ServerConfig())
	if err != nil {
		t.Fatal(err)
	}
	links := make(chan relay.Link, 8)
	gate := new(relaytest.Gate)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept(context.Background())
			if err != nil {
				return
			}
			running.Go(func() {
				if l, err := h3link.Accept(conn, gate.Allowed); err == nil {
					links <- l
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
		transport.Close()
		socket.Close()
	})
	address := socket.LocalAddr().String()
	return relaytest.Harness{
		Dialer: &h3link.Dialer{}, Links: links, Gateway: gateway.Public(), Allow: gate.Allow,
		Target: relay.Target{Addr: address, Pin: gateway.Pin(), Identity: node},
		Shake:  shake(address),
	}
}

// shake is the harness' Shake at an address.
func shake(address string) func(context.Context, *tls.Config) error {
	return func(ctx context.Context, c *tls.Config) error {
		conn, err := quic.DialAddr(ctx, address, c, nil)
		if err != nil {
			return err
		}
		defer conn.CloseWithError(0, "")
		_, err = conn.AcceptUniStream(ctx)
		return err
	}
}
