package relaytest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func testGrowing(t *testing.T, hs harness) {
	goOn := make(chan struct{})
	c := hs.serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first strip")
		http.NewResponseController(w).Flush()
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
		io.WriteString(w, ", last strip")
	})
	answer := do(t, c, request(t, "GET", "/page", nil))
	first := make([]byte, len("first strip"))
	if _, err := io.ReadFull(answer.Body, first); err != nil || string(first) != "first strip" {
		t.Fatalf("first bytes = %q, %v, want %q", first, err, "first strip")
	}
	close(goOn)
	if rest := text(t, answer); rest != ", last strip" {
		t.Errorf("rest = %q, want %q", rest, ", last strip")
	}
}

func testLarge(t *testing.T, hs harness) {
	size := hs.large()
	c := hs.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/known" {
			w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		}
		io.Copy(w, pattern(size, 1))
	})
	want := digest(t, pattern(size, 1))
	for _, path := range []string{"/known", "/unknown"} {
		answer := do(t, c, request(t, "GET", path, nil))
		if got := digest(t, answer.Body); got != want {
			t.Errorf("digest of %s = %s, want %s", path, got, want)
		}
		if known := answer.ContentLength == size; known != (path == "/known") {
			t.Errorf("length of %s = %d", path, answer.ContentLength)
		}
		answer.Body.Close()
	}
}

func digest(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Errorf("reading: %v", err)
	}
	return sum(h)
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

func testParallel(t *testing.T, hs harness) {
	c := hs.serve(t, patterns)
	var all sync.WaitGroup
	for seed := range hs.atOnce() {
		all.Go(func() { arrives(t, c, byte(seed)) })
	}
	all.Wait()
}

const patternSize = 100_000

// patterns answers with the pattern of the seed that the path names.
func patterns(w http.ResponseWriter, r *http.Request) {
	seed, _ := strconv.ParseUint(strings.TrimPrefix(r.URL.Path, "/"), 10, 8)
	io.Copy(w, pattern(patternSize, byte(seed)))
}

// arrives fails the test unless a pattern does.
func arrives(t *testing.T, c http.RoundTripper, seed byte) {
	answer, err := c.RoundTrip(request(t, "GET", fmt.Sprintf("/%d", seed), nil))
	if err != nil {
		t.Errorf("request %d: %v", seed, err)
		return
	}
	defer answer.Body.Close()
	if got, want := digest(t, answer.Body), digest(t, pattern(patternSize, seed)); got != want {
		t.Errorf("digest of %d = %s, want %s", seed, got, want)
	}
}

// testSequence makes more requests than a link has slots.
func testSequence(t *testing.T, hs Harness) {
	l, _ := up(t, hs, func(w http.ResponseWriter, r *http.Request) { ping(w, r) })
	for range 400 {
		works(t, l)
	}
}

func testRequestBodies(t *testing.T, hs harness) {
	const size = 4 << 20
	c := hs.serve(t, func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%s %d %d %v", r.Method, n, r.ContentLength, err)
		w.Header().Set("Ignored", "too late")
		fmt.Fprintf(w, " %s", sum(h))
	})
	want := digest(t, pattern(size, 3))
	for _, known := range []bool{true, false} {
		r := request(t, "POST", "/upload", pattern(size, 3))
		length := -1
		if known {
			r.ContentLength, length = size, size
		}
		if got, want := text(t, do(t, c, r)), fmt.Sprintf("POST %d %d <nil> %s", size, length, want); got != want {
			t.Errorf("upload = %q, want %q", got, want)
		}
	}
	got := text(t, do(t, c, request(t, "POST", "/empty", nil)))
	if want := "POST 0 0 <nil> " + sum(sha256.New()); got != want {
		t.Errorf("empty upload = %q, want %q", got, want)
	}
	small := request(t, "PUT", "/small", strings.NewReader(`{"name":"x"}`))
	if got := text(t, do(t, c, small)); !strings.HasPrefix(got, "PUT 12 12 <nil>") {
		t.Errorf("small upload = %q", got)
	}
}

func testEarlyAnswer(t *testing.T, hs harness) {
	c := hs.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if ping(w, r) {
			return
		}
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	})
	for range 3 {
		answer := do(t, c, request(t, "POST", "/upload", pattern(16<<20, 4)))
		if got := text(t, answer); answer.StatusCode != http.StatusRequestEntityTooLarge || got != "too large\n" {
			t.Errorf("answer = %d %q, want %d", answer.StatusCode, got, http.StatusRequestEntityTooLarge)
		}
	}
	works(t, c)
}

func testRanges(t *testing.T, hs harness) {
	page := make([]byte, 300_000)
	io.ReadFull(pattern(int64(len(page)), 5), page)
	c := hs.serve(t, func(w http.ResponseWriter, r *http.Request) {
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
		answer := do(t, c, r)
		body := text(t, answer)
		if answer.StatusCode != row.status || answer.Header.Get("Content-Range") != row.header || row.body != nil && body != string(row.body) {
			t.Errorf("Range %q: %d %q, %d bytes; want %d %q, %d bytes", row.ranges, answer.StatusCode,
				answer.Header.Get("Content-Range"), len(body), row.status, row.header, len(row.body))
		}
	}
}

func testBodiless(t *testing.T, hs harness) {
	c := hs.serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/same":
			w.Header().Set("ETag", `"x"`)
			w.WriteHeader(http.StatusNotModified)
		case "/growing": // as long as it will be
			w.WriteHeader(http.StatusOK)
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
		{"HEAD", "/growing", 200, "", 0},
		{"GET", "/page", 200, "1000", 1000},
	} {
		answer := do(t, c, request(t, row.method, row.path, nil))
		body := text(t, answer)
		if answer.StatusCode != row.status || answer.Header.Get("Content-Length") != row.length || len(body) != row.body {
			t.Errorf("%s %s = %d, length %q, %d bytes; want %d, %q, %d", row.method, row.path, answer.StatusCode,
				answer.Header.Get("Content-Length"), len(body), row.status, row.length, row.body)
		}
	}
}

// testShortBody: a handler that promises more than it writes.
func testShortBody(t *testing.T, hs harness) {
	c := hs.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if ping(w, r) {
			return
		}
		w.Header().Set("Content-Length", "200000")
		w.Write(make([]byte, 100_000))
	})
	answer, err := c.RoundTrip(request(t, "GET", "/page", nil))
	if err == nil { // the reset may overtake the header
		if n, err := io.Copy(io.Discard, answer.Body); err == nil || n > 100_000 {
			t.Errorf("reading a short body = %d, %v, want an error", n, err)
		}
		answer.Body.Close()
	}
	works(t, c)
}
