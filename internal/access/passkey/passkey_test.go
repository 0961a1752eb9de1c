package passkey_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/access/passkey"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// Names of our end.
const (
	host  = "scan.office.example:18623"
	other = "scan.branch.example:18623"
)

func hostOnly(host string) string {
	name, _, _ := strings.Cut(host, ":")
	return name
}

// records fail for keys that not all Records could have.
type records struct {
	*accesstest.Records
	beforeUpdate func(key string) // nil: nothing
}

var goodKey = regexp.MustCompile(`^[A-Za-z0-9]+(\.[A-Za-z0-9-]+)+$`)

func (r *records) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if !goodKey.MatchString(key) {
		return nil, 0, fmt.Errorf("bad key %q", key)
	}
	return r.Records.Get(ctx, key)
}

func (r *records) Update(ctx context.Context, key string, value []byte, expires time.Time, revision uint64) (uint64, error) {
	if r.beforeUpdate != nil {
		r.beforeUpdate(key)
	}
	return r.Records.Update(ctx, key, value, expires, revision)
}

// end is an end of ours with passkeys.
type end struct {
	guard   *access.Guard
	handler http.Handler
	records *records
	admin   accesstest.As
	now     time.Time
}

func newEnd(t testing.TB) *end {
	t.Helper()
	hosts, err := access.NewHosts(host, other)
	if err != nil {
		t.Fatal(err)
	}
	e := &end{records: &records{Records: accesstest.NewRecords()}, now: time.Now()}
	now := func() time.Time { return e.now }
	p := passkey.New(passkey.Config{Now: now})
	e.guard = access.New(access.Config{Now: now, Hosts: hosts, Records: e.records, MaxRole: api.RoleAdmin, Providers: []access.Provider{p}})
	e.handler = e.guard.Handler(access.RoadLAN, access.SignInRoutes(e.guard), nil)
	e.admin = accesstest.SignIn(e.guard, e.handler, access.RoadLAN)
	return e
}

// do asks at the host with the bearer token, "" for nobody's.
func (e *end) do(host, token, method, path string, body any) *httptest.ResponseRecorder {
	text := ""
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		text = string(b)
	}
	r := accesstest.NewRequest(access.RoadLAN, method, "/api/v1"+path, text)
	r.Host = host
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return accesstest.Do(e.handler, r)
}

// byAdmin asks as an administrator and reads the answer.
func byAdmin[T any](t testing.TB, e *end, method, path, body string) (v T) {
	t.Helper()
	r := accesstest.NewRequest(access.RoadLAN, method, "/api/v1"+path, body)
	e.admin(t, r, api.RoleAdmin)
	return read[T](t, accesstest.Do(e.handler, r))
}

func read[T any](t testing.TB, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if w.Code != http.StatusOK && w.Code != http.StatusCreated {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func wantCode(t *testing.T, w *httptest.ResponseRecorder, want problem.Code) {
	t.Helper()
	if got := accesstest.Code(w); got != want {
		t.Errorf("status %d, problem %q, want %q: %s", w.Code, got, want, w.Body)
	}
}

// person is a new user who signed in with a pairing code.
func (e *end) person(t testing.TB, name string) api.Session {
	t.Helper()
	u := byAdmin[api.User](t, e, "POST", "/users", fmt.Sprintf(`{"name":%q,"role":"user"}`, name))
	p := byAdmin[api.Pairing](t, e, "POST", "/pairings", fmt.Sprintf(`{"user":%q}`, u.Id))
	return read[api.Session](t, e.do(host, "", "POST", "/sessions", map[string]any{"secret": p.Secret, "bearer": true}))
}

// add adds a's passkey to the session's user.
func (e *end) add(t testing.TB, s api.Session, a *authenticator) *httptest.ResponseRecorder {
	t.Helper()
	c := e.challenge(t, s)
	return e.do(host, s.Token, "POST", "/passkeys", api.PasskeyRequest{Flow: c.Flow, Credential: a.create(t, c.Options), Label: "Phone"})
}

// challenge is one for signing in; with a session one for adding a passkey.
func (e *end) challenge(t testing.TB, s ...api.Session) api.PasskeyChallenge {
	t.Helper()
	if len(s) > 0 {
		return read[api.PasskeyChallenge](t, e.do(host, s[0].Token, "POST", "/passkeys/challenge", nil))
	}
	return read[api.PasskeyChallenge](t, e.do(host, "", "POST", "/sign-in/passkey", nil))
}

func (e *end) finish(at, flow string, credential json.RawMessage) *httptest.ResponseRecorder {
	return e.do(at, "", "POST", "/sessions",
		map[string]any{"bearer": true, "passkey": api.PasskeyAnswer{Flow: flow, Credential: credential}})
}

func (e *end) signIn(t testing.TB, a *authenticator) *httptest.ResponseRecorder {
	t.Helper()
	c := e.challenge(t)
	return e.finish(host, c.Flow, a.get(t, c.Options))
}

// withPasskey is a person with a passkey.
func withPasskey(t testing.TB) (*end, api.Session, *authenticator) {
	t.Helper()
	e, a := newEnd(t), newAuthenticator(t, host)
	s := e.person(t, "Ann")
	if w := e.add(t, s, a); w.Code != http.StatusCreated {
		t.Fatalf("adding a passkey: %s", w.Body)
	}
	return e, s, a
}

func TestLife(t *testing.T) {
	e, a := newEnd(t), newAuthenticator(t, host)
	e.handler = accesstest.Validate(t, e.handler)
	s := e.person(t, "Ann")
	read[api.Passkey](t, e.add(t, s, a))
	signedIn := read[api.Session](t, e.signIn(t, a))
	if signedIn.Kind != api.SessionKindPasskey || signedIn.User != s.User || signedIn.Role != api.RoleUser || signedIn.Name != "Ann" {
		t.Errorf("session = %+v, want one of Ann (%s)", signedIn, s.User)
	}
	list := read[api.PasskeyList](t, e.do(host, signedIn.Token, "GET", "/passkeys", nil))
	if len(list.Items) != 1 || list.Items[0].Label != "Phone" || list.Items[0].Used.IsZero() {
		t.Fatalf("passkeys = %+v, want the phone's, used", list.Items)
	}
	if u := byAdmin[api.UserList](t, e, "GET", "/users", ""); len(u.Items) != 1 || u.Items[0].Passkeys != 1 {
		t.Errorf("users = %+v, want one with one passkey", u.Items)
	}
	stranger := e.person(t, "Bob")
	path := "/passkeys/" + list.Items[0].Id
	wantCode(t, e.do(host, stranger.Token, "DELETE", path, nil), problem.NotFound)
	if w := e.do(host, s.Token, "DELETE", path, nil); w.Code != http.StatusNoContent {
		t.Fatalf("deleting: %s", w.Body)
	}
	wantCode(t, e.do(host, s.Token, "DELETE", path, nil), problem.NotFound)
	wantCode(t, e.signIn(t, a), problem.SignInFailed)
}

func TestOptions(t *testing.T) {
	e, s, a := withPasskey(t)
	make := e.challenge(t, s)
	get := e.challenge(t)
	for _, tt := range []struct {
		name    string
		options json.RawMessage
		path    string
		want    any
	}{
		{"create", make.Options, "rp.id", "scan.office.example"},
		{"create", make.Options, "rp.name", "Platen"},
		{"create", make.Options, "user.id", b64([]byte(s.User))},
		{"create", make.Options, "user.name", "Ann"},
		{"create", make.Options, "user.displayName", "Ann"},
		{"create", make.Options, "attestation", "none"},
		{"create", make.Options, "authenticatorSelection.residentKey", "required"},
		{"create", make.Options, "authenticatorSelection.requireResidentKey", true},
		{"create", make.Options, "authenticatorSelection.userVerification", "required"},
		{"create", make.Options, "excludeCredentials.0.id", b64(a.id)},
		{"create", make.Options, "excludeCredentials.0.type", "public-key"},
		{"create", make.Options, "pubKeyCredParams.0.type", "public-key"},
		{"create", make.Options, "publicKey", nil},
		{"get", get.Options, "rpId", "scan.office.example"},
		{"get", get.Options, "userVerification", "required"},
		{"get", get.Options, "allowCredentials", nil},
		{"get", get.Options, "publicKey", nil},
	} {
		var v any
		if err := json.Unmarshal(tt.options, &v); err != nil {
			t.Fatal(err)
		}
		for name := range strings.SplitSeq(tt.path, ".") {
			switch inner := v.(type) {
			case map[string]any:
				v = inner[name]
			case []any:
				v = inner[0]
			}
		}
		if v != tt.want {
			t.Errorf("%s: %s = %v, want %v", tt.name, tt.path, v, tt.want)
		}
	}
}

// TestPlace says at which addresses there can be passkeys.
func TestPlace(t *testing.T) {
	p := passkey.New(passkey.Config{})
	tests := []struct {
		host string
		tls  bool
		want bool
	}{
		{"scan.office.example", true, true},
		{"scan.office.example:18603", true, true},
		{"SCAN.Office.Example", true, true},
		{"scanner.lan", true, true},
		{"xn--bro-hoa.example", true, true},
		{"localhost:18622", false, true},
		{"localhost:18623", true, true},
		{"localhost", false, true},
		{"scan.office.example", false, false},
		{"scan.office.example.:18603", true, false},
		{"scan.office.example.", true, false},
		{"scanner", true, false},
		{"scanner.local", true, false},
		{"a.scanner.LOCAL:18623", true, false},
		{"127.0.0.1:18622", false, false},
		{"127.0.0.1:18623", true, false},
		{"192.0.2.10:18623", true, false},
		{"[::1]:18622", false, false},
		{"[2001:db8::1]:18623", true, false},
		{"localhost.evil.example:18622", false, false},
		{"evil.localhost:18622", false, false},
		{"", true, false},
	}
	for _, tt := range tests {
		r := httptest.NewRequest("GET", "/api/v1/sign-in", nil)
		r.Host = tt.host
		if tt.tls {
			r.TLS = &tls.ConnectionState{}
		}
		var s api.SignIn
		if p.Offer(r, &s); s.Passkeys != tt.want {
			t.Errorf("Offer at %q, TLS %t = %t, want %t", tt.host, tt.tls, s.Passkeys, tt.want)
		}
	}
}

func TestNotPossible(t *testing.T) {
	e := newEnd(t)
	s := e.person(t, "Ann")
	for _, path := range []string{"/passkeys/challenge", "/sign-in/passkey"} {
		wantCode(t, e.do(accesstest.LANHost, s.Token, "POST", path, nil), problem.PasskeyNotPossible)
	}
}

func TestWalk(t *testing.T) {
	e := newEnd(t)
	accesstest.Walk(t, accesstest.Walker{Handler: e.handler, Road: access.RoadLAN, As: e.admin, Snapshot: e.records.Dump,
		Routes: passkey.New(passkey.Config{}).Routes(e.guard),
		Body: func(r access.Route) string {
			if r.MaxBody > 0 {
				return `{"flow":"a","credential":{}}`
			}
			return ""
		}})
}
