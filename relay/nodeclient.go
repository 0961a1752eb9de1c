package relay

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"crypto/tls"
)

// NodeClient makes the client for a node's own requests to its gateway: HTTP/1.1
// over mutual TLS on the gateway's port, both keys pinned, whatever host the
// request's URL names. Close its idle connections when done with it.
func NodeClient(t Target) (*http.Client, error) {
	config, err := t.Identity.DialTLS(t.Pin, ALPNNode)
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
