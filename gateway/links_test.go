package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
)

// newHolder makes as much of a gateway as holds links, with one enrolled node: all
// of it can live in fake time.
func newHolder(t *testing.T, n *fakeNode) *Gateway {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	n.verifier.Trust(id.Pin())
	g := &Gateway{
		cfg: Config{Identity: id, Name: "g"}, log: slog.New(slog.DiscardHandler), now: time.Now,
		events: newHub(time.Now), snapshot: newSnapshots(), guard: access.New(access.Config{}),
		greeting: make(chan struct{}, greetings),
	}
	record := state.Node{ID: n.nodeID(), Key: n.id.Public(), Name: n.name, Version: "0.0.1", Revision: 1}
	g.nodes = &memoryNodes{nodes: map[string]state.Node{scan.Prefix(record.ID): record}, last: 1}
	g.registry = newRegistry([]state.Node{record}, nil, g.events, time.Now)
	return g
}

// inFakeTime runs a test with a node and what holds its links; ctx ends with the test.
func inFakeTime(t *testing.T, test func(t *testing.T, ctx context.Context, n *fakeNode, g *Gateway)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := newFakeNode(t, "n")
		test(t, ctx, n, newHolder(t, n))
	})
}

// memoryNodes are node records that live in fake time. failing, if set, may refuse a
// write: the disk of a test, or a kill.
type memoryNodes struct {
	mu      sync.Mutex
	nodes   map[string]state.Node
	last    uint64
	failing func(state.Node) error
}

func (m *memoryNodes) write(n state.Node, create bool) (state.Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failing != nil {
		if err := m.failing(n); err != nil {
			return state.Node{}, err
		}
	}
	if old, ok := m.nodes[scan.Prefix(n.ID)]; ok == create || !create && old.Revision != n.Revision {
		return state.Node{}, access.ErrConflict
	}
	m.last++
	n.Revision = m.last
	m.nodes[scan.Prefix(n.ID)] = n
	return n, nil
}

func (m *memoryNodes) Create(_ context.Context, n state.Node) (state.Node, error) {
	return m.write(n, true)
}

func (m *memoryNodes) Update(_ context.Context, n state.Node) (state.Node, error) {
	return m.write(n, false)
}

func (m *memoryNodes) Get(_ context.Context, prefix string) (state.Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.nodes[prefix]
	if !ok {
		return state.Node{}, access.ErrNoRecord
	}
	return n, nil
}

func (m *memoryNodes) Delete(_ context.Context, n state.Node) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.nodes, scan.Prefix(n.ID))
	return nil
}

// hold runs a link to the node until the test ends; done is closed when the
// gateway has let go of it.
func hold(t *testing.T, ctx context.Context, g *Gateway, n *fakeNode) (link relay.Link, conn relay.Conn, done chan struct{}) {
	t.Helper()
	link, conn = memlink.New(g.cfg.Identity.Public(), n.id.Public())
	done = make(chan struct{})
	go conn.Serve(ctx, n.handler)
	go g.hold(ctx, newArrival(link), func() { close(done) })
	return link, conn, done
}

// holdOut holds a link until the gateway has let go of it.
func holdOut(ctx context.Context, g *Gateway, link relay.Link) {
	left := make(chan struct{})
	g.hold(ctx, newArrival(link), func() { close(left) })
	<-left
}

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestSilentLinkIsDead(t *testing.T) {
	inFakeTime(t, func(t *testing.T, ctx context.Context, n *fakeNode, g *Gateway) {
		link, _, done := hold(t, ctx, g, n)
		reg, _ := g.registry.get(n.nodeID())
		time.Sleep(time.Minute)
		synctest.Wait()
		if !g.registry.online(reg) || isDone(link.Done()) {
			t.Fatal("a node that sends heartbeats was given up")
		}
		n.mu.Lock()
		n.quiet = true
		n.mu.Unlock()
		time.Sleep(silenceLimit - time.Nanosecond)
		if isDone(link.Done()) {
			t.Error("the link was closed early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !isDone(link.Done()) || !isDone(done) || g.registry.online(reg) {
			t.Error("a link without heartbeats still stands")
		}
	})
}

func TestNewestLinkWins(t *testing.T) {
	inFakeTime(t, func(t *testing.T, ctx context.Context, n *fakeNode, g *Gateway) {
		reg, _ := g.registry.get(n.nodeID())
		first, _, firstDone := hold(t, ctx, g, n)
		synctest.Wait()

		// A body is under way on the first link when the second comes.
		rest := make(chan struct{})
		job := n.addJobs(time.Now(), 1)[0]
		n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "image/jpeg")
			io.WriteString(w, "half, ")
			http.NewResponseController(w).Flush()
			<-rest
			io.WriteString(w, "whole")
			return nil
		})
		ask := func() *http.Response {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, nodeURL("/api/v1/jobs/"+job+"/pages/1"), nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := (&asking{g: g, node: reg, caller: access.Caller{Session: "s", Subject: "s", Role: api.RoleUser}, ctx: ctx}).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
		old := ask()
		second, _, _ := hold(t, ctx, g, n)
		synctest.Wait()
		if reg.link.Link != second {
			t.Fatal("the newest link does not take the requests")
		}
		if isDone(first.Done()) || isDone(firstDone) {
			t.Fatal("the older link was cut with a body under way")
		}
		close(rest)
		if body, err := io.ReadAll(old.Body); err != nil || string(body) != "half, whole" {
			t.Errorf("the body on the older link = %q, %v, want the whole", body, err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !g.registry.online(reg) {
			t.Error("the node went offline while its newest link stands")
		}

		// However many a node opens, few stand.
		for range 2 * maxLinks {
			hold(t, ctx, g, n)
			synctest.Wait()
		}
		if got := len(reg.links); got > maxLinks {
			t.Errorf("%d links of one node stand, want at most %d", got, maxLinks)
		}
		if !isDone(first.Done()) {
			t.Error("the oldest of too many links still stands")
		}
	})
}

// The node ends its event stream when it drains a link: that is no silence yet.
func TestEndedStreamWaitsForNextLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := newFakeNode(t, "n")
		ended := make(chan struct{})
		g := newHolder(t, n)
		reg, _ := g.registry.get(n.nodeID())
		inner := n.handler
		n.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/link/events") {
				w.Header().Set("Content-Type", "application/x-ndjson")
				w.Write(heartbeat)
				http.NewResponseController(w).Flush()
				<-ended
				return
			}
			inner.ServeHTTP(w, r)
		})
		first, _, _ := hold(t, ctx, g, n)
		synctest.Wait()
		close(ended)
		time.Sleep(time.Second)
		synctest.Wait()
		if !g.registry.online(reg) || isDone(first.Done()) {
			t.Fatal("the link was given up as soon as its stream ended")
		}
		n.handler = inner
		second, _, _ := hold(t, ctx, g, n)
		time.Sleep(time.Minute)
		synctest.Wait()
		if reg.link == nil || reg.link.Link != second {
			t.Error("the next link does not take the requests")
		}
	})
}

func TestHelloRefused(t *testing.T) {
	for name, test := range map[string]struct {
		answer access.Handler
		want   error // what the node's end hears
	}{
		"other version": {func(w http.ResponseWriter, r *http.Request) error {
			return access.WriteJSON(w, http.StatusOK, api.LinkWelcome{Api: "1", Link: 2})
		}, problem.VersionNotSpoken.Error()},
		"problem": {func(http.ResponseWriter, *http.Request) error {
			return problem.VersionNotSpoken.Error()
		}, problem.VersionNotSpoken.Error()},
		"nonsense": {func(w http.ResponseWriter, r *http.Request) error {
			_, err := io.WriteString(w, "hello yourself")
			return err
		}, nil},
		"no end": {func(w http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			return nil
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newFakeNode(t, "n")
				g := newHolder(t, n)
				n.on(http.MethodPost, "/link/hello", test.answer)
				link, conn := memlink.New(g.cfg.Identity.Public(), n.id.Public())
				served := make(chan error, 1)
				go func() { served <- conn.Serve(t.Context(), n.handler) }()
				holdOut(t.Context(), g, link)
				if err := <-served; test.want != nil && !errors.Is(err, test.want) {
					t.Errorf("the node hears %v, want %v", err, test.want)
				}
				if reg, _ := g.registry.get(n.nodeID()); reg.link != nil {
					t.Error("the link takes requests")
				}
			})
		})
	}
}

// Where too many come at once those that wait for their greeting keep their links.
func TestGreetingsTakeTurns(t *testing.T) {
	inFakeTime(t, func(t *testing.T, ctx context.Context, n *fakeNode, g *Gateway) {
		for range greetings {
			g.greeting <- struct{}{}
		}
		link, _, done := hold(t, ctx, g, n)
		time.Sleep(2 * greetLimit)
		synctest.Wait()
		reg, _ := g.registry.get(n.nodeID())
		if isDone(link.Done()) || isDone(done) || g.registry.online(reg) {
			t.Fatal("a link did not wait for its greeting")
		}
		<-g.greeting
		synctest.Wait()
		if !g.registry.online(reg) || len(g.greeting) != greetings-1 {
			t.Error("a link was not greeted when it was its turn, or kept the turn")
		}
	})
}

// Nodes that do not answer the hello keep others waiting for a moment only.
func TestSilentNodeGivesItsTurnUp(t *testing.T) {
	inFakeTime(t, func(t *testing.T, ctx context.Context, n *fakeNode, g *Gateway) {
		g.greeting = make(chan struct{}, 1)
		silent := enrolled(t, g)
		silent.handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		hold(t, ctx, g, silent)
		synctest.Wait()
		hold(t, ctx, g, n)
		synctest.Wait()
		reg, _ := g.registry.get(n.nodeID())
		if g.registry.online(reg) {
			t.Error("a node was greeted before its turn")
		}
		time.Sleep(greetTurn)
		synctest.Wait()
		if !g.registry.online(reg) || len(g.greeting) != 0 {
			t.Errorf("a node still waits for its turn, or has it: %d", len(g.greeting))
		}
		time.Sleep(helloLimit)
		synctest.Wait()
		if len(g.greeting) != 0 {
			t.Error("a turn was taken back twice")
		}
	})
}

func TestUnknownNodeGetsNoLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, stranger := newFakeNode(t, "n"), newFakeNode(t, "stranger")
		g := newHolder(t, n)
		link, conn := memlink.New(g.cfg.Identity.Public(), stranger.id.Public())
		served := make(chan error, 1)
		go func() { served <- conn.Serve(t.Context(), stranger.handler) }()
		holdOut(t.Context(), g, link)
		if err := <-served; !errors.Is(err, problem.NodeUnknown.Error()) {
			t.Errorf("the node hears %v, want node-unknown", err)
		}
	})
}

func TestScannersFollowEvents(t *testing.T) {
	inFakeTime(t, func(t *testing.T, ctx context.Context, n *fakeNode, g *Gateway) {
		reg, _ := g.registry.get(n.nodeID())
		_, conn, _ := hold(t, ctx, g, n)
		synctest.Wait()
		page := func() []scan.Scanner {
			list, _, _ := g.registry.scannerPage("", 200)
			return list
		}
		if got := page(); len(got) != 1 || got[0].Name != "Flatbed" || got[0].Status.State != scan.ScannerIdle {
			t.Fatalf("after the snapshot: %+v, want the flatbed", got)
		}

		adf, foreign := n.scanner("ADF"), newFakeNode(t, "other").scanner("Not mine")
		n.tell(scan.Event{Type: scan.EventDeviceState, Scanner: &adf})
		n.tell(scan.Event{Type: scan.EventDeviceState, Scanner: &foreign})
		n.tell(scan.Event{Type: scan.EventDeviceState, Scanner: &scan.Scanner{ID: "nonsense"}})
		n.tell(scan.Event{Type: "of-a-later-version"})
		before := g.events.head()
		synctest.Wait()
		if got := page(); len(got) != 2 {
			t.Fatalf("after news of another scanner: %+v, want two, none of another node's", got)
		}
		told, _, err := g.events.after(before)
		if last := len(told) - 1; err != nil || last < 0 || told[last].Node == nil || told[last].Node.Scanners != 2 {
			t.Errorf("after news of another scanner the gateway tells %+v, %v, want at last of a node with two scanners", told, err)
		}
		n.tell(scan.Event{Type: scan.EventDeviceGone, Scanner: &n.scanners[0]})
		synctest.Wait()
		if got := page(); len(got) != 1 || got[0].ID != adf.ID {
			t.Fatalf("after one has gone: %+v, want the ADF", got)
		}

		conn.Close()
		synctest.Wait()
		got := page()
		if len(got) != 1 || got[0].Status.State != scan.ScannerOffline || got[0].Status.Feeder != scan.FeederNone {
			t.Fatalf("without a link: %+v, want the ADF, offline", got)
		}
		n.mu.Lock()
		n.scanners, n.news = []scan.Scanner{n.scanner("New")}, nil
		n.mu.Unlock()
		hold(t, ctx, g, n)
		synctest.Wait()
		if got := page(); len(got) != 1 || got[0].Name != "New" {
			t.Errorf("after a restart of the node with another scanner: %+v, want only that one", got)
		}
		if got := len(reg.scanners); got != 1 {
			t.Errorf("%d scanners are remembered, want 1", got)
		}
	})
}

func TestScannerLimit(t *testing.T) {
	n := newFakeNode(t, "n")
	g := newHolder(t, n)
	reg, _ := g.registry.get(n.nodeID())
	h := &held{}
	reg.link = h
	for i := range maxScanners + 10 {
		g.registry.putScanner(reg, h, n.scanner(strings.Repeat("x", i)))
	}
	if got := len(reg.scanners); got != maxScanners {
		t.Errorf("%d scanners of one node are remembered, want %d", got, maxScanners)
	}
	if g.registry.putScanner(reg, &held{}, n.scanner("x")) {
		t.Error("a link that takes no requests changed the scanners")
	}
}

func TestLineReader(t *testing.T) {
	long := strings.Repeat("x", maxEvent-eventBuffer)
	lines := lineReader{bufio.NewReaderSize(strings.NewReader("a\n\n"+long+"\nb\nrest"), eventBuffer), nil}
	for _, want := range []string{"a\n", "\n", long + "\n", "b\n"} {
		if got, err := lines.next(); err != nil || string(got) != want {
			t.Errorf("next = %.20q (%d bytes), %v, want %.20q", got, len(got), err, want)
		}
	}
	if _, err := lines.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a line without its end: %v, want unexpected EOF", err)
	}
	lines = lineReader{bufio.NewReaderSize(strings.NewReader(strings.Repeat("x", 2*maxEvent)), eventBuffer), nil}
	if _, err := lines.next(); !errors.Is(err, errLongLine) {
		t.Errorf("a line beyond the limit: %v, want errLongLine", err)
	}
}

// Whoever brings a link hears when the node has answered the hello, or did not.
func TestAddLinkWaitsForTheHello(t *testing.T) {
	for name, want := range map[string]time.Duration{"an answer": time.Second, "none": helloLimit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newFakeNode(t, "n")
				g := newHolder(t, n)
				g.links, g.cfg.DrainTime = make(chan arrival), time.Second
				g.ending, g.end = context.WithCancel(t.Context())
				g.stopping = g.ending.Done()
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() { defer close(ended); g.serveLinks(ctx) }()
				n.on(http.MethodPost, "/link/hello", func(w http.ResponseWriter, r *http.Request) error {
					time.Sleep(want)
					return problem.VersionNotSpoken.Error()
				})
				link, conn := memlink.New(g.cfg.Identity.Public(), n.id.Public())
				go conn.Serve(t.Context(), n.handler)
				began := time.Now()
				g.AddLink(link)
				if took := time.Since(began); took != want {
					t.Errorf("AddLink took %v, want %v", took, want)
				}
				cancel()
				<-ended
			})
		})
	}
}
