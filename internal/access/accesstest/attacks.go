package accesstest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// attacks are those that make sense on the road.
func attacks(w Walker, route access.Route) []attack {
	road := w.Road
	list := append(hostAttacks(road), attack{name: "method that is not there", make: wrongMethod})
	switch road {
	case access.RoadLink:
		list = append(list,
			attack{name: "no grant", make: unsigned(problem.GrantRequired)},
			attack{name: "two grants", make: twoGrants},
			attack{name: "grant for another path", make: grantElsewhere},
			attack{name: "cookie in place of a grant", make: withHeader(problem.GrantRequired, "Cookie", "__Host-platen=x")},
		)
	case access.RoadNode:
		list = append(list,
			attack{name: "no key", make: unsigned(problem.NodeUnknown)},
			attack{name: "cookie in place of a key", make: withHeader(problem.NodeUnknown, "Cookie", "__Host-platen=x")},
			attack{name: "bearer token in place of a key", make: withHeader(problem.NodeUnknown, "Authorization", "Bearer "+strings.Repeat("a", 52))},
			attack{name: "grant in place of a key", make: withHeader(problem.NodeUnknown, access.HeaderGrant, "x")},
		)
	case access.RoadDirect:
		list = append(list,
			attack{name: "road that is not open", make: unsigned(problem.RoadNotOpen)},
			attack{name: "cookie in place of a grant", make: withHeader(problem.RoadNotOpen, "Cookie", "__Host-platen=x")},
			attack{name: "bearer token in place of a grant", make: withHeader(problem.RoadNotOpen, "Authorization", "Bearer "+strings.Repeat("a", 52))},
			attack{name: "grant of a link", make: withHeader(problem.RoadNotOpen, access.HeaderGrant, "x")},
		)
	case access.RoadESCL:
		list = append(list, attack{name: "no address", make: fromNowhere})
	default:
		list = append(list, browserAttacks(route)...)
	}
	list = append(list, pageAttacks(w, route)...)
	for _, other := range w.Others {
		list = append(list, attack{name: other.Name, make: ofOther(other)})
	}
	list = append(list, attack{name: "role too low", make: lowRole}, attack{name: "body too large", make: largeBody}, attack{name: "unknown member", make: unknownMember})
	for name := range examples {
		if strings.Contains(route.Path, name) {
			for _, bad := range badIDs(name) {
				list = append(list, attack{name: "bad ID " + bad[:min(len(bad), 40)], make: withID(name, bad)})
			}
		}
	}
	return list
}

// hostAttacks are those that the road's end can tell: a node may know its gateway by any
// name, and on RoadESCL the Host is whatever.
func hostAttacks(road access.Road) []attack {
	list := []attack{{name: "Host beside :authority", make: withHeader(problem.HostNotAllowed, "Host", "evil.example")}}
	if road == access.RoadESCL {
		return list
	}
	list = append(list,
		attack{name: "userinfo in host", make: withHost("192.0.2.10:18623@evil.example")},
		attack{name: "empty host", make: withHost("")})
	if road == access.RoadNode {
		return list
	}
	return append(list,
		attack{name: "rebinding host", make: withHost("evil.example:18623")},
		attack{name: "host with a right beginning", make: withHost("192.0.2.10.evil.example:18623")},
		attack{name: "host without its port", make: withHost("localhost")})
}

// browserAttacks are what web pages and their victims' browsers send.
func browserAttacks(route access.Route) []attack {
	list := []attack{
		{name: "preflight of a foreign origin", make: preflight(evilOrigin)},
		{name: "preflight of null", make: preflight("null")},
		{name: "two Authorization headers", make: unlessOpen(withHeader(problem.SessionRequired, "Authorization", "Bearer a", "Bearer b"))},
		{name: "unknown bearer token", make: unlessOpen(withHeader(problem.SessionExpired, "Authorization",
			"Bearer "+strings.Repeat("a", 20)+"."+strings.Repeat("a", 52)))},
		{name: "no session", make: unlessOpen(unsigned(problem.SessionRequired))},
	}
	if route.Policy.Probes() {
		return list
	}
	for _, origin := range []string{
		evilOrigin, "null", "", "https://192.0.2.10", "https://192.0.2.10:18624", "http://192.0.2.10:18623",
		"https://192.0.2.10:18623.evil.example", "https://evil.example#https://192.0.2.10:18623",
		"https://192.0.2.10:18623@evil.example", "https://192.0.2.10:18623/", "file://",
	} {
		list = append(list, attack{name: "origin " + origin, make: signedWithHeader(problem.OriginNotAllowed, "Origin", origin)})
	}
	return append(append(list, elements()...),
		attack{name: "two origins", make: signedWithHeader(problem.OriginNotAllowed, "Origin", "https://"+LANHost, evilOrigin)},
		attack{name: "cross-site fetch", make: signedWithHeader(problem.CrossSite, "Sec-Fetch-Site", "cross-site")},
		attack{name: "same-site fetch", make: signedWithHeader(problem.CrossSite, "Sec-Fetch-Site", "same-site")},
		attack{name: "two Sec-Fetch-Site", make: signedWithHeader(problem.CrossSite, "Sec-Fetch-Site", "same-origin", "cross-site")},
		attack{name: "cookie of nobody", make: unlessOpen(cookieOfNobody)},
	)
}

// betweenEnds reports whether the route is for our own other end and for no user.
func betweenEnds(route access.Route) bool {
	return !route.Policy.On(access.RoadLAN) && !route.Policy.On(access.RoadSetup) && !route.Policy.On(access.RoadDirect)
}

// nobodyKnown reports whether the route is one that asks nobody who they are: between our
// own ends, and where a direct road is opened.
func (w Walker) nobodyKnown(route access.Route) bool {
	return w.Road == access.RoadLink && betweenEnds(route) || w.Road == access.RoadDirect && route.Policy.Role() == ""
}

func unsigned(want problem.Code) maker {
	return func(w Walker, _ *testing.T, route access.Route) (*http.Request, problem.Code) {
		if w.nobodyKnown(route) {
			return nil, ""
		}
		return w.request(route), want
	}
}

// unlessOpen leaves out routes that take callers without a session.
func unlessOpen(m maker) maker {
	return func(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
		if route.Policy.Role() == "" {
			return nil, ""
		}
		return m(w, t, route)
	}
}

func withHost(host string) maker {
	return func(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
		r := w.signed(t, route, w.request(route))
		r.Host = host
		return r, problem.HostNotAllowed
	}
}

func withHeader(want problem.Code, name string, values ...string) maker {
	return func(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
		r, unsignedWant := unsigned(want)(w, t, route)
		if r != nil {
			r.Header[name] = values
		}
		return r, unsignedWant
	}
}

func signedWithHeader(want problem.Code, name string, values ...string) maker {
	return func(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
		r := w.signed(t, route, w.request(route))
		r.Header[name] = values
		return r, want
	}
}

func wrongMethod(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
	r := NewRequest(w.Road, "PROPFIND", FillPath(route.Path), "")
	return r, problem.MethodNotAllowed
}

func preflight(origin string) maker {
	return func(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
		r := NewRequest(w.Road, http.MethodOptions, FillPath(route.Path), "")
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", route.Method)
		r.Header.Set("Access-Control-Request-Private-Network", "true")
		return r, problem.OriginNotAllowed
	}
}

func cookieOfNobody(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
	r := w.request(route)
	name := "__Host-platen"
	if r.TLS == nil {
		name = "platen-18622"
	}
	r.AddCookie(&http.Cookie{Name: name, Value: strings.Repeat("a", 20) + "." + strings.Repeat("a", 52)})
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r, problem.SessionExpired
}

func lowRole(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
	below := map[api.Role]api.Role{api.RoleAdmin: api.RoleOperator, api.RoleOperator: api.RoleUser, api.RoleUser: api.RoleKiosk}
	role, ok := below[route.Policy.Role()]
	if !ok {
		return nil, ""
	}
	r := w.request(route)
	w.As(t, r, role)
	return r, problem.PermissionDenied
}

func largeBody(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
	if route.Method == http.MethodGet {
		return nil, ""
	}
	target := w.request(route).URL.RequestURI()
	body := `{"x":"` + strings.Repeat("x", int(route.MaxBody)) + `"}`
	return w.signed(t, route, w.requestTo(route, target, body)), problem.BodyTooLarge
}

func unknownMember(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
	if route.MaxBody == 0 || betweenEnds(route) {
		return nil, "" // between our own ends members may be unknown
	}
	good := "{}"
	if w.Body != nil && w.Body(route) != "" {
		good = w.Body(route)
	}
	if !strings.HasPrefix(good, "{") {
		return nil, "" // it takes no JSON
	}
	body := strings.Replace(good, "{", `{"noSuchMember":1,`, 1)
	body = strings.Replace(body, ",}", "}", 1)
	target := w.request(route).URL.RequestURI()
	return w.signed(t, route, w.requestTo(route, target, body)), problem.UnknownField
}

func badIDs(name string) []string {
	switch name {
	case "{n}":
		return []string{"0", "-1", "01", "x", "100001", "99999999999999999999"}
	case "{seat}":
		return []string{"0", "-1", "01", "x", "99999999999999999999"}
	case "{project}":
		return []string{"x", "..%2f..%2fetc%2fpasswd", strings.Repeat("a", 500) + "-a", "%00", "ORG-", "-CODE", "ORG-CODE-x"}
	}
	return []string{"x", "..%2f..%2fetc%2fpasswd", strings.Repeat("a", 500), "%00", "aaaaaaaaaaaaaaaa-xaaaaaaaaaaaaaaaaaaaa"}
}

func withID(name, bad string) maker {
	return func(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
		target := FillPath(strings.Replace(route.Path, name, bad, 1))
		body := ""
		if route.MaxBody > 0 {
			body = "{}"
		}
		return w.signed(t, route, w.requestTo(route, target, body)), problem.BadID
	}
}

func fromNowhere(w Walker, _ *testing.T, route access.Route) (*http.Request, problem.Code) {
	r := w.request(route)
	r.RemoteAddr = ""
	return r, problem.SessionRequired
}

func ofOther(o Other) maker {
	return unlessOpen(func(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
		r := w.request(route)
		o.As(t, r, route.Policy.Role())
		return r, o.Want
	})
}

func twoGrants(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
	if betweenEnds(route) {
		return nil, ""
	}
	r := w.signed(t, route, w.request(route))
	r.Header.Add(access.HeaderGrant, r.Header.Get(access.HeaderGrant))
	return r, problem.GrantInvalid
}

func grantElsewhere(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
	if betweenEnds(route) {
		return nil, ""
	}
	r, other := w.request(route), NewRequest(w.Road, route.Method, "/api/v1/elsewhere", "")
	w.As(t, other, api.RoleAdmin)
	r.Header.Set(access.HeaderGrant, other.Header.Get(access.HeaderGrant))
	return r, problem.GrantInvalid
}
