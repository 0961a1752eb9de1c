package relay

import (
	"crypto/ed25519"
	"log/slog"
	"net/http"
	"runtime/debug"
)

// Answering is what every Conn puts around its handler: requests carry the
// gateway's key, stalled answers are reset, and a handler that panics resets its
// own stream only, with a line in the log.
func Answering(h http.Handler, gateway ed25519.PublicKey, log *slog.Logger) http.Handler {
	h = Progress(h, LinkStallLimit)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p != http.ErrAbortHandler && log != nil {
				log.Error("panic while answering the gateway", "panic", p, "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler)
		}()
		h.ServeHTTP(w, r.WithContext(WithPeerKey(r.Context(), gateway)))
	})
}
