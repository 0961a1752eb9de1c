package access_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aidanwoods.dev/go-paseto"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// link is both ends: the gateway that signs and the node that checks.
type link struct {
	*accesstest.Gateway
	verifier *access.GrantVerifier
}

func newLink(t testing.TB) link {
	v := access.NewGrantVerifier(testNode, nil)
	return link{accesstest.NewGateway(t, v, testNode), v}
}

// grant is a good one for a GET of a job.
func (l link) grant() access.Grant {
	r := accesstest.NewRequest(access.RoadLink, "GET", jobPath, "")
	return access.NewGrant(access.Caller{Session: "s1", Subject: "u1", Role: api.RoleUser}, l.Node, r, time.Now())
}

func (l link) verify(token string) error {
	_, err := l.verifier.Verify(context.Background(), token, "GET", jobPath)
	return err
}

func wantProblem(t testing.TB, what string, err error, want problem.Code) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%s: %v, want no error", what, err)
		}
		return
	}
	if err == nil || problem.From(err).Code != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

func TestGrantRoundTrip(t *testing.T) {
	l := newLink(t)
	want := l.grant()
	got, err := l.verifier.Verify(t.Context(), want.Sign(l.Identity), "GET", jobPath)
	if err != nil {
		t.Fatal(err)
	}
	want.Gateway = l.Identity.Pin()
	if !got.IssuedAt.Equal(want.IssuedAt) || !got.Expires.Equal(want.Expires) {
		t.Errorf("times %v to %v, want %v to %v", got.IssuedAt, got.Expires, want.IssuedAt, want.Expires)
	}
	got.IssuedAt, got.Expires = want.IssuedAt, want.Expires
	if !reflect.DeepEqual(got, want) || got.Job != "aaaaaaaaaaaaaaaa-jaaaaaaaaaaaaaaaaaaaa" {
		t.Errorf("Verify = %+v, want %+v", got, want)
	}
}

func TestGrantClaims(t *testing.T) {
	l := newLink(t)
	tests := []struct {
		name   string
		change func(*access.Grant)
		want   problem.Code
	}{
		{"good", func(g *access.Grant) {}, ""},
		{"whole minute", func(g *access.Grant) { g.Expires = g.IssuedAt.Add(time.Minute) }, ""},
		{"another node", func(g *access.Grant) { g.Node = "baaaaaaaaaaaaaaaaaaaaaaaaak7" }, problem.GrantInvalid},
		{"another method", func(g *access.Grant) { g.Method = "DELETE" }, problem.GrantInvalid},
		{"no method", func(g *access.Grant) { g.Method = "" }, problem.GrantInvalid},
		{"another path", func(g *access.Grant) { g.Path = jobPath + "/cancel" }, problem.GrantInvalid},
		{"path as prefix", func(g *access.Grant) { g.Path = "/api/v1/jobs" }, problem.GrantInvalid},
		{"another job", func(g *access.Grant) { g.Job = "aaaaaaaaaaaaaaaa-jbaaaaaaaaaaaaaaaaaaa" }, problem.GrantInvalid},
		{"no job", func(g *access.Grant) { g.Job = "" }, problem.GrantInvalid},
		{"unknown role", func(g *access.Grant) { g.Role = "root" }, problem.GrantInvalid},
		{"no role", func(g *access.Grant) { g.Role = "" }, problem.GrantInvalid},
		{"no subject", func(g *access.Grant) { g.Subject = "" }, problem.GrantInvalid},
		{"no session", func(g *access.Grant) { g.Session = "" }, problem.GrantInvalid},
		{"subject with a line", func(g *access.Grant) { g.Subject = "u1\nadmin" }, problem.GrantInvalid},
		{"no ID", func(g *access.Grant) { g.ID = "" }, problem.GrantInvalid},
		{"short ID", func(g *access.Grant) { g.ID = "a" }, problem.GrantInvalid},
		{"foreign origin", func(g *access.Grant) { g.Origin = "https://evil.example" }, problem.OriginNotAllowed},
		{"too long a life", func(g *access.Grant) { g.Expires = g.IssuedAt.Add(61 * time.Second) }, problem.GrantInvalid},
		{"no life", func(g *access.Grant) { g.Expires = g.IssuedAt }, problem.GrantInvalid},
		{"backward life", func(g *access.Grant) { g.Expires = g.IssuedAt.Add(-time.Second) }, problem.GrantInvalid},
		{"from the future", func(g *access.Grant) {
			g.IssuedAt = g.IssuedAt.Add(2 * time.Minute)
			g.Expires = g.IssuedAt.Add(time.Second)
		}, problem.GrantInvalid},
		{"from before the hello", func(g *access.Grant) {
			g.IssuedAt = g.IssuedAt.Add(-time.Minute)
			g.Expires = g.IssuedAt.Add(30 * time.Second)
		}, problem.GrantExpired},
		{"times far away", func(g *access.Grant) { g.IssuedAt, g.Expires = time.Time{}, time.Now().AddDate(200, 0, 0) }, problem.GrantInvalid},
	}
	for _, tt := range tests {
		g := l.grant()
		tt.change(&g)
		wantProblem(t, tt.name, l.verify(g.Sign(l.Identity)), tt.want)
	}
}

func TestGrantSignatures(t *testing.T) {
	l := newLink(t)
	other, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	good := l.grant().Sign(l.Identity)
	parts := strings.Split(good, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	body, footer := payload[:len(payload)-64], parts[3]
	resign := func(node, footer string) string {
		var claims map[string]any
		if err := json.Unmarshal(body, &claims); err != nil {
			t.Fatal(err)
		}
		raw, err := base64.RawURLEncoding.DecodeString(footer)
		if err != nil {
			t.Fatal(err)
		}
		token, err := paseto.MakeToken(claims, raw)
		if err != nil {
			t.Fatal(err)
		}
		key, err := paseto.NewV4AsymmetricSecretKeyFromEd25519(l.Identity.Signer())
		if err != nil {
			t.Fatal(err)
		}
		return token.V4Sign(key, []byte(node))
	}
	flipped := append([]byte{}, payload...)
	flipped[10] ^= 1
	join := func(p ...string) string { return strings.Join(p, ".") }
	tests := map[string]string{
		"signed by another key":         l.grant().Sign(other),
		"another key's footer":          join(parts[0], parts[1], parts[2], base64.RawURLEncoding.EncodeToString(other.Public())),
		"changed claims":                join(parts[0], parts[1], base64.RawURLEncoding.EncodeToString(flipped), footer),
		"no footer":                     join(parts[0], parts[1], parts[2]),
		"empty footer":                  join(parts[0], parts[1], parts[2], ""),
		"version 3":                     join("v3", parts[1], parts[2], footer),
		"version 2":                     join("v2", parts[1], parts[2], footer),
		"local":                         join(parts[0], "local", parts[2], footer),
		"no signature":                  join(parts[0], parts[1], base64.RawURLEncoding.EncodeToString(body), footer),
		"short":                         join(parts[0], parts[1], "AAAA", footer),
		"for another purpose":           resign("platen-time/1\x00"+testNode, footer),
		"signed without its node":       resign("platen-grant/1\x00", footer),
		"time token":                    access.TimeToken(l.Identity, testNode, time.Now()),
		"too long":                      good + strings.Repeat("A", 4096),
		"too many parts":                good + ".x",
		"nothing":                       "",
		"dots":                          "...",
		"JWT without a signature":       "eyJhbGciOiJub25lIn0.e30.",
		"characters that are no base64": join(parts[0], parts[1], "!!!!", footer),
	}
	for name, token := range tests {
		wantProblem(t, name, l.verify(token), problem.GrantInvalid)
	}
	wantProblem(t, "good", l.verify(good), "")
	l.verifier.Trust("")
	wantProblem(t, "when nobody is trusted", l.verify(l.grant().Sign(l.Identity)), problem.GrantInvalid)
}

func TestGrantWorksOnce(t *testing.T) {
	l := newLink(t)
	token := l.grant().Sign(l.Identity)
	wantProblem(t, "first", l.verify(token), "")
	wantProblem(t, "second", l.verify(token), problem.GrantInvalid)
	results := make(chan error)
	token = l.grant().Sign(l.Identity)
	for range 16 {
		go func() { results <- l.verify(token) }()
	}
	won := 0
	for range 16 {
		if <-results == nil {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of 16 uses of one grant passed, want 1", won)
	}
}

func TestGrantOfALongPath(t *testing.T) {
	l := newLink(t)
	r := accesstest.NewRequest(access.RoadLink, "GET", "/api/v1/jobs/"+strings.Repeat("%61", 100), "")
	g := access.NewGrant(access.Caller{Session: "s", Subject: "u", Role: api.RoleUser}, testNode, r, time.Now())
	if _, err := l.verifier.Verify(t.Context(), g.Sign(l.Identity), "GET", r.URL.EscapedPath()); err != nil {
		t.Error(err)
	}
	if _, err := l.verifier.Verify(t.Context(), g.Sign(l.Identity), "GET", r.URL.Path); err == nil {
		t.Error("the grant covers another spelling of its path")
	}
}

// The node tells time by the gateway's clock and its own monotonic one.
func TestGatewayTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t)
		ahead := 30 * 24 * time.Hour // of the node's wall clock
		if err := l.verifier.SetClock(access.TimeToken(l.Identity, testNode, time.Now().Add(ahead))); err != nil {
			t.Fatal(err)
		}
		grant := func(age time.Duration) string {
			r := accesstest.NewRequest(access.RoadLink, "GET", jobPath, "")
			g := access.NewGrant(access.Caller{Session: "s", Subject: "u", Role: api.RoleUser}, testNode, r, time.Now().Add(ahead-age))
			return g.Sign(l.Identity)
		}
		wantProblem(t, "by the node's clock", l.verify(l.grant().Sign(l.Identity)), problem.GrantExpired)
		wantProblem(t, "fresh", l.verify(grant(0)), "")
		wantProblem(t, "a minute ahead", l.verify(grant(-time.Minute)), "")
		wantProblem(t, "over a minute ahead", l.verify(grant(-61*time.Second)), problem.GrantInvalid)
		time.Sleep(time.Hour)
		wantProblem(t, "at the end of its time and skew", l.verify(grant(90*time.Second-time.Millisecond)), "")
		wantProblem(t, "after it", l.verify(grant(90*time.Second)), problem.GrantExpired)
	})
}

func TestReplayIsRememberedAsLongAsItMatters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t)
		token := l.grant().Sign(l.Identity)
		wantProblem(t, "first", l.verify(token), "")
		for range 89 {
			time.Sleep(time.Second)
			wantProblem(t, "other", l.verify(l.grant().Sign(l.Identity)), "")
			wantProblem(t, "replay", l.verify(token), problem.GrantInvalid)
		}
		time.Sleep(time.Second)
		wantProblem(t, "replay after its end", l.verify(token), problem.GrantExpired)
	})
}

func TestNoGrantBeforeTheHello(t *testing.T) {
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	v := access.NewGrantVerifier(testNode, nil)
	l := link{&accesstest.Gateway{Identity: id, Node: testNode}, v}
	v.Trust(id.Pin())
	wantProblem(t, "before the hello", l.verify(l.grant().Sign(id)), problem.GrantInvalid)
	now := time.Now()
	for name, token := range map[string]string{
		"another node's time": access.TimeToken(id, "baaaaaaaaaaaaaaaaaaaaaaaaak7", now),
		"a grant":             l.grant().Sign(id),
		"no time":             access.TimeToken(id, testNode, time.Time{}),
		"nothing":             "",
	} {
		wantProblem(t, name, v.SetClock(token), problem.GrantInvalid)
	}
	wantProblem(t, "clock", v.SetClock(access.TimeToken(id, testNode, now)), "")
	wantProblem(t, "after the hello", l.verify(l.grant().Sign(id)), "")
	other, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	v.Trust(other.Pin())
	wantProblem(t, "the former gateway", l.verify(l.grant().Sign(id)), problem.GrantInvalid)
	wantProblem(t, "the new one before its hello", l.verify(l.grant().Sign(other)), problem.GrantInvalid)
}

func TestCallerOverLink(t *testing.T) {
	l := newLink(t)
	e := newEnd(t, func(c *access.Config) { c.Grants, c.MaxRole = l.verifier, "" })
	h := e.on(access.RoadLink)
	r := accesstest.NewRequest(access.RoadLink, "GET", jobPath, "")
	l.As(t, r, api.RoleAdmin)
	// A gateway's proxy should have dropped these; they mean nothing here.
	r.Header.Set("Origin", "https://evil.example")
	r.Header.Set("Cookie", "__Host-platen=x")
	r.Header.Set("Authorization", "Bearer x")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("X-Forwarded-For", "127.0.0.1")
	r.Header.Set(access.HeaderRequestID, "abcdefghijklmnop")
	w := accesstest.Do(h, r)
	wantStatus(t, w, http.StatusOK)
	got := decode[map[string]string](t, w)
	want := map[string]string{"session": "gw-test", "subject": "gw-" + l.Identity.Pin()[:12] + ":test", "role": "operator", // never above MaxRole
		"road": "link", "gateway": l.Identity.Pin(), "origin": ""}
	for k := range want {
		if got[k] != want[k] {
			t.Errorf("caller's %s = %q, want %q", k, got[k], want[k])
		}
	}
	if id := w.Header().Get(access.HeaderRequestID); id != "abcdefghijklmnop" {
		t.Errorf("request ID %q, want the gateway's", id)
	}
	r = accesstest.NewRequest(access.RoadLink, "GET", "/api/v1/service", "")
	wantCode(t, accesstest.Do(h, r), problem.GrantRequired)
	r = accesstest.NewRequest(access.RoadLAN, "GET", jobPath, "")
	l.As(t, r, api.RoleAdmin)
	wantCode(t, accesstest.Do(e.on(access.RoadLAN), r), problem.SessionRequired) // a grant is nothing elsewhere
}

// Whatever a gateway's link carries: no panic, and nothing passes that was not signed.
func FuzzVerifyGrant(f *testing.F) {
	l := newLink(f)
	f.Add(l.grant().Sign(l.Identity)[:40])
	f.Add("v4.public.AAAA.AAAA")
	f.Add(access.TimeToken(l.Identity, testNode, time.Now()))
	f.Fuzz(func(t *testing.T, token string) {
		if err := l.verify(token); err == nil {
			t.Errorf("Verify(%q) passed", token)
		}
		if err := l.verifier.SetClock(token); err == nil && !strings.HasPrefix(token, "v4.public.") {
			t.Errorf("SetClock(%q) passed", token)
		}
	})
}

// The node asks its own list, whatever the gateway allows.
func TestGrantOfAForeignPage(t *testing.T) {
	origins := access.NewOrigins()
	v := access.NewGrantVerifier(testNode, origins)
	e := newEnd(t, func(c *access.Config) { c.Grants, c.Origins = v, origins })
	e.routes = append(e.routes, access.Route{Method: "GET", Path: "/api/v1/own", Policy: access.AtLeast(api.RoleKiosk).OwnPages(), Handle: whoami})
	gateway, h := accesstest.NewGateway(t, v, testNode), e.on(access.RoadLink)
	ask := func(path, origin string) *httptest.ResponseRecorder {
		r := accesstest.NewRequest(access.RoadLink, "GET", path, "")
		gateway.Page(origin)(t, r, api.RoleAdmin)
		return accesstest.Do(h, r)
	}
	wantCode(t, ask(jobPath, accesstest.ShopOrigin), problem.OriginNotAllowed)
	accesstest.AllowPages(origins)
	w := ask(jobPath, accesstest.ShopOrigin)
	wantStatus(t, w, http.StatusOK)
	if !strings.Contains(w.Body.String(), accesstest.ShopOrigin) || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("caller %s, header %v", w.Body, w.Header())
	}
	for _, origin := range []string{"https://evil.example", "null", "*", "https://SHOP.example", "https://shop.example:443", "https://shop.example/"} {
		wantCode(t, ask(jobPath, origin), problem.OriginNotAllowed)
	}
	wantStatus(t, ask("/api/v1/own", ""), http.StatusOK)
	wantCode(t, ask("/api/v1/own", accesstest.ShopOrigin), problem.OriginNotAllowed)
	origins.Configure(true, nil)
	wantStatus(t, ask(jobPath, "https://whoever.example"), http.StatusOK)
	wantCode(t, ask(jobPath, "null"), problem.OriginNotAllowed)
}

func TestGrantSaysActionsAndName(t *testing.T) {
	l := newLink(t)
	r := accesstest.NewRequest(access.RoadLink, "GET", jobPath, "")
	c := access.Caller{Session: "s1", Subject: "u1", Role: api.RoleUser, Name: "Ada"}
	for name, actions := range map[string][]scan.Action{"not said": nil, "none": {}, "two": {scan.See, scan.Use}} {
		g, err := l.verifier.Verify(t.Context(), access.NewGrant(c, l.Node, r, time.Now(), actions...).Sign(l.Identity), "GET", jobPath)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(g.Actions, actions) || g.Name != "Ada" {
			t.Errorf("%s: grant of %q with actions %#v, want %#v", name, g.Name, g.Actions, actions)
		}
	}
	g := l.grant()
	g.Name = "Ada\nsession=x"
	wantProblem(t, "a name with a line", l.verify(g.Sign(l.Identity)), problem.GrantInvalid)
}
