package access_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const shop = accesstest.ShopOrigin

// newShop is an end that allows the pages of the tests, with a session of the shop's.
func newShop(t testing.TB, change ...func(*access.Config)) (e *end, h http.Handler, token string) {
	e = newEnd(t, change...)
	accesstest.AllowPages(e.guard.Origins)
	h = e.on(access.RoadLAN)
	return e, h, accesstest.PageSession(t, e.guard, h, access.RoadLAN, api.RoleUser, shop).Token
}

func TestForeignPageReadsAnswers(t *testing.T) {
	_, h, token := newShop(t)
	tests := []struct {
		name, path, origin, token string
		status                    int
		echo                      string
	}{
		{"good", jobPath, shop, token, http.StatusOK, shop},
		{"no session", jobPath, shop, "", http.StatusUnauthorized, shop},
		{"bad identifier", "/api/v1/jobs/x", shop, token, http.StatusBadRequest, shop},
		{"refused origin", jobPath, "https://evil.example", token, http.StatusForbidden, ""},
		{"no such route", "/api/v1/nothing", shop, token, http.StatusNotFound, ""}, // judged before the origin
		{"our own page", jobPath, accesstest.OwnOrigin(access.RoadLAN), "", http.StatusUnauthorized, ""},
		{"service", "/api/v1/service", shop, token, http.StatusOK, shop},
		{"anonymous service", "/api/v1/service", shop, "", http.StatusOK, "*"},
	}
	for _, tt := range tests {
		w := page(h, access.RoadLAN, "GET", tt.path, "", tt.origin, tt.token)
		if w.Code != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.name, w.Code, tt.status, w.Body)
		}
		expose := tt.echo != "" && tt.echo != "*"
		if got := w.Header(); got.Get("Access-Control-Allow-Origin") != tt.echo || got.Get("Vary") != "Origin" ||
			strings.Contains(got.Get("Access-Control-Expose-Headers"), "Repr-Digest") != expose ||
			strings.Contains(got.Get("Access-Control-Expose-Headers"), "Platen-Sealed") != expose {
			t.Errorf("%s: headers %v", tt.name, got)
		}
	}
}

// A handler, or behind a gateway a node, cannot open an answer to a page.
func TestHandlerSetsNoCORS(t *testing.T) {
	for _, origin := range []string{"", accesstest.OwnOrigin(access.RoadLAN)} {
		w, _ := serve(t, func(w http.ResponseWriter, r *http.Request) error {
			for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods"} {
				w.Header().Set(name, "true")
			}
			return access.WriteJSON(w, http.StatusOK, 1)
		}, func(r *http.Request) {
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
		})
		wantStatus(t, w, http.StatusOK)
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("Origin %q: the answer has %s", origin, name)
			}
		}
	}
}

// A foreign page has nothing of what our own pages and programs are trusted with.
func TestForeignPageIsNotTrusted(t *testing.T) {
	const secret = "the machine's own token"
	e, h, token := newShop(t, func(c *access.Config) { c.LoopbackTrust, c.AdminToken = true, secret })
	cookie := accesstest.Cookie(t, e.guard, h, access.RoadLAN, api.RoleAdmin)
	own := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleAdmin).Token
	tests := []struct {
		name, origin, token string
		cookie              *http.Cookie
		want                problem.Code
	}{
		{"its own session", shop, token, nil, ""},
		{"its own session and a cookie of ours", shop, token, cookie, ""},
		{"a cookie of ours", shop, "", cookie, problem.SessionRequired},
		{"a stolen token of ours", shop, own, nil, problem.SessionRequired},
		{"a stolen token of another page", accesstest.DeskOrigin, token, nil, problem.SessionRequired},
		{"a page's token in a program", "", token, nil, problem.SessionRequired},
		{"a page's token in our own page", accesstest.OwnOrigin(access.RoadLAN), token, nil, problem.SessionRequired},
		{"a page's token as a cookie", "", "", &http.Cookie{Name: cookie.Name, Value: token}, problem.SessionRequired},
	}
	for _, tt := range tests {
		before := e.records.Dump()
		r := accesstest.NewRequest(access.RoadLAN, "GET", jobPath, "")
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		if tt.token != "" {
			r.Header.Set("Authorization", "Bearer "+tt.token)
		}
		if tt.cookie != nil {
			r.AddCookie(tt.cookie)
		}
		w := accesstest.Do(h, r)
		if got := accesstest.Code(w); got != tt.want {
			t.Errorf("%s: problem %q, want %q", tt.name, got, tt.want)
		}
		if tt.want == "" && !strings.Contains(w.Body.String(), `"role":"user"`) {
			t.Errorf("%s: caller %s", tt.name, w.Body)
		}
		if e.records.Dump() != before {
			t.Errorf("%s: something changed", tt.name)
		}
	}

	s := httptest.NewServer(e.on(access.RoadLoopback))
	defer s.Close()
	for origin, want := range map[string]int{"": http.StatusOK, shop: http.StatusUnauthorized} {
		for name, token := range map[string]string{"by the machine's user": "", "by its token": secret} {
			r, err := http.NewRequest("GET", s.URL+jobPath, nil)
			if err != nil {
				t.Fatal(err)
			}
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("Origin %q, %s: status %d, want %d", origin, name, resp.StatusCode, want)
			}
		}
	}
}

// Only a request that the browser answers to by our leave may come from another site.
func TestForeignFetchModes(t *testing.T) {
	_, h, token := newShop(t)
	tests := []struct {
		site, mode []string
		want       problem.Code
	}{
		{nil, nil, ""}, // plain HTTP: browsers do not say
		{[]string{"cross-site"}, []string{"cors"}, ""},
		{[]string{"same-site"}, []string{"cors"}, ""},
		{[]string{"cross-site"}, []string{"no-cors"}, problem.CrossSite},
		{[]string{"cross-site"}, []string{"navigate"}, problem.CrossSite},
		{[]string{"cross-site"}, []string{"websocket"}, problem.CrossSite},
		{[]string{"cross-site"}, nil, problem.CrossSite},
		{nil, []string{"cors"}, problem.CrossSite},
		{[]string{"cross-site", "same-origin"}, []string{"cors"}, problem.CrossSite},
		{[]string{"cross-site"}, []string{"cors", "cors"}, problem.CrossSite},
	}
	for _, tt := range tests {
		r := accesstest.NewRequest(access.RoadLAN, "GET", jobPath, "")
		r.Header.Set("Origin", shop)
		r.Header.Set("Authorization", "Bearer "+token)
		if tt.site != nil {
			r.Header["Sec-Fetch-Site"] = tt.site
		}
		if tt.mode != nil {
			r.Header["Sec-Fetch-Mode"] = tt.mode
		}
		w := accesstest.Do(h, r)
		if got := accesstest.Code(w); got != tt.want {
			t.Errorf("site %q, mode %q: problem %q, want %q", tt.site, tt.mode, got, tt.want)
		}
		if got := w.Header().Get("Access-Control-Allow-Origin"); (got == shop) != (tt.want == "") {
			t.Errorf("site %q, mode %q: Access-Control-Allow-Origin = %q", tt.site, tt.mode, got)
		}
	}
}

func TestPreflightIsJudgedAsItsRequest(t *testing.T) {
	_, h, _ := newShop(t)
	tests := []struct {
		path, method, origin string
		want                 problem.Code
		methods              string
	}{
		{jobPath, "GET", shop, "", "DELETE, GET, HEAD"},
		{jobPath, "DELETE", shop, "", "DELETE, GET, HEAD"},
		{jobPath, "PUT", shop, problem.MethodNotAllowed, ""},
		{jobPath, "GET", "https://evil.example", problem.OriginNotAllowed, ""},
		{jobPath, "GET", "null", problem.OriginNotAllowed, ""},
		{"/api/v1/nothing", "GET", shop, problem.NotFound, ""},
		{"/api/v1/pairings", "POST", shop, problem.OriginNotAllowed, ""}, // our own pages only
		{"/api/v1/origins", "POST", shop, problem.OriginNotAllowed, ""},
		{"/api/v1/sessions", "POST", shop, "", "GET, HEAD, POST"},
		{jobPath, "", shop, problem.OriginNotAllowed, ""}, // no preflight at all
	}
	for _, tt := range tests {
		r := accesstest.NewRequest(access.RoadLAN, "OPTIONS", tt.path, "")
		r.Header.Set("Origin", tt.origin)
		if tt.method != "" {
			r.Header.Set("Access-Control-Request-Method", tt.method)
		}
		r.Header.Set("Access-Control-Request-Headers", "authorization,x-evil")
		w := accesstest.Do(h, r)
		if got := accesstest.Code(w); got != tt.want || w.Header().Get("Access-Control-Allow-Methods") != tt.methods {
			t.Errorf("%s %s of %s: problem %q, methods %q, want %q, %q", tt.method, tt.path, tt.origin,
				got, w.Header().Get("Access-Control-Allow-Methods"), tt.want, tt.methods)
		}
		allowed := w.Header().Get("Access-Control-Allow-Headers")
		if strings.Contains(allowed, "x-evil") || (tt.want == "") != strings.Contains(allowed, "Authorization, Content-Type, Idempotency-Key") {
			t.Errorf("%s %s of %s: Access-Control-Allow-Headers = %q", tt.method, tt.path, tt.origin, allowed)
		}
	}
}

func TestHSTS(t *testing.T) {
	for _, on := range []bool{true, false} {
		e := newEnd(t, func(c *access.Config) { c.HSTS = func(*tls.ConnectionState) bool { return on } })
		for road, want := range map[access.Road]string{access.RoadLAN: "max-age=15552000", access.RoadPublic: "max-age=15552000", access.RoadLoopback: ""} {
			if !on {
				want = ""
			}
			w := accesstest.Do(e.on(road), accesstest.NewRequest(road, "GET", "/", ""))
			if got := w.Header().Get("Strict-Transport-Security"); got != want {
				t.Errorf("HSTS %v on %s: %q, want %q", on, road, got, want)
			}
		}
	}
}

// The setup page's ports are for our own page, whoever else is allowed.
func TestNoForeignPageOnSetup(t *testing.T) {
	e, _, token := newShop(t)
	h := e.on(access.RoadSetup)
	wantStatus(t, page(h, access.RoadSetup, "GET", jobPath, "", "", accesstest.Session(t, e.guard, h, access.RoadSetup, api.RoleUser).Token), http.StatusOK)
	w := page(h, access.RoadSetup, "GET", jobPath, "", shop, token)
	wantCode(t, w, problem.OriginNotAllowed)
	if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("Access-Control-Allow-Origin = %q", got)
	}
}
