package access

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// Config is what a Guard judges by. The zero Config lets nobody in.
type Config struct {
	Hosts          *Hosts         // names of this end beside its addresses; nil: none
	Records        Records        // sessions and pairings; nil: nobody can sign in
	LoopbackTrust  bool           // the machine's own user is an administrator on RoadLoopback; see Switch
	AllowPlainHTTP bool           // sign-in over HTTP from other devices; false: refused; see Switch
	AdminToken     string         // bearer token of this machine's CLI, for connections from itself; "": none
	Grants         *GrantVerifier // for RoadLink; nil: nothing but LinkOnly routes works there
	MaxRole        api.Role       // highest role of callers on RoadLink and RoadDirect; "": operator; see Switch
	// DirectRoad is the grant in force of the road that brought the request, as VerifyRoad
	// gave it; false: that road is not open. nil: none ever is.
	DirectRoad func(context.Context) (RoadGrant, bool)

	// Service answers GET /service to callers with a session.
	Service func(Caller) api.Service
	// PairingBase is the address to open on another device, as "https://192.168.1.5:18623".
	// nil or "": that of the page that makes the pairing, unless it is loopback's.
	PairingBase func() string
	CAPin       string // of the CA behind PairingBase, for the QR code; "": none
	// Origins are the foreign pages that may ask here; nil: those that a person allows.
	Origins *Origins
	// Place says where a gateway's scanner stands, for permissions; nil: nothing is known.
	Place func(scanner string) (node string, labels []string)
	// Providers are further ways to sign in, as OpenID Connect and passkeys.
	Providers []Provider
	// License judges the licences of foreign pages' sessions; nil: none is asked for.
	License Licenser
	// Audit keeps a record of what the routes with an Audit action did; nil: nothing does.
	Audit Auditor
	// HSTS reports whether browsers shall insist on HTTPS for the name of this connection;
	// nil: for none. It is right only where every device trusts the certificate.
	HSTS func(*tls.ConnectionState) bool
	// PeerKey is the key that the peer of a RoadNode request has proven; nil: nobody has.
	PeerKey func(context.Context) ed25519.PublicKey
	// PeerNode is the enrolled node that may prove the key, or the problem: node-unknown,
	// node-revoked, node-quarantined. nil: nodes may use nothing but NodeOnly routes.
	PeerNode func(ctx context.Context, key ed25519.PublicKey) (id, name string, err error)
	// NodeMay says whether an administrator has let the node see and use the scanner; nil:
	// never. It must not block. Who takes a leave back calls EndNode.
	NodeMay func(node, scanner string) bool

	Rate int // requests a second of one session, or of one address without a session; 0: 60

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
	tickets *tickets

	switches atomic.Pointer[Switches]

	users       cache[user]
	permissions cache[[]permission] // all of them, under ""
}

// New makes a Guard.
func New(c Config) *Guard {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rate == 0 {
		c.Rate = 60
	}
	if c.Origins == nil {
		c.Origins = NewOrigins()
	}
	g := &Guard{Config: c, started: c.Now(), rates: newLimiter(), live: newLiveRequests(), tickets: newTickets()}
	g.Switch(Switches{c.LoopbackTrust, c.AllowPlainHTTP, c.MaxRole})
	c.Origins.lend(c.Records, c.Log, g.endDropped)
	return g
}

// apiPrefix is where the routes live; everything else belongs to the web app.
const (
	apiPrefix = "/api/"
	setupPage = "/setup" // of the app: where its own ports lead
)

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
		if !route.On(road) {
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
		s.allow = strings.Join(methodNames(s.methods, http.MethodOptions), ", ")
		s.foreign = foreignMethods(s.methods, road)
	}
	return h
}

// methodNames are those of a resource's routes, and more, in order.
func methodNames(methods map[string]Route, more ...string) []string {
	names := more
	for m := range methods {
		names = append(names, m)
		if m == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return names
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
	if h.app == nil || h.road.internal() {
		return problem.NotFound.Error()
	}
	if o, err := pageOrigin(r); err != nil {
		return err
	} else if o != (Origin{}) && o != h.ownOrigin(x, r) {
		return problem.OriginNotAllowed.Error()
	}
	if _, err := fetchSite(r); err != nil && !navigation(r) {
		return err
	}
	if h.road == RoadSetup && r.URL.Path == "/" {
		http.Redirect(x, r, setupPage, http.StatusSeeOther)
		return nil
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
	allow   string // value of Allow
	foreign string // methods that foreign pages may use
}

// route finds the route of a method; HEAD is GET without its body.
func (s *resource) route(method string) (Route, bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	route, ok := s.methods[method]
	return route, ok
}

// ServeHTTP is called by the handler's ServeMux, with the exchange as w.
func (s *resource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := w.(*exchange)
	x.err = s.serve(x, r)
}

func (s *resource) serve(x *exchange, r *http.Request) error {
	x.route = r.Pattern
	if r.Method == http.MethodOptions {
		return s.answerOptions(x, r)
	}
	route, ok := s.route(r.Method)
	if !ok {
		x.Header().Set("Allow", s.allow)
		return problem.MethodNotAllowed.Error()
	}
	ends := s.h.live.ends.Load()
	r = s.h.cutTicket(x, r, route.Policy)
	own, refused := s.h.judgePage(x, r, route.Policy)
	if refused != nil && route.Policy.kind != policyProbe {
		return refused
	}
	if err := s.h.auditable(route); err != nil {
		return err
	}
	x.audit = route.Audit
	caller, err := s.h.judgeCaller(x, r, route.Policy, own, refused != nil)
	if err != nil {
		if often := s.h.countRequest("", r); often != nil && s.h.road != RoadLink {
			return often
		}
		return err
	}
	x.caller = caller
	ctx, leave := s.h.live.enter(r.Context(), caller)
	defer leave()
	if s.h.live.ends.Load() != ends {
		if _, err := s.h.again(ctx, caller); err != nil {
			return err
		}
	}
	done, err := s.h.throttle(ctx, route, caller, r)
	if err != nil {
		return err
	}
	defer done()
	if err := checkPathValues(r); err != nil {
		return err
	}
	if err := s.h.judgePermission(ctx, caller, route.Policy, r.PathValue("scanner")); err != nil {
		return err
	}
	r = r.WithContext(withNote(WithCaller(ctx, caller), x))
	if err := limitBody(x, r, route.MaxBody); err != nil {
		return err
	}
	return route.Handle(x, r)
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
