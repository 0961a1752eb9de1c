// Package discovery is what Platen announces to the local network and what it sees
// there: nodes, gateways and scanners, as DNS-SD services (RFC 6763). Commands announce
// with an Advertiser and look with a Browser; a Table makes records of what packets say.
//
// A record is a hint, never a credential: anybody on the network can announce anything.
// Who somebody is, is decided by the key that he proves when he is spoken to, and what
// was found that way is shown to people as not yet proven.
//
// The package does no I/O. mdns speaks on the local network, unicast with a name server,
// memdisco within a test.
package discovery

import (
	"context"
	"net/netip"
)

// Service types (RFC 6763, section 7). Their domain is the local network's.
const (
	TypeNode          = "_platen._tcp"    // a node's HTTPS port
	TypeGateway       = "_platen-gw._tcp" // a gateway's one port
	TypeScanner       = "_uscan._tcp"     // a scanner by eSCL over HTTP
	TypeSecureScanner = "_uscans._tcp"    // a scanner by eSCL over HTTPS
)

// Keys of the TXT record of TypeNode and TypeGateway. Nothing of a person is in it.
const (
	TextVersion     = "txtvers" // of these keys: "1"
	TextID          = "id"      // the node's ID, or the ID of the gateway's key
	TextAPI         = "api"     // version of the HTTP API: "1"
	TextFingerprint = "fp"      // first 8 hexadecimal digits of the SHA-256 of the key (SubjectPublicKeyInfo), to be shown
	TextJoined      = "joined"  // a node's: "T" if it has a gateway, else "F"
	TextTag         = "tag"     // as configured; absent: none
)

// Record is one instance of a service.
type Record struct {
	Type string // as TypeNode
	Name string // the instance: UTF-8, at most 63 bytes; blanks, dots and brackets are usual
	// Host is the name behind Addrs, without the last dot, as "platen-k7x2.local". Of a
	// record that is announced "" means the Advertiser's.
	Host string
	Port uint16
	Text map[string]string // keys in lower case; at most MaxText bytes altogether
	// Addrs of a record that was seen are where it can be reached, best first, link-local
	// ones with their zone; never empty. Of a record that is announced they are the only
	// addresses to tell; empty: those of every interface.
	Addrs []netip.Addr
	// Interface is where the record was seen; "" for one that is announced, or was seen by
	// other means than multicast.
	Interface string
}

// Bounds of what is taken from the network.
const (
	MaxText  = 1300 // bytes of a TXT record
	MaxName  = 63   // bytes of an instance's name
	MaxAddrs = 16   // of one record
	MaxSeen  = 64   // records of one type
)

// Advertiser announces records to the local network.
type Advertiser interface {
	// Announce makes these the records that are announced; those that were and are no
	// longer get a goodbye. It may be called at any time, also before Serve, and does not
	// wait for the network.
	Announce(records []Record)
	// Announced are the records as they are announced now: with the names that they got
	// where others had theirs ("name (2)"), with Host and Addrs.
	Announced() []Record
	// Serve answers questions until ctx ends, then says goodbye. It follows interfaces
	// that come and go and waits for a network where there is none. It returns an error
	// only if it can never work here.
	Serve(ctx context.Context) error
}

// Browser looks for services.
type Browser interface {
	// Browse looks for services of these types until ctx ends, and then returns nil. It
	// calls see, from one goroutine, with all that is there now, in order of type, name and
	// interface, whenever that has changed; for the first time once it has heard something
	// or waited a second. see owns the slice.
	Browse(ctx context.Context, types []string, see func([]Record)) error
}
