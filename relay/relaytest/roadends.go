package relaytest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/platen-scan/platen/relay"
)

// endlessRoad has an endless answer for each path but /ping, and tells when the
// handler of a path has ended.
func endlessRoad(t *testing.T, hs RoadHarness) (ended map[string]chan struct{}, sessions chan relay.RoadSession) {
	ended = map[string]chan struct{}{"/a": make(chan struct{}), "/b": make(chan struct{})}
	sessions = make(chan relay.RoadSession, len(ended))
	serveRoad(t, hs, func(w http.ResponseWriter, r *http.Request) {
		if ping(w, r) {
			return
		}
		sessions <- relay.RoadOf(r.Context())
		defer close(ended[r.URL.Path])
		endless(w, func(int) {})
		<-r.Context().Done()
	})
	return ended, sessions
}

func roadReset(t *testing.T, hs RoadHarness) {
	ended, _ := endlessRoad(t, hs)
	c := join(t, hs)
	a, b := ask(t, c, request(t, "GET", "/a", nil)), ask(t, c, request(t, "GET", "/b", nil))
	flows(t, a.Body)
	a.Body.Close()
	await(t, ended["/a"], "the handler of the reset exchange to end")
	flows(t, b.Body)
	answers(t, c)
	b.Body.Close()
	await(t, ended["/b"], "the other handler to end")
}

func roadResetStorm(t *testing.T, hs RoadHarness) {
	var running atomic.Int64
	c := roadUp(t, hs, func(w http.ResponseWriter, r *http.Request) {
		if ping(w, r) {
			return
		}
		running.Add(1)
		defer running.Add(-1)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	for range 5 {
		var all sync.WaitGroup
		for range RoadExchanges {
			all.Go(func() {
				answer, err := roundTrip(c, request(t, "GET", "/hang", nil))
				if err != nil {
					t.Errorf("GET /hang: %v", err)
					return
				}
				answer.Body.Close()
			})
		}
		all.Wait()
		answers(t, c)
	}
	for deadline := time.Now().Add(Patience); running.Load() > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d handlers of reset exchanges still run", running.Load())
		}
		answers(t, c) // lets time pass
	}
}

func roadPanic(t *testing.T, hs RoadHarness) {
	c := roadUp(t, hs, func(w http.ResponseWriter, r *http.Request) {
		if ping(w, r) {
			return
		}
		if r.URL.Path == "/later" {
			w.Write(make([]byte, 10_000))
			http.NewResponseController(w).Flush()
		}
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		panic("a handler's mistake")
	})
	for _, path := range []string{"/at-once", "/abort"} {
		if answer, err := roundTrip(c, request(t, "GET", path, nil)); err == nil {
			answer.Body.Close()
			t.Errorf("GET %s was answered with %d", path, answer.StatusCode)
		}
	}
	if answer, err := roundTrip(c, request(t, "GET", "/later", nil)); err == nil { // a reset may overtake the header
		if n, err := io.Copy(io.Discard, answer.Body); err == nil {
			t.Errorf("a body whose handler panicked ended well after %d bytes", n)
		}
		answer.Body.Close()
	}
	answers(t, c)
}

// roadShortBody: a handler that promises more than it writes.
func roadShortBody(t *testing.T, hs RoadHarness) {
	c := roadUp(t, hs, func(w http.ResponseWriter, r *http.Request) {
		if ping(w, r) {
			return
		}
		w.Header().Set("Content-Length", "200000")
		w.Write(make([]byte, 100_000))
	})
	answer, err := roundTrip(c, request(t, "GET", "/page", nil))
	if err == nil { // a reset may overtake the header
		if n, err := io.Copy(io.Discard, answer.Body); err == nil || n > 100_000 {
			t.Errorf("reading a short body = %d, %v, want an error", n, err)
		}
		answer.Body.Close()
	}
	answers(t, c)
}

// roadHalfClose: net/http takes the end of the browser's direction for its going, so
// the answer may be cut short, but never looks whole then, and nothing else is hurt.
func roadHalfClose(t *testing.T, hs RoadHarness) {
	const body = "a whole answer"
	c := roadUp(t, hs, func(w http.ResponseWriter, r *http.Request) {
		if ping(w, r) {
			return
		}
		if r.URL.Path == "/hang" {
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, body)
	})
	for _, path := range []string{"/page", "/hang"} {
		conn := open(t, c)
		io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: "+relay.Host+"\r\nConnection: close\r\n\r\n")
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		} else if path == "/hang" {
			conn.Close() // a channel has no halves
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			got, err := io.ReadAll(answer.Body)
			if err == nil && (path == "/hang" || string(got) != body) {
				t.Errorf("the answer to %s is %q and looks whole", path, got)
			}
		}
		conn.Close()
		answers(t, c)
	}
}

func roadGarbage(t *testing.T, hs RoadHarness) {
	ended, _ := endlessRoad(t, hs)
	c := join(t, hs)
	b := ask(t, c, request(t, "GET", "/b", nil))
	for _, garbage := range []string{
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"GET / SMTP/2.0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 1<<20),
		strings.Repeat("\x00", 1<<20),
	} {
		conn := open(t, c)
		var writing sync.WaitGroup
		writing.Go(func() { io.WriteString(conn, garbage) })
		conn.SetReadDeadline(time.Now().Add(Patience))
		got, err := io.ReadAll(io.LimitReader(conn, 1<<20))
		if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
			t.Errorf("%.20q is not refused", garbage)
		}
		if strings.HasPrefix(string(got), "HTTP/1.1 2") {
			t.Errorf("%.20q is answered with %.40q", garbage, got)
		}
		conn.Close()
		writing.Wait()
		answers(t, c)
	}
	flows(t, b.Body)
	b.Body.Close()
	await(t, ended["/b"], "the handler to end")
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// inFlightRoad is a session with one endless answer under way.
func inFlightRoad(t *testing.T, hs RoadHarness) (c RoadClient, s relay.RoadSession, body io.ReadCloser, ended chan struct{}) {
	all, sessions := endlessRoad(t, hs)
	c = join(t, hs)
	answer := ask(t, c, request(t, "GET", "/a", nil))
	flows(t, answer.Body)
	return c, await(t, sessions, "the request"), answer.Body, all["/a"]
}

// isOver fails the test unless a session has ended at both ends.
func isOver(t *testing.T, c RoadClient, s relay.RoadSession, body io.Reader, ended chan struct{}) {
	t.Helper()
	await(t, s.Done(), "the session's Done")
	await(t, ended, "the handler to end")
	if n, err := io.Copy(io.Discard, body); err == nil {
		t.Errorf("the body of an ended session ended well after %d bytes", n)
	}
	if answer, err := roundTrip(c, request(t, "GET", "/ping", nil)); err == nil {
		answer.Body.Close()
		t.Error("an ended session answers")
	}
}

func roadNodeCloses(t *testing.T, hs RoadHarness) {
	c, s, body, ended := inFlightRoad(t, hs)
	other := join(t, hs)
	answers(t, other)
	select {
	case <-s.Done():
		t.Error("Done is closed in flight")
	default:
	}
	s.Close("revoked")
	s.Close("again")
	isOver(t, c, s, body, ended)
	answers(t, other)
}

func roadBrowserLeaves(t *testing.T, hs RoadHarness) {
	c, s, body, ended := inFlightRoad(t, hs)
	c.Close()
	isOver(t, c, s, body, ended)
	answers(t, join(t, hs))
}

func roadListenerCloses(t *testing.T, hs RoadHarness) {
	if hs.Listener.Addr() == nil {
		t.Error("the listener has no address")
	}
	c, s, body, ended := inFlightRoad(t, hs)
	hs.Listener.Close()
	hs.Listener.Close()
	isOver(t, c, s, body, ended)
	if conn, err := hs.Listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close = %v, %v, want %v", conn, err, net.ErrClosed)
	}
}
