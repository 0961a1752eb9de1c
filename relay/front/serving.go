package front

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/platen-scan/platen/relay"
)

// serving is one Front.Serve.
type serving struct {
	*Front
	ctx  context.Context
	fail context.CancelCauseFunc
	quic *quic.Transport
	web  *http.Server
	node *http.Server
	web3 *browsers

	webConns, nodeConns handover
	running             sync.WaitGroup
	open                connections
}

func (s *serving) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          stdlog.New(io.Discard, "", 0), // what strangers send is no news
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:      maxStreams,
			MaxReceiveBufferPerStream: relay.StreamWindow,
			SendPingTimeout:           idleTimeout / 2,
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return relay.WithStream(ctx, c.(*tls.Conn).NetConn().(*relay.Stream))
		},
	}
}

func (s *serving) run() error {
	config := s.config.QUIC.Clone()
	config.GetConfigForClient = s.windowsFor
	quicIn, err := s.quic.Listen(s.quicTLS, config)
	if err != nil {
		return errors.Join(fmt.Errorf("listening over QUIC: %w", err), s.Close())
	}
	s.webConns, s.nodeConns = newHandover(s.tcp.Addr()), newHandover(s.tcp.Addr())
	s.running.Go(func() { s.web.Serve(s.webConns) })
	s.running.Go(func() { s.node.Serve(s.nodeConns) })
	s.running.Go(s.acceptTCP)
	s.running.Go(func() { s.acceptQUIC(quicIn) })

	<-s.ctx.Done()

	s.leave(quicIn)
	s.webConns.Close()
	s.nodeConns.Close()
	s.open.closeAll()
	s.quic.Close()
	s.udp.Close()
	s.running.Wait()
	<-s.underWay.Idle()
	return s.failure()
}

// failure is why serving ended, if nobody told it to.
func (s *serving) failure() error {
	if cause := context.Cause(s.ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return nil
}

// windowsFor picks the QUIC configuration at a connection's first packet.
func (s *serving) windowsFor(client *quic.ClientInfo) (*quic.Config, error) {
	if isNode(client.RemoteAddr) {
		return s.config.QUIC, nil
	}
	return browserQUIC(), nil
}

func (s *serving) acceptTCP() {
	var wait time.Duration
	for {
		raw, err := s.tcp.Accept()
		if err != nil {
			if s.ctx.Err() != nil {
				return
			}
			if errors.Is(err, net.ErrClosed) {
				s.fail(fmt.Errorf("accepting connections: %w", err))
				return
			}
			wait = min(max(2*wait, 5*time.Millisecond), time.Second) // out of descriptors: they come back
			s.config.Log.Error("cannot accept a connection", "error", err)
			select {
			case <-time.After(wait):
			case <-s.ctx.Done():
				return
			}
			continue
		}
		wait = 0
		ticket := s.gate.admit(raw.RemoteAddr())
		if ticket == nil {
			raw.Close()
			continue
		}
		s.running.Go(func() { s.takeTCP(raw, ticket) })
	}
}

// takeTCP shakes hands and gives the connection to whom its protocol belongs.
func (s *serving) takeTCP(raw net.Conn, t *ticket) {
	defer t.shaken()
	counted := &countedConn{Conn: raw}
	counted.onClose = func() { t.leave(); s.open.remove(counted) }
	if !s.open.add(counted) {
		counted.Close()
		return
	}
	stream := relay.NewStream(counted)
	stream.StallLimit = relay.StallLimit
	conn := tls.Server(stream, s.entryTLS)
	ctx, cancel := context.WithTimeout(s.ctx, maxHandshake)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		explainHTTPS(err)
		counted.Close()
		return
	}
	switch conn.ConnectionState().NegotiatedProtocol {
	case relay.ALPNLink:
		s.link(s.config.TCPLink(conn, s.config.LinkAllowed))
	case relay.ALPNNode:
		s.nodeConns.give(s.ctx, nodeConn{conn, conn})
	case alpnChallenge:
		conn.Close() // the certificate was the answer
	default:
		relay.TuneSender(raw) // pages go from here
		s.webConns.give(s.ctx, conn)
	}
}

// explainHTTPS answers a browser that came without TLS, as net/http does where it shakes
// hands itself.
func explainHTTPS(err error) {
	var other tls.RecordHeaderError
	if !errors.As(err, &other) || other.Conn == nil {
		return
	}
	switch string(other.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		other.Conn.SetWriteDeadline(time.Now().Add(time.Second))
		io.WriteString(other.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nThis port speaks HTTPS: the address begins with https://\n")
	}
}

func (s *serving) acceptQUIC(in *quic.Listener) {
	for {
		conn, err := in.Accept(s.ctx)
		if err != nil {
			if s.ctx.Err() == nil {
				s.fail(fmt.Errorf("accepting over QUIC: %w", err))
			}
			return
		}
		s.running.Go(func() { s.takeQUIC(conn) })
	}
}

func (s *serving) takeQUIC(conn *quic.Conn) {
	t := conn.Context().Value(ticketKey{}).(*ticket)
	defer t.shaken()
	closer := &quicCloser{conn}
	if !s.open.add(closer) {
		closer.Close()
		return
	}
	context.AfterFunc(conn.Context(), func() { s.open.remove(closer) })
	switch {
	case conn.ConnectionState().TLS.NegotiatedProtocol == relay.ALPNLink:
		s.link(s.config.QUICLink(conn, s.config.LinkAllowed))
	case t.node:
		closer.Close() // no browser has the mark
	default:
		t.shaken()
		s.web3.serve(conn)
	}
}

// link hands a link over, or says why there is none.
func (s *serving) link(l relay.Link, err error) {
	if err != nil {
		s.config.Log.Info("link refused", "error", err)
		return
	}
	s.config.OnLink(l)
}

// quicCloser says goodbye: the transport alone would leave the other end to find out.
type quicCloser struct{ *quic.Conn }

func (c *quicCloser) Close() error {
	return c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
}
