package relaytest

import (
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/relay"
)

func roadParallel(t *testing.T, hs RoadHarness) {
	serveRoad(t, hs, patterns)
	var all sync.WaitGroup
	for s := range 2 {
		c := join(t, hs)
		for i := range RoadExchanges {
			all.Go(func() { arrives(t, c, byte(s*RoadExchanges+i)) })
		}
	}
	all.Wait()
}

// roadSequence makes many times as many exchanges as a session may have at once: what
// each needed comes back.
func roadSequence(t *testing.T, hs RoadHarness) {
	const rounds, slack, heap = 400, 16, 8 << 20
	c := roadUp(t, hs, func(w http.ResponseWriter, r *http.Request) { ping(w, r) })
	for range RoadExchanges {
		works(t, c)
	}
	goroutines, bytes := runtime.NumGoroutine(), heapInUse()
	for range rounds {
		works(t, c)
	}
	for deadline := time.Now().Add(Patience); runtime.NumGoroutine() > goroutines+slack; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines after %d exchanges, %d before", runtime.NumGoroutine(), rounds, goroutines)
		}
		works(t, c) // lets time pass
	}
	if got := heapInUse(); got > bytes+heap {
		t.Errorf("%d bytes of heap after %d exchanges, %d before", got, rounds, bytes)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func roadHeaders(t *testing.T, hs RoadHarness) {
	long := strings.Repeat("x", relay.MaxHeader/2)
	seen := make(chan *http.Request, 1)
	c := roadUp(t, hs, func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		w.Header()["Set-Header"] = []string{"one", "two"}
		w.Header().Set("Repr-Digest", "sha-256=:AA==:")
		w.Header().Set("X-Long", long)
		w.WriteHeader(http.StatusTeapot)
	})
	r := request(t, "GET", "/api/v1/jobs/a%2Fb?limit=5&cursor=x%20y", nil)
	r.Header = http.Header{"Accept": {"image/jpeg"}, "Range": {"bytes=5-"}, "Last-Event-Id": {"e.5"}, "X-Two": {"1", "2"}, "X-Long": {long}}
	answer := do(t, c, r)
	text(t, answer)
	got := await(t, seen, "the request")
	if got.Host != relay.Host || got.RequestURI != "/api/v1/jobs/a%2Fb?limit=5&cursor=x%20y" || got.ProtoMajor != 1 {
		t.Errorf("request for %q at %q by %s", got.RequestURI, got.Host, got.Proto)
	}
	for name, want := range r.Header {
		if !slices.Equal(got.Header[name], want) {
			t.Errorf("header %s = %q, want %q", name, got.Header[name], want)
		}
	}
	if answer.StatusCode != http.StatusTeapot || !slices.Equal(answer.Header["Set-Header"], []string{"one", "two"}) ||
		answer.Header.Get("Repr-Digest") != "sha-256=:AA==:" || answer.Header.Get("X-Long") != long {
		t.Errorf("answer = %d %v", answer.StatusCode, answer.Header)
	}
}

func roadSessions(t *testing.T, hs RoadHarness) {
	type told struct {
		session relay.RoadSession
		remote  string
	}
	saw := make(chan told, 1)
	serveRoad(t, hs, func(w http.ResponseWriter, r *http.Request) {
		saw <- told{sessionOf(r), r.RemoteAddr}
	})
	visit := func(c browser) relay.RoadSession {
		text(t, do(t, c, request(t, "GET", "/", nil)))
		got := await(t, saw, "the request")
		if got.session == nil || got.session.RemoteAddr() == nil {
			t.Fatalf("the exchange belongs to session %v", got.session)
		}
		if got.session.Kind() != hs.Kind || got.session.Origin() != hs.Origin || got.session.RemoteAddr().String() != got.remote {
			t.Errorf("a session of kind %q, origin %q, from %v; want %q, %q, %s", got.session.Kind(), got.session.Origin(),
				got.session.RemoteAddr(), hs.Kind, hs.Origin, got.remote)
		}
		return got.session
	}
	one, other := join(t, hs), join(t, hs)
	first, second, third := visit(one), visit(other), visit(one)
	if first != third {
		t.Error("two exchanges of one session are of two")
	}
	if first == second {
		t.Error("two sessions are one")
	}
}
