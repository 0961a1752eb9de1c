package relay

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/platen-scan/platen/internal/identity"
)

// NodeClient makes the client for a node's own requests to its gateway: HTTP/1.1
// over mutual TLS on the gateway's port, both keys pinned, whatever host the
// request's URL names. Close its idle connections when done with it.
func NodeClient(t Target) (*http.Client, error) {
	config, err := t.Identity.DialTLS(t.Pins(), ALPNNode)
	if err != nil {
		return nil, fmt.Errorf("making the client for the gateway: %w", err)
	}
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: HandshakeTimeout, KeepAlive: PingAfter}, Config: config}
	return &http.Client{Transport: &http.Transport{
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
			defer cancel()
			return dialer.DialContext(ctx, network, t.Addr)
		},
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, fmt.Errorf("the gateway is asked over TLS only")
		},
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        time.Minute,
		ResponseHeaderTimeout:  time.Minute,
		MaxResponseHeaderBytes: MaxHeader,
		DisableCompression:     true,
	}}, nil
}

// Meet asks who is at an address: it answers the pin of the key that is proven there,
// whosever it is. A person has to compare it.
func Meet(ctx context.Context, addr string, id *identity.Identity) (pin string, err error) {
	config, err := id.MeetTLS(func(key ed25519.PublicKey) { pin = identity.PinOf(key) }, ALPNNode)
	if err != nil {
		return "", fmt.Errorf("looking for the gateway: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
	defer cancel()
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: HandshakeTimeout}, Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("looking for the gateway: %w", err)
	}
	return pin, conn.Close()
}
