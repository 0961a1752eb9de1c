package relaytest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/platen-scan/platen/relay"
)

// endlessAnswers has an endless answer for each path but /ping, and tells when the
// handler of a path has ended.
func endlessAnswers() (h http.HandlerFunc, ended map[string]chan struct{}) {
	ended = map[string]chan struct{}{"/a": make(chan struct{}), "/b": make(chan struct{})}
	return func(w http.ResponseWriter, r *http.Request) {
		if ping(w, r) {
			return
		}
		defer close(ended[r.URL.Path])
		endless(w, func(int) {})
		<-r.Context().Done()
	}, ended
}

// flows fails the test unless a body brings more than a window can hold.
func flows(t *testing.T, body io.Reader) {
	t.Helper()
	if n, err := io.CopyN(io.Discard, body, 3*relay.StreamWindow); err != nil {
		t.Errorf("body stopped after %d bytes: %v", n, err)
	}
}

func testCancel(t *testing.T, hs Harness) {
	h, ended := endlessAnswers()
	l, _ := up(t, hs, h)
	r := request(t, "GET", "/a", nil)
	ctx, cancel := context.WithCancel(r.Context())
	a, b := do(t, l, r.WithContext(ctx)), do(t, l, request(t, "GET", "/b", nil))
	flows(t, a.Body)
	cancel()
	if _, err := io.Copy(io.Discard, a.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("reading a canceled body: %v, want %v", err, context.Canceled)
	}
	await(t, ended["/a"], "the canceled request's handler to end")
	flows(t, b.Body)
	works(t, l)
	b.Body.Close()
	await(t, ended["/b"], "the other handler to end")

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := l.RoundTrip(request(t, "GET", "/ping", nil).WithContext(ctx)); !errors.Is(err, context.Canceled) {
		t.Errorf("RoundTrip after cancel: %v, want %v", err, context.Canceled)
	}
}

func testCloseBody(t *testing.T, hs harness) {
	h, ended := endlessAnswers()
	c := hs.serve(t, h)
	a, b := do(t, c, request(t, "GET", "/a", nil)), do(t, c, request(t, "GET", "/b", nil))
	flows(t, a.Body)
	a.Body.Close()
	await(t, ended["/a"], "the handler of the closed body to end")
	flows(t, b.Body)
	works(t, c)
	b.Body.Close()
	await(t, ended["/b"], "the other handler to end")
}

func testCloseStorm(t *testing.T, hs harness) {
	var running atomic.Int64
	c := hs.serve(t, func(w http.ResponseWriter, r *http.Request) {
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
		for range hs.atOnce() {
			all.Go(func() {
				answer, err := c.RoundTrip(request(t, "GET", "/hang", nil))
				if err != nil {
					t.Errorf("GET /hang: %v", err)
					return
				}
				answer.Body.Close()
			})
		}
		all.Wait()
		works(t, c)
	}
	for deadline := time.Now().Add(Patience); running.Load() > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d handlers of closed bodies still run", running.Load())
		}
		works(t, c) // lets time pass
	}
}

func testPanic(t *testing.T, hs harness) {
	c := hs.serve(t, func(w http.ResponseWriter, r *http.Request) {
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
		if answer, err := c.RoundTrip(request(t, "GET", path, nil)); err == nil {
			answer.Body.Close()
			t.Errorf("GET %s was answered with %d", path, answer.StatusCode)
		}
	}
	answer, err := c.RoundTrip(request(t, "GET", "/later", nil))
	if err == nil { // the reset may overtake the header
		n, err := io.Copy(io.Discard, answer.Body)
		if err == nil {
			t.Errorf("a body whose handler panicked ended well after %d bytes", n)
		}
		answer.Body.Close()
	}
	works(t, c)
}

func testStalledReaders(t *testing.T, hs Harness) {
	if hs.Narrow {
		return
	}
	filling := make(chan struct{}, relay.MaxRequests)
	l, _ := up(t, hs, func(w http.ResponseWriter, r *http.Request) {
		if ping(w, r) {
			return
		}
		total, told := 0, false
		endless(w, func(n int) {
			if total += n; total >= relay.StreamWindow/2 && !told {
				told = true
				filling <- struct{}{}
			}
		})
	})
	stalled := make([]*http.Response, relay.MaxRequests)
	for i := range stalled {
		stalled[i] = do(t, l, request(t, "GET", "/page", nil))
	}
	for range stalled {
		await(t, filling, "the stalled bodies to fill their windows")
	}
	start := time.Now()
	r := request(t, "GET", "/ping", nil)
	if got := text(t, do(t, l, r.WithContext(relay.WithControl(r.Context())))); got != "pong" {
		t.Errorf("control request = %q, want pong", got)
	}
	t.Logf("control request behind %d stalled readers: %v", len(stalled), time.Since(start))

	// One more body waits for a slot, and gets the first that is free.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.RoundTrip(request(t, "GET", "/ping", nil).WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a request too many: %v, want %v", err, context.DeadlineExceeded)
	}
	stalled[0].Body.Close()
	works(t, l)
	flows(t, stalled[len(stalled)-1].Body)
}

func testStallReset(t *testing.T, hs harness) {
	ended := make(chan error, 1)
	slow := relay.Progress(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ended <- endless(w, func(int) {})
	}), 200*time.Millisecond)
	c := hs.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !ping(w, r) {
			slow.ServeHTTP(w, r)
		}
	})
	answer := do(t, c, request(t, "GET", "/page", nil))
	if err := await(t, ended, "the stalled handler to be stopped"); err == nil {
		t.Error("the stalled handler's write ended well")
	}
	if n, err := io.Copy(io.Discard, answer.Body); err == nil {
		t.Errorf("a stalled body ended well after %d bytes", n)
	}
	works(t, c)
}
