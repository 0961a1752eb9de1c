//lint:file-ignore SA1019 net/http cannot yet serve, nor speak, HTTP/2 on a connection that the other side dialed with the limits that a link needs

package h2link

import (
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/net/http2"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

// Accept makes a link of a connection that a node dialed and whose handshake is done;
// over a relay.Stream it is faster. It asks allowed, which may be nil, about the node's
// key first; a node that is not allowed is told the problem's code and closed.
func Accept(conn *tls.Conn, allowed func(ed25519.PublicKey) error) (relay.Link, error) {
	w := newWire(conn)
	key, err := identity.PeerKey(conn.ConnectionState())
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("accepting a link: %w", err)
	}
	if allowed != nil {
		if err := allowed(key); err != nil {
			goodbye(w, string(problem.From(err).Code))
			return nil, fmt.Errorf("refusing a link: %w", err)
		}
	}
	transport, err := http2.ConfigureTransports(&http.Transport{
		HTTP2:                  settings(bodyWindow),
		DisableCompression:     true,
		MaxResponseHeaderBytes: relay.MaxHeader,
	})
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("accepting a link: %w", err)
	}
	client, err := transport.NewClientConn(w)
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("accepting a link: %w", err)
	}
	return relay.NewLink(relay.Carrier{
		Kind:       relay.KindTCP,
		Peer:       key,
		RemoteAddr: conn.RemoteAddr(),
		Transport:  client,
		Done:       w.done,
		Close:      func(string) { client.Close() },
	}), nil
}

// goodbye refuses a link in HTTP/2's own words: preface, SETTINGS and a GOAWAY that
// carries the reason.
func goodbye(w *wire, reason string) {
	defer w.Close()
	force := time.AfterFunc(closeLimit, func() { w.NetConn().Close() })
	defer force.Stop()
	if _, err := io.WriteString(w, http2.ClientPreface); err != nil {
		return
	}
	framer := http2.NewFramer(w, nil)
	framer.WriteSettings()
	framer.WriteGoAway(0, http2.ErrCodeNo, []byte(reason))
}
