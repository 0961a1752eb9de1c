package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/relay/memlink"
)

// halves makes a node's pages come in two halves, the second when rest is closed.
func halves(n *fakeNode, rest <-chan struct{}) (half, page []byte) {
	half = bytes.Repeat([]byte("half"), 50_000)
	n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "image/jpeg")
		w.Write(half)
		http.NewResponseController(w).Flush()
		select {
		case <-rest:
			w.Write(half)
			return nil
		case <-r.Context().Done():
			return r.Context().Err()
		}
	})
	return half, bytes.Repeat(half, 2)
}

// follows makes a node's jobs have streams of events without end.
func follows(n *fakeNode) {
	n.on(http.MethodGet, "/jobs/{job}/events", func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "id: 1\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return r.Context().Err()
	})
}

// begun reads the first bytes of an answer.
func begun(t *testing.T, answer *http.Response, length int) {
	t.Helper()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d", answer.Request.URL.Path, answer.StatusCode)
	}
	if _, err := io.ReadFull(answer.Body, make([]byte, length)); err != nil {
		t.Fatalf("%s: %v", answer.Request.URL.Path, err)
	}
}

// TestDrain: of a gateway that is told to end, streams of events end in good order and
// at once, the nodes hear of it, a page under way ends whole, and then it is over.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleAdmin)
	n := w.newNode("n")
	rest, drained := make(chan struct{}), make(chan struct{}, 1)
	n.onDrain(drained)
	half, want := halves(n, rest)
	follows(n)
	job := n.addJobs(time.Now(), 1)[0]
	page := w.send(w.newRequest(token, http.MethodGet, "/api/v1/jobs/"+job+"/pages/1", nil))
	begun(t, page, len(half))
	streams := []*http.Response{
		w.send(w.newRequest(token, http.MethodGet, "/api/v1/jobs/"+job+"/events", nil)),
		w.send(w.newRequest(token, http.MethodGet, "/api/v1/events", nil)),
	}
	for _, s := range streams {
		begun(t, s, len("id: "))
	}

	stopped := make(chan struct{})
	go func() { defer close(stopped); w.stop() }()
	for _, s := range streams {
		if text, err := io.ReadAll(s.Body); err != nil {
			t.Errorf("%s ended with %q, %v, want an orderly end", s.Request.URL.Path, text, err)
		}
	}
	<-drained
	if isDone(stopped) {
		t.Error("the gateway ended with a page under way")
	}
	close(rest)
	if got, err := io.ReadAll(page.Body); err != nil || !bytes.Equal(got, want[len(half):]) {
		t.Errorf("the page's second half has %d bytes, %v, want %d", len(got), err, len(half))
	}
	<-stopped
}

// TestDrainHasALimit: what does not end is broken off, and looks broken.
func TestDrainHasALimit(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleAdmin)
	w.g.cfg.DrainTime = 400 * time.Millisecond
	n := w.newNode("n")
	half, _ := halves(n, nil)
	job := n.addJobs(time.Now(), 1)[0]
	page := w.send(w.newRequest(token, http.MethodGet, "/api/v1/jobs/"+job+"/pages/1", nil))
	begun(t, page, len(half))
	began := time.Now()
	stopped := make(chan struct{})
	go func() { defer close(stopped); w.stop() }()
	if got, err := io.ReadAll(page.Body); err == nil {
		t.Errorf("a page that was broken off looks whole with %d more bytes", len(got))
	}
	<-stopped
	if took := time.Since(began); took < w.g.cfg.DrainTime || took > 5*time.Second {
		t.Errorf("the end took %v, want %v or little more", took, w.g.cfg.DrainTime)
	}
}

// TestDrainInTime: the nodes are asked to come one after the other, and nothing takes
// longer than it must.
func TestDrainInTime(t *testing.T) {
	for _, row := range []struct {
		name  string
		nodes int
		leave bool // the nodes close their links when they have the next
		want  time.Duration
	}{
		{"nobody", 0, false, 0},
		{"one node that stays", 1, false, 2*time.Millisecond + nodesCome},
		{"nodes that stay", 50, false, 100*time.Millisecond + nodesCome},
		{"nodes that go", 50, true, 100 * time.Millisecond},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newHolder(t, newFakeNode(t, "n"))
				g.links, g.cfg.DrainTime = make(chan arrival), 10*time.Second
				g.ending, g.end = context.WithCancel(t.Context())
				g.stopping = g.ending.Done()
				ctx, cancel := context.WithCancel(t.Context())
				var serving sync.WaitGroup
				defer serving.Wait()
				ended := make(chan struct{})
				go func() { defer close(ended); g.serveLinks(ctx) }()
				asked := make(chan time.Duration, row.nodes)
				for range row.nodes {
					n := enrolled(t, g)
					link, conn := memlink.New(g.cfg.Identity.Public(), n.id.Public())
					serving.Go(func() {
						conn.Serve(t.Context(), onDrain(n.handler, func(after time.Duration) {
							asked <- after
							if row.leave {
								time.AfterFunc(after, func() { conn.Close() })
							}
						}))
					})
					g.AddLink(link)
				}
				synctest.Wait()
				if got := g.registry.connected(); got != row.nodes {
					t.Fatalf("%d nodes are connected, want %d", got, row.nodes)
				}
				began := time.Now()
				cancel()
				<-ended
				if took := time.Since(began); took > row.want || !row.leave && took < row.want {
					t.Errorf("it took %v, want %v", took, row.want)
				}
				first, last := time.Hour, time.Duration(0)
				for range row.nodes {
					after := <-asked
					first, last = min(first, after), max(last, after)
				}
				if limit := time.Duration(row.nodes) * 2 * time.Millisecond; last > limit || row.nodes > 10 && last-first < limit/2 {
					t.Errorf("the nodes are asked to come after %v to %v, want all over %v", first, last, limit)
				}
				link, _ := memlink.New(g.cfg.Identity.Public(), enrolled(t, g).id.Public())
				if g.AddLink(link); !isDone(link.Done()) {
					t.Error("a link that comes after the end stands")
				}
			})
		})
	}
}

// enrolled is one more node that a holder knows.
func enrolled(t *testing.T, g *Gateway) *fakeNode {
	t.Helper()
	n := newFakeNode(t, "n")
	n.verifier.Trust(g.cfg.Identity.Pin())
	record, err := g.nodes.Create(t.Context(), state.Node{ID: n.nodeID(), Key: n.id.Public(), Name: n.name, Version: "0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	g.registry.mu.Lock()
	defer g.registry.mu.Unlock()
	g.registry.insertLocked(record)
	return n
}

// onDrain answers the gateway's drains.
func onDrain(h http.Handler, asked func(after time.Duration)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/link/drain" {
			h.ServeHTTP(w, r)
			return
		}
		var body api.LinkDrain
		if json.NewDecoder(r.Body).Decode(&body) == nil {
			asked(time.Duration(body.AfterMs) * time.Millisecond)
		}
		w.WriteHeader(http.StatusAccepted)
	})
}
