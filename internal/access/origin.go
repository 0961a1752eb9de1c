package access

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/platen-scan/platen/proto/problem"
)

// Origin is a web origin (RFC 6454): what a page may be told apart by. Origins are
// compared as a whole and never as text that begins or ends alike.
type Origin struct {
	Scheme string // "http" or "https"
	Authority
}

var errOrigin = errors.New("not a web origin")

// ParseOrigin reads "https://host" or "https://host:port" and nothing after it.
// Without a port it is the scheme's default.
func ParseOrigin(s string) (Origin, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "http" && scheme != "https" {
		return Origin{}, fmt.Errorf("%w: it begins with neither http:// nor https://", errOrigin)
	}
	a, err := ParseAuthority(rest, defaultPort(scheme))
	if err != nil {
		return Origin{}, fmt.Errorf("%w: %w", errOrigin, err)
	}
	if strings.HasSuffix(strings.TrimSuffix(rest, fmt.Sprintf(":%d", a.Port)), ".") {
		// To a browser localhost and localhost. are two origins.
		return Origin{}, fmt.Errorf("%w: it ends with a dot", errOrigin)
	}
	return Origin{Scheme: scheme, Authority: a}, nil
}

// String is the form of an Origin header: no port where it is the scheme's default.
func (o Origin) String() string {
	if o.Port != defaultPort(o.Scheme) {
		return o.Scheme + "://" + o.Authority.String()
	}
	if strings.Contains(o.Host, ":") {
		return o.Scheme + "://[" + o.Host + "]"
	}
	return o.Scheme + "://" + o.Host
}

// pageOrigin is the Origin header; the zero Origin if there is none, as with programs
// and with a plain GET of our own page. Browsers write each origin in one way, and
// that alone is taken.
func pageOrigin(r *http.Request) (Origin, error) {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return Origin{}, nil
	}
	o, err := ParseOrigin(values[0])
	if len(values) > 1 || err != nil || o.String() != values[0] {
		return Origin{}, problem.OriginNotAllowed.Error()
	}
	return o, nil
}

// judgePage finds out whether a web page made the browser send this, and whether the
// policy lets that page: own says that the browser vouches for our own.
func (h *handler) judgePage(x *exchange, r *http.Request, p Policy) (own bool, err error) {
	if h.road.internal() {
		return false, nil // no browser is there
	}
	o, err := pageOrigin(r)
	switch {
	case err != nil:
		return false, err
	case o == (Origin{}) && x.ticket != "":
		return false, nil // pages of all sites may embed what they were given a ticket for
	case o == (Origin{}):
		return fetchSite(r)
	case o == h.ownOrigin(x, r):
		_, err := fetchSite(r)
		return true, err
	case !p.ForForeignPages(h.road) || !h.Origins.Allows(r.Context(), o):
		return false, problem.OriginNotAllowed.Error()
	case !fetchCORS(r):
		return false, problem.CrossSite.Error()
	}
	x.foreign = o
	return false, nil
}

// ownOrigin is that of our page at the address by which the request came.
func (h *handler) ownOrigin(x *exchange, r *http.Request) Origin {
	return Origin{Scheme: scheme(r), Authority: x.at}
}

// fetchSite judges Sec-Fetch-Site, which browsers send to trustworthy addresses and
// scripts cannot set. same-site is another origin and so as foreign as cross-site:
// every port of localhost is same-site with every other.
func fetchSite(r *http.Request) (ours bool, err error) {
	values := r.Header.Values("Sec-Fetch-Site")
	switch {
	case len(values) == 0:
		return false, nil
	case len(values) == 1 && (values[0] == "same-origin" || values[0] == "none"):
		return true, nil
	}
	return false, problem.CrossSite.Error()
}

// fetchCORS reports whether a foreign page's request is one whose answer the browser
// gives to the page by our leave only. Forms, images and navigations are not.
func fetchCORS(r *http.Request) bool {
	site, mode := r.Header.Values("Sec-Fetch-Site"), r.Header.Values("Sec-Fetch-Mode")
	return len(site) == 0 && len(mode) == 0 || len(site) == 1 && len(mode) == 1 && mode[0] == "cors"
}

// navigation reports whether a person follows a link to a page of ours, wherever it stands.
func navigation(r *http.Request) bool {
	is := func(name, value string) bool {
		v := r.Header.Values(name)
		return len(v) == 1 && v[0] == value
	}
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		is("Sec-Fetch-Mode", "navigate") && is("Sec-Fetch-Dest", "document")
}

// changesState reports whether a method is one that may change something.
func changesState(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	return true
}

// OwnPage is the origin of this end's own page at the address by which a request came that
// the guard let in.
func OwnPage(r *http.Request) string {
	a, err := ParseAuthority(r.Host, defaultPort(scheme(r)))
	if err != nil {
		return "" // on RoadESCL, where there are no pages
	}
	return Origin{Scheme: scheme(r), Authority: a}.String()
}
