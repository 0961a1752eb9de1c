package access

import (
	"context"
	"crypto/ed25519"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// HeaderGrant carries a gateway's grant over a link.
const HeaderGrant = "Platen-Grant"

// judgeCaller finds out who calls and whether the policy lets them. own says that
// the browser vouches for our own page, refused that another page is behind a probe.
func (h *handler) judgeCaller(x *exchange, r *http.Request, p Policy, own, refused bool) (Caller, error) {
	if refused {
		x.readable = true
		return Caller{Road: h.road}, nil
	}
	caller, err := h.identify(x, r, p, own)
	x.caller = caller // who is refused is logged too
	if err == nil && p.min != "" && !caller.May(p.min) {
		err = problem.PermissionDenied.Error()
	}
	if err == nil && p.ownPages && caller.Origin != "" {
		err = problem.OriginNotAllowed.Error() // over a link: browsers' own words were judged before
	}
	if isRefusal(err) && (p.kind == policyAnonymous || p.kind == policyProbe) && !h.road.granted() {
		caller, err = Caller{Origin: x.origin()}, nil // credentials that do not hold are like none
	}
	if err != nil {
		return Caller{}, err
	}
	x.readable = p.kind == policyProbe && caller.Session == ""
	caller.Road = h.road
	if h.road != RoadLink {
		caller.Address = remoteIP(r).String()
	}
	return caller, nil
}

// isRefusal tells what a caller's credentials did wrong from what went wrong here.
func isRefusal(err error) bool {
	var e *problem.Error
	return errors.As(err, &e) && e.Code != problem.Internal
}

func (h *handler) identify(x *exchange, r *http.Request, p Policy, own bool) (Caller, error) {
	ctx := r.Context()
	switch p.kind {
	case policyLink:
		return Caller{}, nil // the road is the proof: its TLS pinned the gateway's key
	case policyNode:
		return h.identifyNode(ctx)
	case policyRoad:
		return Caller{}, nil // the handler finds out, by the grant in the body
	}
	switch h.road {
	case RoadLink:
		return h.identifyGrant(x, r)
	case RoadDirect:
		return h.identifyRoad(ctx)
	case RoadNode:
		return h.identifyEnrolled(ctx)
	case RoadESCL:
		return neighbour(r)
	}
	if h.plain(r, h.road) {
		return Caller{}, problem.PlainHTTPRefused.Error()
	}
	if x.ticket != "" {
		return h.identifyTicket(ctx, x, r)
	}
	if values := r.Header.Values("Authorization"); len(values) > 0 {
		return h.identifyBearer(ctx, x, r, values)
	}
	if x.foreign != (Origin{}) {
		return Caller{}, problem.SessionRequired.Error() // cookies and loopback trust are for our own pages
	}
	caller, err := h.identifyCookie(ctx, r, x.at, own)
	if err != nil && h.trusts(ctx, r, h.road, x.at) {
		return localCaller(), nil
	}
	return caller, err
}

// plain reports whether a request came unencrypted from another device, to an end
// that does not take such.
func (g *Guard) plain(r *http.Request, road Road) bool {
	return r.TLS == nil && !g.switches.Load().AllowPlainHTTP && (road == RoadLAN || road == RoadPublic || road == RoadSetup && !fromThisMachine(r))
}

// peerKey is the key that a node has proven.
func (h *handler) peerKey(ctx context.Context) (ed25519.PublicKey, error) {
	if h.PeerKey != nil {
		if key := h.PeerKey(ctx); key != nil {
			return key, nil
		}
	}
	return nil, problem.NodeUnknown.Error()
}

func (h *handler) identifyNode(ctx context.Context) (Caller, error) {
	key, err := h.peerKey(ctx)
	if err != nil {
		return Caller{}, err
	}
	return Caller{Subject: "node:" + identity.PinOf(key), Key: key}, nil
}

// identifyEnrolled is the node whose key the connection has proven, as a caller like any
// other. No user, session or gateway has an ID with a colon, so none is taken for it.
func (h *handler) identifyEnrolled(ctx context.Context) (Caller, error) {
	key, err := h.peerKey(ctx)
	if err != nil {
		return Caller{}, err
	}
	if h.PeerNode == nil {
		return Caller{}, problem.NodeUnknown.Error()
	}
	id, name, err := h.PeerNode(ctx, key)
	if err != nil {
		return Caller{}, err
	}
	return Caller{Session: nodeSession(id), Subject: nodeSession(id), Name: name, Role: api.RoleKiosk, Key: key, Node: id}, nil
}

func nodeSession(id string) string { return "node:" + id }

// neighbour is the client of this process's own eSCL server, known by its address alone.
func neighbour(r *http.Request) (Caller, error) {
	ip := remoteIP(r)
	if !ip.IsValid() {
		return Caller{}, problem.SessionRequired.Error()
	}
	id := "escl:" + ip.String()
	return Caller{Session: id, Subject: id, Role: api.RoleKiosk}, nil
}

func (h *handler) identifyGrant(x *exchange, r *http.Request) (Caller, error) {
	if h.Grants == nil || len(x.grants) == 0 {
		return Caller{}, problem.GrantRequired.Error()
	}
	if len(x.grants) > 1 {
		return Caller{}, problem.GrantInvalid.Error()
	}
	g, by, err := h.Grants.verify(r.Context(), x.grants[0], r.Method, r.URL.EscapedPath())
	if err != nil {
		return Caller{}, err
	}
	c := g.caller(h.switches.Load().MaxRole)
	c.GatewayKey, c.GatewayTime = by.key, by.time
	return c, nil
}

// identifyRoad is whom the grant in force of a direct road names. The node's own list of
// origins is asked again: it may have changed since the grant was judged.
func (h *handler) identifyRoad(ctx context.Context) (Caller, error) {
	if h.DirectRoad == nil {
		return Caller{}, problem.RoadNotOpen.Error()
	}
	g, ok := h.DirectRoad(ctx)
	if !ok {
		return Caller{}, problem.RoadNotOpen.Error()
	}
	if g.Origin != "" {
		if o, err := ParseOrigin(g.Origin); err != nil || !h.Origins.Allows(ctx, o) {
			return Caller{}, problem.OriginNotAllowed.Error()
		}
	}
	return g.caller(h.switches.Load().MaxRole), nil
}

// stripGranted takes from a request over a link what a browser may have said to the
// gateway, and from one on a direct road what a script says in its browser's place: facts
// about it come in the grant alone.
func stripGranted(h http.Header) (grants []string) {
	grants = h.Values(HeaderGrant)
	for name := range h {
		switch {
		case name == HeaderGrant, name == "Cookie", name == "Authorization", name == "Origin", name == "Forwarded", name == "Via",
			strings.HasPrefix(name, "X-Forwarded-"), strings.HasPrefix(name, "Sec-"):
			delete(h, name)
		}
	}
	return grants
}

func (h *handler) identifyBearer(ctx context.Context, x *exchange, r *http.Request, values []string) (Caller, error) {
	scheme, token, ok := strings.Cut(values[0], " ")
	if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") {
		return Caller{}, problem.SessionRequired.Error()
	}
	if h.AdminToken != "" && subtle.ConstantTimeCompare([]byte(token), []byte(h.AdminToken)) == 1 {
		if x.foreign != (Origin{}) || !fromThisMachine(r) || !isLoopbackName(x.at.Host) || forwarded(r) {
			return Caller{}, problem.New(problem.SessionRequired, "This token is for programs on the machine itself.")
		}
		return localCaller(), nil
	}
	return h.callerOf(ctx, token, true, x.origin())
}

func (h *handler) identifyCookie(ctx context.Context, r *http.Request, at Authority, own bool) (Caller, error) {
	cookies := r.CookiesNamed(cookieName(r, at))
	if len(cookies) == 0 {
		return Caller{}, problem.SessionRequired.Error()
	}
	if changesState(r.Method) && !own {
		return Caller{}, problem.CrossSite.Error() // the second net: cookies alone change nothing
	}
	// Another port's page on this host can set cookies too, so that there may be several.
	err := error(problem.SessionRequired.Error())
	for _, c := range cookies[:min(len(cookies), 4)] {
		var caller Caller
		if caller, err = h.callerOf(ctx, c.Value, false, ""); err == nil || !isRefusal(err) {
			return caller, err
		}
	}
	return Caller{}, err
}

// cookieName keeps ends on different ports of one host apart. On HTTPS the prefix
// makes browsers refuse the cookie from anybody else.
func cookieName(r *http.Request, at Authority) string {
	if r.TLS != nil {
		return "__Host-platen"
	}
	return "platen-" + strconv.Itoa(int(at.Port))
}

func localCaller() Caller {
	return Caller{Session: SessionLoopback, Kind: api.SessionKindLoopback, Subject: SubjectLocal, Role: api.RoleAdmin}
}

// trusts decides loopback trust: peer and Host are loopback, nothing forwarded the
// request, and the peer's process belongs to the user who may (peer_linux.go).
func (g *Guard) trusts(ctx context.Context, r *http.Request, road Road, at Authority) bool {
	if !g.switches.Load().LoopbackTrust || road != RoadLoopback || !isLoopbackName(at.Host) || forwarded(r) || !fromThisMachine(r) {
		return false
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	local, _ := localAddr(r)
	return g.ownsPeer(ctx, peer, local)
}

// forwarded reports whether a proxy touched the request: then its peer says nothing.
func forwarded(r *http.Request) bool {
	for name := range r.Header {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") {
			return true
		}
	}
	return false
}

func fromThisMachine(r *http.Request) bool {
	ip := remoteIP(r)
	local, ok := localAddr(r)
	return ok && ip.IsLoopback() && local.Addr().Unmap().IsLoopback()
}

// remoteIP is the peer's address; the zero Addr where it is none.
func remoteIP(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap().WithZone("")
}
