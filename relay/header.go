package relay

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// dropped are the headers that no request over a link carries: credentials and
// claims about the browser, which the grant replaces, what concerns one hop only
// (RFC 9110 7.6.1), and the browser's wish for an order (RFC 9218), which would
// rule over other users' bodies on the same link.
var dropped = []string{
	"Cookie", "Authorization", "Forwarded", "Via",
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Priority",
}

// outgoing is the request as it goes over a link: same method, path, query, body
// and context, the link's Host, and only the headers that may cross.
func outgoing(ctx context.Context, r *http.Request) *http.Request {
	out := r.WithContext(ctx)
	u := *r.URL
	u.Scheme, u.Host, u.User = "https", Host, nil
	u.Fragment, u.RawFragment = "", ""
	out.URL = &u
	out.Host = Host
	out.Header = crossing(r.Header)
	out.Close = false
	out.TransferEncoding = nil
	return out
}

func crossing(in http.Header) http.Header {
	out := make(http.Header, len(in))
	var named []string // by Connection
	for _, v := range in["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			named = append(named, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	for name, values := range in {
		canonical := http.CanonicalHeaderKey(name)
		if slices.Contains(dropped, canonical) || slices.Contains(named, canonical) ||
			strings.HasPrefix(canonical, "X-Forwarded-") || !httpguts.ValidHeaderFieldName(name) {
			continue
		}
		out[canonical] = append(out[canonical], values...)
	}
	if _, ok := out["User-Agent"]; !ok {
		out["User-Agent"] = []string{""} // else the transports add their own
	}
	return out
}

// pathOnly tells whether a request can go over a link: it names something below
// the node, not another host.
func pathOnly(u *url.URL) bool { return u != nil && u.Opaque == "" && strings.HasPrefix(u.Path, "/") }
