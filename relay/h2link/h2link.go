// Package h2link carries a link over TLS and TCP, for networks that block UDP: the
// node dials, then runs an HTTP/2 server on the connection, and the gateway an
// HTTP/2 client. It turns the connection round and nothing else. The node's Keeper
// calls Dialer, the gateway's front calls Accept.
package h2link

import (
	"net/http"
	"time"

	"github.com/platen-scan/platen/relay"
)

// maxFrame is the largest frame that either end takes. A larger one saves little
// and each connection keeps a buffer of that size once it has seen one.
const maxFrame = 256 << 10

// writeLimit is how long a connection may take nothing at all. HTTP/2's own limit
// of that kind counts a large frame as one write, which a slow connection may not
// finish in time.
const writeLimit = 10 * time.Second

// settings are the same at both ends; the names mean what the end that receives
// bodies does.
func settings() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          relay.MaxRequests + relay.ControlRequests,
		StrictMaxConcurrentRequests:   true, // wait, there is no other connection
		MaxReadFrameSize:              maxFrame,
		MaxReceiveBufferPerStream:     relay.StreamWindow,
		MaxReceiveBufferPerConnection: relay.LinkWindow,
		SendPingTimeout:               relay.PingAfter,
		PingTimeout:                   relay.PingTimeout,
	}
}
