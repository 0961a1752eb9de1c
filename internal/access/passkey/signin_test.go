package passkey_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

func TestSignIn(t *testing.T) {
	data := func(name string, value any) func(*authenticator) {
		return func(a *authenticator) { a.data = func(d map[string]any) { d[name] = value } }
	}
	tests := []struct {
		name   string
		change func(*authenticator)
		want   problem.Code
	}{
		{"good", func(*authenticator) {}, ""},
		{"another origin", func(a *authenticator) { a.origin = "https://evil.example" }, problem.SignInFailed},
		{"another site", func(a *authenticator) { a.site = "office.example" }, problem.SignInFailed},
		{"another challenge", data("challenge", b64(make([]byte, 32))), problem.SignInFailed},
		{"made for adding", data("type", "webauthn.create"), problem.SignInFailed},
		{"in a foreign frame", data("crossOrigin", true), problem.SignInFailed},
		{"person not verified", func(a *authenticator) { a.flags = userPresent }, problem.SignInFailed},
		{"person not present", func(a *authenticator) { a.flags = userVerified }, problem.SignInFailed},
		{"another key", func(a *authenticator) { a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }, problem.SignInFailed},
		{"no signature", func(a *authenticator) { a.sign = func([]byte) []byte { return nil } }, problem.SignInFailed},
		{"unknown passkey", func(a *authenticator) { a.id = make([]byte, 32) }, problem.SignInFailed},
		{"unknown user", func(a *authenticator) { a.handle = strings.Repeat("a", 20) }, problem.SignInFailed},
		{"no user", func(a *authenticator) { a.handle = "" }, problem.SignInFailed},
		{"user that is none", func(a *authenticator) { a.handle = "*.>" }, problem.SignInFailed},
		{"part of a user", func(a *authenticator) { a.handle = a.handle[:19] }, problem.SignInFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, _, a := withPasskey(t)
			tt.change(a)
			w := e.signIn(t, a)
			wantCode(t, w, tt.want)
			if (w.Code == http.StatusCreated) != (tt.want == "") {
				t.Errorf("signing in: %s", w.Body)
			}
		})
	}
}

func TestCounter(t *testing.T) {
	tests := []struct {
		name   string
		counts []uint32 // at creation, then at each sign-in
		good   []bool   // of the sign-ins
	}{
		{"without a counter", []uint32{0, 0, 0}, []bool{true, true}},
		{"rising", []uint32{1, 2, 9}, []bool{true, true}},
		{"standing", []uint32{1, 2, 2}, []bool{true, false}},
		{"a copy behind, then the right one", []uint32{5, 9, 6, 10}, []bool{true, false, true}},
		{"gone", []uint32{5, 6, 0}, []bool{true, false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, a := newEnd(t), newAuthenticator(t, host)
			a.count = tt.counts[0]
			if w := e.add(t, e.person(t, "Ann"), a); w.Code != http.StatusCreated {
				t.Fatalf("adding: %s", w.Body)
			}
			for i, good := range tt.good {
				a.count = tt.counts[i+1]
				w := e.signIn(t, a)
				if good && w.Code != http.StatusCreated {
					t.Errorf("counter %d: %s, want a session", a.count, w.Body)
				}
				if !good {
					wantCode(t, w, problem.SignInFailed)
				}
			}
		})
	}
}

func TestSignInFlow(t *testing.T) {
	e, s, a := withPasskey(t)
	t.Run("replayed at once", func(t *testing.T) {
		c := e.challenge(t)
		credential := a.get(t, c.Options)
		answers := make([]*httptest.ResponseRecorder, 16)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() { answers[i] = e.finish(host, c.Flow, credential) })
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
		if won != 1 {
			t.Errorf("%d of 16 won, want one", won)
		}
	})
	t.Run("two with one passkey at once", func(t *testing.T) {
		e.records.beforeUpdate = func(key string) {
			if strings.HasPrefix(key, "passkey.") { // the other one comes in between
				e.records.beforeUpdate = nil
				read[api.Session](t, e.signIn(t, a))
			}
		}
		wantCode(t, e.signIn(t, a), problem.SignInFailed)
	})
	t.Run("at another name", func(t *testing.T) {
		c := e.challenge(t)
		wantCode(t, e.finish(other, c.Flow, a.get(t, c.Options)), problem.FlowExpired)
	})
	t.Run("with a challenge for adding", func(t *testing.T) {
		c := e.challenge(t, s)
		wantCode(t, e.finish(host, c.Flow, a.get(t, c.Options)), problem.SignInFailed)
	})
	t.Run("a second late", func(t *testing.T) {
		c := e.challenge(t)
		before := e.now
		e.now = e.now.Add(5*time.Minute + time.Second)
		wantCode(t, e.finish(host, c.Flow, a.get(t, c.Options)), problem.FlowExpired)
		e.now = before
	})
	t.Run("nonsense", func(t *testing.T) {
		wantCode(t, e.finish(host, e.challenge(t).Flow, json.RawMessage(`{"id":7}`)), problem.SignInFailed)
	})
	t.Run("locked", func(t *testing.T) {
		byAdmin[api.User](t, e, "PATCH", "/users/"+s.User, `{"locked":true}`)
		wantCode(t, e.signIn(t, a), problem.UserLocked)
		byAdmin[api.User](t, e, "PATCH", "/users/"+s.User, `{"locked":false}`)
		read[api.Session](t, e.signIn(t, a))
	})
	t.Run("removed", func(t *testing.T) {
		r := accesstest.NewRequest(access.RoadLAN, "DELETE", "/api/v1/users/"+s.User, "")
		e.admin(t, r, api.RoleAdmin)
		if w := accesstest.Do(e.handler, r); w.Code != http.StatusNoContent {
			t.Fatalf("removing: %s", w.Body)
		}
		wantCode(t, e.signIn(t, a), problem.SignInFailed)
		if strings.Contains(e.records.Dump(), "\npasskey.") {
			t.Error("the passkey is still kept")
		}
	})
}

// FuzzCredential: nothing that is not signed for this challenge signs anybody in.
func FuzzCredential(f *testing.F) {
	e, s, a := withPasskey(f)
	f.Add([]byte(a.get(f, e.challenge(f).Options)))
	f.Add([]byte(a.create(f, e.challenge(f, s).Options)))
	f.Add([]byte(`{"id":"","rawId":null,"response":{}}`))
	f.Fuzz(func(t *testing.T, credential []byte) {
		if !json.Valid(credential) {
			return
		}
		e.now = e.now.Add(time.Minute) // slower than the rate limit
		for _, w := range []*httptest.ResponseRecorder{
			e.finish(host, e.challenge(t).Flow, credential),
			e.do(host, s.Token, "POST", "/passkeys", api.PasskeyRequest{Flow: e.challenge(t, s).Flow, Credential: credential}),
		} {
			if code := accesstest.Code(w); w.Code < 400 || code == "" || code == problem.Internal {
				t.Errorf("status %d, problem %q: %s", w.Code, code, w.Body)
			}
		}
	})
}
