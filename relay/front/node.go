package front

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/relay"
)

// nodeConn hides from net/http that a node's connection is TLS: it would close one
// whose ALPN protocol it does not know.
type nodeConn struct {
	net.Conn
	tls *tls.Conn
}

type nodeStateKey struct{}

// nodeContext puts what the handshake proved into the context of a connection's
// requests.
func nodeContext(ctx context.Context, c net.Conn) context.Context {
	conn := c.(nodeConn).tls
	state := conn.ConnectionState()
	if key, err := identity.PeerKey(state); err == nil {
		ctx = relay.WithPeerKey(ctx, key)
	}
	ctx = relay.WithStream(ctx, conn.NetConn().(*relay.Stream))
	return context.WithValue(ctx, nodeStateKey{}, &state)
}

// fromNode gives a node's requests back their TLS state.
func fromNode(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			r.TLS, _ = r.Context().Value(nodeStateKey{}).(*tls.ConnectionState)
		}
		h.ServeHTTP(w, r)
	})
}
