package relaytest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/platen-scan/platen/relay"
)

func testHeaders(t *testing.T, hs Harness) {
	type seen struct {
		host, uri string
		header    http.Header
	}
	got := make(chan seen, 1)
	l, _ := up(t, hs, func(w http.ResponseWriter, r *http.Request) {
		got <- seen{r.Host, r.URL.RequestURI(), r.Header.Clone()}
		w.Header()["Set-Header"] = []string{"one", "two"}
		w.Header().Set("Repr-Digest", "sha-256=:AA==:")
		w.WriteHeader(http.StatusTeapot)
	})
	r := request(t, "GET", "/api/v1/jobs/a%2Fb?limit=5&cursor=x%20y", nil)
	r.Host = "gateway.example"
	r.Header = http.Header{
		"Accept": {"image/jpeg"}, "Range": {"bytes=5-"}, "If-Range": {`"x"`}, "Platen-Grant": {"v4.public.abc"},
		"Last-Event-Id": {"e.5"}, "Idempotency-Key": {"k"}, "Origin": {"https://app.example"}, "X-Two": {"1", "2"},
		"Cookie": {"__Host-platen=secret"}, "Authorization": {"Bearer secret"}, "Forwarded": {"for=1.2.3.4"},
		"X-Forwarded-For": {"1.2.3.4"}, "X-Forwarded-Host": {"h"}, "X-Forwarded-Proto": {"https"}, "Via": {"1.1 x"},
		"Connection": {"keep-alive, X-Hop"}, "X-Hop": {"1"}, "Keep-Alive": {"5"}, "Te": {"trailers"},
		"Transfer-Encoding": {"chunked"}, "Upgrade": {"websocket"}, "Proxy-Authorization": {"x"}, "Priority": {"u=0"},
	}
	before := r.Header.Clone()
	answer := do(t, l, r)
	text(t, answer)
	request := await(t, got, "the request")
	if request.host != relay.Host || request.uri != "/api/v1/jobs/a%2Fb?limit=5&cursor=x%20y" {
		t.Errorf("request for %q at %q", request.uri, request.host)
	}
	crossing := []string{"Accept", "Range", "If-Range", "Platen-Grant", "Last-Event-Id", "Idempotency-Key", "Origin", "X-Two"}
	for name, values := range request.header {
		if !slices.Contains(crossing, name) {
			t.Errorf("header %s: %q crossed the link", name, values)
		}
	}
	for _, name := range crossing {
		if !slices.Equal(request.header[name], before[name]) {
			t.Errorf("header %s = %q, want %q", name, request.header[name], before[name])
		}
	}
	if len(r.Header) != len(before) || r.Host != "gateway.example" || r.URL.Host != "ignored.example" {
		t.Error("the caller's request was changed")
	}
	if answer.StatusCode != http.StatusTeapot || !slices.Equal(answer.Header["Set-Header"], []string{"one", "two"}) ||
		answer.Header.Get("Repr-Digest") != "sha-256=:AA==:" {
		t.Errorf("answer = %d %v", answer.StatusCode, answer.Header)
	}
	if answer.Request != r {
		t.Error("the answer's request is not the caller's")
	}
}

func testOnlyPaths(t *testing.T, hs Harness) {
	l, _ := up(t, hs, func(w http.ResponseWriter, r *http.Request) {
		if !ping(w, r) {
			t.Errorf("request %s %s came through", r.Method, r.URL)
		}
	})
	for _, u := range []*url.URL{{Opaque: "*"}, {Path: "*"}, {}, {Opaque: "host:443"}} {
		r := request(t, "OPTIONS", "/", strings.NewReader("body"))
		r.URL = u
		if answer, err := l.RoundTrip(r); err == nil {
			answer.Body.Close()
			t.Errorf("RoundTrip(%v) was answered", u)
		}
	}
	works(t, l)
}
