package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/relay/memlink"
)

// sink takes an answer and keeps nothing of it.
type sink struct {
	header http.Header
	status int
	bytes  int64
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(n int)   { s.status = n }
func (s *sink) Flush()              {}

func (s *sink) Write(p []byte) (int, error) {
	s.bytes += int64(len(p))
	return len(p), nil
}

// benchNode is a node on a link in memory whose answers cost nothing: what is
// measured is the gateway.
func benchNode(b *testing.B) (w *world, n *fakeNode, ask func(path string) *sink) {
	b.Helper()
	w = newWorld(b)
	n = w.newNode("n")
	token := w.signIn(api.RoleUser)
	h := w.g.guardless(b, token)
	return w, n, func(path string) *sink {
		r := accesstest.NewRequest(access.RoadPublic, http.MethodGet, path, "")
		s := &sink{header: http.Header{}}
		h.ServeHTTP(s, r)
		if s.status != http.StatusOK {
			b.Fatalf("GET %s: status %d", path, s.status)
		}
		return s
	}
}

// guardless is the gateway's table without the guard's rate limits.
func (g *Gateway) guardless(b *testing.B, token string) http.Handler {
	b.Helper()
	guard := access.New(access.Config{Records: g.cfg.State.Records(), Rate: 1 << 30})
	h := guard.Handler(access.RoadPublic, g.Routes(), nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+token)
		h.ServeHTTP(w, r)
	})
}

// BenchmarkPassPage is the cost of an A4 colour page of 26 MB on its way through,
// with nothing at either end.
func BenchmarkPassPage(b *testing.B) {
	const size = 26_092_080
	_, n, ask := benchNode(b)
	block := make([]byte, 128<<10)
	plain := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/jpeg")
		w.Header().Set("Content-Length", fmt.Sprint(size))
		for left := size; left > 0; left -= len(block) {
			if _, err := w.Write(block[:min(left, len(block))]); err != nil {
				return
			}
		}
	})
	n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
		plain(w, r)
		return nil
	})
	path := "/api/v1/jobs/" + n.addJobs(time.Now(), 1)[0] + "/pages/1"
	b.SetBytes(size)
	for b.Loop() {
		if got := ask(path).bytes; got != size {
			b.Fatalf("%d bytes, want %d", got, size)
		}
	}
}

// BenchmarkLinkPage is the same page over the same link without the gateway: what
// the pipe in memory costs by itself.
func BenchmarkLinkPage(b *testing.B) {
	const size = 26_092_080
	w := newWorld(b)
	n := newFakeNode(b, "n")
	block := make([]byte, 128<<10)
	link, conn := memlink.New(w.id.Public(), n.id.Public())
	ctx, cancel := context.WithCancel(b.Context())
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			for left := size; left > 0; left -= len(block) {
				if _, err := w.Write(block[:min(left, len(block))]); err != nil {
					return
				}
			}
		}))
	}()
	defer func() { cancel(); <-served }()
	buf := make([]byte, 256<<10)
	b.SetBytes(size)
	for b.Loop() {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, nodeURL("/x"), nil)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := link.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		if got, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, answer.Body, buf); err != nil || got != size {
			b.Fatalf("%d bytes, %v", got, err)
		}
		answer.Body.Close()
	}
}

// BenchmarkPassCall is a small answer: session, grant, link and back.
func BenchmarkPassCall(b *testing.B) {
	_, n, ask := benchNode(b)
	path := "/api/v1/scanners/" + n.scannerID()
	b.ReportAllocs()
	for b.Loop() {
		ask(path)
	}
}

// BenchmarkGrant is the signature that every request over a link has.
func BenchmarkGrant(b *testing.B) {
	w := newWorld(b)
	r := accesstest.NewRequest(access.RoadPublic, http.MethodGet, "/api/v1/scanners/x", "")
	c := access.Caller{Session: "s", Subject: "s", Role: api.RoleUser}
	b.ReportAllocs()
	for b.Loop() {
		access.NewGrant(c, w.id.NodeID(), r, time.Now()).Sign(w.id)
	}
}

// BenchmarkListJobs merges 50 of 2,000 jobs on 20 nodes.
func BenchmarkListJobs(b *testing.B) {
	w, n, ask := benchNode(b)
	n.addJobs(time.Now(), 100)
	for range 19 {
		w.newNode("n").addJobs(time.Now(), 100)
	}
	b.ReportAllocs()
	for b.Loop() {
		ask("/api/v1/jobs")
	}
}
