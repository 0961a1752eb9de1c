package relaytest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/relay"
)

func roadGrowing(t *testing.T, hs RoadHarness) {
	goOn := make(chan struct{})
	c := roadUp(t, hs, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first strip")
		http.NewResponseController(w).Flush()
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
		io.WriteString(w, ", last strip")
	})
	answer := ask(t, c, request(t, "GET", "/page", nil))
	first := make([]byte, len("first strip"))
	if _, err := io.ReadFull(answer.Body, first); err != nil || string(first) != "first strip" {
		t.Fatalf("first bytes = %q, %v, want %q", first, err, "first strip")
	}
	close(goOn)
	if rest := text(t, answer); rest != ", last strip" {
		t.Errorf("rest = %q, want %q", rest, ", last strip")
	}
}

func roadLarge(t *testing.T, hs RoadHarness) {
	size := hs.Large
	if size == 0 {
		size = 64 << 20
	}
	c := roadUp(t, hs, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/known" {
			w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		}
		io.Copy(w, pattern(size, 1))
	})
	want := digest(t, pattern(size, 1))
	for _, path := range []string{"/known", "/unknown"} {
		answer := ask(t, c, request(t, "GET", path, nil))
		if got := digest(t, answer.Body); got != want {
			t.Errorf("digest of %s = %s, want %s", path, got, want)
		}
		if known := answer.ContentLength == size; known != (path == "/known") {
			t.Errorf("length of %s = %d", path, answer.ContentLength)
		}
		answer.Body.Close()
	}
}

func roadParallel(t *testing.T, hs RoadHarness) {
	const sessions, size = 2, 100_000
	serveRoad(t, hs, func(w http.ResponseWriter, r *http.Request) {
		seed, _ := strconv.ParseUint(strings.TrimPrefix(r.URL.Path, "/"), 10, 8)
		io.Copy(w, pattern(size, byte(seed)))
	})
	var all sync.WaitGroup
	for s := range sessions {
		c := join(t, hs)
		for i := range RoadExchanges {
			all.Go(func() {
				seed := byte(s*RoadExchanges + i)
				answer, err := roundTrip(c, request(t, "GET", fmt.Sprintf("/%d", seed), nil))
				if err != nil {
					t.Errorf("request %d: %v", seed, err)
					return
				}
				defer answer.Body.Close()
				if got, want := digest(t, answer.Body), digest(t, pattern(size, seed)); got != want {
					t.Errorf("digest of %d = %s, want %s", seed, got, want)
				}
			})
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
		answers(t, c)
	}
	goroutines, bytes := runtime.NumGoroutine(), heapInUse()
	for range rounds {
		answers(t, c)
	}
	for deadline := time.Now().Add(Patience); runtime.NumGoroutine() > goroutines+slack; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines after %d exchanges, %d before", runtime.NumGoroutine(), rounds, goroutines)
		}
		answers(t, c) // lets time pass
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

func roadRequestBodies(t *testing.T, hs RoadHarness) {
	const size = 4 << 20
	c := roadUp(t, hs, func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%s %d %d %v %s", r.Method, n, r.ContentLength, err, sum(h))
	})
	want := digest(t, pattern(size, 3))
	for _, known := range []bool{true, false} {
		r := request(t, "POST", "/upload", pattern(size, 3))
		length := -1
		if known {
			r.ContentLength, length = size, size
		}
		if got, want := text(t, ask(t, c, r)), fmt.Sprintf("POST %d %d <nil> %s", size, length, want); got != want {
			t.Errorf("upload = %q, want %q", got, want)
		}
	}
	got := text(t, ask(t, c, request(t, "POST", "/empty", nil)))
	if want := "POST 0 0 <nil> " + sum(sha256.New()); got != want {
		t.Errorf("empty upload = %q, want %q", got, want)
	}
	small := request(t, "POST", "/api/v1/road", strings.NewReader(`{"grant":"x"}`))
	if got := text(t, ask(t, c, small)); !strings.HasPrefix(got, "POST 13 13 <nil>") {
		t.Errorf("small upload = %q", got)
	}
}

func roadEarlyAnswer(t *testing.T, hs RoadHarness) {
	c := roadUp(t, hs, func(w http.ResponseWriter, r *http.Request) {
		if ping(w, r) {
			return
		}
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	})
	for range 3 {
		answer := ask(t, c, request(t, "POST", "/upload", pattern(16<<20, 4)))
		if got := text(t, answer); answer.StatusCode != http.StatusRequestEntityTooLarge || got != "too large\n" {
			t.Errorf("answer = %d %q, want %d", answer.StatusCode, got, http.StatusRequestEntityTooLarge)
		}
	}
	answers(t, c)
}

func roadRanges(t *testing.T, hs RoadHarness) {
	page := make([]byte, 300_000)
	io.ReadFull(pattern(int64(len(page)), 5), page)
	c := roadUp(t, hs, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"attempt-1"`)
		http.ServeContent(w, r, "page.jpg", time.Time{}, bytes.NewReader(page))
	})
	for _, row := range []struct {
		ranges, match string
		status        int
		header        string
		body          []byte
	}{
		{"", "", 200, "", page},
		{"bytes=100-199", "", 206, "bytes 100-199/300000", page[100:200]},
		{"bytes=250000-", `"attempt-1"`, 206, "bytes 250000-299999/300000", page[250000:]},
		{"bytes=250000-", `"attempt-0"`, 200, "", page},
		{"bytes=300000-", "", 416, "bytes */300000", nil},
	} {
		r := request(t, "GET", "/page", nil)
		if row.ranges != "" {
			r.Header.Set("Range", row.ranges)
		}
		if row.match != "" {
			r.Header.Set("If-Range", row.match)
		}
		answer := ask(t, c, r)
		body := text(t, answer)
		if answer.StatusCode != row.status || answer.Header.Get("Content-Range") != row.header || row.body != nil && body != string(row.body) {
			t.Errorf("Range %q: %d %q, %d bytes; want %d %q, %d bytes", row.ranges, answer.StatusCode,
				answer.Header.Get("Content-Range"), len(body), row.status, row.header, len(row.body))
		}
	}
}

func roadBodiless(t *testing.T, hs RoadHarness) {
	c := roadUp(t, hs, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/same":
			w.Header().Set("ETag", `"x"`)
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("Content-Length", "1000")
			if r.Method != http.MethodHead {
				w.Write(make([]byte, 1000))
			}
		}
	})
	for _, row := range []struct {
		method, path string
		status       int
		length       string
		body         int
	}{
		{"DELETE", "/none", 204, "", 0},
		{"GET", "/same", 304, "", 0},
		{"HEAD", "/page", 200, "1000", 0},
		{"GET", "/page", 200, "1000", 1000},
	} {
		answer := ask(t, c, request(t, row.method, row.path, nil))
		body := text(t, answer)
		if answer.StatusCode != row.status || answer.Header.Get("Content-Length") != row.length || len(body) != row.body {
			t.Errorf("%s %s = %d, length %q, %d bytes; want %d, %q, %d", row.method, row.path, answer.StatusCode,
				answer.Header.Get("Content-Length"), len(body), row.status, row.length, row.body)
		}
	}
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
	answer := ask(t, c, r)
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
		saw <- told{relay.RoadOf(r.Context()), r.RemoteAddr}
	})
	visit := func(c RoadClient) relay.RoadSession {
		text(t, ask(t, c, request(t, "GET", "/", nil)))
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
