package access_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// road is a good grant of a road.
func (l link) road() access.RoadGrant {
	c := access.Caller{Session: "s1", Subject: "u1", Name: "Ada", Role: api.RoleUser}
	return access.NewRoadGrant(c, l.Node, []string{"https://gateway.example"},
		map[string][]scan.Action{testScanner: {scan.See, scan.Use}}, time.Now())
}

func (l link) verifyRoad(token string) error {
	_, _, err := l.verifier.VerifyRoad(context.Background(), token)
	return err
}

func TestRoadGrantRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t)
		want := l.road()
		time.Sleep(20 * time.Second)
		got, left, err := l.verifier.VerifyRoad(t.Context(), want.Sign(l.Identity))
		if err != nil {
			t.Fatal(err)
		}
		want.Gateway = l.Identity.Pin()
		if !got.IssuedAt.Equal(want.IssuedAt) || !got.Expires.Equal(want.Expires) || left != 100*time.Second {
			t.Errorf("times %v to %v, %v left; want %v to %v, 100 s left", got.IssuedAt, got.Expires, left, want.IssuedAt, want.Expires)
		}
		got.IssuedAt, got.Expires = want.IssuedAt, want.Expires
		if !reflect.DeepEqual(got, want) {
			t.Errorf("VerifyRoad = %+v, want %+v", got, want)
		}
	})
}

func TestRoadGrantClaims(t *testing.T) {
	l := newLink(t)
	scanners := func(n int) map[string][]scan.Action {
		all := map[string][]scan.Action{}
		for i := range n {
			all[scan.DerivedID(testNode, scan.KindScanner, fmt.Sprint(i))] = scan.Actions
		}
		return all
	}
	life := func(d time.Duration) func(*access.RoadGrant) {
		return func(g *access.RoadGrant) { g.Expires = g.IssuedAt.Add(d) }
	}
	for _, tt := range []struct {
		name   string
		change func(*access.RoadGrant)
		want   problem.Code
	}{
		{"good", func(*access.RoadGrant) {}, ""},
		{"ten minutes", life(10 * time.Minute), ""},
		{"no scanner", func(g *access.RoadGrant) { g.Actions = nil }, ""},
		{"as many scanners as there may be", func(g *access.RoadGrant) { g.Actions = scanners(256) }, ""},
		{"too many scanners", func(g *access.RoadGrant) { g.Actions = scanners(257) }, problem.GrantInvalid},
		{"another node's scanner", func(g *access.RoadGrant) {
			g.Actions = map[string][]scan.Action{"baaaaaaaaaaaaaaa-saaaaaaaaaaaaaaaaaaaa": {scan.See}}
		}, problem.GrantInvalid},
		{"a job for a scanner", func(g *access.RoadGrant) {
			g.Actions = map[string][]scan.Action{"aaaaaaaaaaaaaaaa-jaaaaaaaaaaaaaaaaaaaa": {scan.See}}
		}, problem.GrantInvalid},
		{"more actions than there are", func(g *access.RoadGrant) { g.Actions[testScanner] = slices.Repeat(scan.Actions, 2) }, problem.GrantInvalid},
		{"another node", func(g *access.RoadGrant) { g.Node = "baaaaaaaaaaaaaaaaaaaaaaaaak7" }, problem.GrantInvalid},
		{"unknown role", func(g *access.RoadGrant) { g.Role = "root" }, problem.GrantInvalid},
		{"no role", func(g *access.RoadGrant) { g.Role = "" }, problem.GrantInvalid},
		{"no subject", func(g *access.RoadGrant) { g.Subject = "" }, problem.GrantInvalid},
		{"no session", func(g *access.RoadGrant) { g.Session = "" }, problem.GrantInvalid},
		{"a name with a line", func(g *access.RoadGrant) { g.Name = "Ada\nsession=x" }, problem.GrantInvalid},
		{"no ID", func(g *access.RoadGrant) { g.ID = "" }, problem.GrantInvalid},
		{"a page that is no origin", func(g *access.RoadGrant) { g.Pages = []string{"https://gateway.example/"} }, problem.GrantInvalid},
		{"too many pages", func(g *access.RoadGrant) { g.Pages = slices.Repeat(g.Pages, 9) }, problem.GrantInvalid},
		{"an origin that the node does not allow", func(g *access.RoadGrant) { g.Origin = "https://evil.example" }, problem.OriginNotAllowed},
		{"a null origin", func(g *access.RoadGrant) { g.Origin = "null" }, problem.OriginNotAllowed},
		{"too long a life", life(10*time.Minute + time.Second), problem.GrantInvalid},
		{"no life", life(0), problem.GrantInvalid},
		{"backward life", life(-time.Second), problem.GrantInvalid},
		{"from the future", func(g *access.RoadGrant) {
			g.IssuedAt, g.Expires = g.IssuedAt.Add(2*time.Minute), g.Expires.Add(2*time.Minute)
		}, problem.GrantInvalid},
		{"from before the hello", func(g *access.RoadGrant) { g.IssuedAt = g.IssuedAt.Add(-time.Minute) }, problem.GrantExpired},
		{"times far away", func(g *access.RoadGrant) { g.IssuedAt, g.Expires = time.Time{}, time.Now().AddDate(200, 0, 0) }, problem.GrantInvalid},
	} {
		g := l.road()
		tt.change(&g)
		wantProblem(t, tt.name, l.verifyRoad(g.Sign(l.Identity)), tt.want)
	}
}

func TestRoadGrantSignatures(t *testing.T) {
	l := newLink(t)
	other, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	good := l.road().Sign(l.Identity)
	for name, token := range map[string]string{
		"signed by another key":      l.road().Sign(other),
		"the node's statement":       access.RoadStatement{}.Sign(l.Identity, time.Now()),
		"a link's grant":             l.grant().Sign(l.Identity),
		"a time token":               access.TimeToken(l.Identity, testNode, time.Now()),
		"signed for another purpose": l.grant().Sign(l.Identity),
		"too long":                   good + strings.Repeat("A", access.MaxRoadGrant),
		"cut":                        good[:len(good)-60],
		"nothing":                    "",
	} {
		wantProblem(t, name, l.verifyRoad(token), problem.GrantInvalid)
	}
	wantProblem(t, "a road's grant over a link", l.verify(l.road().Sign(l.Identity)), problem.GrantInvalid)
	wantProblem(t, "good", l.verifyRoad(good), "")
	wantProblem(t, "used before", l.verifyRoad(good), problem.GrantInvalid)
	l.verifier.Trust("")
	wantProblem(t, "when nobody is trusted", l.verifyRoad(l.road().Sign(l.Identity)), problem.GrantInvalid)
}

// A road ends with its grant, by the gateway's clock and without the skew.
func TestRoadGrantTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t)
		ahead := 30 * 24 * time.Hour // of the node's wall clock
		if err := l.verifier.SetClock(access.TimeToken(l.Identity, testNode, time.Now().Add(ahead))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		left := func(age time.Duration) (time.Duration, error) {
			g := access.NewRoadGrant(access.Caller{Session: "s", Subject: "u", Role: api.RoleUser}, testNode, nil, nil, time.Now().Add(ahead-age))
			_, left, err := l.verifier.VerifyRoad(t.Context(), g.Sign(l.Identity))
			return left, err
		}
		for _, tt := range []struct {
			age, left time.Duration
			want      problem.Code
		}{
			{0, 2 * time.Minute, ""}, {time.Minute, time.Minute, ""}, {2*time.Minute - time.Millisecond, time.Millisecond, ""},
			{2 * time.Minute, 0, problem.GrantExpired}, {3 * time.Minute, 0, problem.GrantExpired},
			{-time.Minute, 2 * time.Minute, ""}, {-61 * time.Second, 0, problem.GrantInvalid},
		} {
			got, err := left(tt.age)
			wantProblem(t, fmt.Sprintf("%v old", tt.age), err, tt.want)
			if got != tt.left {
				t.Errorf("%v old: %v left, want %v", tt.age, got, tt.left)
			}
		}
	})
}

func TestRoadGrantPages(t *testing.T) {
	own := access.RoadGrant{Pages: []string{"https://gateway.example", "https://192.168.1.5:8443"}}
	foreign := access.RoadGrant{Origin: "https://shop.example", Pages: own.Pages}
	for _, tt := range []struct {
		grant  access.RoadGrant
		origin string
		want   bool
	}{
		{own, "https://gateway.example", true}, {own, "https://192.168.1.5:8443", true}, {own, "https://shop.example", false},
		{own, "", false}, {own, "null", false}, {own, "https://gateway.example.evil.example", false},
		{foreign, "https://shop.example", true}, {foreign, "https://gateway.example", false}, {foreign, "", false},
		{access.RoadGrant{}, "", false}, {access.RoadGrant{}, "https://gateway.example", false},
	} {
		if got := tt.grant.From(tt.origin); got != tt.want {
			t.Errorf("grant for %q and pages %q: From(%q) = %v, want %v", tt.grant.Origin, tt.grant.Pages, tt.origin, got, tt.want)
		}
	}
	c := access.Caller{Origin: "https://shop.example"}
	if g := access.NewRoadGrant(c, testNode, own.Pages, nil, time.Now()); g.Pages != nil {
		t.Errorf("a foreign page's grant is for %q too", g.Pages)
	}
}

// directEnd is an end with a direct road.
func directEnd(t *testing.T) (*end, *accesstest.Gateway) {
	v := access.NewGrantVerifier(testNode, nil)
	e := newEnd(t, func(c *access.Config) { c.Grants, c.DirectRoad, c.MaxRole = v, accesstest.DirectRoad, "" })
	return e, accesstest.NewGateway(t, v, testNode)
}

func TestCallerOnARoad(t *testing.T) {
	e, gateway := directEnd(t)
	h := e.on(access.RoadDirect)
	r := accesstest.NewRequest(access.RoadDirect, "GET", pagePath, "")
	gateway.AsRoad(t, r, api.RoleAdmin)
	link := accesstest.NewRequest(access.RoadLink, "GET", pagePath, "")
	gateway.As(t, link, api.RoleAdmin)
	r.Header = http.Header{ // a script can write anything
		"Origin": {"https://evil.example"}, "Cookie": {"__Host-platen=x"}, "Authorization": {"Bearer x"}, "Sec-Fetch-Site": {"cross-site"},
		"X-Forwarded-For": {"127.0.0.1"}, access.HeaderGrant: link.Header[access.HeaderGrant], access.HeaderRequestID: {"abcdefghijklmnop"},
	}
	w := accesstest.Do(h, r)
	wantStatus(t, w, http.StatusOK)
	got := decode[map[string]string](t, w)
	for k, want := range map[string]string{"session": "gw-test", "subject": "gw-" + gateway.Identity.Pin()[:12] + ":test", "role": "operator", // never above MaxRole
		"road": "direct", "gateway": gateway.Identity.Pin(), "origin": ""} {
		if got[k] != want {
			t.Errorf("caller's %s = %q, want %q", k, got[k], want)
		}
	}
	if id := w.Header().Get(access.HeaderRequestID); id == "abcdefghijklmnop" {
		t.Error("the script's request ID is taken for a gateway's")
	}
	byLink := decode[map[string]string](t, accesstest.Do(e.on(access.RoadLink), link))
	if byLink["subject"] != got["subject"] || byLink["session"] != got["session"] {
		t.Errorf("over a link %v, on a road %v: want one and the same", byLink, got)
	}
	for _, host := range []string{"192.0.2.10:18623", "evil.example", "node.platen.internal:443", ""} {
		r.Host = host
		wantCode(t, accesstest.Do(h, r), problem.HostNotAllowed)
	}
}

// Only what people read exists there.
func TestRoutesOnARoad(t *testing.T) {
	e, gateway := directEnd(t)
	h := e.on(access.RoadDirect)
	var on []string
	for _, r := range e.routes {
		if r.On(access.RoadDirect) {
			on = append(on, r.Method+" "+strings.TrimPrefix(r.Path, "/api/v1"))
		}
	}
	if want := []string{"GET /service", "GET /jobs/{job}/pages/{n}", "GET /scanners/{scanner}/status", "POST /road"}; !slices.Equal(on, want) {
		t.Errorf("routes on a direct road: %q, want %q", on, want)
	}
	for _, tt := range []struct {
		method, path string
		want         problem.Code
	}{
		{"POST", "/api/v1/scanners/" + testScanner + "/jobs", problem.NotFound},
		{"POST", "/api/v1/scanners/" + testScanner + "/status", problem.MethodNotAllowed},
		{"DELETE", pagePath, problem.MethodNotAllowed},
		{"POST", "/api/v1/link/drain", problem.NotFound},
		{"POST", "/api/v1/sessions", problem.NotFound},
		{"GET", "/api/v1/service", ""},
		{"GET", "/api/v1/road", problem.MethodNotAllowed},
		{"GET", "/", problem.NotFound},
		{"HEAD", pagePath, ""},
	} {
		r := accesstest.NewRequest(access.RoadDirect, tt.method, tt.path, "")
		gateway.AsRoad(t, r, api.RoleAdmin)
		wantCode(t, accesstest.Do(h, r), tt.want)
	}
	for _, road := range []access.Road{access.RoadLoopback, access.RoadLAN, access.RoadLink, access.RoadPublic, access.RoadNode, access.RoadSetup, access.RoadESCL} {
		wantCode(t, accesstest.Do(e.on(road), accesstest.NewRequest(road, "POST", "/api/v1/road", "{}")), problem.NotFound)
	}
}

// What the gateway permits bounds what the node does, scanner by scanner.
func TestPermissionsOnARoad(t *testing.T) {
	e, gateway := directEnd(t)
	gateway.Scanners = map[string][]scan.Action{testScanner: {scan.See}}
	h := e.on(access.RoadDirect)
	for path, want := range map[string]problem.Code{
		"/api/v1/scanners/" + testScanner + "/status":                    "",
		"/api/v1/scanners/aaaaaaaaaaaaaaaa-sbaaaaaaaaaaaaaaaaaaa/status": problem.NotFound,
	} {
		r := accesstest.NewRequest(access.RoadDirect, "GET", path, "")
		gateway.AsRoad(t, r, api.RoleAdmin)
		wantCode(t, accesstest.Do(h, r), want)
	}
	c := access.Caller{Road: access.RoadDirect, Gateway: "pin", Role: api.RoleAdmin, Scanners: gateway.Scanners}
	if got := e.guard.May(t.Context(), c, testScanner); !slices.Equal(got, []scan.Action{scan.See}) {
		t.Errorf("May = %v, want what the grant says", got)
	}
}

// The node's word on foreign pages counts for each request.
func TestOriginOfARoad(t *testing.T) {
	e, gateway := directEnd(t)
	h := e.on(access.RoadDirect)
	ask := func() *httptest.ResponseRecorder {
		r := accesstest.NewRequest(access.RoadDirect, "GET", pagePath, "")
		gateway.RoadPage(accesstest.ShopOrigin)(t, r, api.RoleUser)
		return accesstest.Do(h, r)
	}
	wantCode(t, ask(), problem.OriginNotAllowed)
	accesstest.AllowPages(e.guard.Origins)
	w := ask()
	wantStatus(t, w, http.StatusOK)
	if w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("header %v", w.Header())
	}
	dropped := 0
	e.guard.Origins.OnDrop(func() { dropped++ })
	e.guard.Origins.Configure(false, nil)
	if dropped != 1 {
		t.Errorf("OnDrop's function was called %d times, want once", dropped)
	}
	wantCode(t, ask(), problem.OriginNotAllowed)
}

func TestWatch(t *testing.T) {
	e := newEnd(t)
	h := e.on(access.RoadLAN)
	is := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	s := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleUser)
	other := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleUser)
	ended, stop := e.guard.Watch(access.Caller{Session: s.Id})
	defer stop()
	unmoved, stopOther := e.guard.Watch(access.Caller{Session: other.Id})
	accesstest.AllowPages(e.guard.Origins)
	dropped, stopPage := e.guard.Watch(access.Caller{Session: "page", Origin: accesstest.ShopOrigin})
	defer stopPage()
	never, stopLocal := e.guard.Watch(access.Caller{Session: access.SessionLoopback})
	defer stopLocal()
	if is(ended) || is(unmoved) || is(dropped) || is(never) {
		t.Error("something has ended before it began")
	}
	if err := e.guard.EndSession(t.Context(), s.Id); err != nil {
		t.Fatal(err)
	}
	e.guard.Origins.Configure(false, nil)
	if !is(ended) || !is(dropped) || is(unmoved) || is(never) {
		t.Errorf("signed out %v, origin withdrawn %v, another %v, this machine %v; want the first two", is(ended), is(dropped), is(unmoved), is(never))
	}
	stopOther()
	if !is(unmoved) {
		t.Error("stop leaves the watch")
	}
}

// Withdrawing a person's word ends what a gateway's grants let in for that page.
func TestWithdrawnOriginEndsGrants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, gateway := directEnd(t)
		e.routes = append(e.routes, access.Route{Method: "GET", Path: "/api/v1/x", Policy: access.AtLeast(api.RoleKiosk),
			Handle: func(w http.ResponseWriter, r *http.Request) error {
				io.WriteString(w, "event")
				<-r.Context().Done()
				return r.Context().Err()
			}})
		lan := e.on(access.RoadLAN)
		admin := accesstest.SignIn(e.guard, lan, access.RoadLAN)
		allow := accesstest.NewRequest(access.RoadLAN, "POST", "/api/v1/origins", `{"origin":"`+accesstest.ShopOrigin+`"}`)
		admin(t, allow, api.RoleAdmin)
		id := decode[api.AllowedOrigin](t, accesstest.Do(lan, allow)).Id
		ended := make(chan int, 1)
		go func() {
			r := accesstest.NewRequest(access.RoadDirect, "GET", "/api/v1/x", "")
			gateway.RoadPage(accesstest.ShopOrigin)(t, r, api.RoleUser)
			ended <- accesstest.Do(e.on(access.RoadDirect), r).Code
		}()
		synctest.Wait()
		withdraw := accesstest.NewRequest(access.RoadLAN, "DELETE", "/api/v1/origins/"+id, "")
		admin(t, withdraw, api.RoleAdmin)
		wantStatus(t, accesstest.Do(lan, withdraw), http.StatusNoContent)
		if code := <-ended; code != 0 {
			t.Errorf("status %d, want a reset stream", code)
		}
	})
}
