package landing

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestLanding(t *testing.T) {
	srv := httptest.NewServer(Handler(Config{Name: `Office <1>`, HTTPSPort: 18623, CA: []byte("PEM"), CAPin: "pin-of-the-ca"}))
	defer srv.Close()
	get := func(path, host string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequest("GET", srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(b)
	}
	res, body := get("/", "evil.example")
	for _, want := range []string{"Office &lt;1&gt;", "pin-of-the-ca", `href="https://127.0.0.1:18623/"`, `href="/platen-ca.crt"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, "evil.example") {
		t.Error("the page repeats the Host header")
	}
	if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("Content-Security-Policy is %q", csp)
	}
	if res, body := get("/platen-ca.crt", "x"); body != "PEM" || res.Header.Get("Content-Type") != "application/x-x509-ca-cert" {
		t.Errorf("certificate: %q as %q", body, res.Header.Get("Content-Type"))
	}
	if res, _ := get("/api/v1/service", "x"); res.StatusCode != http.StatusNotFound {
		t.Errorf("another path answers %d", res.StatusCode)
	}
}
