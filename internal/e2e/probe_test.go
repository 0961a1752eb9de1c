//go:build e2e

package e2e

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// What a stranger learns of a node or gateway is the same bytes at any time, whatever
// was set up, scanned or allowed there, whoever the stranger claims to be, and the same
// at both.
func TestProbeIsConstant(t *testing.T) {
	https := testenv.FreePort(t)
	o := testenv.NewPair(t, "PLATEN_NODE_DRIVERS=virtual", "PLATEN_NODE_TRUSTLOOPBACK=FALSE", "PLATEN_NODE_HTTPSPORT="+https)
	node, gateway := adminOf(t, o.Node), adminOf(t, o.Gateway)
	const shop = "https://shop.example"
	ends := []struct{ name, url, data string }{
		{"gateway", o.Gateway.URL, o.Gateway.Data},
		{"node over HTTP", node.base, o.Node.Data},
		{"node over HTTPS", "https://localhost:" + https, o.Node.Data},
	}
	claims := []string{"", "Origin: " + shop, "Origin: https://other.example", "Origin: null", "Authorization: Bearer platen", "Cookie: __Host-platen=a; platen=b"}
	first := stable(raw(t, o.Gateway.URL, o.Gateway.Data, ""))
	if !regexp.MustCompile(`(?s)^HTTP/1.1 200 OK\n.*\n\n\{"api":"1","product":"platen"\}\s*$`).MatchString(first) {
		t.Errorf("the answer is\n%s", first)
	}
	probe := func(when string) {
		t.Helper()
		for _, end := range ends {
			for _, claim := range claims {
				if got := stable(raw(t, end.url, end.data, claim)); got != first {
					t.Errorf("%s, %s, %q: the answer is\n%s\nthe gateway's first was\n%s", end.name, when, claim, got, first)
				}
			}
		}
	}
	probe("at first")

	for _, c := range []*caller{node, gateway} {
		ask[api.User](c, http.MethodPost, "/users", api.UserRequest{Name: "Ann", Role: api.RoleUser})
		ask[api.Token](c, http.MethodPost, "/tokens", api.TokenRequest{Label: "archive", Role: api.RoleUser})
		ask[api.AllowedOrigin](c, http.MethodPost, "/origins", api.OriginRequest{Origin: shop})
		c.signIn(api.PairingRequest{Role: api.RoleUser})
	}
	ask[scan.Job](node, http.MethodPost, "/scanners/"+scannerOf(t, o.Node)+"/jobs", map[string]any{"settings": map[string]any{"resolution": 75}})
	id := ask[api.NodeList](gateway, http.MethodGet, "/nodes", nil).Items[0].ID
	ask[any](gateway, http.MethodDelete, "/nodes/"+id, nil)

	probe("afterwards")
}

// raw is all that an end answers to the anonymous request for what is there.
func raw(t testing.TB, at, data, claim string) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	var c net.Conn
	if c, err = net.DialTimeout("tcp", u.Host, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if u.Scheme == "https" {
		ca, err := identity.LoadCA(filepath.Join(data, "keys"), "")
		if err != nil {
			t.Fatal(err)
		}
		config := identity.TrustCA(ca.Pin())
		config.ServerName = u.Hostname()
		c = tls.Client(c, config)
	}
	if claim != "" {
		claim += "\r\n"
	}
	if _, err := io.WriteString(c, "GET /api/v1/service HTTP/1.1\r\nHost: "+u.Host+"\r\nConnection: close\r\n"+claim+"\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// stable drops what differs from request to request and tells nothing.
func stable(answer string) string {
	answer = strings.ReplaceAll(answer, "\r\n", "\n")
	return regexp.MustCompile(`(?m)^(Date|Platen-Request-Id): .*\n`).ReplaceAllString(answer, "")
}
