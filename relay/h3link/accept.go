package h3link

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

// Accept makes a link of a connection that a node dialed. It asks allowed, which
// may be nil, about the node's key first; a node that is not allowed is told the
// problem's code and closed. It leaves no goroutine behind: nothing of the node's
// control stream, which has its settings and no more, matters here, so nobody reads it.
func Accept(conn *quic.Conn, allowed func(ed25519.PublicKey) error) (relay.Link, error) {
	key, err := identity.PeerKey(conn.ConnectionState().TLS)
	if err != nil {
		conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeRequestRejected), "")
		return nil, fmt.Errorf("accepting a link: %w", err)
	}
	if allowed != nil {
		if err := allowed(key); err != nil {
			conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeRequestRejected), string(problem.From(err).Code))
			return nil, fmt.Errorf("refusing a link: %w", err)
		}
	}
	transport := &http3.Transport{
		DisableCompression:     true,
		MaxResponseHeaderBytes: relay.MaxHeader,
		Logger:                 slog.New(slog.DiscardHandler),
	}
	return relay.NewLink(relay.Carrier{
		Kind:       relay.KindQUIC,
		Peer:       key,
		RemoteAddr: conn.RemoteAddr(),
		Transport:  asker{transport.NewRawClientConn(conn)},
		Done:       conn.Context().Done(),
		Close: func(reason string) {
			conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), reason)
		},
	}), nil
}
