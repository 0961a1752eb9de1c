package access_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// provider believes what it is told: the code of OpenID Connect, or the flow of a
// passkey, is the subject, and state the role.
type provider struct{ kind api.SessionKind }

func (p provider) Offer(_ *http.Request, s *api.SignIn) {
	if p.kind == api.SessionKindOidc {
		s.Oidc = "Office"
	} else {
		s.Passkeys = true
	}
}

func (provider) Routes(access.Users) []access.Route { return nil }

func (p provider) SignIn(ctx context.Context, _ *http.Request, body api.SessionRequest, users access.Users) (access.Person, bool, error) {
	subject := body.Passkey.Flow
	if p.kind == api.SessionKindOidc {
		subject = body.Oidc.Code
	}
	switch subject {
	case "":
		return access.Person{}, false, nil
	case "wrong":
		return access.Person{}, false, problem.SignInFailed.Error()
	case "ghost":
		return access.Person{User: strings.Repeat("a", 20), Kind: p.kind}, true, nil
	}
	role := api.Role(body.Oidc.State)
	if role == "" {
		role = api.RoleUser
	}
	u, err := users.Upsert(ctx, "oidc", subject, api.UserRequest{Name: "Ada", Role: role, Groups: []string{"office"}})
	return access.Person{User: u.Id, Kind: p.kind}, true, err
}

func withProviders(c *access.Config) {
	c.Providers = []access.Provider{provider{api.SessionKindOidc}, provider{api.SessionKindPasskey}}
}

func viaOIDC(subject string, role api.Role) string {
	return fmt.Sprintf(`{"oidc":{"flow":"f","code":%q,"state":%q},"bearer":true}`, subject, role)
}

// signIn makes a session of the kind, of a user where the kind has one.
func (e *end) signIn(t testing.TB, kind api.SessionKind) client {
	t.Helper()
	body := ""
	switch kind {
	case api.SessionKindPairing:
		body = secret(e.newPairing(t, api.RoleUser).Secret)
	case api.SessionKindOidc:
		body = viaOIDC("ada", api.RoleUser)
	case api.SessionKindPasskey:
		body = `{"passkey":{"flow":"ada","credential":{"id":"x"}},"bearer":true}`
	case api.SessionKindDevice:
		admin, _ := e.client(t, api.RoleUser)
		d := e.newDevice(t)
		wantStatus(t, admin.do("POST", "/api/v1/device-grants/"+d.UserCode+"/allow", ""), http.StatusNoContent)
		body = fmt.Sprintf(`{"deviceCode":%q,"bearer":true}`, d.DeviceCode)
	case api.SessionKindToken:
		admin, _ := e.client(t, api.RoleAdmin)
		w := admin.do("POST", "/api/v1/tokens", `{"label":"backup","role":"user","days":7}`)
		return client{t, e.on(access.RoadLAN), e.validated(t, access.RoadLAN), decode[api.Token](t, w).Token}
	case api.SessionKindOrigin: // on the machine itself: lives as long as one that is paired
		body = secret(e.newPairing(t, api.RoleUser).Secret)
	}
	w := e.redeem(t, body)
	wantStatus(t, w, http.StatusCreated)
	return client{t, e.on(access.RoadLAN), e.validated(t, access.RoadLAN), decode[api.Session](t, w).Token}
}

func TestWaysIn(t *testing.T) {
	e := newEnd(t, withProviders)
	before := e.records.Dump()
	tests := []struct {
		name, body string
		want       problem.Code
	}{
		{"nothing", `{}`, problem.InvalidJSON},
		{"nothing but a name", `{"device":"Pixel 7","bearer":true}`, problem.InvalidJSON},
		{"code and provider", `{"code":"AAAAAAAA","oidc":{"flow":"f","code":"ada","state":"s"}}`, problem.InvalidJSON},
		{"two providers", `{"passkey":{"flow":"f","credential":{}},"oidc":{"flow":"f","code":"ada","state":"s"}}`, problem.InvalidJSON},
		{"secret and device code", `{"secret":"aaaaaaaaaaaaaaaaaaaaaaaa","deviceCode":"aaaaaaaaaaaaaaaaaaaaaaaa"}`, problem.InvalidJSON},
		{"short device code", `{"deviceCode":"aaaa"}`, problem.InvalidJSON},
		{"long device code", `{"deviceCode":"` + strings.Repeat("a", 101) + `"}`, problem.InvalidJSON},
		{"name that turns around", `{"code":"AAAAAAAA","device":"Pixel \u202e7"}`, problem.InvalidJSON},
		{"half of a provider", `{"oidc":{"flow":"f"}}`, problem.InvalidJSON},
		{"refused by the provider", viaOIDC("wrong", api.RoleUser), problem.SignInFailed},
		{"of somebody who was removed", viaOIDC("ghost", api.RoleUser), problem.SignInFailed},
		{"unknown device code", `{"deviceCode":"` + strings.Repeat("a", 20) + "." + strings.Repeat("a", 32) + `"}`, problem.GrantDenied},
		{"malformed device code", `{"deviceCode":"` + strings.Repeat("a", 40) + `"}`, problem.GrantDenied},
	}
	for _, tt := range tests {
		if got := accesstest.Code(e.redeem(t, tt.body)); got != tt.want {
			t.Errorf("%s: problem %q, want %q", tt.name, got, tt.want)
		}
	}
	if e.records.Dump() != before {
		t.Error("a refused sign-in left something")
	}
	if got := accesstest.Code(newEnd(t).redeem(t, viaOIDC("ada", api.RoleUser))); got != problem.SignInFailed {
		t.Errorf("a way that is not set up: problem %q, want sign-in-failed", got)
	}
}

func TestProviderSignsUsersIn(t *testing.T) {
	e := newEnd(t, withProviders)
	first := decode[api.Session](t, e.redeem(t, viaOIDC("ada", api.RoleUser)))
	if first.Kind != api.SessionKindOidc || first.User == "" || first.Name != "Ada" || first.Role != api.RoleUser {
		t.Errorf("session %+v, want Ada's", first)
	}
	second := decode[api.Session](t, e.redeem(t, `{"passkey":{"flow":"ada","credential":{"id":"x"}},"bearer":true}`))
	other := decode[api.Session](t, e.redeem(t, viaOIDC("grace", api.RoleOperator)))
	if second.User != first.User || second.Kind != api.SessionKindPasskey || other.User == first.User {
		t.Errorf("users %s, %s and %s, want two", first.User, second.User, other.User)
	}
	for _, token := range []string{first.Token, second.Token} {
		got := decode[map[string]string](t, client{t, e.on(access.RoadLAN), nil, token}.do("GET", jobPath, ""))
		if got["subject"] != first.User || got["role"] != "user" {
			t.Errorf("caller %v, want the subject %s: all devices of a person share their jobs", got, first.User)
		}
	}
	c := client{t, e.on(access.RoadLAN), e.validated(t, access.RoadLAN), first.Token}
	if list := decode[api.SessionList](t, c.do("GET", "/api/v1/sessions", "")); len(list.Items) != 2 || list.Items[0].Name != "Ada" {
		t.Errorf("Ada sees %+v, want both sessions of hers", list.Items)
	}
	wantStatus(t, c.do("DELETE", "/api/v1/sessions/"+second.Id, ""), http.StatusNoContent)
	wantCode(t, c.do("DELETE", "/api/v1/sessions/"+other.Id, ""), problem.NotFound)
	// What the provider says at the next sign-in holds for all sessions at once.
	wantStatus(t, e.redeem(t, viaOIDC("ada", api.RoleAdmin)), http.StatusCreated)
	wantStatus(t, c.do("GET", "/api/v1/users", ""), http.StatusOK)
}

func TestGetSignIn(t *testing.T) {
	e := newEnd(t, withProviders, func(c *access.Config) { c.Origins = access.NewOrigins() })
	accesstest.AllowPages(e.guard.Origins)
	get := func(origin string) *httptest.ResponseRecorder {
		r := accesstest.NewRequest(access.RoadLAN, "GET", "/api/v1/sign-in", "")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		return accesstest.Do(e.validated(t, access.RoadLAN), r)
	}
	if got := decode[api.SignIn](t, get("")); got != (api.SignIn{Pairing: true, Passkeys: true, Oidc: "Office"}) {
		t.Errorf("our own page is offered %+v", got)
	}
	if got := decode[api.SignIn](t, get(accesstest.ShopOrigin)); got != (api.SignIn{Pairing: true, OriginAllowed: true}) {
		t.Errorf("an allowed page is offered %+v", got)
	}
	wantCode(t, get("https://evil.example"), problem.OriginNotAllowed)
	none := newEnd(t, func(c *access.Config) { c.Records = nil })
	w := accesstest.Do(none.on(access.RoadLAN), accesstest.NewRequest(access.RoadLAN, "GET", "/api/v1/sign-in", ""))
	if got := decode[api.SignIn](t, w); got.Pairing {
		t.Error("an end without records offers pairing")
	}
}

// A foreign page gets a token and no cookie, whatever it asks for, and nothing but a
// code or a secret helps it in.
func TestForeignPageSignsIn(t *testing.T) {
	e := newEnd(t, withProviders)
	accesstest.AllowPages(e.guard.Origins)
	post := func(body string) *httptest.ResponseRecorder {
		r := accesstest.NewRequest(access.RoadLAN, "POST", "/api/v1/sessions", body)
		r.Header.Set("Origin", accesstest.ShopOrigin)
		return accesstest.Do(e.validated(t, access.RoadLAN), r)
	}
	w := post(`{"secret":"` + e.newPairing(t, api.RoleUser).Secret + `","bearer":false}`)
	s := decode[api.Session](t, w)
	if s.Token == "" || s.Origin != accesstest.ShopOrigin || s.Kind != api.SessionKindPairing || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("session %+v, Set-Cookie %q", s, w.Header().Get("Set-Cookie"))
	}
	wantCode(t, post(viaOIDC("ada", api.RoleUser)), problem.OriginNotAllowed)
	wantCode(t, post(`{"passkey":{"flow":"ada","credential":{"id":"x"}}}`), problem.OriginNotAllowed)
	wantCode(t, post(`{"deviceCode":"`+e.newDevice(t).DeviceCode+`"}`), problem.OriginNotAllowed)
	wantCode(t, post(`{}`), problem.InvalidJSON) // another machine's user is nobody here
}

// On the machine itself an allowed page needs no credential.
func TestOriginSession(t *testing.T) {
	for _, trust := range []bool{true, false} {
		e := newEnd(t, func(c *access.Config) { c.LoopbackTrust = trust })
		accesstest.AllowPages(e.guard.Origins)
		server := httptest.NewServer(accesstest.Validate(t, e.on(access.RoadLoopback)))
		defer server.Close()
		send := func(method, path, origin, token, body string) (*http.Response, api.Session, api.SignIn) {
			r, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body != "" {
				r.Header.Set("Content-Type", "application/json")
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
			defer resp.Body.Close()
			var text json.RawMessage
			json.NewDecoder(resp.Body).Decode(&text)
			var s api.Session
			var ways api.SignIn
			json.Unmarshal(text, &s)
			json.Unmarshal(text, &ways)
			return resp, s, ways
		}
		if _, _, ways := send("GET", "/api/v1/sign-in", accesstest.ShopOrigin, "", ""); ways.Trusted != trust {
			t.Errorf("trust %v: an allowed page is told trusted = %v", trust, ways.Trusted)
		}
		if _, _, ways := send("GET", "/api/v1/sign-in", "", "", ""); ways.Trusted != trust {
			t.Errorf("trust %v: our own page is told trusted = %v", trust, ways.Trusted)
		}
		for _, origin := range []string{"https://evil.example", ""} {
			if resp, _, _ := send("POST", "/api/v1/sessions", origin, "", "{}"); resp.StatusCode == http.StatusCreated {
				t.Errorf("trust %v: origin %q got a session", trust, origin)
			}
		}
		resp, s, _ := send("POST", "/api/v1/sessions", accesstest.ShopOrigin, "", "{}")
		if !trust {
			if resp.StatusCode != http.StatusBadRequest {
				t.Errorf("without trust: status %d, want 400", resp.StatusCode)
			}
			continue
		}
		if resp.StatusCode != http.StatusCreated || s.Kind != api.SessionKindOrigin || s.Role != api.RoleUser || s.Origin != accesstest.ShopOrigin || s.Token == "" {
			t.Errorf("status %d, session %+v", resp.StatusCode, s)
		}
		for origin, want := range map[string]int{accesstest.ShopOrigin: 200, accesstest.DeskOrigin: 401, "": 401} {
			if resp, _, _ := send("GET", "/api/v1/sessions/current", origin, s.Token, ""); resp.StatusCode != want {
				t.Errorf("the shop's session from %q: status %d, want %d", origin, resp.StatusCode, want)
			}
		}
	}
}

// Ten tries a minute from one network, right or wrong, by codes and secrets together.
func TestSignInsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t, withProviders)
		post := func(peer, body string) *httptest.ResponseRecorder {
			r := accesstest.NewRequest(access.RoadLAN, "POST", "/api/v1/sessions", body)
			r.RemoteAddr = peer
			return accesstest.Do(e.on(access.RoadLAN), r)
		}
		bad := secret(strings.Repeat("a", 32))
		for range 10 {
			wantCode(t, post("203.0.113.5:1", bad), problem.PairingWrong)
		}
		p := e.newPairing(t, api.RoleUser)
		w := post("203.0.113.5:2", code(p.Code))
		wantCode(t, w, problem.TooManyRequests)
		if w.Header().Get("Retry-After") != "6" {
			t.Errorf("Retry-After = %q, want 6", w.Header().Get("Retry-After"))
		}
		wantStatus(t, post("203.0.113.5:3", viaOIDC("ada", api.RoleUser)), http.StatusCreated) // an office signs in at nine o'clock
		wantCode(t, post("203.0.113.6:1", bad), problem.PairingWrong)
		time.Sleep(6 * time.Second)
		wantStatus(t, post("203.0.113.5:4", code(p.Code)), http.StatusCreated)
		wantCode(t, post("203.0.113.5:4", bad), problem.TooManyRequests)
	})
}

// Over plain HTTP the setup page signs in from the machine itself only.
func TestPlainHTTPOnTheSetupPort(t *testing.T) {
	e := newEnd(t)
	for _, loopback := range []bool{true, false} {
		road := access.RoadLAN
		if loopback {
			road = access.RoadLoopback
		}
		r := accesstest.NewRequest(road, "POST", "/api/v1/sessions", secret(e.newPairing(t, api.RoleAdmin).Secret))
		r.TLS = nil
		w := accesstest.Do(e.on(access.RoadSetup), r)
		if loopback {
			wantStatus(t, w, http.StatusCreated)
		} else {
			wantCode(t, w, problem.PlainHTTPRefused)
		}
	}
}
