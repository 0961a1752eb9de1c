package access_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// cookieOf signs a device in by cookie.
func cookieOf(t *testing.T, e *end, road access.Road, role api.Role) *http.Cookie {
	t.Helper()
	p, err := e.guard.NewPairing(t.Context(), role, "")
	if err != nil {
		t.Fatal(err)
	}
	r := accesstest.NewRequest(road, "POST", "/api/v1/sessions", `{"secret":"`+p.Secret+`"}`)
	w := accesstest.Do(accesstest.Validate(t, e.on(road)), r)
	wantStatus(t, w, http.StatusCreated)
	if strings.Contains(w.Body.String(), "token") {
		t.Errorf("the answer to a page holds a token: %s", w.Body)
	}
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies, want one", len(cookies))
	}
	return cookies[0]
}

func TestCookie(t *testing.T) {
	for road, name := range map[access.Road]string{
		access.RoadLAN: "__Host-platen", access.RoadPublic: "__Host-platen", access.RoadLoopback: "platen-18622",
	} {
		e := newEnd(t)
		c := cookieOf(t, e, road, api.RoleOperator)
		if c.Name != name || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" ||
			c.Secure != (road != access.RoadLoopback) || c.MaxAge != 30*24*3600 {
			t.Errorf("%s: cookie %v", road, c)
		}
		own := accesstest.OwnOrigin(road)
		tests := []struct {
			name, method, header, value string
			want                        problem.Code
		}{
			{"read", "GET", "", "", ""},
			{"read by our page", "GET", "Sec-Fetch-Site", "same-origin", ""},
			{"typed address", "GET", "Sec-Fetch-Site", "none", ""},
			{"change by our page", "DELETE", "Origin", own, ""},
			{"change, vouched for", "DELETE", "Sec-Fetch-Site", "same-origin", ""},
			{"change, nobody vouches", "DELETE", "", "", problem.CrossSite},
			{"change by a foreign page", "DELETE", "Origin", "https://evil.example", problem.OriginNotAllowed},
			{"change by another port", "DELETE", "Sec-Fetch-Site", "same-site", problem.CrossSite},
			{"as a bearer token", "GET", "Authorization", "Bearer " + c.Value, problem.SessionRequired},
		}
		for _, tt := range tests {
			r := accesstest.NewRequest(road, tt.method, jobPath, "")
			if tt.header != "Authorization" {
				r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
			}
			if tt.header != "" {
				r.Header.Set(tt.header, tt.value)
			}
			w := accesstest.Do(e.on(road), r)
			if got := accesstest.Code(w); got != tt.want {
				t.Errorf("%s: %s: problem %q, want %q", road, tt.name, got, tt.want)
			}
		}
	}
}

func TestForeignCookieBesideOurs(t *testing.T) {
	e := newEnd(t)
	c := cookieOf(t, e, access.RoadLoopback, api.RoleUser)
	r := accesstest.NewRequest(access.RoadLoopback, "GET", jobPath, "")
	r.AddCookie(&http.Cookie{Name: c.Name, Value: "tossed"})
	r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	wantStatus(t, accesstest.Do(e.on(access.RoadLoopback), r), http.StatusOK)
}

func TestBearerIsNoCookie(t *testing.T) {
	e := newEnd(t)
	h := e.on(access.RoadLAN)
	s := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleUser)
	r := accesstest.NewRequest(access.RoadLAN, "GET", jobPath, "")
	r.AddCookie(&http.Cookie{Name: "__Host-platen", Value: s.Token})
	wantCode(t, accesstest.Do(h, r), problem.SessionRequired)
}

func TestTokenOfAnotherSecret(t *testing.T) {
	e := newEnd(t)
	h := e.on(access.RoadLAN)
	s := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleUser)
	for _, token := range []string{
		s.Id + "." + strings.Repeat("a", 52), s.Id, s.Id + ".", "." + s.Token, s.Token + "a", strings.ToUpper(s.Token), "", " " + s.Token,
	} {
		r := accesstest.NewRequest(access.RoadLAN, "GET", jobPath, "")
		r.Header.Set("Authorization", "Bearer "+token)
		wantCode(t, accesstest.Do(h, r), problem.SessionRequired)
	}
}

func TestNoSecretIsStored(t *testing.T) {
	e := newEnd(t)
	p, err := e.guard.NewPairing(t.Context(), api.RoleUser, "")
	if err != nil {
		t.Fatal(err)
	}
	s := accesstest.Session(t, e.guard, e.on(access.RoadLAN), access.RoadLAN, api.RoleUser)
	_, secret, _ := strings.Cut(s.Token, ".")
	for what, text := range map[string]string{"code": p.Code, "secret": p.Secret, "token": secret} {
		if strings.Contains(e.records.Dump(), text) {
			t.Errorf("the records hold the %s", what)
		}
		if strings.Contains(e.log.String(), text) {
			t.Errorf("the log holds the %s", what)
		}
	}
}

func TestAdminToken(t *testing.T) {
	const token = "correct-horse-battery-staple"
	e := newEnd(t, func(c *access.Config) { c.AdminToken = token })
	tests := []struct {
		name   string
		road   access.Road
		change func(*http.Request)
		want   problem.Code
	}{
		{"from the machine", access.RoadLoopback, nil, ""},
		{"wrong", access.RoadLoopback, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token+"x") }, problem.SessionRequired},
		{"forwarded", access.RoadLoopback, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "203.0.113.1") }, problem.SessionRequired},
		{"from elsewhere", access.RoadLAN, nil, problem.SessionRequired},
		{"as a cookie", access.RoadLoopback, func(r *http.Request) {
			r.Header.Del("Authorization")
			r.AddCookie(&http.Cookie{Name: "platen-18622", Value: token})
		}, problem.SessionRequired},
	}
	for _, tt := range tests {
		r := accesstest.NewRequest(tt.road, "GET", "/api/v1/nodes/aaaaaaaaaaaaaaaaaaaaaaaaaak7", "")
		r.Header.Set("Authorization", "Bearer "+token)
		if tt.change != nil {
			tt.change(r)
		}
		if got := accesstest.Code(accesstest.Do(e.on(tt.road), r)); got != tt.want {
			t.Errorf("%s: problem %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestNoAdminTokenIsNoToken(t *testing.T) {
	e := newEnd(t)
	r := accesstest.NewRequest(access.RoadLoopback, "GET", jobPath, "")
	r.Header.Set("Authorization", "Bearer ")
	wantCode(t, accesstest.Do(e.on(access.RoadLoopback), r), problem.SessionRequired)
}

func TestPlainHTTP(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		e := newEnd(t, func(c *access.Config) { c.AllowPlainHTTP = allowed })
		h := e.on(access.RoadLAN)
		p, err := e.guard.NewPairing(t.Context(), api.RoleUser, "")
		if err != nil {
			t.Fatal(err)
		}
		token := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleUser).Token
		signIn := accesstest.NewRequest(access.RoadLAN, "POST", "/api/v1/sessions", `{"code":"`+p.Code+`"}`)
		read := accesstest.NewRequest(access.RoadLAN, "GET", jobPath, "")
		read.Header.Set("Authorization", "Bearer "+token)
		for name, r := range map[string]*http.Request{"signing in": signIn, "reading": read} {
			r.TLS = nil
			want := problem.PlainHTTPRefused
			if allowed {
				want = ""
			}
			if got := accesstest.Code(accesstest.Do(h, r)); got != want {
				t.Errorf("allowed = %v: %s: problem %q, want %q", allowed, name, got, want)
			}
		}
		service := accesstest.NewRequest(access.RoadLAN, "GET", "/api/v1/service", "")
		service.TLS = nil
		service.Header.Set("Authorization", "Bearer "+token)
		w := accesstest.Do(h, service)
		if got := strings.Contains(w.Body.String(), "Reception"); got != allowed {
			t.Errorf("allowed = %v: GET /service tells the name: %v", allowed, got)
		}
	}
}

func TestLoopbackTrust(t *testing.T) {
	for _, trust := range []bool{true, false} {
		e := newEnd(t, func(c *access.Config) { c.LoopbackTrust = trust })
		s := httptest.NewServer(e.on(access.RoadLoopback))
		defer s.Close()
		lan := httptest.NewServer(e.on(access.RoadLAN))
		defer lan.Close()
		_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
		tests := []struct {
			name, url string
			header    http.Header
			host      string
			want      int
		}{
			{name: "by address", url: s.URL, want: 200},
			{name: "by name", url: s.URL, host: "localhost:" + port, want: 200},
			{name: "forwarded", url: s.URL, header: http.Header{"Forwarded": {"for=203.0.113.1"}}, want: 401},
			{name: "X-Forwarded-For", url: s.URL, header: http.Header{"X-Forwarded-For": {"127.0.0.1"}}, want: 401},
			{name: "X-Forwarded-Proto", url: s.URL, header: http.Header{"X-Forwarded-Proto": {"https"}}, want: 401},
			{name: "Via", url: s.URL, header: http.Header{"Via": {"1.1 proxy"}}, want: 401},
			{name: "bad bearer token", url: s.URL, header: http.Header{"Authorization": {"Bearer x"}}, want: 401},
			{name: "bad cookie", url: s.URL, header: http.Header{"Cookie": {"platen-" + port + "=x"}}, want: 200},
			{name: "foreign page", url: s.URL, header: http.Header{"Origin": {"http://localhost:3000"}}, want: 403},
			{name: "another road", url: lan.URL, want: 403},
		}
		for _, tt := range tests {
			r, err := http.NewRequest("GET", tt.url+jobPath, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.header != nil {
				r.Header = tt.header
			}
			r.Host = tt.host
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			var caller map[string]string
			json.NewDecoder(resp.Body).Decode(&caller)
			resp.Body.Close()
			want := tt.want
			if !trust && want == 200 {
				want = 401
			}
			if resp.StatusCode != want {
				t.Errorf("trust = %v: %s: status %d, want %d", trust, tt.name, resp.StatusCode, want)
			}
			if want == 200 && (caller["session"] != "loopback" || caller["subject"] != "local" || caller["role"] != "admin") {
				t.Errorf("%s: caller %v", tt.name, caller)
			}
		}
	}
}

// A node's key is all that RoadNode asks for.
func TestNodeOnly(t *testing.T) {
	gateway := accesstest.NewGateway(t, access.NewGrantVerifier(testNode, nil), testNode)
	e := newEnd(t, func(c *access.Config) {
		c.PeerKey = func(context.Context) ed25519.PublicKey { return gateway.Identity.Public() }
	})
	r := accesstest.NewRequest(access.RoadNode, "POST", "/api/v1/node/join", "{}")
	r.Host = "whatever.example:18603"
	w := accesstest.Do(e.on(access.RoadNode), r)
	wantStatus(t, w, http.StatusOK)
	if !strings.Contains(w.Body.String(), "node:"+gateway.Identity.Pin()) {
		t.Errorf("caller %s, want the key's pin", w.Body)
	}
}

// A peer whose socket the kernel does not know is nobody.
func TestLoopbackTrustNeedsTheSocket(t *testing.T) {
	e := newEnd(t, func(c *access.Config) { c.LoopbackTrust = true })
	r := accesstest.NewRequest(access.RoadLoopback, "GET", jobPath, "") // no connection is behind it
	wantCode(t, accesstest.Do(e.on(access.RoadLoopback), r), problem.SessionRequired)
}
