package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestPassGrant(t *testing.T) {
	w := newWorld(t)
	session := accesstest.Session(t, w.g.guard, w.g.Handler(), access.RoadPublic, api.RoleUser)
	n := w.newNode("n")
	r := w.newRequest(session.Token, http.MethodGet, "/api/v1/scanners/"+n.scannerID()+"?x=y", nil)
	r.AddCookie(&http.Cookie{Name: "secret", Value: "x"})
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	r.Header.Set("X-Anything", "else")
	r.Header.Set("Accept-Language", "fr")
	r.Header.Set(access.HeaderGrant, "forged")
	answer := w.send(r)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d", answer.StatusCode)
	}
	caller := n.lastCaller()
	if caller.Gateway != w.id.Pin() || caller.Role != api.RoleUser || !strings.Contains(caller.Subject, session.Id) {
		t.Errorf("the node sees %+v, want the user's session vouched for by the gateway", caller)
	}
	header := n.lastHeader()
	for _, name := range []string{"Cookie", "Authorization", "X-Forwarded-For", "X-Anything"} {
		if v := header.Values(name); v != nil {
			t.Errorf("the node gets %s: %q", name, v)
		}
	}
	if got := header.Get("Accept-Language"); got != "fr" {
		t.Errorf("Accept-Language = %q, want fr", got)
	}
	if got, want := header.Get(access.HeaderRequestID), answer.Header.Get(access.HeaderRequestID); got != want || got == "" {
		t.Errorf("the node's request ID is %q, the browser's %q, want the same", got, want)
	}
}

func TestPassHeaders(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n := w.newNode("n")
	n.handler = around(n.handler, func(h http.Header) {
		h.Set("Set-Cookie", "__Host-platen=stolen")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Server", "node")
		h.Set("Etag", `"x"`)
		h.Set("Cache-Control", "private, max-age=60")
		h.Set("Location", "https://evil.example/")
	})
	w.connect(n)
	answer := w.send(w.newRequest(token, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil))
	for name, want := range map[string]string{
		"Set-Cookie": "", "Access-Control-Allow-Origin": "", "Server": "", "Location": "",
		"Etag": `"x"`, "Cache-Control": "private, max-age=60",
	} {
		if got := answer.Header.Values(name); strings.Join(got, ",") != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if vary := answer.Header.Values("Vary"); !strings.Contains(strings.Join(vary, ","), "Origin") {
		t.Errorf("Vary = %q, want Origin", vary)
	}
}

// TestPassSealed lets a browser have what it needs to open a sealed page.
func TestPassSealed(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n := w.newNode("n")
	n.handler = around(n.handler, func(h http.Header) {
		h.Set("Content-Type", "application/vnd.platen.sealed")
		h.Set("Platen-Sealed", "v1; type=image/jpeg; key=x")
	})
	w.connect(n)
	answer := w.send(w.newRequest(token, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil))
	if kind, sealed := answer.Header.Get("Content-Type"), answer.Header.Get("Platen-Sealed"); answer.StatusCode != http.StatusOK ||
		kind != "application/vnd.platen.sealed" || sealed != "v1; type=image/jpeg; key=x" {
		t.Errorf("status %d, type %q, Platen-Sealed %q", answer.StatusCode, kind, sealed)
	}
}

// around sets headers behind the node's guard, which would take them off.
func around(h http.Handler, set func(http.Header)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/link/") {
			h.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(&setting{ResponseWriter: w, set: set}, r)
	})
}

type setting struct {
	http.ResponseWriter
	set func(http.Header)
}

func (s *setting) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *setting) WriteHeader(status int) {
	s.set(s.Header())
	s.ResponseWriter.WriteHeader(status)
}

// Nothing that a browser could run under the gateway's origin comes through.
func TestPassRefusesAnswers(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n := w.newNode("n")
	for name, set := range map[string]func(http.Header){
		"script": func(h http.Header) { h.Set("Content-Type", "text/html") },
		"svg":    func(h http.Header) { h.Set("Content-Type", "image/svg+xml") },
		"none":   func(h http.Header) { h.Del("Content-Type") },
		"many":   func(h http.Header) { h.Set("Content-Type", "image/jpeg, text/html") },
	} {
		inner := n.handler
		n.handler = around(inner, set)
		w.connect(n)
		n.handler = inner
		if p := w.refused(token, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil, problem.Unavailable); !strings.Contains(p.Detail, `"n"`) {
			t.Errorf("%s: detail %q, want it to name the node", name, p.Detail)
		}
	}
	// 401 would sign the browser out, of the gateway and all of its nodes.
	for _, status := range []int{http.StatusFound, http.StatusUnauthorized, http.StatusProxyAuthRequired, http.StatusMisdirectedRequest, 999} {
		n.on(http.MethodGet, "/scanners/{scanner}", func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Location", "https://evil.example/")
			w.WriteHeader(status)
			return nil
		})
		w.connect(n)
		w.refused(token, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil, problem.Unavailable)
	}
}

func TestPassProblems(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n := w.newNode("n")
	n.on(http.MethodGet, "/scanners/{scanner}", func(http.ResponseWriter, *http.Request) error {
		return problem.New(problem.DriverMissing, "Install libsane.").At("driver").After(3 * time.Second)
	})
	p := w.refused(token, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil, problem.DriverMissing)
	if p.Detail != "Install libsane." || p.Field != "driver" || p.RetryAfter != 3*time.Second {
		t.Errorf("the node's problem came as %+v, want it unchanged", p)
	}
	w.refused(token, http.MethodGet, "/api/v1/jobs/nonsense", nil, problem.BadID)
	w.refused(token, http.MethodGet, "/api/v1/jobs/"+n.scannerID(), nil, problem.BadID)
	w.refused(token, http.MethodGet, "/api/v1/jobs/"+scan.NewID(newFakeNode(t, "x").nodeID(), scan.KindJob), nil, problem.NotFound)
	n.on(http.MethodGet, "/scanners/{scanner}", func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) })
	w.refused(token, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil, problem.Unavailable)
}

func TestPassBody(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n := w.newNode("n")
	path := "/api/v1/scanners/" + n.scannerID() + "/jobs"
	r := w.newRequest(token, http.MethodPost, path, scan.JobRequest{Name: "Invoices"})
	r.Header.Set(headerIdempotency, "0123456789abcdef")
	answer := w.send(r)
	if answer.StatusCode != http.StatusCreated || !strings.HasPrefix(answer.Header.Get("Location"), "/api/v1/jobs/") {
		t.Errorf("status %d, Location %q, want 201 and the job", answer.StatusCode, answer.Header.Get("Location"))
	}
	if got := n.lastHeader().Get(headerIdempotency); got != "0123456789abcdef" {
		t.Errorf("the node gets Idempotency-Key %q", got)
	}

	before := n.requests()
	for _, length := range []int64{maxJobBody + 1, -1} { // announced, and found out on the way
		r := w.newRequest(token, http.MethodPost, path, nil)
		r.Header.Set("Content-Type", "application/json")
		r.Body, r.ContentLength = io.NopCloser(io.LimitReader(endless{}, maxJobBody+1)), length
		if got := w.send(r); got.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("a body of length %d: status %d, want 413", length, got.StatusCode)
		}
	}
	r = w.newRequest(token, http.MethodPost, "/api/v1/jobs/"+n.addJobs(time.Now(), 1)[0]+"/cancel", nil)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader("{}")), -1
	if got := w.send(r); got.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body where none is taken: status %d, want 413", got.StatusCode)
	}
	if n.requests() != before {
		t.Error("a request that was refused reached the node")
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// A page passes as it grows, and ends well only if it was committed.
func TestPassGrowingPage(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n := w.newNode("n")
	job := n.addJobs(time.Now(), 1)[0]
	strips, fail := make(chan string), make(chan struct{})
	n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "image/jpeg")
		control := http.NewResponseController(w)
		for {
			select {
			case s, more := <-strips:
				if !more {
					return nil
				}
				io.WriteString(w, s)
				control.Flush()
			case <-fail:
				return errors.New("the sheet jammed")
			}
		}
	})
	path := "/api/v1/jobs/" + job + "/pages/1"
	go func() { strips <- "one " }()
	answer := w.send(w.newRequest(token, http.MethodGet, path, nil))
	for _, want := range []string{"one ", "two ", "three"} {
		if want != "one " {
			strips <- want
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(answer.Body, got); err != nil || string(got) != want {
			t.Fatalf("strip = %q, %v, want %q before the page is complete", got, err, want)
		}
	}
	close(strips)
	if rest, err := io.ReadAll(answer.Body); err != nil || len(rest) > 0 {
		t.Errorf("the end of a committed page: %q, %v", rest, err)
	}

	strips = make(chan string)
	go func() { strips <- "half" }()
	answer = w.send(w.newRequest(token, http.MethodGet, path, nil))
	if _, err := io.ReadFull(answer.Body, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	close(fail)
	if _, err := io.ReadAll(answer.Body); err == nil {
		t.Error("a page that failed ended as if it were whole")
	}
}

// page answers with a whole page of size bytes.
func page(size int) (access.Handler, [sha256.Size]byte) {
	content := bytes.Repeat([]byte("not a wheel: a mountain. "), size/25+1)[:size]
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "image/jpeg")
		w.Header().Set("Etag", `"page"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
		return nil
	}, sha256.Sum256(content)
}

func TestPassRanges(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n := w.newNode("n")
	path := "/api/v1/jobs/" + n.addJobs(time.Now(), 1)[0] + "/pages/1"
	const size = 3 << 20
	h, digest := page(size)
	n.on(http.MethodGet, "/jobs/{job}/pages/{n}", h)

	whole := w.send(w.newRequest(token, http.MethodGet, path, nil))
	sum := sha256.New()
	if got, err := io.Copy(sum, whole.Body); err != nil || got != size || hex.EncodeToString(sum.Sum(nil)) != hex.EncodeToString(digest[:]) {
		t.Errorf("GET = %d bytes, %v, want the page", got, err)
	}
	if whole.ContentLength != size {
		t.Errorf("Content-Length = %d, want %d", whole.ContentLength, size)
	}
	head := w.send(w.newRequest(token, http.MethodHead, path, nil))
	if body, err := io.ReadAll(head.Body); err != nil || len(body) > 0 || head.ContentLength != size || head.Header.Get("Etag") != `"page"` {
		t.Errorf("HEAD = status %d, length %d, %d bytes, %v", head.StatusCode, head.ContentLength, len(body), err)
	}
	part := w.newRequest(token, http.MethodGet, path, nil)
	part.Header.Set("Range", "bytes=1000000-1000009")
	answer := w.send(part)
	if body, err := io.ReadAll(answer.Body); err != nil || len(body) != 10 || answer.StatusCode != http.StatusPartialContent ||
		answer.Header.Get("Content-Range") != fmt.Sprintf("bytes 1000000-1000009/%d", size) {
		t.Errorf("Range = status %d, %q, %d bytes, %v", answer.StatusCode, answer.Header.Get("Content-Range"), len(body), err)
	}
	known := w.newRequest(token, http.MethodGet, path, nil)
	known.Header.Set("If-None-Match", `"page"`)
	if answer := w.send(known); answer.StatusCode != http.StatusNotModified {
		t.Errorf("If-None-Match = status %d, want 304", answer.StatusCode)
	}
}

// A client that goes away ends the node's work for it.
func TestPassCancel(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n := w.newNode("n")
	begun, ended := make(chan struct{}), make(chan struct{})
	n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
		close(begun)
		<-r.Context().Done()
		close(ended)
		return nil
	})
	r := w.newRequest(token, http.MethodGet, "/api/v1/jobs/"+n.addJobs(time.Now(), 1)[0]+"/pages/1", nil)
	ctx, cancel := context.WithCancel(r.Context())
	go func() { <-begun; cancel() }()
	if answer, err := w.client.Do(r.WithContext(ctx)); err == nil {
		answer.Body.Close() // of a client that hung up and still listened for a moment
	}
	select {
	case <-ended:
	case <-time.After(waitLimit):
		t.Error("the node still works for a client that is gone")
	}
}

func TestPassBodiesPerNode(t *testing.T) {
	w := newWorld(t)
	n := w.newNode("n")
	path := "/api/v1/jobs/" + n.addJobs(time.Now(), 1)[0] + "/pages/1"
	var under atomic.Int32
	done := make(chan struct{})
	n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
		under.Add(1)
		<-done
		w.Header().Set("Content-Type", "image/jpeg")
		return nil
	})
	var reading sync.WaitGroup
	defer reading.Wait()
	defer close(done)
	for range bodiesPerNode / bodiesPerSession {
		token := w.signIn(api.RoleUser)
		for range bodiesPerSession {
			reading.Go(func() {
				answer := w.send(w.newRequest(token, http.MethodGet, path, nil))
				io.Copy(io.Discard, answer.Body)
			})
		}
	}
	eventually(t, "all bodies are under way", func() bool { return under.Load() == bodiesPerNode })
	other := w.signIn(api.RoleUser)
	p := w.refused(other, http.MethodGet, path, nil, problem.TooManyRequests)
	if p.RetryAfter == 0 {
		t.Error("too-many-requests does not say when to try again")
	}
	// Control is not behind the bodies.
	var got scan.Scanner
	w.do(other, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil, http.StatusOK, &got)
}

// The gateway passes pages on and keeps nothing of them.
func TestGatewayStoresNoPage(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n := w.newNode("n")
	job := n.addJobs(time.Now(), 1)[0]
	h, _ := page(1 << 20)
	n.on(http.MethodGet, "/jobs/{job}/pages/{n}", h)
	n.on(http.MethodGet, "/documents/{document}/content", func(w http.ResponseWriter, r *http.Request) error {
		if err := h(w, r); err != nil {
			return err
		}
		return nil
	})
	for _, path := range []string{"/api/v1/jobs/" + job + "/pages/1", "/api/v1/documents/" + scan.NewID(n.nodeID(), scan.KindDocument) + "/content"} {
		answer := w.send(w.newRequest(token, http.MethodGet, path, nil))
		if got, err := io.Copy(io.Discard, answer.Body); err != nil || got != 1<<20 {
			t.Fatalf("%s: %d bytes, %v", path, got, err)
		}
	}
	w.stop()
	files := 0
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte("not a wheel: a mountain")) || bytes.Contains(content, []byte(job)) {
			t.Errorf("%s holds a part of a page or job", path)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("searched %d files: %v", files, err)
	}
}
