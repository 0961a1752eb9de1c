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

// bodyWindow is how many bytes of one unread body the gateway takes. The node must not
// run out of it while a lost packet is sent again, nor when the one is lost that says
// what was read: each costs a round trip or two. Measured with 1 % loss and 10 ms: 0.66 of
// a direct connection's rate with one MiB, 0.95 with two, 1.2 with four, which would be a
// lot for bodies that have no offsets. What has, a slow browser does not leave here
// (package gateway).
const bodyWindow = 2 * relay.StreamWindow

// settings are those of an end that takes so many bytes of one unread body.
func settings(window int) *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          relay.MaxRequests + relay.ControlRequests,
		StrictMaxConcurrentRequests:   true, // wait, there is no other connection
		MaxReadFrameSize:              maxFrame,
		MaxReceiveBufferPerStream:     window,
		MaxReceiveBufferPerConnection: (relay.MaxRequests + relay.ControlRequests) * window,
		SendPingTimeout:               relay.PingAfter,
		PingTimeout:                   relay.PingTimeout,
	}
}
