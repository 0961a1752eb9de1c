// Package mdns announces and looks for services on the local network by multicast DNS
// (RFC 6762).
package mdns

import (
	"log/slog"
)

// Config is what Advertiser and Browser are made of.
type Config struct {
	// Host is the name that addresses are announced under, without its domain:
	// "platen-k7x2b4qd". Needed by an Advertiser.
	Host string
	// Interfaces are the names of those to use; nil: all that are up, have multicast and
	// are not loopback.
	Interfaces func() []string
	Log        *slog.Logger // nil: none
}
