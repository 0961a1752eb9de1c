// Package relay is the link between a node and its gateway: the node dials, then
// the gateway makes ordinary HTTP requests to the node over that connection. There
// is no protocol of our own on it; the adapters (h3link over QUIC, h2link over TLS)
// turn a connection round and nothing else.
//
// The node holds a Keeper, which races the dialers, keeps one link up and dials
// again when it falls. The gateway's front hands every new Link to the gateway.
// Both ends know the other's public key before they connect; no system root is
// trusted on a link (package identity).
//
// The package never looks into requests: grants and events are the business of
// node and gateway.
package relay

import (
	"context"
	"crypto/ed25519"
	"net"
	"net/http"

	"github.com/platen-scan/platen/internal/identity"
)

// Names that both ends must agree on.
const (
	ALPNLink = "platen-link/1"        // a link
	ALPNNode = "platen-node/1"        // a node's own requests to the gateway: HTTP/1.1 over mutual TLS
	Host     = "node.platen.internal" // the Host of every request over a link
)

// Limits of a link, the same over both kinds.
const (
	MaxRequests  = 128     // at once; more wait at the gateway
	StreamWindow = 1 << 20 // bytes that one unread body may hold
)

// Kind names what carries a link.
type Kind string

// The kinds.
const (
	KindQUIC Kind = "quic"
	KindTCP  Kind = "tcp"
	KindMem  Kind = "mem" // tests
)

// Link is the gateway's end. Requests go to the node; http.RoundTripper's rules
// hold. Canceling a request's context resets its stream and no other.
type Link interface {
	http.RoundTripper
	Kind() Kind
	Peer() ed25519.PublicKey // the node's key, proven by TLS
	RemoteAddr() net.Addr
	Done() <-chan struct{} // closed when the link is gone, for whatever cause
	Close(reason string)   // at once; requests under way fail
}

// Conn is the node's end of a link that it dialed.
type Conn interface {
	Kind() Kind
	// Serve answers the gateway's requests with h until ctx ends or the link is
	// gone, then returns why. All of its goroutines have ended by then.
	Serve(ctx context.Context, h http.Handler) error
	// Close ends the link; Serve returns.
	Close() error
}

// Dialer opens links of one kind.
type Dialer interface {
	Kind() Kind
	// Dial connects and proves both keys, within ctx.
	Dial(ctx context.Context, t Target) (Conn, error)
}

// Target is the gateway that a node dials.
type Target struct {
	Addr     string             // host:port
	Pin      string             // of the gateway's key, from the join token
	Identity *identity.Identity // the node's
}
