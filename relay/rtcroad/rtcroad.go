// Package rtcroad is the node's end of WebRTC roads: a browser makes a peer connection
// by an offer that the gateway passes on, and each data channel that it opens is one
// exchange, accepted from a net.Listener as a relay.RoadConn. The node calls it; it
// knows no HTTP, grants or gateways, and carries no media.
//
// All peer connections share one UDP port. Candidates are the machine's own addresses
// and what STUN servers see of that port; the browser's hidden addresses (.local) are
// not looked up, since its checks show where it is.
//
// # Channels
//
// The browser opens a channel, ordered and reliable, for each exchange. What either end
// says are binary messages of at most 16 KiB, whose borders mean nothing. Text messages
// from the browser are about the window, see below. An empty binary message from the node
// is the end of what it says. Then the node closes the channel, which may reach the browser
// a good deal later: it takes a turn, and after a lost packet more than one.
//
// # Window
//
// Nothing in WebRTC keeps a page from getting bytes faster than it takes them: the
// browser queues them. A channel whose protocol is "platen-window" has a window: the node
// is never more than relay.RoadWindow bytes ahead of what the page has taken, which the
// page tells now and then in a text message: how many bytes in all, in decimal. A slow
// reader then holds up its own exchange only. Other channels have no window.
package rtcroad

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/ice/v4"

	"github.com/platen-scan/platen/relay"
)

// WindowProtocol is the protocol of a data channel with a window.
const WindowProtocol = "platen-window"

const (
	maxMessage  = 16 << 10 // bytes of a message that is sent
	maxIncoming = 64 << 10 // bytes of a message that is taken

	// What a channel holds that has not arrived. It is also the most that is on the way:
	// less is slow over long ways, more makes whoever comes next wait longer.
	queued = relay.RoadWindow / 2

	maxQueued = 8 << 20  // bytes that a session holds, about
	minQueued = 64 << 10 // bytes that a channel may hold all the same
)

// Config says where and for whom a road is.
type Config struct {
	Addr string // UDP host:port of all peer connections; port 0 chooses one
	Dir  string // of the DTLS certificate's file; must be there

	// Addresses are those to offer, anew for each browser; nil: the machine's own that
	// are global or private. With a host in Addr it is the only one.
	Addresses func() []netip.Addr

	Limits Limits
	Log    *slog.Logger // nil: none
}

// Limits keep browsers from exhausting the node. Zero means the default.
type Limits struct {
	Sessions  int // peer connections at once, 128
	PerMinute int // peer connections made in a minute, 240
	Channels  int // exchanges at once in one session, 32; more wait
}

// timing is how long things may take.
type timing struct {
	connect time.Duration // from the answer until there is a connection
	unused  time.Duration // a connection without a channel
	lost    time.Duration // no packet from the browser
	gather  time.Duration // candidates of the node
	drain   time.Duration // without progress, of what a closed channel still has to send
	linger  time.Duration // for the browser to close a channel too
}

// Road accepts the exchanges of browsers. Its methods are safe for concurrent use.
type Road struct {
	config      Config
	log         *slog.Logger
	timing      timing
	certificate tls.Certificate

	conns  chan net.Conn
	closed chan struct{}

	mu       sync.Mutex
	ended    bool // closed is closed
	served   bool // by Serve, which closes the port
	err      error
	socket   *socket // nil before Listen
	mux      *mux
	sessions map[*session]bool
	recent   []time.Time // when sessions of the last minute were made
	running  sync.WaitGroup
}

// New loads the certificate, which it makes at the first start, and opens nothing.
func New(c Config) (*Road, error) {
	certificate, err := loadCertificate(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("the certificate of WebRTC: %w", err)
	}
	c.Limits.Sessions = cmp.Or(c.Limits.Sessions, 128)
	c.Limits.PerMinute = cmp.Or(c.Limits.PerMinute, 240)
	c.Limits.Channels = cmp.Or(c.Limits.Channels, 32)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Road{
		config: c, log: c.Log, certificate: certificate,
		timing: timing{
			connect: 10 * time.Second, unused: 30 * time.Second, lost: 10 * time.Second, gather: 450 * time.Millisecond,
			drain: 10 * time.Second, linger: time.Minute,
		},
		conns: make(chan net.Conn), closed: make(chan struct{}), sessions: map[*session]bool{},
	}, nil
}

// Fingerprint is the SHA-256 of the certificate's DER, in base64url without padding.
func (r *Road) Fingerprint() string {
	sum := sha256.Sum256(r.certificate.Leaf.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Listen opens the port.
func (r *Road) Listen() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.socket != nil {
		return errors.New("the WebRTC road has been opened before")
	}
	socket, err := listen(r.config.Addr, r.fail)
	if err != nil {
		return err
	}
	r.socket = socket
	r.mux = &mux{
		UDPMuxDefault: ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: socket, Logger: loggers(r.log).NewLogger("mux")}),
		addresses:     r.addresses,
	}
	return nil
}

// Serve carries what is accepted until ctx or the road ends, and ends every session. It
// returns when all that belongs to the road has ended; the error is that of a socket that
// broke.
func (r *Road) Serve(ctx context.Context) error {
	r.mu.Lock()
	r.served = true
	r.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-r.closed:
	}
	r.Close()
	r.running.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mux != nil {
		r.mux.Close()
	}
	return r.err
}

// Accept waits for the next exchange. What it returns is a relay.RoadConn.
func (r *Road) Accept() (net.Conn, error) { return relay.AcceptExchange(r.conns, r.closed) }

// Close ends every session, and the port once Serve has seen them through. It may be
// called again.
func (r *Road) Close() error {
	r.end(nil)
	return nil
}

// fail ends the road because its socket broke.
func (r *Road) fail(err error) { r.end(fmt.Errorf("the port of WebRTC: %w", err)) }

func (r *Road) end(err error) {
	r.mu.Lock()
	if !r.ended {
		r.ended, r.err = true, err
		close(r.closed)
	}
	sessions := make([]*session, 0, len(r.sessions))
	for s := range r.sessions {
		sessions = append(sessions, s)
	}
	unserved := r.mux
	if r.served {
		unserved = nil
	}
	r.mu.Unlock()
	if unserved != nil {
		unserved.Close()
	}
	for _, s := range sessions {
		s.Close("the road is closed")
	}
}

// Addr is the port's address; nil before Listen.
func (r *Road) Addr() net.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.socket == nil {
		return nil
	}
	return r.socket.LocalAddr()
}

// addresses are those of the host candidates.
func (r *Road) addresses() []netip.Addr {
	if own := r.socket.local().Addr(); !own.IsUnspecified() {
		return []netip.Addr{own}
	}
	if r.config.Addresses != nil {
		return r.config.Addresses()
	}
	return machine()
}

// machine is the addresses of the machine's interfaces by which others may reach it.
func machine() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var addresses []netip.Addr
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if ip := prefix.Addr().Unmap(); err == nil && ip.IsGlobalUnicast() {
			addresses = append(addresses, ip)
		}
	}
	return addresses
}
