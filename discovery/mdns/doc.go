// Package mdns announces and looks for services on the local network by multicast DNS
// (RFC 6762). Several programs of a machine do that side by side, each with sockets of its
// own at the same port.
//
// The responder is our own, on the packets of miekg/dns. Others answered nothing on an
// interface that came after their start, left out all TXT records but one where several
// services had the same text, sent what is complete in packets larger than the network
// takes in one piece, and let one question wait for the next.
package mdns

import (
	"log/slog"
)

// Config is what Advertiser and Browser are made of.
type Config struct {
	// Host is the name that addresses are announced under, without its domain:
	// "platen-k7x2b4qd". Needed by an Advertiser.
	Host string
	Log  *slog.Logger // nil: none
}
