package node

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const adminToken = "a-token-of-the-machine-itself-0123456789"

// rig is a node on a data folder, running or not.
type rig struct {
	t       testing.TB
	dir     string
	self    *identity.Identity
	workers workers
	config  func(*Config) // changes what start uses; may be nil

	store *pagestore.Store
	node  *Node
	local http.Handler // RoadLoopback, validated against the contract
	stop  func()       // ends node and store; idempotent
}

func newRig(t testing.TB, w workers) *rig {
	t.Helper()
	self, err := identity.New()
	need(t, err)
	return &rig{t: t, dir: t.TempDir(), self: self, workers: w}
}

// start makes a node on the folder, as a new process would.
func (g *rig) start() *rig {
	g.t.Helper()
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(g.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	store, _, err := pagestore.Open(context.Background(), pagestore.Config{Dir: g.dir, NodeID: g.self.NodeID(), Log: log})
	need(g.t, err)
	hosts, err := access.NewHosts()
	need(g.t, err)
	c := Config{
		Identity: g.self, Name: "Reception", Version: "1.2.3", Location: "Hall", Store: store,
		Drivers: []string{"fake"}, Keys: g.dir, Log: log,
		Access: access.Config{Hosts: hosts, AdminToken: adminToken, Rate: 1 << 20},
	}
	if g.config != nil {
		g.config(&c)
	}
	n, err := newNode(c, g.workers)
	need(g.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Serve(ctx) }()
	g.store, g.node = store, n
	g.local = accesstest.Validate(g.t, n.Handler(access.RoadLoopback))
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			g.t.Errorf("Serve = %v, want nil", err)
		}
		if err := store.Close(); err != nil {
			g.t.Errorf("closing the store: %v", err)
		}
	})
	g.t.Cleanup(g.stop)
	<-n.Ready()
	return g
}

// found waits until the first listing is over.
func (g *rig) found() *rig {
	g.t.Helper()
	g.until("the first listing", func() bool {
		for _, f := range g.node.finders {
			if looking, _ := f.state(); looking {
				return false
			}
		}
		return true
	})
	return g
}

// until waits for a condition; tests of the clock use a fake one, so this never waits long.
func (g *rig) until(what string, ok func() bool) {
	g.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			g.t.Fatalf("waited too long for %s", what)
		}
		time.Sleep(time.Millisecond) // between looks at what has no channel to wait for
	}
}

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
}

// ask sends a request of the machine's own user.
func (g *rig) ask(method, path, body string, header ...string) answer {
	g.t.Helper()
	r := accesstest.NewRequest(access.RoadLoopback, method, path, body)
	r.Header.Set("Authorization", "Bearer "+adminToken)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return answer{accesstest.Do(g.local, r)}
}

// get decodes a good answer.
func get[T any](g *rig, path string) T {
	g.t.Helper()
	return decode[T](g.t, g.ask(http.MethodGet, path, ""), http.StatusOK)
}

func decode[T any](t testing.TB, a answer, status int) T {
	t.Helper()
	var v T
	if a.Code != status {
		t.Fatalf("status %d, want %d: %s", a.Code, status, a.Body)
	}
	need(t, json.Unmarshal(a.Body.Bytes(), &v))
	return v
}

// wants checks for a problem.
func (a answer) wants(t testing.TB, code problem.Code, field string) {
	t.Helper()
	var e problem.Error
	if a.Header().Get("Content-Type") != problem.MediaType {
		t.Errorf("status %d, %q, want problem %s", a.Code, a.Body, code)
		return
	}
	need(t, json.Unmarshal(a.Body.Bytes(), &e))
	if e.Code != code || e.Field != field || a.Code != code.Status() {
		t.Errorf("status %d, problem %s, field %q, want %s, field %q (%s)", a.Code, e.Code, e.Field, code, field, e.Detail)
	}
}

// settings as JSON, with the fake devices' smallest pages.
func request(source scan.Source, pages int) string {
	return fmt.Sprintf(`{"settings":{"source":%q,"resolution":75,"pages":%d}}`, source, pages)
}

var keys struct {
	sync.Mutex
	n int
}

func newKey() string {
	keys.Lock()
	defer keys.Unlock()
	keys.n++
	return fmt.Sprintf("test-key-%016d", keys.n)
}

// submit posts a job with a key of its own.
func (g *rig) submit(scanner, body string) scan.Job {
	g.t.Helper()
	a := g.ask(http.MethodPost, "/api/v1/scanners/"+scanner+"/jobs", body, "Idempotency-Key", newKey())
	return decode[scan.Job](g.t, a, http.StatusCreated)
}

func (g *rig) job(id string) scan.Job {
	g.t.Helper()
	return get[scan.Job](g, "/api/v1/jobs/"+id)
}

func (g *rig) command(id, verb string) answer {
	g.t.Helper()
	return g.ask(http.MethodPost, "/api/v1/jobs/"+id+"/"+verb, "")
}

// reaches waits until the job is in the state with these reasons.
func (g *rig) reaches(id string, state scan.JobState, reasons ...scan.Reason) scan.Job {
	g.t.Helper()
	var j scan.Job
	deadline := time.Now().Add(20 * time.Second)
	for {
		j = g.job(id)
		if j.State == state && fmt.Sprint(j.Reasons) == fmt.Sprint(reasons) {
			return j
		}
		if time.Now().After(deadline) || j.State.Terminal() {
			g.t.Fatalf("job is %s %v with %d pages, want %s %v", j.State, j.Reasons, j.Pages, state, reasons)
		}
		time.Sleep(time.Millisecond)
	}
}

// events reads a job's events until its stream ends and returns them with the answer's text.
func (g *rig) events(path string, header ...string) ([]scan.Event, answer) {
	g.t.Helper()
	a := g.ask(http.MethodGet, path, "", header...)
	return parseEvents(g.t, a.Body.String()), a
}

func parseEvents(t testing.TB, text string) []scan.Event {
	t.Helper()
	var events []scan.Event
	for line := range strings.Lines(text) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var e scan.Event
			need(t, json.Unmarshal([]byte(data), &e))
			events = append(events, e)
		}
	}
	return events
}

// words are the events in short, for comparing.
func words(events []scan.Event) []string {
	var w []string
	for _, e := range events {
		switch {
		case e.Job != nil:
			w = append(w, fmt.Sprintf("%s %s %v %d", e.Type, e.Job.State, e.Job.Reasons, e.Job.Pages))
		case e.Page != nil:
			w = append(w, fmt.Sprintf("%s %d", e.Type, e.Page.N))
		case e.Scanner != nil:
			w = append(w, fmt.Sprintf("%s %s %v", e.Type, e.Scanner.Status.State, e.Scanner.Status.Reasons))
		default:
			w = append(w, string(e.Type))
		}
	}
	return w
}

func problemOf(t testing.TB, a answer) problem.Error {
	t.Helper()
	var e problem.Error
	if a.Header().Get("Content-Type") == problem.MediaType {
		need(t, json.Unmarshal(a.Body.Bytes(), &e))
	}
	return e
}

// user signs a new device in over the LAN and returns how it asks.
func (g *rig) user(role api.Role) asker {
	g.t.Helper()
	return g.userOf(accesstest.Validate(g.t, g.node.Handler(access.RoadLAN)), access.RoadLAN, role)
}

// localUser signs somebody in on the machine itself, where jobs are not limited.
func (g *rig) localUser(role api.Role) asker {
	g.t.Helper()
	return g.userOf(g.local, access.RoadLoopback, role)
}

// asker sends a request of one session.
type asker func(method, path, body string, header ...string) answer

// userOf signs a new device in through the handler of a road.
func (g *rig) userOf(h http.Handler, road access.Road, role api.Role) asker {
	g.t.Helper()
	session := accesstest.Session(g.t, g.node.guard, h, road, role)
	return func(method, path, body string, header ...string) answer {
		g.t.Helper()
		r := accesstest.NewRequest(road, method, path, body)
		r.Header.Set("Authorization", "Bearer "+session.Token)
		r.Header.Set("Idempotency-Key", newKey())
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return answer{accesstest.Do(h, r)}
	}
}

// askPlain is the status of a GET over loopback that the document need not have.
func askPlain(h http.Handler, path, token string) int {
	r := accesstest.NewRequest(access.RoadLoopback, http.MethodGet, path, "")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return accesstest.Do(h, r).Code
}
