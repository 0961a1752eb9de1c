package gateway

import (
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
)

const headerIdempotency = "Idempotency-Key"

// requestHeaders are those that pass from a browser to a node. All others stay
// here: what they claim about the browser stands, checked, in the grant.
var requestHeaders = []string{
	"Accept", "Accept-Language", "Content-Type", headerIdempotency, "If-Match", "If-Modified-Since",
	"If-None-Match", "If-Range", "If-Unmodified-Since", "Last-Event-Id", "Range", "User-Agent",
}

// answerHeaders are those that pass from a node to a browser: they tell of the
// representation. A node can set no cookie and allow no origin.
var answerHeaders = []string{
	"Accept-Ranges", "Allow", "Cache-Control", "Content-Disposition", "Content-Length", "Content-Range",
	"Etag", "Last-Modified", "Location", "Platen-Sealed", "Repr-Digest", "Retry-After", "Vary",
}

// answerTypes are what a node may send. Under this gateway's origin nothing else
// must reach a browser, least of all a page or image that can run a script.
var answerTypes = []string{
	"application/json", "application/problem+json", "text/event-stream",
	"image/jpeg", "image/png", "image/tiff", "image/x-portable-anymap",
	"application/pdf", "application/zip", "application/vnd.platen.sealed", "text/plain",
}

func towardsNode(in *http.Request) http.Header {
	out := make(http.Header, len(requestHeaders)+2)
	for _, name := range requestHeaders {
		if values, ok := in.Header[name]; ok {
			out[name] = slices.Clone(values)
		}
	}
	return out
}

// towardsBrowser cuts a node's answer down to what a browser may get. What the
// node says goes before what was set in own, the answer's header so far.
func towardsBrowser(answer *http.Response, own http.Header) error {
	switch s := answer.StatusCode; {
	case s < 200, s >= 300 && s < 400 && s != http.StatusNotModified, s >= 600,
		// What these say would be taken for the gateway's word: that nobody is signed in, or
		// that its name or a proxy is wrong.
		s == http.StatusUnauthorized, s == http.StatusProxyAuthRequired, s == http.StatusMisdirectedRequest:
		return fmt.Errorf("the node answered with status %d", s)
	}
	kept := make(http.Header, len(answerHeaders)+1)
	for _, name := range answerHeaders {
		if values, ok := answer.Header[name]; ok {
			kept[name] = values
			if name != "Vary" {
				own.Del(name)
			}
		}
	}
	if location := kept.Get("Location"); location != "" && !strings.HasPrefix(location, "/api/v1/") {
		kept.Del("Location")
	}
	if value := answer.Header.Get("Content-Type"); value != "" {
		kind, _, err := mime.ParseMediaType(value)
		if err != nil || !slices.Contains(answerTypes, kind) {
			return fmt.Errorf("the node answered with type %.60q", value)
		}
		kept.Set("Content-Type", value)
	} else if answer.ContentLength != 0 && hasBody(answer) {
		return fmt.Errorf("the node answered without a type")
	}
	answer.Header = kept
	answer.Trailer = nil
	return nil
}

// hasBody reports whether bytes may follow that a browser would guess the type of.
func hasBody(answer *http.Response) bool {
	return answer.StatusCode != http.StatusNoContent && answer.StatusCode != http.StatusNotModified &&
		(answer.Request == nil || answer.Request.Method != http.MethodHead)
}
