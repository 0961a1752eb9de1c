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
	"testing"
	"time"

	"github.com/platen-scan/platen/relay"
)

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
		works(t, c)
	}
}

func roadGarbage(t *testing.T, hs RoadHarness) {
	h, ended := endlessAnswers()
	c := roadUp(t, hs, h)
	b := do(t, c, request(t, "GET", "/b", nil))
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
		works(t, c)
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
func inFlightRoad(t *testing.T, hs RoadHarness) (c browser, s relay.RoadSession, body io.ReadCloser, ended chan struct{}) {
	h, all := endlessAnswers()
	sessions := make(chan relay.RoadSession, 1)
	c = roadUp(t, hs, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/a" {
			sessions <- sessionOf(r)
		}
		h(w, r)
	})
	answer := do(t, c, request(t, "GET", "/a", nil))
	flows(t, answer.Body)
	return c, await(t, sessions, "the request"), answer.Body, all["/a"]
}

// isOver fails the test unless a session has ended at both ends.
func isOver(t *testing.T, c browser, s relay.RoadSession, body io.Reader, ended chan struct{}) {
	t.Helper()
	await(t, s.Done(), "the session's Done")
	await(t, ended, "the handler to end")
	if n, err := io.Copy(io.Discard, body); err == nil {
		t.Errorf("the body of an ended session ended well after %d bytes", n)
	}
	if answer, err := c.RoundTrip(request(t, "GET", "/ping", nil)); err == nil {
		answer.Body.Close()
		t.Error("an ended session answers")
	}
}

func roadNodeCloses(t *testing.T, hs RoadHarness) {
	c, s, body, ended := inFlightRoad(t, hs)
	other := join(t, hs)
	works(t, other)
	select {
	case <-s.Done():
		t.Error("Done is closed in flight")
	default:
	}
	s.Close("revoked")
	s.Close("again")
	isOver(t, c, s, body, ended)
	works(t, other)
}

func roadBrowserLeaves(t *testing.T, hs RoadHarness) {
	c, s, body, ended := inFlightRoad(t, hs)
	c.Close()
	isOver(t, c, s, body, ended)
	works(t, join(t, hs))
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
