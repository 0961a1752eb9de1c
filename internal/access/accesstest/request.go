package accesstest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Addresses of the end in tests.
const (
	LoopbackHost = "127.0.0.1:18622"  // HTTP
	LANHost      = "192.0.2.10:18623" // HTTPS, also a gateway's
	linkHost     = "node.platen.internal"
)

// Origins of foreign pages in tests. A walker that has Page expects that its end allows
// the first two.
const (
	ShopOrigin = "https://shop.example"
	DeskOrigin = "https://desk.example:8443"
	evilOrigin = "https://evil.example"
)

// AllowPages lets the two pages in.
func AllowPages(o *access.Origins) {
	var list []access.Origin
	for _, text := range []string{ShopOrigin, DeskOrigin} {
		origin, err := access.ParseOrigin(text)
		if err != nil {
			panic(err)
		}
		list = append(list, origin)
	}
	o.Configure(false, list)
}

var peers atomic.Uint32

// NewRequest makes a request as the listener of a road would: with the address at
// which it came in, TLS where the road has it, and a peer's address of its own, so
// that rate limits count each alone. Its Host is right, and nobody is signed in.
func NewRequest(road access.Road, method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body == "" {
		r.Body = http.NoBody
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	host, n := LANHost, peers.Add(1)
	peer := netip.AddrFrom4([4]byte{198, 18 + byte(n>>16)&1, byte(n >> 8), byte(n)})
	switch road {
	case access.RoadLoopback:
		host, peer = LoopbackHost, netip.AddrFrom4([4]byte{127, byte(n >> 16), byte(n >> 8), byte(n)})
	case access.RoadLink, access.RoadDirect:
		host = linkHost
	case access.RoadESCL: // in memory
	default:
		r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true}
	}
	r.Host = host
	r.RemoteAddr = netip.AddrPortFrom(peer, 50000).String()
	var local net.Addr = net.TCPAddrFromAddrPort(netip.MustParseAddrPort(LANHost))
	if road == access.RoadLoopback {
		local = net.TCPAddrFromAddrPort(netip.MustParseAddrPort(LoopbackHost))
	}
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
}

// OwnOrigin is the Origin that our own page has on the road.
func OwnOrigin(road access.Road) string {
	if road == access.RoadLoopback {
		return "http://" + LoopbackHost
	}
	return "https://" + LANHost
}

// Do lets the handler answer. A stream that the handler resets is an answer with status 0.
func Do(h http.Handler, r *http.Request) (w *httptest.ResponseRecorder) {
	w = httptest.NewRecorder()
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				panic(p)
			}
			w.Code = 0
		}
	}()
	h.ServeHTTP(w, r)
	return w
}

// Code is the problem's code in an answer; "" if it is no problem.
func Code(w *httptest.ResponseRecorder) problem.Code {
	if w.Header().Get("Content-Type") != problem.MediaType {
		return ""
	}
	var e problem.Error
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		return ""
	}
	return e.Code
}

// As puts the credentials of somebody with the role on a request.
type As func(t testing.TB, r *http.Request, role api.Role)

// SignIn is As by pairing, through the handler of the road that the request is for. A
// role gets a new session before its rate limit is near.
func SignIn(g *access.Guard, h http.Handler, road access.Road) As { return SignInPage(g, h, road, "") }

// SignInPage is SignIn for pages of a foreign origin, which the guard must allow.
func SignInPage(g *access.Guard, h http.Handler, road access.Road, origin string) As {
	const most = 100
	tokens, used := map[api.Role]string{}, map[api.Role]int{}
	return func(t testing.TB, r *http.Request, role api.Role) {
		t.Helper()
		if used[role]%most == 0 {
			tokens[role] = PageSession(t, g, h, road, role, origin).Token
		}
		used[role]++
		r.Header.Set("Authorization", "Bearer "+tokens[role])
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
	}
}

// Session signs a new device in and returns its session with the bearer token.
func Session(t testing.TB, g *access.Guard, h http.Handler, road access.Road, role api.Role) api.Session {
	t.Helper()
	return PageSession(t, g, h, road, role, "")
}

// PageSession is Session for pages of a foreign origin.
func PageSession(t testing.TB, g *access.Guard, h http.Handler, road access.Road, role api.Role, origin string) api.Session {
	t.Helper()
	w := redeem(t, g, h, road, role, origin, `,"bearer":true`)
	var s api.Session
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != http.StatusCreated {
		t.Fatalf("signing in: status %d, %s", w.Code, w.Body)
	}
	return s
}

// Cookie signs our own page in, in a new browser, and returns its cookie.
func Cookie(t testing.TB, g *access.Guard, h http.Handler, road access.Road, role api.Role) *http.Cookie {
	t.Helper()
	w := redeem(t, g, h, road, role, OwnOrigin(road), "")
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("signing in: status %d, %d cookies, %s", w.Code, len(cookies), w.Body)
	}
	return cookies[0]
}

func redeem(t testing.TB, g *access.Guard, h http.Handler, road access.Road, role api.Role, origin, more string) *httptest.ResponseRecorder {
	t.Helper()
	p, err := g.NewPairing(context.Background(), role, "test")
	if err != nil {
		t.Fatalf("making a pairing: %v", err)
	}
	r := NewRequest(road, http.MethodPost, "/api/v1/sessions", fmt.Sprintf(`{"secret":%q%s}`, p.Secret, more))
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	return Do(h, r)
}

// Gateway is the other end of a link: it signs grants.
type Gateway struct {
	Identity *identity.Identity
	Node     string
	Scanners map[string][]scan.Action // in the grants of AsRoad
}

// NewGateway makes a gateway that the verifier of the node trusts, with its clock set.
func NewGateway(t testing.TB, v *access.GrantVerifier, node string) *Gateway {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	v.Trust(id.Pin())
	g := &Gateway{Identity: id, Node: node}
	if err := v.SetClock(access.TimeToken(id, node, time.Now())); err != nil {
		t.Fatalf("setting the clock: %v", err)
	}
	return g
}

// As puts a grant on the request. Change the request's method or path before, not after.
func (g *Gateway) As(t testing.TB, r *http.Request, role api.Role) { g.Page("")(t, r, role) }

// Page is As for pages of a foreign origin.
func (g *Gateway) Page(origin string) As {
	return func(_ testing.TB, r *http.Request, role api.Role) {
		c := access.Caller{Session: "test", Subject: "test", Role: role, Origin: origin}
		r.Header.Set(access.HeaderGrant, access.NewGrant(c, g.Node, r, time.Now(), scan.Actions...).Sign(g.Identity))
	}
}

// AsRoad puts the request on a direct road that was opened by a grant. The end's
// access.Config has DirectRoad in DirectRoad.
func (g *Gateway) AsRoad(t testing.TB, r *http.Request, role api.Role) { g.RoadPage("")(t, r, role) }

// RoadPage is AsRoad for pages of a foreign origin.
func (g *Gateway) RoadPage(origin string) As {
	return func(_ testing.TB, r *http.Request, role api.Role) {
		c := access.Caller{Session: "test", Subject: "test", Role: role, Origin: origin}
		grant := access.NewRoadGrant(c, g.Node, nil, g.Scanners, time.Now())
		grant.Gateway = g.Identity.Pin()
		*r = *r.WithContext(context.WithValue(r.Context(), roadKey{}, grant))
	}
}

type roadKey struct{}

// DirectRoad is access.Config.DirectRoad for requests of AsRoad.
func DirectRoad(ctx context.Context) (access.RoadGrant, bool) {
	g, ok := ctx.Value(roadKey{}).(access.RoadGrant)
	return g, ok
}
