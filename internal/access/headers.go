package access

import (
	"net/http"
	"strings"
)

// contentSecurityPolicy of our pages: nothing inline, nothing from elsewhere, in
// nobody's frame. Scanned pages are shown from this origin or as blobs.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; " +
	"connect-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// gatewayPolicy is that of a gateway's own page, which reaches nodes by WebTransport too. At
// which addresses they are is not known when the page is sent.
var gatewayPolicy = strings.Replace(contentSecurityPolicy, "connect-src 'self'", "connect-src 'self' https:", 1)

// strictTransport makes browsers take no plain HTTP from this name for half a year.
const strictTransport = "max-age=15552000"

// HTMLHeaders sets what every HTML page of ours is sent with. A Guard sets it on the
// HTML that its app handler answers; a listener without a guard calls it itself.
func HTMLHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	commonHeaders(h)
}

func commonHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
}

// finishHeaders runs just before the header is sent, so that it has the last word
// over what handlers and, behind a gateway, nodes have set.
func (x *exchange) finishHeaders() {
	h := x.ResponseWriter.Header()
	commonHeaders(h)
	x.corsHeaders(h)
	if x.readable || x.shared {
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	if x.tls != nil && x.h.HSTS != nil && x.h.HSTS(x.tls) {
		h.Set("Strict-Transport-Security", strictTransport)
	}
	if x.api && h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	if strings.HasPrefix(h.Get("Content-Type"), "text/html") {
		HTMLHeaders(h)
		if x.h.road == RoadPublic {
			h.Set("Content-Security-Policy", gatewayPolicy)
		}
	}
	h.Set(HeaderRequestID, x.id)
}
