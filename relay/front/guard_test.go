package front_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/relay/front"
)

// TestGuardJudgesHTTP3: what the guard says to a request over HTTP/2 it says to the same
// one over HTTP/3.
func TestGuardJudgesHTTP3(t *testing.T) {
	noLeaks(t)
	guard := access.New(access.Config{
		Records: accesstest.NewRecords(), AdminToken: strings.Repeat("x", 43),
		Service: func(access.Caller) api.Service { return api.Service{Role: api.ServiceRoleGateway, Name: "g"} },
	})
	routes := append(access.SignInRoutes(guard), access.Route{
		Method: http.MethodPost, Path: "/api/v1/echo", Policy: access.AtLeast(api.RoleAdmin), MaxBody: 100,
		Handle: func(w http.ResponseWriter, r *http.Request) error {
			var v any
			if err := access.ReadJSON(r, &v); err != nil {
				return err
			}
			return access.WriteJSON(w, http.StatusOK, v)
		},
	})
	g := newGateway(t, func(c *front.Config) { c.BrowserHandler = guard.Handler(access.RoadPublic, routes, nil) })
	clients := []*http.Client{g.browser(t, func(*tls.Config) {}), g.over3(t)}
	admin := http.Header{"Authorization": {"Bearer " + strings.Repeat("x", 43)}}
	for _, row := range []struct {
		method, path, host, body string
		header                   http.Header
		want                     int
	}{
		{"GET", "/api/v1/service", "", "", nil, 200},
		{"HEAD", "/api/v1/service", "", "", nil, 200},
		{"OPTIONS", "/api/v1/service", "", "", http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"GET"}}, 403},
		{"GET", "/api/v1/service", "evil.example", "", nil, 421},
		{"GET", "/api/v1/service", "localhost:1", "", nil, 421},
		{"GET", "/api/v1/sessions", "", "", nil, 401},
		{"GET", "/api/v1/none", "", "", nil, 404},
		{"GET", "/api/v1/../v1/service", "", "", nil, 404},
		{"PUT", "/api/v1/service", "", "", nil, 405},
		{"POST", "/api/v1/echo", "", `{"a":1}`, nil, 401},
		{"POST", "/api/v1/echo", "", `{"a":1}`, admin, 200},
		{"POST", "/api/v1/echo", "", `{"a":"` + strings.Repeat("x", 200) + `"}`, admin, 413},
		{"POST", "/api/v1/echo", "", "", admin, 415},
	} {
		var answers [2]string
		for i, client := range clients {
			var body io.Reader
			if row.body != "" {
				body = struct{ io.Reader }{strings.NewReader(row.body)} // of a length that is not announced
			}
			r, err := http.NewRequestWithContext(t.Context(), row.method, fmt.Sprintf("https://%s%s", g.Addr(), row.path), body)
			if err != nil {
				t.Fatal(err)
			}
			for name, values := range row.header {
				r.Header[name] = values
			}
			if body != nil {
				r.Header.Set("Content-Type", "application/json")
			}
			r.Host = row.host
			answer, err := client.Do(r)
			if err != nil {
				t.Fatalf("%s %s over %d: %v", row.method, row.path, i+2, err)
			}
			text, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			for _, name := range []string{"Date", "Content-Length", "Alt-Svc", access.HeaderRequestID} {
				if id := answer.Header.Get(name); name == access.HeaderRequestID && id != "" {
					text = []byte(strings.ReplaceAll(string(text), id, "ID"))
				}
				answer.Header.Del(name)
			}
			answers[i] = fmt.Sprint(answer.StatusCode, answer.Header, string(text), err)
			if answer.StatusCode != row.want {
				t.Errorf("%s %s of %q over HTTP/%d: %s %s, want %d", row.method, row.path, row.host, i+2, answer.Status, text, row.want)
			}
		}
		if answers[0] != answers[1] {
			t.Errorf("%s %s of %q over HTTP/2: %s\nover HTTP/3: %s", row.method, row.path, row.host, answers[0], answers[1])
		}
	}
}
