package access

import (
	"net/http"
	"strings"

	"github.com/platen-scan/platen/proto/problem"
)

// What pages of allowed origins may send and read, the same on all routes. Credentials
// in the sense of CORS, which are cookies, are never allowed.
const (
	corsRequestHeaders = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Range, If-Range, If-None-Match, " + HeaderRequestID
	corsAnswerHeaders  = "ETag, Repr-Digest, Content-Range, Content-Length, Location, Retry-After, " + HeaderRequestID + ", Accept-Ranges, Content-Disposition, Platen-Sealed"
	corsMaxAge         = "600" // seconds
)

// preflight is what a browser asks before it sends a foreign page's request.
type preflight struct {
	methods        string // those of the resource that foreign pages may use
	private, local bool   // the browser's network is a less private one than ours
}

func preflightOf(r *http.Request, methods string) *preflight {
	return &preflight{
		methods: methods,
		private: r.Header.Get("Access-Control-Request-Private-Network") == "true",
		local:   r.Header.Get("Access-Control-Request-Local-Network") == "true",
	}
}

// foreignMethods is the list of methods that foreign pages may use, for a preflight.
func foreignMethods(methods map[string]Route, road Road) string {
	theirs := map[string]Route{}
	for m, route := range methods {
		if route.Policy.ForForeignPages(road) {
			theirs[m] = route
		}
	}
	return strings.Join(methodNames(theirs), ", ")
}

// answerOptions answers a preflight like the request that it asks for would be: no
// such method, no such page, or go ahead.
func (s *resource) answerOptions(x *exchange, r *http.Request) error {
	asked := r.Header.Get("Access-Control-Request-Method")
	route, ok := s.route(asked)
	if asked == "" {
		route.Policy = Anonymous().OwnPages()
	} else if !ok {
		x.Header().Set("Allow", s.allow)
		return problem.MethodNotAllowed.Error()
	}
	x.preflight = preflightOf(r, s.foreign)
	if _, err := s.h.judgePage(x, r, route.Policy); err != nil {
		return err
	}
	x.Header().Set("Allow", s.allow)
	x.WriteHeader(http.StatusNoContent)
	return nil
}

// corsHeaders says which page may read the answer. A handler cannot: whatever it set
// is taken away.
func (x *exchange) corsHeaders(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			h.Del(name)
		}
	}
	if x.readable {
		vary(h, "Origin")
		h.Set("Access-Control-Allow-Origin", "*")
		return
	}
	allowPage(h, x.foreign, x.preflight, corsAnswerHeaders)
}

// allowPage lets the pages of an origin, if it is one, read the answer and those of its
// headers, or send what the preflight asks for.
func allowPage(h http.Header, o Origin, p *preflight, headers string) {
	vary(h, "Origin")
	if p != nil {
		vary(h, "Access-Control-Request-Method", "Access-Control-Request-Headers",
			"Access-Control-Request-Private-Network", "Access-Control-Request-Local-Network")
	}
	if o == (Origin{}) {
		return
	}
	h.Set("Access-Control-Allow-Origin", o.String())
	if p == nil {
		h.Set("Access-Control-Expose-Headers", headers)
		return
	}
	h.Set("Access-Control-Allow-Methods", p.methods)
	h.Set("Access-Control-Allow-Headers", corsRequestHeaders)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	if p.private {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	if p.local {
		h.Set("Access-Control-Allow-Local-Network", "true")
	}
}

// vary makes sure that Vary names these headers, each once.
func vary(h http.Header, names ...string) {
	for _, name := range names {
		if !varies(h, name) {
			h.Add("Vary", name)
		}
	}
}

func varies(h http.Header, name string) bool {
	for _, line := range h.Values("Vary") {
		for there := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(there), name) {
				return true
			}
		}
	}
	return false
}
