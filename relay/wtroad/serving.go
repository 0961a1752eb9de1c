package wtroad

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"
	"golang.org/x/time/rate"

	"github.com/platen-scan/platen/relay"
)

// serving is one Road.Serve.
type serving struct {
	*Road
	ctx       context.Context
	transport *quic.Transport
	browsers  *webtransport.Server
	running   sync.WaitGroup
}

// Serve lets browsers in until ctx ends or the road is closed, then ends every session
// and returns nil; it returns an error if the socket fails. It is called once, after
// Listen.
func (r *Road) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer close(r.served)
	defer cancel()
	defer r.shut()
	close(r.serving)
	select {
	case <-r.closed:
		return nil
	default:
	}
	limits := r.gate.limits
	handshakes := rate.NewLimiter(rate.Limit(limits.RetryAbove), limits.RetryAbove)
	s := &serving{Road: r, ctx: ctx}
	s.transport = &quic.Transport{
		Conn:               r.udp,
		ConnectionIDLength: 8,
		// Who does not have the address that he claims keeps nobody out.
		VerifySourceAddress: func(net.Addr) bool { return !handshakes.Allow() || r.gate.crowded() },
		ConnContext:         r.admit,
	}
	s.browsers = &webtransport.Server{
		H3: &http3.Server{
			Handler:        http.HandlerFunc(s.join),
			MaxHeaderBytes: maxHeader,
			Logger:         slog.New(slog.DiscardHandler), // what strangers send is no news
		},
		// Safari joins only if none of the three is zero.
		Config: &webtransport.Config{
			MaxIncomingStreams:    int64(limits.Streams),
			MaxIncomingUniStreams: 1, // nobody reads it
			MaxIncomingData:       int64(limits.Streams+1) * requestWindow,
		},
		ReorderingTimeout: joinLimit,
		CheckOrigin:       func(q *http.Request) bool { return originOf(q) != "" },
	}
	s.running.Go(func() {
		select {
		case <-r.closed:
			cancel()
		case <-ctx.Done():
		}
	})
	err := s.run()
	cancel()
	s.browsers.Close()
	s.transport.Close()
	r.udp.Close()
	s.running.Wait()
	return err
}

func (s *serving) run() error {
	listener, err := s.transport.ListenEarly(&tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{http3.NextProtoH3},
		GetCertificate:         s.config.Certificates.GetCertificate,
		SessionTicketsDisabled: true,
	}, quicConfig(s.gate.limits))
	if err != nil {
		return fmt.Errorf("serving the WebTransport road: %w", err)
	}
	for {
		conn, err := listener.Accept(s.ctx)
		if s.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting WebTransport connections: %w", err)
		}
		s.running.Go(func() { s.serve(conn) })
	}
}

// quicConfig has windows that do not grow, and whose sum is the connection's, so that
// no exchange can take another's. A browser asks for pages and sends none: what it may
// send ahead of its reader is far less than a RoadWindow, and a stranger with as many
// sessions as he may have holds little.
func quicConfig(l Limits) *quic.Config {
	window := uint64(l.Streams+moreStreams) * requestWindow
	return &quic.Config{
		HandshakeIdleTimeout:             relay.HandshakeTimeout,
		MaxIdleTimeout:                   relay.IdleTimeout,
		KeepAlivePeriod:                  keepAlive,
		InitialPacketSize:                1200, // 1280 does not connect over a path with MTU 1280
		InitialStreamReceiveWindow:       requestWindow,
		MaxStreamReceiveWindow:           requestWindow,
		InitialConnectionReceiveWindow:   window,
		MaxConnectionReceiveWindow:       window,
		MaxIncomingStreams:               int64(l.Streams + moreStreams),
		MaxIncomingUniStreams:            uniStreams,
		EnableDatagrams:                  true,
		EnableStreamResetPartialDelivery: true,
	}
}

// serve answers on one connection until it ends.
func (s *serving) serve(conn *quic.Conn) {
	v := conn.Context().Value(visitKey{}).(*visit)
	v.conn = conn
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() {
		late := time.NewTimer(joinLimit)
		defer late.Stop()
		shaken := conn.HandshakeComplete()
		for {
			select {
			case <-shaken:
				v.shaken()
				shaken = nil
			case <-v.joined:
				return
			case <-late.C:
				v.close("no session")
			case <-conn.Context().Done():
				return
			}
		}
	})
	if err := s.browsers.ServeQUICConn(conn); err != nil {
		v.close("")
	}
}
