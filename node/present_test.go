package node

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// permits is a gateway that lets nodes present what it allows.
type permits struct {
	*town
	key   *identity.Identity
	asked chan []string

	mu      sync.Mutex
	allowed []string
	refusal error
}

// presenting is a town whose node has joined such a gateway, with a link.
func presenting(t *testing.T, w *town) (*permits, relay.Link) {
	t.Helper()
	key, err := identity.New()
	need(t, err)
	g := &permits{town: w, key: key, asked: make(chan []string, 100)}
	need(t, (&joined{Addresses: []string{office1}, Pin: key.Pin()}).write(w.dir))
	w.open(office1, key, g.answer)
	w.start()
	return g, w.linked(time.Minute)
}

func (g *permits) answer(w http.ResponseWriter, r *http.Request) {
	var body api.PresentRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Scanners == nil || r.Method+r.URL.Path != "POST/api/v1/node/presents" {
		g.t.Errorf("asked for %s %s with %+v, %v", r.Method, r.URL.Path, body, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refusal != nil {
		problem.Write(w, g.refusal)
	} else {
		access.WriteJSON(w, http.StatusOK, api.PresentAnswer{Allowed: g.allowed, Waiting: []string{}})
	}
	g.asked <- body.Scanners
}

func (g *permits) allow(refusal error, scanners ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refusal, g.allowed = refusal, scanners
}

// hears waits for what the node asks for, which must come within a time.
func (g *permits) hears(within time.Duration, want ...string) {
	g.t.Helper()
	select {
	case got := <-g.asked:
		if !slices.Equal(got, want) {
			g.t.Errorf("asked for %v, want %v", got, want)
		}
	case <-time.After(within):
		g.t.Fatalf("not asked within %v", within)
	}
}

func (g *permits) hearsNothing(d time.Duration) {
	g.t.Helper()
	select {
	case got := <-g.asked:
		g.t.Errorf("asked for %v, want silence", got)
	case <-time.After(d):
	}
}

// presented is what FollowPresented has said last.
type presented struct {
	mu               sync.Mutex
	allowed, waiting []string
	times            int
}

func (p *presented) see(allowed, waiting []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed, p.waiting = allowed, waiting
	p.times++
}

func (p *presented) is(t *testing.T, times int, allowed, waiting []string) {
	t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.allowed, allowed) || !slices.Equal(p.waiting, waiting) || p.times != times {
		t.Errorf("call %d: allowed %v, waiting %v, want call %d: %v, %v", p.times, p.allowed, p.waiting, times, allowed, waiting)
	}
}

// otherScanners are scanners of another node, in order.
func otherScanners(t *testing.T, n int) []string {
	t.Helper()
	id, err := identity.New()
	need(t, err)
	var list []string
	for range n {
		list = append(list, scan.NewID(id.NodeID(), scan.KindScanner))
	}
	slices.Sort(list)
	return list
}

func TestPresent(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		g, link := presenting(t, w)
		g.hearsNothing(time.Hour) // it wants nothing
		var p presented
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go w.node.FollowPresented(ctx, p.see)
		p.is(t, 1, nil, nil)
		ids := otherScanners(t, 3)
		a, b, c := ids[0], ids[1], ids[2]

		w.node.Present([]string{b, a, b, "nonsense", scan.NewID(w.node.ID(), scan.KindScanner), scan.NewID(ids[0], scan.KindJob)})
		g.hears(time.Second, a, b)
		p.is(t, 2, nil, []string{a, b})
		g.allow(nil, c, b) // c is not wanted: it cannot be given
		g.hears(presentSoon+time.Second, a, b)
		p.is(t, 3, []string{b}, []string{a})
		g.hears(presentSoon+time.Second, a, b)
		p.is(t, 3, []string{b}, []string{a})

		// What is wanted changes.
		w.node.Present([]string{a, b, c})
		g.hears(time.Second, a, b, c)
		p.is(t, 5, []string{b, c}, []string{a})
		w.node.Present([]string{c})
		g.hears(time.Second, c)
		p.is(t, 6, []string{c}, nil)

		// A link that is made anew at once may be one to a gateway that has restarted.
		link.Close("")
		link = w.linked(time.Second)
		g.hears(time.Second, c)
		p.is(t, 6, []string{c}, nil)

		// Without a link it stays as it was, and the next link hears of it at once.
		key := g.key
		w.shut(office1)
		link.Close("")
		g.hearsNothing(5 * time.Minute)
		p.is(t, 6, []string{c}, nil)
		w.open(office1, key, g.answer)
		link = w.linked(10 * time.Minute)
		g.hears(time.Second, c)

		// A gateway without time is asked again soon, one that refuses has said no.
		g.allow(problem.Unavailable.Error())
		g.hears(presentAgain+time.Second, c)
		p.is(t, 6, []string{c}, nil)
		g.hears(presentRetry+time.Second, c)
		g.allow(problem.NodeQuarantined.Error())
		g.hears(presentRetry+time.Second, c)
		p.is(t, 7, nil, []string{c})
		g.hearsNothing(presentAgain - time.Second)
		g.allow(nil, c)
		g.hears(2*time.Second, c)
		p.is(t, 8, []string{c}, nil)

		// Nothing is wanted any more: it hears that once.
		w.node.Present(nil)
		g.hears(time.Second)
		p.is(t, 9, nil, nil)
		g.hearsNothing(time.Hour)
		link.Close("")
		w.linked(time.Minute)
		g.hearsNothing(time.Hour)

		// Another gateway begins with nothing.
		w.node.Present([]string{c})
		g.hears(time.Second, c)
		p.is(t, 11, []string{c}, nil)
		need(t, w.node.uplink.remember(nil))
		p.is(t, 12, nil, []string{c})
	})
}

func TestGatewayAPI(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.start()
		client := w.node.GatewayAPI()
		if _, err := client.GetService(t.Context()); !errors.Is(err, problem.NodeOffline.Error()) {
			t.Errorf("without a gateway: %v, want node-offline", err)
		}
		serve := func(name string) (*identity.Identity, http.HandlerFunc) {
			key, err := identity.New()
			need(t, err)
			return key, func(rw http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/api/v1/service":
					if r.Header.Get("Authorization")+r.Header.Get("Cookie") != "" {
						t.Error("a node has no session")
					}
					access.WriteJSON(rw, http.StatusOK, api.Service{Name: name})
				case "/api/v1/events":
					rw.WriteHeader(http.StatusOK)
					http.NewResponseController(rw).Flush()
					time.Sleep(time.Hour)
					io.WriteString(rw, "late")
				case "/api/v1/jobs":
					rw.Header().Set("Location", "/api/v1/service")
					rw.WriteHeader(http.StatusFound)
				default:
					problem.Write(rw, problem.New(problem.QueueFull, "%s", name).After(7*time.Second))
				}
			}
		}
		join := func(address string, key *identity.Identity) {
			need(t, w.node.uplink.remember(&joined{Addresses: []string{address}, Pin: key.Pin()}))
		}
		name := func() string {
			t.Helper()
			answer, err := client.GetService(t.Context())
			need(t, err)
			return jsonOf[api.Service](t, answer, http.StatusOK).Name
		}
		key, one := serve("one")
		w.open(office1, key, one)
		join(office1, key)
		<-w.links
		synctest.Wait()
		if got := name() + name(); got != "oneone" {
			t.Errorf("answers %s", got)
		}
		// A problem comes as the gateway wrote it, and a redirect is not followed.
		answer, err := client.GetScanner(t.Context(), "x")
		need(t, err)
		said, err := io.ReadAll(answer.Body)
		need(t, err)
		var p problem.Error
		need(t, json.Unmarshal(said, &p))
		if answer.StatusCode != problem.QueueFull.Status() || answer.Header.Get("Content-Type") != problem.MediaType ||
			answer.Header.Get("Retry-After") != "7" || p.Code != problem.QueueFull || p.Detail != "one" {
			t.Errorf("problem: %d %v %s", answer.StatusCode, answer.Header, said)
		}
		if answer, err = client.ListJobs(t.Context(), nil); err != nil || answer.StatusCode != http.StatusFound {
			t.Errorf("a redirect: %v, %v", answer, err)
		}
		// Events come for as long as they come.
		answer, err = client.GetEvents(t.Context(), nil)
		need(t, err)
		if late, err := io.ReadAll(answer.Body); err != nil || string(late) != "late" {
			t.Errorf("events: %q, %v", late, err)
		}
		// Another gateway, at another address and with another key.
		other, two := serve("two")
		w.open(office2, other, two)
		join(office2, other)
		if got := name(); got != "two" {
			t.Errorf("answered by %s, want the gateway that is joined now", got)
		}
		join(office1, key)
		if got := name(); got != "one" {
			t.Errorf("answered by %s", got)
		}
		// Somebody else at its address is not asked.
		w.shut(office1)
		w.open(office1, other, two)
		if _, err := client.GetService(t.Context()); !errors.Is(err, problem.NodeOffline.Error()) {
			t.Errorf("with a stranger at its address: %v, want node-offline", err)
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := client.GetService(canceled); !errors.Is(err, context.Canceled) || errors.Is(err, problem.NodeOffline.Error()) {
			t.Errorf("canceled: %v", err)
		}
	})
}
