package h3link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/relay"
)

// keepAlive is the longest a node is silent. Heartbeats go out every two seconds and make
// it needless: at their own pace it would come beside each of them.
const keepAlive = 3 * time.Second

// addressStagger is how much later the next address of a host name is tried.
const addressStagger = 150 * time.Millisecond

// A node keeps this many tokens of so many gateways, or addresses of one.
const (
	knownGateways = 8
	knownTokens   = 2
)

// Dialer opens links over QUIC. The zero value is ready.
type Dialer struct {
	Log *slog.Logger // of panics in handlers; nil: none
	// Listen opens the local socket for a dial to an address; nil: a UDP socket.
	Listen func(to netip.AddrPort) (net.PacketConn, error)

	plainIDs bool // connection IDs without the mark: a test's

	once   sync.Once
	proven quic.TokenStore // see known
}

// known are tokens of gateways that this node's address was proven to. With one a node is
// let in at once where many come at the same time, as after a restart of the gateway.
func (d *Dialer) known() quic.TokenStore {
	d.once.Do(func() { d.proven = quic.NewLRUTokenStore(knownGateways, knownTokens) })
	return d.proven
}

// Kind is relay.KindQUIC.
func (d *Dialer) Kind() relay.Kind { return relay.KindQUIC }

// Dial connects and waits for the gateway's first bytes, which it sends once it
// has accepted this node's key.
func (d *Dialer) Dial(ctx context.Context, t relay.Target) (relay.Conn, error) {
	addresses, err := resolve(ctx, t.Addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	type result struct {
		conn *conn
		err  error
	}
	results := make(chan result, len(addresses))
	for i, address := range addresses {
		running.Go(func() {
			select {
			case <-time.After(time.Duration(i) * addressStagger):
				c, err := d.dial(ctx, t, address)
				results <- result{c, err}
			case <-ctx.Done():
				results <- result{nil, ctx.Err()}
			}
		})
	}
	var won *conn
	var failures []error
	for range addresses {
		switch r := <-results; {
		case r.err != nil:
			failures = append(failures, r.err)
		case won != nil:
			r.conn.Close()
		default:
			won = r.conn
			cancel()
		}
	}
	if won == nil {
		return nil, errors.Join(failures...)
	}
	return won, nil
}

// resolve is the addresses of host:port, at most four.
func resolve(ctx context.Context, address string) ([]netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("the gateway's address %q: %w", address, err)
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return nil, fmt.Errorf("the gateway's address %q: %w", address, err)
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("the gateway's address %q: %w", address, err)
	}
	var addresses []netip.AddrPort
	for _, ip := range found[:min(len(found), 4)] {
		addresses = append(addresses, netip.AddrPortFrom(ip.Unmap(), uint16(number)))
	}
	return addresses, nil
}

func (d *Dialer) dial(ctx context.Context, t relay.Target, to netip.AddrPort) (*conn, error) {
	tlsConfig, err := t.Identity.DialTLS(t.Pins(), relay.ALPNLink)
	if err != nil {
		return nil, err
	}
	listen := d.Listen
	if listen == nil {
		listen = listenUDP
	}
	socket, err := listen(to)
	if err != nil {
		return nil, fmt.Errorf("opening a UDP socket: %w", err)
	}
	c := &conn{log: d.Log, socket: socket, transport: &quic.Transport{Conn: socket, ConnectionIDGenerator: d.ids()}}
	config := nodeConfig()
	config.TokenStore = d.known()
	if err := c.open(ctx, to, tlsConfig, config); err != nil {
		c.Close()
		return nil, fmt.Errorf("dialing %s: %w", to, reason(err))
	}
	return c, nil
}

// open proves both keys: the handshake proves the gateway's, its first stream that
// it has accepted this node's, which TLS 1.3 tells a client no sooner.
func (c *conn) open(ctx context.Context, to netip.AddrPort, tls *tls.Config, config *quic.Config) (err error) {
	if c.quic, err = c.transport.Dial(ctx, net.UDPAddrFromAddrPort(to), tls, config); err != nil {
		return err
	}
	if c.control, err = c.quic.AcceptUniStream(ctx); err != nil {
		return err
	}
	c.gateway, err = identity.PeerKey(c.quic.ConnectionState().TLS)
	return err
}

func listenUDP(to netip.AddrPort) (net.PacketConn, error) {
	if to.Addr().Is4() {
		return net.ListenUDP("udp4", nil)
	}
	return net.ListenUDP("udp6", nil)
}

// conn is the node's end.
type conn struct {
	log       *slog.Logger
	socket    net.PacketConn
	transport *quic.Transport
	quic      *quic.Conn
	control   *quic.ReceiveStream // the gateway's
	gateway   []byte              // its key
	closing   sync.Once
}

func (c *conn) Kind() relay.Kind { return relay.KindQUIC }

// Traffic counts the packets to and from the gateway.
func (c *conn) Traffic() (sent, heard uint64) {
	stats := c.quic.ConnectionStats()
	return stats.PacketsSent, stats.PacketsReceived
}

func (c *conn) Serve(ctx context.Context, h http.Handler) error {
	defer c.Close()
	server := &http3.Server{
		Handler:        relay.Bodiless(relay.Answering(h, c.gateway, c.log)),
		MaxHeaderBytes: relay.MaxHeader,
		Logger:         slog.New(slog.DiscardHandler),
	}
	raw, err := server.NewRawServerConn(c.quic)
	if err != nil {
		return reason(err)
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer c.quic.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	running.Go(func() { raw.HandleUnidirectionalStream(c.control) })
	for {
		stream, err := c.quic.AcceptStream(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return reason(err)
		}
		running.Go(func() { raw.HandleRequestStream(stream) })
	}
}

// Close ends the connection and frees the socket.
func (c *conn) Close() error {
	c.closing.Do(func() {
		if c.quic != nil {
			c.quic.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
		}
		c.transport.Close()
		c.socket.Close()
	})
	return nil
}
