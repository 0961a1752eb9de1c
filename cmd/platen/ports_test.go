package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"testing"
)

// TestPorts changes ports while they serve: what is wanted opens, what is not closes,
// and if one is taken everything stays as it was.
func TestPorts(t *testing.T) {
	p := &ports{base: &base{log: slog.New(slog.DiscardHandler)}}
	says := func(word string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, word) })
	}
	ask := func(name string) string {
		t.Helper()
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Get("http://127.0.0.1:" + strconv.Itoa(p.number(name)))
		if err != nil {
			return ""
		}
		defer answer.Body.Close()
		word, _ := io.ReadAll(answer.Body)
		return string(word)
	}
	set := func(wanted ...port) {
		t.Helper()
		if err := p.Set(wanted); err != nil {
			t.Fatal(err)
		}
	}
	a, b := port{name: "a", host: "127.0.0.1", handler: says("a")}, port{name: "b", host: "127.0.0.1", handler: says("b")}
	set(a)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx) }()
	if got := ask("a"); got != "a" {
		t.Errorf("a says %q", got)
	}
	before := p.number("a")
	set(a, b)
	if got := ask("b"); got != "b" || p.number("a") != before {
		t.Errorf("b says %q; a moved from port %d to %d", got, before, p.number("a"))
	}
	set(b)
	if p.number("a") != 0 {
		t.Error("a is still open")
	}
	if c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(before)); err == nil {
		c.Close()
		t.Error("the port of a still answers")
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := port{name: "c", host: "127.0.0.1", number: portOf(taken), handler: says("c")}
	if err := p.Set([]port{a, c}); err == nil {
		t.Error("a taken port was opened")
	}
	if got := ask("b"); got != "b" || p.number("c") != 0 || p.number("a") != 0 {
		t.Errorf("after a failure b says %q, a is at %d, c at %d; want b alone", got, p.number("a"), p.number("c"))
	}
	stop()
	if err := <-served; err != nil {
		t.Errorf("Serve = %v", err)
	}
}
