// Package front owns the sockets and the TLS of a gateway's one port, TCP and UDP.
// What a connection is for is told by its ALPN protocol:
//
//	platen-link/1      a node's link, over QUIC and over TLS: OnLink
//	platen-node/1      a node's own requests, HTTP/1.1: NodeHandler
//	acme-tls/1         an ACME server's look at a challenge's certificate; nothing follows
//	h3                 browsers over QUIC: BrowserHandler
//	h2, http/1.1, none browsers over TLS: BrowserHandler
//
// The first two are mutual TLS 1.3 with the identities' keys and never look at a
// root; client certificates are asked for nowhere else. cmd/platen makes a Front
// and gives it the link adapters. The package knows nothing of what is asked or
// answered, and keeps no link: once handed over it is OnLink's.
package front

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/relay"
)

// Times and sizes of browsers' and nodes' requests.
const (
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeader         = 16 << 10
	maxStreams        = 100 // requests at once over one connection
	maxHandshake      = 5 * time.Second
	defaultGrace      = 10 * time.Second
	lastBytes         = 3 * time.Second // for the end of an answer to arrive, when all are written and Serve is told to end
)

// alpnChallenge is RFC 8737's.
const alpnChallenge = "acme-tls/1"

// Config is what a Front needs.
type Config struct {
	Addr     string // host:port; no host: every address; port 0: any free one
	Identity *identity.Identity

	// Certificate is what browsers see.
	Certificate    func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	BrowserHandler http.Handler

	// NodeHandler answers nodes, enrolled or not; relay.PeerKeyOf says which key asks.
	NodeHandler http.Handler

	// LinkAllowed says whether a key may hold a link; a *problem.Error is told to the node.
	LinkAllowed func(key ed25519.PublicKey) error
	// OnLink takes over a link. It may block for as long as it needs to, but each
	// call counts as a handshake in flight.
	OnLink func(relay.Link)

	QUIC     *quic.Config                                                        // h3link.ServerConfig()
	QUICLink func(*quic.Conn, func(ed25519.PublicKey) error) (relay.Link, error) // h3link.Accept
	TCPLink  func(*tls.Conn, func(ed25519.PublicKey) error) (relay.Link, error)  // h2link.Accept

	// StatelessResetKey must be the same after a restart: with it the nodes learn at
	// once, not after the idle timeout, that their links are gone.
	StatelessResetKey [32]byte

	// TellHTTP3 tells browsers that came over TCP that there is HTTP/3 (Alt-Svc). It is
	// answered either way. Over TCP a page comes faster and costs less, most of all where
	// packets are lost; see docs/benchmarks.md.
	TellHTTP3 bool

	// Grace is how long requests under way may still take, and links stand, when Serve is
	// told to end; 0: 10 s.
	Grace time.Duration

	Limits Limits
	Log    *slog.Logger
}

// Front is a gateway's port.
type Front struct {
	config   Config
	entryTLS *tls.Config // picks one of those below; shared, so that tickets work
	quicTLS  *tls.Config // the same over QUIC
	linkTLS  *tls.Config
	nodeTLS  *tls.Config
	webTLS   *tls.Config
	web3TLS  *tls.Config
	gate     *gate
	handlers struct{ browser, browser3, node http.Handler }
	underWay relay.Load // requests

	tcp   net.Listener
	udp   net.PacketConn
	http3 bool // there is HTTP/3 on this socket
}

// New checks the configuration. Listen opens the port, Serve answers on it.
func New(c Config) (*Front, error) {
	if c.Identity == nil || c.Certificate == nil || c.BrowserHandler == nil || c.NodeHandler == nil ||
		c.LinkAllowed == nil || c.OnLink == nil || c.QUIC == nil || c.QUICLink == nil || c.TCPLink == nil || c.Log == nil {
		return nil, errors.New("the gateway's port lacks a part of its configuration")
	}
	if c.StatelessResetKey == [32]byte{} {
		return nil, errors.New("the gateway's port needs a stateless-reset key")
	}
	linkTLS, err := c.Identity.AcceptTLS(relay.ALPNLink)
	if err != nil {
		return nil, err
	}
	nodeTLS, err := c.Identity.AcceptTLS(relay.ALPNNode)
	if err != nil {
		return nil, err
	}
	f := &Front{config: c, linkTLS: linkTLS, nodeTLS: nodeTLS, gate: newGate(c.Limits.filled())}
	f.webTLS = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1", alpnChallenge},
		GetCertificate: c.Certificate,
	}
	f.web3TLS = &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{alpnHTTP3}, GetCertificate: c.Certificate}
	f.entryTLS = &tls.Config{GetConfigForClient: f.configFor}
	f.quicTLS = &tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: f.quicConfigFor}
	f.handlers.browser3 = f.counted(relay.Progress(timed(c.BrowserHandler, bodyTimeout), relay.StallLimit))
	f.handlers.browser = f.handlers.browser3
	f.handlers.node = f.counted(relay.Progress(fromNode(c.NodeHandler), relay.StallLimit))
	if f.config.Grace == 0 {
		f.config.Grace = defaultGrace
	}
	return f, nil
}

// configFor picks the TLS rules by what the client offers. An offer of ours never
// falls back to a browser's rules.
func (f *Front) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	switch {
	case slices.Contains(hello.SupportedProtos, relay.ALPNLink):
		return f.linkTLS, nil
	case slices.Contains(hello.SupportedProtos, relay.ALPNNode):
		return f.nodeTLS, nil
	}
	return f.webTLS, nil
}

// quicConfigFor is configFor over QUIC, where nodes' own requests are not answered.
func (f *Front) quicConfigFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if f.http3 && !slices.Contains(hello.SupportedProtos, relay.ALPNLink) {
		return f.web3TLS, nil
	}
	return f.linkTLS, nil
}

// Listen opens the port. Its error names the process that has it already.
func (f *Front) Listen() error {
	host, port, err := net.SplitHostPort(f.config.Addr)
	if err != nil {
		return fmt.Errorf("the gateway's address %q: %w", f.config.Addr, err)
	}
	for try := 0; ; try++ {
		tcp, err := listenTCP(f.config.Addr)
		if err != nil {
			return Explain(err, "tcp", f.config.Addr)
		}
		_, bound, err := net.SplitHostPort(tcp.Addr().String())
		if err != nil {
			tcp.Close()
			return err
		}
		udp, err := net.ListenPacket("udp", net.JoinHostPort(host, bound))
		if err == nil {
			f.tcp, f.udp = tcp, udp
			if f.http3 = seesArrival(udp.LocalAddr()); f.http3 && f.config.TellHTTP3 {
				f.handlers.browser = tellHTTP3(f.handlers.browser3)
			}
			return nil
		}
		tcp.Close()
		if port != "0" || try == 10 { // any port: one that is free for both is soon found
			return Explain(err, "udp", net.JoinHostPort(host, bound))
		}
	}
}

// listenTCP opens a port whose connections are tuned. A listener of Multipath TCP, as Go's
// are, does not hand the limit of unsent bytes on to them.
func listenTCP(address string) (net.Listener, error) {
	config := net.ListenConfig{Control: tune}
	config.SetMultipathTCP(false)
	return config.Listen(context.Background(), "tcp", address)
}

// Addr is the port's address, once Listen has opened it.
func (f *Front) Addr() net.Addr { return f.tcp.Addr() }

// Handshakes counts those under way, until OnLink has taken the link.
func (f *Front) Handshakes() int { return f.gate.handshakes() }

// Close gives up a port that Serve was never called for.
func (f *Front) Close() error { return errors.Join(f.tcp.Close(), f.udp.Close()) }

// maxTokenAge is for how long a client's address counts as proven. A node gets the proof
// when it links, and needs it when the gateway was restarted, maybe weeks later.
const maxTokenAge = 30 * 24 * time.Hour

// Serve answers until ctx ends. Then it takes no more connections, tells browsers to
// come back over others, lets what is under way end (Grace), waits for the owners of
// the links to close them, closes the port and every connection and returns nil; it
// returns an error if a socket fails. It is called once.
func (f *Front) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &serving{Front: f, ctx: ctx, fail: cancel}
	s.web = s.server(f.handlers.browser)
	s.web3 = newBrowsers(f.handlers.browser3)
	s.node = s.server(f.handlers.node)
	s.node.ReadTimeout = time.Minute
	s.node.Protocols = new(http.Protocols)
	s.node.Protocols.SetHTTP1(true)
	s.node.ConnContext = nodeContext
	tokens := quic.TokenGeneratorKey(sha256.Sum256(append([]byte("token key of "), f.config.StatelessResetKey[:]...)))
	reset := quic.StatelessResetKey(f.config.StatelessResetKey)
	handshakes := rate.NewLimiter(rate.Limit(f.gate.limits.RetryAbove), f.gate.limits.RetryAbove)
	s.quic = &quic.Transport{
		Conn:                look(receiveJoined(f.udp)),
		StatelessResetKey:   &reset,
		TokenGeneratorKey:   &tokens,
		MaxTokenAge:         maxTokenAge,
		ConnectionIDLength:  8,
		VerifySourceAddress: func(net.Addr) bool { return !handshakes.Allow() || f.gate.crowded() },
		ConnContext:         s.admitQUIC,
	}
	return s.run()
}
