package openid_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/access/openid"
	"github.com/platen-scan/platen/internal/access/openid/openidtest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const done = "https://" + accesstest.LANHost + openid.RedirectPath

// end is an end of ours whose people sign in at an identity provider.
type end struct {
	guard   *access.Guard
	handler http.Handler
	records *accesstest.Records
	now     time.Time
	log     *strings.Builder
}

func newEnd(t *testing.T, issuer string, change ...func(*openid.Config)) *end {
	t.Helper()
	e := &end{records: accesstest.NewRecords(), now: time.Now(), log: &strings.Builder{}}
	c := openid.Config{
		Issuer: issuer, ClientID: openidtest.ClientID, ClientSecret: openidtest.ClientSecret, Name: "Office",
		AdminGroups: []string{"it"}, UserGroups: []string{"staff"},
		Now: func() time.Time { return e.now },
		Log: slog.New(slog.NewTextHandler(e.log, nil)),
	}
	for _, f := range change {
		f(&c)
	}
	p, err := openid.New(c)
	if err != nil {
		t.Fatal(err)
	}
	e.guard = access.New(access.Config{Records: e.records, MaxRole: api.RoleAdmin, Providers: []access.Provider{p}})
	e.handler = e.guard.Handler(access.RoadLAN, access.SignInRoutes(e.guard), nil)
	return e
}

func (e *end) do(method, path, body string) *httptest.ResponseRecorder {
	return accesstest.Do(e.handler, accesstest.NewRequest(access.RoadLAN, method, path, body))
}

// start begins a flow as our page does.
func (e *end) start(t *testing.T) api.OIDCStart {
	t.Helper()
	w := e.do("POST", "/api/v1/sign-in/oidc", "")
	var s api.OIDCStart
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != http.StatusCreated {
		t.Fatalf("starting: status %d, %s", w.Code, w.Body)
	}
	return s
}

// finish gives our end what the provider sent back.
func (e *end) finish(flow, code, state string) *httptest.ResponseRecorder {
	return e.do("POST", "/api/v1/sessions", fmt.Sprintf(`{"bearer":true,"oidc":{"flow":%q,"code":%q,"state":%q}}`, flow, code, state))
}

// signIn is all of it.
func (e *end) signIn(t *testing.T, office *openidtest.Server, who string) *httptest.ResponseRecorder {
	t.Helper()
	s := e.start(t)
	code, state := office.SignIn(t, s.Url, who)
	return e.finish(s.Flow, code, state)
}

func wantSession(t *testing.T, w *httptest.ResponseRecorder) api.Session {
	t.Helper()
	var s api.Session
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != http.StatusCreated {
		t.Fatalf("signing in: status %d, %s", w.Code, w.Body)
	}
	return s
}

func wantCode(t *testing.T, w *httptest.ResponseRecorder, want problem.Code) {
	t.Helper()
	if got := accesstest.Code(w); got != want {
		t.Errorf("status %d, problem %q, want %q: %s", w.Code, got, want, w.Body)
	}
}

// noUsers finds out that a refused sign-in left nobody behind.
func (e *end) noUsers(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(e.records.Dump()) {
		if strings.HasPrefix(line, "user.") || strings.HasPrefix(line, "session.") {
			t.Errorf("there is a record: %s", line)
		}
	}
}

func TestSignIn(t *testing.T) {
	office := openidtest.Start(t, done)
	public := func(c *openid.Config) { c.ClientID, c.ClientSecret = openidtest.PublicClient, "" }
	kiosk := func(c *openid.Config) { c.UserGroups, c.DefaultRole = nil, api.RoleKiosk }
	tests := []struct {
		name   string
		who    openidtest.User
		change func(*openid.Config)
		role   api.Role
		code   problem.Code
	}{
		{"highest of two groups", openidtest.Ann, nil, api.RoleAdmin, ""},
		{"one group", openidtest.Bob, nil, api.RoleUser, ""},
		{"client without a secret", openidtest.Ann, public, api.RoleAdmin, ""},
		{"no group with a role", openidtest.Bob, func(c *openid.Config) { c.UserGroups = nil }, "", problem.PermissionDenied},
		{"default role", openidtest.Bob, kiosk, api.RoleKiosk, ""},
		{"default role does not lower", openidtest.Ann, kiosk, api.RoleAdmin, ""},
		{"groups in another claim", openidtest.Ann, func(c *openid.Config) { c.GroupsClaim = "roles" }, "", problem.PermissionDenied},
		{"wrong client secret", openidtest.Ann, func(c *openid.Config) { c.ClientSecret = "x" }, "", problem.ProviderFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var change []func(*openid.Config)
			if tt.change != nil {
				change = append(change, tt.change)
			}
			e := newEnd(t, office.Issuer, change...)
			w := e.signIn(t, office, tt.who.Username)
			if tt.code != "" {
				wantCode(t, w, tt.code)
				e.noUsers(t)
				return
			}
			s := wantSession(t, w)
			if s.Kind != api.SessionKindOidc || s.Role != tt.role || s.Name != tt.who.First+" "+tt.who.Last || s.User == "" {
				t.Errorf("session = %+v, want role %s of %s %s", s, tt.role, tt.who.First, tt.who.Last)
			}
			u, err := e.guard.UserOf(t.Context(), s.User)
			if err != nil || !slices.Equal(u.Groups, tt.who.Groups) || u.Source != api.UserSourceOidc {
				t.Errorf("user = %+v, %v; want groups %q", u, err, tt.who.Groups)
			}
			r := accesstest.NewRequest(access.RoadLAN, "GET", "/api/v1/sessions/current", "")
			r.Header.Set("Authorization", "Bearer "+s.Token)
			if w := accesstest.Do(e.handler, r); w.Code != http.StatusOK {
				t.Errorf("the session does not work: %s", w.Body)
			}
		})
	}
}

func TestStart(t *testing.T) {
	office := openidtest.Start(t, done)
	e := newEnd(t, office.Issuer)
	s := e.start(t)
	u, err := url.Parse(s.Url)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": openidtest.ClientID, "redirect_uri": done,
		"scope": "openid profile email", "code_challenge_method": "S256",
	} {
		if got := q.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(q.Get(name)) < 43 {
			t.Errorf("%s = %q is short", name, q.Get(name))
		}
	}
	for _, secret := range []string{s.Flow, openidtest.ClientSecret} {
		if strings.Contains(s.Url, secret) {
			t.Errorf("the address holds a secret: %s", s.Url)
		}
	}
	if dump := e.records.Dump(); strings.Contains(dump, s.Flow) || strings.Contains(dump, q.Get("state")) {
		t.Errorf("the record holds the flow's secret or state: %s", dump)
	}
	other := newEnd(t, office.Issuer, func(c *openid.Config) { c.Scopes = []string{"groups"} })
	u, err = url.Parse(other.start(t).Url)
	if err != nil {
		t.Fatal(err)
	}
	if got := u.Query().Get("scope"); got != "openid groups" {
		t.Errorf("scope = %q, want openid groups", got)
	}
}

func TestOffer(t *testing.T) {
	e := newEnd(t, "https://id.example")
	var s api.SignIn
	w := e.do("GET", "/api/v1/sign-in", "")
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || s.Oidc != "Office" {
		t.Errorf("GET /sign-in = %s, want oidc Office", w.Body)
	}
}

func TestFlow(t *testing.T) {
	office := openidtest.Start(t, done)
	e := newEnd(t, office.Issuer)
	t.Run("wrong state", func(t *testing.T) {
		s := e.start(t)
		code, state := office.SignIn(t, s.Url, "ann")
		before := office.Exchanges()
		wantCode(t, e.finish(s.Flow, code, state[1:]+"a"), problem.SignInFailed)
		wantCode(t, e.finish(s.Flow, code, state), problem.FlowExpired) // one try
		if n := office.Exchanges(); n != before {
			t.Errorf("the provider was asked %d times for a token, want never", n-before)
		}
	})
	t.Run("guessed code", func(t *testing.T) {
		s := e.start(t)
		code, state := office.SignIn(t, s.Url, "ann")
		before := office.Exchanges()
		wantCode(t, e.finish(s.Flow, "guess", state), problem.SignInFailed)
		wantCode(t, e.finish(s.Flow, code, state), problem.FlowExpired)
		if n := office.Exchanges(); n != before+1 {
			t.Errorf("the provider was asked %d times for a token, want once", n-before)
		}
	})
	t.Run("unknown flow", func(t *testing.T) {
		s := e.start(t)
		code, state := office.SignIn(t, s.Url, "ann")
		wantCode(t, e.finish(strings.Repeat("a", 52), code, state), problem.FlowExpired)
		wantCode(t, e.finish("x", code, state), problem.FlowExpired)
		wantSession(t, e.finish(s.Flow, code, state))
	})
	t.Run("code of another", func(t *testing.T) {
		mine, theirs := e.start(t), e.start(t)
		code, _ := office.SignIn(t, theirs.Url, "ann")
		_, state := office.SignIn(t, mine.Url, "bob")
		wantCode(t, e.finish(mine.Flow, code, state), problem.SignInFailed)
	})
	t.Run("code and state of another", func(t *testing.T) {
		mine, theirs := e.start(t), e.start(t)
		code, state := office.SignIn(t, theirs.Url, "ann")
		wantCode(t, e.finish(mine.Flow, code, state), problem.SignInFailed)
		wantSession(t, e.finish(theirs.Flow, code, state))
	})
	t.Run("a second late", func(t *testing.T) {
		s := e.start(t)
		code, state := office.SignIn(t, s.Url, "ann")
		e.now = e.now.Add(10*time.Minute + time.Second)
		wantCode(t, e.finish(s.Flow, code, state), problem.FlowExpired)
	})
	t.Run("replayed at once", func(t *testing.T) {
		e := newEnd(t, office.Issuer)
		s := e.start(t)
		code, state := office.SignIn(t, s.Url, "ann")
		before := office.Exchanges()
		answers := make([]*httptest.ResponseRecorder, 16)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() { answers[i] = e.finish(s.Flow, code, state) })
		}
		wg.Wait()
		won := 0
		for _, w := range answers {
			if w.Code == http.StatusCreated {
				won++
			} else {
				wantCode(t, w, problem.FlowExpired)
			}
		}
		if n := office.Exchanges() - before; won != 1 || n != 1 {
			t.Errorf("%d of 16 won with %d exchanges, want one with one", won, n)
		}
	})
}

func TestNextSignIn(t *testing.T) {
	office := openidtest.Start(t, done)
	e := newEnd(t, office.Issuer)
	e.handler = accesstest.Validate(t, e.handler)
	first := wantSession(t, e.signIn(t, office, "bob"))
	office.Put(openidtest.User{Username: "bob", First: "Robert", Last: "Baker", Groups: []string{"it"}})
	second := wantSession(t, e.signIn(t, office, "bob"))
	if second.User != first.User || second.Role != api.RoleAdmin || second.Name != "Robert Baker" {
		t.Errorf("second sign-in = %+v, want the user %s as admin Robert Baker", second, first.User)
	}
	if ann := wantSession(t, e.signIn(t, office, "ann")); ann.User == first.User {
		t.Error("Ann and Bob are one user")
	}
	r := accesstest.NewRequest(access.RoadLAN, "PATCH", "/api/v1/users/"+first.User, `{"locked":true}`)
	accesstest.SignIn(e.guard, e.handler, access.RoadLAN)(t, r, api.RoleAdmin)
	if w := accesstest.Do(e.handler, r); w.Code != http.StatusOK {
		t.Fatalf("locking: %s", w.Body)
	}
	for range 2 { // it persists
		wantCode(t, e.signIn(t, office, "bob"), problem.UserLocked)
	}
}

func TestNew(t *testing.T) {
	good := openid.Config{Issuer: "https://id.example", ClientID: "platen", DefaultRole: api.RoleUser}
	tests := []struct {
		name   string
		change func(*openid.Config)
		fault  string
	}{
		{"good", func(*openid.Config) {}, ""},
		{"on this machine", func(c *openid.Config) { c.Issuer = "http://127.0.0.1:9998" }, ""},
		{"plain HTTP", func(c *openid.Config) { c.Issuer = "http://id.example" }, "https"},
		{"localhost as a beginning", func(c *openid.Config) { c.Issuer = "http://localhost.evil.example" }, "https"},
		{"no scheme", func(c *openid.Config) { c.Issuer = "id.example" }, "https"},
		{"user in the issuer", func(c *openid.Config) { c.Issuer = "https://a@id.example" }, "https"},
		{"no client", func(c *openid.Config) { c.ClientID = "" }, "client ID"},
		{"nobody can sign in", func(c *openid.Config) { c.DefaultRole = "" }, "nobody"},
		{"unknown role", func(c *openid.Config) { c.DefaultRole = "root" }, "no role"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			_, err := openid.New(c)
			if (err == nil) != (tt.fault == "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("New = %v, want an error with %q", err, tt.fault)
			}
		})
	}
}

func TestWalk(t *testing.T) {
	e := newEnd(t, "https://id.example")
	p, err := openid.New(openid.Config{Issuer: "https://id.example", ClientID: "platen", DefaultRole: api.RoleUser})
	if err != nil {
		t.Fatal(err)
	}
	accesstest.Walk(t, accesstest.Walker{Handler: e.handler, Road: access.RoadLAN, Routes: p.Routes(e.guard), Snapshot: e.records.Dump,
		As: accesstest.SignIn(e.guard, e.handler, access.RoadLAN)})
}
