// Package wtroad is the road by WebTransport: a browser opens a session straight to a
// node, by a certificate whose hash the node has signed, and every bidirectional stream
// of it carries one HTTP/1.1 exchange. It is a relay.RoadConn's listener and nothing
// else: cmd makes it, and the node serves HTTP on it and judges by the grant who may
// ask for what. Datagrams mean nothing and are not read: browsers send them to find out
// whether a packet can leave.
//
// Only https://<address>/road is there, for a page that tells its origin: one session
// a connection, TLS 1.3, no tickets, no early data. Until the node has seen a grant a
// session is as cheap as can be: the number of handshakes, sessions and streams is
// limited, and so is what a session may hold in memory.
package wtroad

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/platen-scan/platen/relay"
)

// Path is where sessions are opened.
const Path = "/road"

const (
	keepAlive = 5 * time.Second // so that a phone that vanished is gone after relay.IdleTimeout
	joinLimit = 5 * time.Second // from a connection's first packet to its session
	farewell  = time.Second     // for a browser to read why its session was closed

	maxHeader = 8 << 10 // bytes of what asks for a session
	maxReason = 1024    // bytes of why one was closed, as much as a browser reads

	requestWindow = 64 << 10 // bytes of one exchange that the node holds unread; see quicConfig
	moreStreams   = 8        // QUIC streams beside the exchanges: the session's own, and what is refused
	uniStreams    = 8        // control, QPACK, and what browsers send to see whether we ignore it
)

// Config is what a Road needs.
type Config struct {
	Certificates *Certificates
	Limits       Limits
	Log          *slog.Logger
}

// Road is a net.Listener of exchanges; what Accept returns is a relay.RoadConn. Listen
// opens its port, and Serve lets browsers in.
type Road struct {
	config Config
	gate   *gate
	udp    net.PacketConn
	accept chan net.Conn

	closing sync.Once
	closed  chan struct{}
	serving chan struct{} // closed when Serve has begun
	served  chan struct{} // closed when it has ended
}

// New checks the configuration. It starts nothing.
func New(c Config) (*Road, error) {
	if c.Certificates == nil || c.Log == nil {
		return nil, errors.New("the WebTransport road lacks a part of its configuration")
	}
	return &Road{
		config: c, gate: newGate(c.Limits.filled()), accept: make(chan net.Conn),
		closed: make(chan struct{}), serving: make(chan struct{}), served: make(chan struct{}),
	}, nil
}

// Listen opens the port: host:port; no host is every address, port 0 any free one.
func (r *Road) Listen(addr string) error {
	udp, err := net.ListenPacket("udp", addr)
	if err != nil {
		return fmt.Errorf("opening the WebTransport road: %w", err)
	}
	r.udp = udp
	return nil
}

// Addr is the port's address, once Listen has opened it.
func (r *Road) Addr() net.Addr { return r.udp.LocalAddr() }

// Hashes are those of its certificates; see Certificates.
func (r *Road) Hashes() []string { return r.config.Certificates.Hashes() }

// Accept waits for a stream that a browser opens.
func (r *Road) Accept() (net.Conn, error) { return relay.AcceptExchange(r.accept, r.closed) }

// Close closes the port and ends every session; Serve returns.
func (r *Road) Close() error {
	r.shut()
	select {
	case <-r.serving:
		<-r.served
	default:
		if r.udp != nil {
			r.udp.Close()
		}
	}
	return nil
}

// shut makes Accept return.
func (r *Road) shut() { r.closing.Do(func() { close(r.closed) }) }
