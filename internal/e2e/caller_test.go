//go:build e2e

package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// caller is a program that uses the HTTP API of a service as somebody.
type caller struct {
	t     testing.TB
	base  string
	token string // "": nobody
	http  *http.Client
}

// adminOf is the machine's own user at a service, as the command line is.
func adminOf(t testing.TB, s *testenv.Service) *caller {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Data, "keys", "local.json"))
	if err != nil {
		t.Fatal(err)
	}
	var at struct{ URL, Token, CA string }
	if err := json.Unmarshal(text, &at); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	if at.CA != "" {
		transport.TLSClientConfig = identity.TrustCA(at.CA)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{t, at.URL, at.Token, &http.Client{Transport: transport}}
}

// programOn is a program on a host of the office that uses the gateway with a token.
func programOn(t testing.TB, o *testenv.Office, h *testenv.Host, role api.Role) *caller {
	t.Helper()
	out, err := o.Gateway.CLI("tokens", "make", "program", "--role", string(role), "--json")
	if err != nil {
		t.Fatal(err)
	}
	var made api.Token
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	c := adminOf(t, o.Gateway)
	c.base, c.token = "https://"+o.GatewayAddr+":18603", made.Token
	c.http.Transport.(*http.Transport).DialContext = h.Dial
	return c
}

// signIn is a phone that an administrator pairs.
func (c *caller) signIn(as api.PairingRequest) *caller {
	c.t.Helper()
	other := *c
	other.token = ""
	p := ask[api.Pairing](c, http.MethodPost, "/pairings", as)
	other.token = ask[api.Session](&other, http.MethodPost, "/sessions", api.SessionRequest{Secret: p.Secret, Bearer: true}).Token
	return &other
}

// send makes a request and reads its answer; body nil: none.
func (c *caller) send(method, path string, body any) (*http.Response, []byte) {
	c.t.Helper()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			c.t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "e2e-"+rand.Text())
	}
	res, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res, answer
}

// ask is send for a request that must succeed.
func ask[T any](c *caller, method, path string, body any) T {
	c.t.Helper()
	var v T
	res, answer := c.send(method, path, body)
	if res.StatusCode >= 300 {
		c.t.Fatalf("%s %s: %s\n%s", method, path, res.Status, answer)
	}
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &v); err != nil {
			c.t.Fatalf("%s %s: %v\n%s", method, path, err, answer)
		}
	}
	return v
}

// refusal is the problem that a request meets; "": none.
func (c *caller) refusal(method, path string, body any) problem.Code {
	c.t.Helper()
	res, answer := c.send(method, path, body)
	if res.StatusCode < 300 {
		return ""
	}
	var p problem.Error
	if err := json.Unmarshal(answer, &p); err != nil {
		c.t.Fatalf("%s %s: %s, %v\n%s", method, path, res.Status, err, answer)
	}
	return p.Code
}
