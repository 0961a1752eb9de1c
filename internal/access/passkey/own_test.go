package passkey_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

func TestPersonNeeded(t *testing.T) {
	e := newEnd(t)
	device := accesstest.Session(t, e.guard, e.handler, access.RoadLAN, api.RoleAdmin)
	wantCode(t, e.do(host, device.Token, "GET", "/passkeys", nil), problem.PermissionDenied)
	wantCode(t, e.do(host, device.Token, "POST", "/passkeys/challenge", nil), problem.PermissionDenied)
	wantCode(t, e.do(host, "", "GET", "/passkeys", nil), problem.SessionRequired)
}

func TestAdd(t *testing.T) {
	data := func(name string, value any) func(*authenticator) {
		return func(a *authenticator) { a.data = func(d map[string]any) { d[name] = value } }
	}
	tests := []struct {
		name   string
		change func(*authenticator)
		want   problem.Code
	}{
		{"good", func(*authenticator) {}, ""},
		{"another origin", func(a *authenticator) { a.origin = "https://evil.example" }, problem.BadRequest},
		{"our host at another port", func(a *authenticator) { a.origin = "https://scan.office.example" }, problem.BadRequest},
		{"our host in clear", func(a *authenticator) { a.origin = "http://" + host }, problem.BadRequest},
		{"another site", func(a *authenticator) { a.site = "office.example" }, problem.BadRequest},
		{"another challenge", data("challenge", b64(make([]byte, 32))), problem.BadRequest},
		{"no challenge", data("challenge", ""), problem.BadRequest},
		{"made for a sign-in", data("type", "webauthn.get"), problem.BadRequest},
		{"in a foreign frame", data("crossOrigin", true), problem.BadRequest},
		{"person not verified", func(a *authenticator) { a.flags = userPresent }, problem.BadRequest},
		{"person not present", func(a *authenticator) { a.flags = userVerified }, problem.BadRequest},
		{"ID that is not the key's", func(a *authenticator) { a.id = make([]byte, 0) }, problem.BadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, a := newEnd(t), newAuthenticator(t, host)
			tt.change(a)
			s := e.person(t, "Ann")
			w := e.add(t, s, a)
			wantCode(t, w, tt.want)
			if made := strings.Contains(e.records.Dump(), "\npasskey."); made != (tt.want == "") {
				t.Errorf("a passkey is kept: %t", made)
			}
		})
	}
}

func TestAddFlow(t *testing.T) {
	e := newEnd(t)
	ann, bob := e.person(t, "Ann"), e.person(t, "Bob")
	start := func() (api.PasskeyRequest, *authenticator) {
		a := newAuthenticator(t, host)
		c := e.challenge(t, ann)
		return api.PasskeyRequest{Flow: c.Flow, Credential: a.create(t, c.Options)}, a
	}
	t.Run("once", func(t *testing.T) {
		body, _ := start()
		if w := e.do(host, ann.Token, "POST", "/passkeys", body); w.Code != http.StatusCreated {
			t.Fatalf("adding: %s", w.Body)
		}
		wantCode(t, e.do(host, ann.Token, "POST", "/passkeys", body), problem.FlowExpired)
	})
	t.Run("same passkey again", func(t *testing.T) {
		_, a := start()
		if w := e.add(t, ann, a); w.Code != http.StatusCreated {
			t.Fatalf("adding: %s", w.Body)
		}
		wantCode(t, e.add(t, ann, a), problem.BadRequest)
	})
	t.Run("by another person", func(t *testing.T) {
		body, _ := start()
		wantCode(t, e.do(host, bob.Token, "POST", "/passkeys", body), problem.FlowExpired)
	})
	t.Run("at another name", func(t *testing.T) {
		body, _ := start()
		wantCode(t, e.do(other, ann.Token, "POST", "/passkeys", body), problem.FlowExpired)
	})
	t.Run("with a challenge for signing in", func(t *testing.T) {
		body, _ := start()
		body.Flow = e.challenge(t).Flow
		wantCode(t, e.do(host, ann.Token, "POST", "/passkeys", body), problem.FlowExpired)
	})
	t.Run("no credential", func(t *testing.T) {
		body, _ := start()
		body.Credential = json.RawMessage(`{}`)
		wantCode(t, e.do(host, ann.Token, "POST", "/passkeys", body), problem.BadRequest)
	})
	t.Run("label", func(t *testing.T) {
		body, _ := start()
		body.Label = "a\nb"
		wantCode(t, e.do(host, ann.Token, "POST", "/passkeys", body), problem.InvalidJSON)
	})
	t.Run("a second late", func(t *testing.T) {
		body, _ := start()
		e.now = e.now.Add(5*time.Minute + time.Second)
		wantCode(t, e.do(host, ann.Token, "POST", "/passkeys", body), problem.FlowExpired)
	})
}

func TestManyPasskeys(t *testing.T) {
	e := newEnd(t)
	s := e.person(t, "Ann")
	for range 20 {
		e.now = e.now.Add(time.Minute) // slower than the rate limit
		if w := e.add(t, s, newAuthenticator(t, host)); w.Code != http.StatusCreated {
			t.Fatalf("adding: %s", w.Body)
		}
	}
	wantCode(t, e.do(host, s.Token, "POST", "/passkeys/challenge", nil), problem.BadRequest)
}
