package openid_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access/openid"
	"github.com/platen-scan/platen/internal/access/openid/openidtest"
	"github.com/platen-scan/platen/proto/problem"
)

// hostile is a provider that answers whatever a test wants.
type hostile struct {
	*httptest.Server
	key      *ecdsa.PrivateKey
	p384     *ecdsa.PrivateKey // one more
	down     bool
	document map[string]any                                           // of the discovery
	token    func(w http.ResponseWriter, claims map[string]any)       // nil: a good answer
	claims   map[string]any                                           // beside the good ones; nil values remove one
	profile  map[string]any                                           // answer of the UserInfo endpoint
	sign     func(h *hostile, claims map[string]any) (idToken string) // nil: es256
	nonce    string
}

func startHostile(t *testing.T) *hostile {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h := &hostile{key: key}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	h.document = map[string]any{"issuer": h.URL, "authorization_endpoint": h.URL + "/auth", "token_endpoint": h.URL + "/token",
		"jwks_uri": h.URL + "/keys", "userinfo_endpoint": h.URL + "/me",
		"id_token_signing_alg_values_supported": []string{"none", "HS256", "ES256", "ES384"}}
	return h
}

func (h *hostile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case h.down:
		http.Error(w, "down", http.StatusServiceUnavailable)
	case r.URL.Path == "/.well-known/openid-configuration":
		answer(w, h.document)
	case r.URL.Path == "/keys":
		x, y := point(h.key)
		keys := []any{map[string]any{"kty": "EC", "crv": "P-256", "kid": "1", "x": x, "y": y}}
		if h.p384 != nil {
			x, y := point(h.p384)
			keys = append(keys, map[string]any{"kty": "EC", "crv": "P-384", "kid": "384", "x": x, "y": y})
		}
		answer(w, map[string]any{"keys": keys})
	case r.URL.Path == "/me":
		answer(w, h.profile)
	case r.URL.Path == "/token":
		now := time.Now()
		claims := map[string]any{"iss": h.URL, "aud": openidtest.ClientID, "sub": "ann", "nonce": h.nonce,
			"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "name": "Ann", "groups": []string{"it"}}
		maps.Copy(claims, h.claims)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
		if h.token != nil {
			h.token(w, claims)
			return
		}
		sign := h.sign
		if sign == nil {
			sign = es256
		}
		answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": sign(h, claims)})
	default:
		http.NotFound(w, r)
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func point(key *ecdsa.PrivateKey) (x, y string) {
	k, err := key.PublicKey.ECDH()
	if err != nil {
		panic(err)
	}
	p := k.Bytes()[1:]
	return b64(p[:len(p)/2]), b64(p[len(p)/2:])
}

// unsigned is a token but for its signature.
func unsigned(header string, claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return b64([]byte(header)) + "." + b64(body)
}

func es256With(key *ecdsa.PrivateKey, text string) string {
	sum := sha256.Sum256([]byte(text))
	return text + "." + b64(ecdsaSign(key, sum[:], 32))
}

// ecdsaSign makes a JWS signature: two numbers of size bytes each.
func ecdsaSign(key *ecdsa.PrivateKey, sum []byte, size int) []byte {
	r, s, err := ecdsa.Sign(rand.Reader, key, sum)
	if err != nil {
		panic(err)
	}
	signature := make([]byte, 2*size)
	r.FillBytes(signature[:size])
	s.FillBytes(signature[size:])
	return signature
}

func es256(h *hostile, claims map[string]any) string {
	return es256With(h.key, unsigned(`{"alg":"ES256","kid":"1"}`, claims))
}

func hs256(secret string) func(*hostile, map[string]any) string {
	return func(_ *hostile, claims map[string]any) string {
		text := unsigned(`{"alg":"HS256","kid":"1"}`, claims)
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(text))
		return text + "." + b64(mac.Sum(nil))
	}
}

// signIn goes through the flow; the person's part at the provider is nothing.
func (h *hostile) signIn(t *testing.T, e *end) *httptest.ResponseRecorder {
	t.Helper()
	s := e.start(t)
	u, err := url.Parse(s.Url)
	if err != nil {
		t.Fatal(err)
	}
	h.nonce = u.Query().Get("nonce")
	return e.finish(s.Flow, "code", u.Query().Get("state"))
}

func TestTokens(t *testing.T) {
	claim := func(name string, value any) func(*hostile) {
		return func(h *hostile) { h.claims = map[string]any{name: value} }
	}
	signed := func(f func(*hostile, map[string]any) string) func(*hostile) {
		return func(h *hostile) { h.sign = f }
	}
	began := time.Now()
	ago := func(d time.Duration) int64 { return began.Add(-d).Unix() }
	tests := []struct {
		name   string
		change func(*hostile)
		want   problem.Code
		called string // the name of who signed in
	}{
		{"good", func(*hostile) {}, "", "Ann"},
		{"alg none", signed(func(_ *hostile, c map[string]any) string { return unsigned(`{"alg":"none"}`, c) + "." }), problem.ProviderFailed, ""},
		{"alg None with a signature", signed(func(h *hostile, c map[string]any) string {
			return es256With(h.key, unsigned(`{"alg":"None","kid":"1"}`, c))
		}), problem.ProviderFailed, ""},
		{"signed with the client's secret", signed(hs256(openidtest.ClientSecret)), problem.ProviderFailed, ""},
		{"signed with the public key as a secret", signed(func(h *hostile, c map[string]any) string {
			x, y := point(h.key)
			return hs256(x+y)(h, c)
		}), problem.ProviderFailed, ""},
		{"algorithm that is not on our list", func(h *hostile) {
			h.p384, _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
			h.sign = func(h *hostile, c map[string]any) string {
				text := unsigned(`{"alg":"ES384","kid":"384"}`, c)
				sum := sha512.Sum384([]byte(text))
				return text + "." + b64(ecdsaSign(h.p384, sum[:], 48))
			}
		}, problem.ProviderFailed, ""},
		{"another key", signed(func(_ *hostile, c map[string]any) string {
			other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			return es256With(other, unsigned(`{"alg":"ES256","kid":"1"}`, c))
		}), problem.ProviderFailed, ""},
		{"key in the token itself", signed(func(h *hostile, c map[string]any) string {
			x, y := point(h.key)
			other := *h
			other.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			return es256With(other.key, unsigned(fmt.Sprintf(`{"alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":%q,"y":%q}}`, x, y), c))
		}), problem.ProviderFailed, ""},
		{"claims changed after signing", signed(func(h *hostile, c map[string]any) string {
			parts := strings.Split(es256(h, c), ".")
			c["sub"] = "bob"
			return unsigned(`{"alg":"ES256","kid":"1"}`, c) + "." + parts[2]
		}), problem.ProviderFailed, ""},
		{"no token at all", signed(func(*hostile, map[string]any) string { return "" }), problem.ProviderFailed, ""},
		{"nonsense", signed(func(*hostile, map[string]any) string { return "a.b.c" }), problem.ProviderFailed, ""},
		{"nonce of another flow", claim("nonce", strings.Repeat("a", 52)), problem.SignInFailed, ""},
		{"no nonce", claim("nonce", nil), problem.SignInFailed, ""},
		{"another issuer", claim("iss", "https://evil.example"), problem.ProviderFailed, ""},
		{"issuer with a slash", func(h *hostile) { h.claims = map[string]any{"iss": h.URL + "/"} }, problem.ProviderFailed, ""},
		{"another audience", claim("aud", "other"), problem.ProviderFailed, ""},
		{"two audiences without a party", claim("aud", []string{openidtest.ClientID, "other"}), problem.ProviderFailed, ""},
		{"two audiences for us", func(h *hostile) {
			h.claims = map[string]any{"aud": []string{"other", openidtest.ClientID}, "azp": openidtest.ClientID}
		}, "", "Ann"},
		{"another party", claim("azp", "other"), problem.ProviderFailed, ""},
		{"expired within the skew", claim("exp", ago(59*time.Second)), "", "Ann"},
		{"expired", claim("exp", ago(61*time.Second)), problem.ProviderFailed, ""},
		{"no expiry", claim("exp", nil), problem.ProviderFailed, ""},
		{"not yet valid", claim("nbf", ago(-time.Hour)), problem.ProviderFailed, ""},
		{"no subject", claim("sub", ""), problem.ProviderFailed, ""},
		{"long subject", claim("sub", strings.Repeat("x", 256)), problem.ProviderFailed, ""},
		{"hash of another access token", claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), problem.ProviderFailed, ""},
		{"group as a text", claim("groups", "it"), "", "Ann"},
		{"groups that are none", claim("groups", []any{7, nil, map[string]any{}, ""}), problem.PermissionDenied, ""},
		{"name from the user name", func(h *hostile) {
			h.claims = map[string]any{"name": nil, "preferred_username": "ann.archer"}
		}, "", "ann.archer"},
		{"name from the address", func(h *hostile) {
			h.claims = map[string]any{"name": " ", "email": "ann@example.com"}
		}, "", "ann@example.com"},
		{"name from the profile", func(h *hostile) {
			h.claims, h.profile = map[string]any{"name": nil}, map[string]any{"sub": "ann", "name": "Ann of the profile"}
		}, "", "Ann of the profile"},
		{"groups from the profile", func(h *hostile) {
			h.claims, h.profile = map[string]any{"groups": nil}, map[string]any{"sub": "ann", "groups": []string{"it"}, "name": "Other"}
		}, "", "Ann"},
		{"profile of another", func(h *hostile) {
			h.claims, h.profile = map[string]any{"groups": nil}, map[string]any{"sub": "eve", "groups": []string{"it"}}
		}, problem.ProviderFailed, ""},
		{"no name anywhere", func(h *hostile) {
			h.claims, h.profile = map[string]any{"name": nil}, map[string]any{"sub": "ann"}
		}, "", "ann"},
		{"name that is turned round", claim("name", "Ann\u202e\u0000 Archer\n"), "", "Ann Archer"},
		{"long name", claim("name", strings.Repeat("ä", 500)), "", strings.Repeat("ä", 80)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := startHostile(t)
			tt.change(h)
			e := newEnd(t, h.URL)
			e.now = began
			w := h.signIn(t, e)
			if tt.want != "" {
				wantCode(t, w, tt.want)
				e.noUsers(t)
				return
			}
			if s := wantSession(t, w); s.Name != tt.called {
				t.Errorf("name = %q, want %q", s.Name, tt.called)
			}
		})
	}
}

func TestTokenEndpoint(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the client's secret was carried off: %s", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	refuse := func(status int, code string) func(http.ResponseWriter, map[string]any) {
		return func(w http.ResponseWriter, _ map[string]any) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":%q,"error_description":"<b>for nobody</b>"}`, code)
		}
	}
	tests := []struct {
		name   string
		token  func(http.ResponseWriter, map[string]any)
		want   problem.Code
		detail string
	}{
		{"code refused", refuse(400, "invalid_grant"), problem.SignInFailed, "invalid_grant"},
		{"code refused with 200", refuse(200, "invalid_grant"), problem.SignInFailed, "invalid_grant"},
		{"client refused", refuse(401, "invalid_client"), problem.ProviderFailed, ""},
		{"code of their own", refuse(400, "<script>"), problem.ProviderFailed, ""},
		{"error", refuse(500, ""), problem.ProviderFailed, ""},
		{"no JSON", func(w http.ResponseWriter, _ map[string]any) { w.Write([]byte("{")) }, problem.ProviderFailed, ""},
		{"endless", func(w http.ResponseWriter, _ map[string]any) {
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`{"x":"`))
			for range 3 << 10 {
				if _, err := w.Write([]byte(strings.Repeat("x", 1<<10))); err != nil {
					return
				}
			}
		}, problem.ProviderFailed, ""},
		{"redirect", func(w http.ResponseWriter, _ map[string]any) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, problem.ProviderFailed, ""},
		{"hung up", func(http.ResponseWriter, map[string]any) { panic(http.ErrAbortHandler) }, problem.ProviderFailed, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := startHostile(t)
			h.token = tt.token
			e := newEnd(t, h.URL)
			w := h.signIn(t, e)
			wantCode(t, w, tt.want)
			if !strings.Contains(w.Body.String(), tt.detail) {
				t.Errorf("answer = %s, want %q in it", w.Body, tt.detail)
			}
			if strings.Contains(w.Body.String(), "nobody") || strings.Contains(w.Body.String(), "script") {
				t.Errorf("the provider's words are passed on: %s", w.Body)
			}
			if log := e.log.String(); strings.Contains(log, openidtest.ClientSecret) || strings.Contains(log, "nobody") {
				t.Errorf("the log holds the client's secret or the provider's answer: %s", log)
			}
			e.noUsers(t)
		})
	}
}

func TestDiscovery(t *testing.T) {
	set := func(name string, value any) func(*hostile) { return func(h *hostile) { h.document[name] = value } }
	tests := []struct {
		name   string
		change func(*hostile)
		good   bool
	}{
		{"good", func(*hostile) {}, true},
		{"without UserInfo", set("userinfo_endpoint", ""), true},
		{"another issuer", set("issuer", "https://evil.example"), false},
		{"authorization elsewhere in clear", set("authorization_endpoint", "http://id.example/auth"), false},
		{"script as authorization", set("authorization_endpoint", "javascript:alert(1)"), false},
		{"token endpoint in clear", set("token_endpoint", "http://id.example/token"), false},
		{"no token endpoint", set("token_endpoint", ""), false},
		{"keys in clear", set("jwks_uri", "http://id.example/keys"), false},
		{"UserInfo in clear", set("userinfo_endpoint", "http://id.example/me"), false},
		{"too long", set("x", strings.Repeat("x", 1<<20)), false},
		{"down", func(h *hostile) { h.down = true }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := startHostile(t)
			tt.change(h)
			w := newEnd(t, h.URL).do("POST", "/api/v1/sign-in/oidc", "")
			if tt.good && w.Code != http.StatusCreated {
				t.Errorf("starting: %s, want 201", w.Body)
			}
			if !tt.good {
				wantCode(t, w, problem.ProviderFailed)
			}
		})
	}
}

func TestProviderDown(t *testing.T) {
	h := startHostile(t)
	h.down = true
	e := newEnd(t, h.URL)
	wantCode(t, e.do("POST", "/api/v1/sign-in/oidc", ""), problem.ProviderFailed)
	if w := e.do("GET", "/api/v1/sign-in", ""); w.Code != http.StatusOK {
		t.Errorf("other ways to sign in are gone with it: %s", w.Body)
	}
	h.down = false
	wantCode(t, e.do("POST", "/api/v1/sign-in/oidc", ""), problem.ProviderFailed) // it is left in peace for a moment
	e.now = e.now.Add(3 * time.Second)
	wantSession(t, h.signIn(t, e))
	s := e.start(t) // what was found out stays known
	h.down = true
	u, err := url.Parse(s.Url)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, e.finish(s.Flow, "code", u.Query().Get("state")), problem.ProviderFailed)
}

func TestProviderGone(t *testing.T) {
	h := startHostile(t)
	address := h.URL
	h.Close()
	wantCode(t, newEnd(t, address).do("POST", "/api/v1/sign-in/oidc", ""), problem.ProviderFailed)
}

func TestProviderSilent(t *testing.T) {
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	e := newEnd(t, silent.URL, func(c *openid.Config) { c.Client = &http.Client{Timeout: 50 * time.Millisecond} })
	wantCode(t, e.do("POST", "/api/v1/sign-in/oidc", ""), problem.ProviderFailed)
}
