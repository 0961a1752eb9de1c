package access

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// Config is what a Guard judges by. The zero Config lets nobody in.
type Config struct {
	Hosts          *Hosts         // names of this end beside its addresses; nil: none
	Records        Records        // sessions and pairings; nil: nobody can sign in
	LoopbackTrust  bool           // the machine's own user is an administrator on RoadLoopback
	AllowPlainHTTP bool           // sign-in over HTTP from other devices; false: refused
	AdminToken     string         // bearer token of this machine's CLI, for connections from itself; "": none
	Grants         *GrantVerifier // for RoadLink; nil: nothing but LinkOnly routes works there
	MaxRole        api.Role       // highest role of callers on RoadLink; "": operator

	// Service answers GET /service to callers with a session.
	Service func(Caller) api.Service
	// PairingBase is the address to open on another device, as "https://192.168.1.5:18623".
	// nil or "": that of the page that makes the pairing, unless it is loopback's.
	PairingBase func() string
	CAPin       string // of the CA behind PairingBase, for the QR code; "": none
	// PeerKey is the key that the peer of a RoadNode request has proven; nil: nobody has.
	PeerKey func(context.Context) ed25519.PublicKey

	SessionIdle time.Duration // a session ends after so long without a request; 0: 30 days, as for a paired device
	SessionLife time.Duration // and in any case after; 0: 30 days
	Rate        int           // requests a second of one session, or of one address without a session; 0: 60

	Log *slog.Logger     // nil: discarded
	Now func() time.Time // nil: time.Now
}

// Guard judges requests and keeps the sign-in of one end. It starts nothing and is
// safe for concurrent use.
type Guard struct {
	Config
	started time.Time
	rates   *limiter
	live    *liveRequests
}

// New makes a Guard.
func New(c Config) *Guard {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxRole == "" {
		c.MaxRole = api.RoleOperator
	}
	if c.SessionIdle == 0 {
		c.SessionIdle = 30 * 24 * time.Hour
	}
	if c.SessionLife == 0 {
		c.SessionLife = 30 * 24 * time.Hour
	}
	if c.Rate == 0 {
		c.Rate = 60
	}
	return &Guard{Config: c, started: c.Now(), rates: newLimiter(), live: newLiveRequests()}
}

// apiPrefix is where the routes live; everything else belongs to the web app.
const apiPrefix = "/api/"

// handler serves one road.
type handler struct {
	*Guard
	road   Road
	routes *http.ServeMux
	app    http.Handler
}

// Handler serves the routes on one road, and app for all paths outside /api/. A nil
// app has no paths. It panics if the table is wrong: a route without a policy or
// handler, a path outside /api/, or the same method and path twice.
func (g *Guard) Handler(road Road, routes []Route, app http.Handler) http.Handler {
	h := &handler{Guard: g, road: road, routes: http.NewServeMux(), app: app}
	resources := map[string]*resource{}
	for _, route := range routes {
		if route.Policy.kind == policyMissing || route.Handle == nil || !strings.HasPrefix(route.Path, apiPrefix) {
			panic(fmt.Sprintf("access: route %s %s has no policy, no handler or a path outside %s", route.Method, route.Path, apiPrefix))
		}
		if !route.Policy.On(road) {
			continue
		}
		s := resources[route.Path]
		if s == nil {
			s = &resource{h: h, methods: map[string]Route{}}
			resources[route.Path] = s
			h.routes.Handle(route.Path, s)
		}
		if _, twice := s.methods[route.Method]; twice {
			panic(fmt.Sprintf("access: route %s %s is there twice", route.Method, route.Path))
		}
		s.methods[route.Method] = route
	}
	for _, s := range resources {
		s.allow = allow(s.methods)
	}
	return h
}

// allow is the Allow header of a resource.
func allow(methods map[string]Route) string {
	names := []string{http.MethodOptions}
	for m := range methods {
		names = append(names, m)
		if m == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := newExchange(h, w, r)
	r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, x.id))
	defer x.finish(r)
	x.fail(r, h.serve(x, r))
}

func (h *handler) serve(x *exchange, r *http.Request) error {
	at, ok := h.authority(r, h.road)
	if !ok {
		return problem.HostNotAllowed.Error()
	}
	x.at = at
	if !clean(r.URL.EscapedPath()) {
		return problem.NotFound.Error()
	}
	if !x.api {
		return h.serveApp(x, r)
	}
	if _, pattern := h.routes.Handler(r); pattern == "" {
		return problem.NotFound.Error()
	}
	h.routes.ServeHTTP(x, r) // fills the path values in, then resource.ServeHTTP
	return x.err
}

func (h *handler) serveApp(x *exchange, r *http.Request) error {
	if h.app == nil || h.road == RoadLink || h.road == RoadNode {
		return problem.NotFound.Error()
	}
	if _, err := fromOwnPage(r, x.at); err != nil {
		return err
	}
	if _, err := fetchSite(r); err != nil && !navigation(r) {
		return err
	}
	h.app.ServeHTTP(x, r)
	return nil
}

// clean reports whether the path is one that ServeMux would not redirect.
func clean(p string) bool {
	c := path.Clean(p)
	return strings.HasPrefix(p, "/") && (c == p || c+"/" == p)
}

// resource is all routes of one path.
type resource struct {
	h       *handler
	methods map[string]Route
	allow   string
}

// ServeHTTP is called by the handler's ServeMux, with the exchange as w.
func (s *resource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := w.(*exchange)
	x.err = s.serve(x, r)
}

func (s *resource) serve(x *exchange, r *http.Request) error {
	x.route = r.Pattern
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	route, ok := s.methods[method]
	if !ok && method != http.MethodOptions {
		x.Header().Set("Allow", s.allow)
		return problem.MethodNotAllowed.Error()
	}
	own, foreign := s.h.judgePage(x, r)
	if !ok { // OPTIONS
		if foreign != nil {
			return foreign
		}
		x.Header().Set("Allow", s.allow)
		x.WriteHeader(http.StatusNoContent)
		return nil
	}
	if foreign != nil && route.Policy.kind != policyProbe {
		return foreign
	}
	caller, err := s.h.judgeCaller(x, r, route.Policy, own, foreign != nil)
	if err != nil {
		if often := s.h.countRequest("", r); often != nil && s.h.road != RoadLink {
			return often
		}
		return err
	}
	x.caller = caller
	ctx, leave := s.h.live.enter(r.Context(), caller.Session)
	defer leave()
	done, err := s.h.throttle(ctx, route, caller, r)
	if err != nil {
		return err
	}
	defer done()
	if err := checkPathValues(r); err != nil {
		return err
	}
	r = r.WithContext(WithCaller(ctx, caller))
	if err := limitBody(x, r, route.MaxBody); err != nil {
		return err
	}
	return route.Handle(x, r)
}

// judgePage finds out whether a web page made the browser send this: own says that
// the browser vouches for our own page.
func (h *handler) judgePage(x *exchange, r *http.Request) (own bool, foreign error) {
	if h.road == RoadLink || h.road == RoadNode {
		return false, nil // no browser is there
	}
	fromPage, err := fromOwnPage(r, x.at)
	if err != nil {
		return false, err
	}
	fetched, err := fetchSite(r)
	return fromPage || fetched, err
}

// limitBody refuses what is announced as too large and stops reading what turns out to be.
func limitBody(w http.ResponseWriter, r *http.Request, limit int64) error {
	if r.ContentLength > limit {
		return tooLarge(limit)
	}
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, limit)
	}
	return nil
}

func tooLarge(limit int64) error {
	if limit == 0 {
		return problem.New(problem.BodyTooLarge, "This request takes no body.")
	}
	return problem.New(problem.BodyTooLarge, "The body may have %d bytes.", limit)
}
