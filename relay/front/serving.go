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
			MaxConcurrentStreams:      100,
			MaxReceiveBufferPerStream: relay.StreamWindow,
			SendPingTimeout:           idleTimeout / 2,
			WriteByteTimeout:          relay.StallLimit,
		},
	}
}

func (s *serving) run() error {
	links, err := s.quic.Listen(s.linkTLS, s.config.QUIC)
	if err != nil {
		return errors.Join(fmt.Errorf("listening for links: %w", err), s.Close())
	}
	s.webConns, s.nodeConns = newHandover(s.tcp.Addr()), newHandover(s.tcp.Addr())
	s.running.Go(func() { s.web.Serve(s.webConns) })
	s.running.Go(func() { s.node.Serve(s.nodeConns) })
	s.running.Go(s.acceptTCP)
	s.running.Go(func() { s.acceptQUIC(links) })

	<-s.ctx.Done()

	grace, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), stopGrace)
	defer cancel()
	s.tcp.Close()
	links.Close()
	s.running.Go(func() { s.node.Shutdown(grace); s.node.Close() })
	s.web.Shutdown(grace)
	s.web.Close()
	s.webConns.Close()
	s.nodeConns.Close()
	s.open.closeAll()
	s.quic.Close()
	s.udp.Close()
	s.running.Wait()
	if cause := context.Cause(s.ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return nil
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
	conn := tls.Server(relay.NewStream(counted), s.entryTLS)
	ctx, cancel := context.WithTimeout(s.ctx, maxHandshake)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
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
		s.webConns.give(s.ctx, conn)
	}
}

func (s *serving) acceptQUIC(links *quic.Listener) {
	for {
		conn, err := links.Accept(s.ctx)
		if err != nil {
			if s.ctx.Err() == nil {
				s.fail(fmt.Errorf("accepting links: %w", err))
			}
			return
		}
		s.running.Go(func() { s.takeQUIC(conn) })
	}
}

func (s *serving) takeQUIC(conn *quic.Conn) {
	t, _ := conn.Context().Value(ticketKey{}).(*ticket)
	defer t.shaken()
	closer := &quicCloser{conn}
	if !s.open.add(closer) {
		closer.Close()
		return
	}
	context.AfterFunc(conn.Context(), func() { s.open.remove(closer) })
	s.link(s.config.QUICLink(conn, s.config.LinkAllowed))
}

// link hands a link over, or says why there is none.
func (s *serving) link(l relay.Link, err error) {
	if err != nil {
		s.config.Log.Info("link refused", "error", err)
		return
	}
	s.config.OnLink(l)
}

// quicCloser says goodbye: the transport alone would leave the node to find out.
type quicCloser struct{ *quic.Conn }

func (c *quicCloser) Close() error {
	return c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
}
