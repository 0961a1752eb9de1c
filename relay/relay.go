// Package relay is the link between a node and its gateway: the node dials, then
// the gateway makes ordinary HTTP requests to the node over that connection. There
// is no protocol of our own on it; the adapters (h3link over QUIC, h2link over TLS)
// turn a connection round and nothing else.
//
// The node holds a Keeper, which races the dialers, keeps one link up and dials
// again when it falls. While large bodies are sent it holds a second one of another
// kind beside it, so that the gateway can take them over the better of the two. The
// gateway's front hands every new Link to the gateway.
// Both ends know the other's public key before they connect; no system root is
// trusted on a link (package identity).
//
// Requests over a link have the Host node.platen.internal and carry no Cookie,
// Authorization, Forwarded, X-Forwarded-* or Via: what the node must know about
// the browser travels in the gateway's signed grant. At most MaxRequests are under
// way at once; more wait at the gateway. Requests marked with WithControl have
// slots of their own, and one body's unread bytes never take another's window, so
// that any number of stalled readers leaves a link usable. A browser that takes
// nothing of a body for StallLimit has it reset by the end that it is connected to
// (Progress); a gateway that takes nothing for LinkStallLimit, by the node.
//
// A link ends by closing. A planned end is a drain: the node opens its next link,
// the gateway routes to the newest, and the node closes the old one after its last
// response. HTTP's own graceful shutdown is never used on a link.
//
// The package never looks into requests: grants and events are the business of
// node and gateway.
package relay

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/problem"
)

// Names that both ends must agree on.
const (
	ALPNLink = "platen-link/1"        // a link
	ALPNNode = "platen-node/1"        // a node's own requests to the gateway: HTTP/1.1 over mutual TLS
	Host     = "node.platen.internal" // the Host of every request over a link
	LinkMark = "pltn"                 // begins the QUIC connection IDs of a node that dials a link
)

// Limits of a link.
const (
	MaxRequests     = 128                                            // at once; more wait at the gateway
	ControlRequests = 32                                             // at once, beside those: see WithControl
	StreamWindow    = 1 << 20                                        // bytes that one unread body may hold; over TCP, from node to gateway, h2link has more
	LinkWindow      = (MaxRequests + ControlRequests) * StreamWindow // bytes that all may hold: no body can use up another's
	MaxHeader       = 32 << 10                                       // bytes of a request's or answer's header
)

// Times of a link.
const (
	StallLimit       = 10 * time.Second // a body whose reader takes nothing for so long is reset
	LinkStallLimit   = 30 * time.Second // the same over a link, where a slow reader is heard of once a quarter window
	HandshakeTimeout = 5 * time.Second
	IdleTimeout      = 15 * time.Second // without a packet: a QUIC link is gone
	PingAfter        = 5 * time.Second  // without traffic: ask whether the other end lives
	PingTimeout      = 5 * time.Second  // without an answer: a TCP link is gone
)

// Kind names what carries a link.
type Kind string

// The kinds.
const (
	KindQUIC Kind = "quic"
	KindTCP  Kind = "tcp"
	KindMem  Kind = "mem" // tests
)

// What a gateway says beside its noes.
var (
	// ErrForgotten ended a link: the gateway's end of it is gone, as after a restart, and
	// the gateway answers. All its nodes are then on their way to it at once, so the
	// Keeper does not race another kind at once, which would cost the gateway twice.
	ErrForgotten = errors.New("the gateway was started again")
	// ErrBusy refused a dial: more are under way than the gateway takes at a time.
	ErrBusy = errors.New("the gateway is busy with others")
)

// Refused is the error for a gateway that closed a link with reason. A reason that
// is a problem code becomes that problem.
func Refused(reason string) error {
	for _, code := range problem.Codes() {
		if string(code) == reason {
			return code.Error()
		}
	}
	return fmt.Errorf("the gateway closed the link: %q", reason)
}

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
	// gone, then returns why. All of its goroutines have ended by then, so h must
	// return when its request's context ends. It is called once.
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
	Next     string             // of the key that the gateway may have by now, as it announced; "": none
	Identity *identity.Identity // the node's
}

// Pins are those of the keys that the gateway may prove.
func (t Target) Pins() []string {
	if t.Next == "" {
		return []string{t.Pin}
	}
	return []string{t.Pin, t.Next}
}
