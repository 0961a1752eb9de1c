package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/front"
	"github.com/platen-scan/platen/relay/h2link"
	"github.com/platen-scan/platen/relay/h3link"
)

// presenter is a node that asks the gateway for others' scanners by its key alone. What
// it is answered is checked against the API document.
type presenter struct {
	*fakeNode
	w *world
}

func newPresenter(w *world, scanners ...string) presenter {
	p := presenter{newFakeNode(w.t, "Branch"), w}
	w.join(p.fakeNode)
	w.present(p.fakeNode, scanners...)
	return p
}

func (p presenter) asks(method, path, body string, header ...string) *httptest.ResponseRecorder {
	p.t.Helper()
	r := accesstest.NewRequest(access.RoadNode, method, path, body)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return accesstest.Do(accesstest.Validate(p.t, p.w.g.NodeHandler()), r.WithContext(relay.WithPeerKey(r.Context(), p.id.Public())))
}

func TestPresenterScans(t *testing.T) {
	w := newWorld(t)
	owner := w.newNode("Office")
	p := newPresenter(w, owner.scannerID())
	scanner := v1 + "/scanners/" + owner.scannerID()
	want := access.Caller{Subject: "gw-" + w.id.Pin()[:12] + ":node:" + p.nodeID(), Session: "gw-node:" + p.nodeID(), Name: "Branch", Role: api.RoleKiosk}

	if a := p.asks(http.MethodGet, scanner, ""); a.Code != http.StatusOK {
		t.Fatalf("GET of the scanner: status %d, %s", a.Code, a.Body)
	}
	got := owner.lastCaller()
	if got.Subject != want.Subject || got.Session != want.Session || got.Name != want.Name || got.Role != want.Role || got.Origin != "" {
		t.Errorf("the owner takes the node for %+v, want %+v", got, want)
	}
	if !slices.Equal(got.Actions, []scan.Action{scan.See, scan.Use}) {
		t.Errorf("the grant is for %v, want see and scan", got.Actions)
	}
	a := p.asks(http.MethodPost, scanner+"/jobs", `{"settings":{}}`, headerIdempotency, "0123456789abcdef")
	if a.Code != http.StatusCreated {
		t.Fatalf("POST of a job: status %d, %s", a.Code, a.Body)
	}
	if got := owner.lastCaller(); got.Subject != want.Subject {
		t.Errorf("the job belongs to %q, want %q", got.Subject, want.Subject)
	}
	job := a.Header().Get("Location")
	for _, path := range []string{job, job + "/cancel", job + "/finish"} {
		method := http.MethodPost
		if path == job {
			method = http.MethodGet
		}
		if a := p.asks(method, path, ""); a.Code != http.StatusOK {
			t.Errorf("%s %s: status %d, %s", method, path, a.Code, a.Body)
		}
	}
	before := owner.requests()
	p.asks(http.MethodGet, job, "")
	if n := owner.requests() - before; n != 1 {
		t.Errorf("one look at a known job asks its node %d times, want once", n)
	}
	w.do(w.signIn(api.RoleAdmin), http.MethodPost, "/api/v1/permissions",
		api.PermissionRequest{Role: api.RoleOperator, Node: owner.nodeID(), Actions: []scan.Action{scan.See}}, http.StatusCreated, nil)
	if a := p.asks(http.MethodGet, scanner, ""); a.Code != http.StatusOK {
		t.Errorf("a permission for people took the scanner from the node: status %d, %s", a.Code, a.Body)
	}
}

// What a node may is one scanner. All else of the same owner is not there.
func TestPresenterReachesNothingElse(t *testing.T) {
	w := newWorld(t)
	owner := w.newNode("Office")
	p := newPresenter(w, owner.scannerID())
	other := owner.scanner("Feeder")
	mine, others := scan.NewID(owner.nodeID(), scan.KindJob), scan.NewID(owner.nodeID(), scan.KindJob)
	document, mixed := scan.NewID(owner.nodeID(), scan.KindDocument), scan.NewID(owner.nodeID(), scan.KindDocument)
	owner.mu.Lock()
	owner.scanners = append(owner.scanners, other)
	owner.jobs = []scan.Job{{ID: mine, Scanner: owner.scanners[0].ID, Node: owner.nodeID()}, {ID: others, Scanner: other.ID, Node: owner.nodeID()}}
	owner.documents = []scan.Document{
		{ID: document, Node: owner.nodeID(), Pages: []scan.DocumentPage{{Job: mine}, {Job: mine}}},
		{ID: mixed, Node: owner.nodeID(), Pages: []scan.DocumentPage{{Job: mine}, {Job: others}}},
	}
	owner.mu.Unlock()
	raw := func(method, path string) problem.Code { // the fake's jobs are not as in the API document
		return accesstest.Code(w.nodeAsks(p.id.Public(), method, path, nil))
	}
	for _, tt := range []struct {
		method, path string
		want         problem.Code
	}{
		{http.MethodGet, "/jobs/" + mine, ""},
		{http.MethodGet, "/documents/" + document, ""},
		{http.MethodDelete, "/documents/" + document, ""},
		{http.MethodGet, "/scanners/" + other.ID, problem.NotFound},
		{http.MethodGet, "/scanners/" + other.ID + "/capabilities", problem.NotFound},
		{http.MethodGet, "/jobs/" + others, problem.NotFound},
		{http.MethodDelete, "/jobs/" + others, problem.NotFound},
		{http.MethodPost, "/jobs/" + others + "/cancel", problem.NotFound},
		{http.MethodGet, "/jobs/" + others + "/events", problem.NotFound},
		{http.MethodGet, "/jobs/" + others + "/pages/1", problem.NotFound},
		{http.MethodGet, "/documents/" + mixed, problem.NotFound},
		{http.MethodGet, "/documents/" + mixed + "/content", problem.NotFound},
		{http.MethodGet, "/jobs/" + scan.NewID(owner.nodeID(), scan.KindJob), problem.NotFound},
		{http.MethodGet, "/jobs/" + scan.NewID(p.nodeID(), scan.KindJob), problem.NodeOffline},
		{http.MethodGet, "/scanners", problem.NotFound},
		{http.MethodGet, "/jobs", problem.NotFound},
		{http.MethodGet, "/documents", problem.NotFound},
		{http.MethodGet, "/events", problem.NotFound},
		{http.MethodGet, "/nodes", problem.NotFound},
		{http.MethodGet, "/service", problem.NotFound},
		{http.MethodGet, "/scanners/" + owner.scannerID() + "/sticker", problem.NotFound},
		{http.MethodPatch, "/scanners/" + owner.scannerID(), problem.MethodNotAllowed},
		{http.MethodPost, "/jobs/" + mine + "/release", problem.NotFound},
		{http.MethodPost, "/jobs/" + mine + "/resume", problem.NotFound},
	} {
		if got := raw(tt.method, v1+tt.path); got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.method, tt.path, got, tt.want)
		}
	}
	w.present(p.fakeNode)
	for _, path := range []string{"/scanners/" + owner.scannerID(), "/jobs/" + mine, "/documents/" + document} {
		if got := raw(http.MethodGet, v1+path); got != problem.NotFound {
			t.Errorf("GET %s after withdrawal: %q, want not-found", path, got)
		}
	}
}

// A node that lies about its jobs' scanners gets nobody at the scanners of another one.
func TestOwnerCannotNameOthersScanners(t *testing.T) {
	w := newWorld(t)
	owner, liar := w.newNode("Office"), w.newNode("Liar")
	p := newPresenter(w, owner.scannerID())
	job := scan.NewID(liar.nodeID(), scan.KindJob)
	liar.mu.Lock()
	liar.jobs = []scan.Job{{ID: job, Scanner: owner.scannerID(), Node: liar.nodeID()}}
	liar.mu.Unlock()
	if got := accesstest.Code(w.nodeAsks(p.id.Public(), http.MethodGet, v1+"/jobs/"+job, nil)); got != problem.Internal {
		t.Errorf("a job that its node says is another's: %q, want internal", got)
	}
}

func TestScannersOfJobsAreBounded(t *testing.T) {
	s := newScannersOfJobs()
	for i := range 3 * maxJobsKnown {
		s.put(fmt.Sprint(i), "x")
	}
	if len(s.jobs) > maxJobsKnown {
		t.Errorf("%d jobs are remembered, want at most %d", len(s.jobs), maxJobsKnown)
	}
	if _, ok := s.get(fmt.Sprint(3*maxJobsKnown - 1)); !ok {
		t.Error("the last one is forgotten")
	}
}

// openPort serves the gateway on a port of its own, as a command does, and answers the
// client of a node.
func (w *world) openPort(node *identity.Identity) *http.Client {
	w.t.Helper()
	port, err := front.New(front.Config{
		Addr: "127.0.0.1:0", Identity: w.id, StatelessResetKey: [32]byte{1},
		Certificate:    func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") },
		BrowserHandler: w.g.Handler(), NodeHandler: w.g.NodeHandler(), LinkAllowed: w.g.LinkAllowed, OnLink: w.g.AddLink,
		QUIC: h3link.ServerConfig(), QUICLink: h3link.Accept, TCPLink: h2link.Accept, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := port.Listen(); err != nil {
		w.t.Fatal(err)
	}
	client, err := relay.NodeClient(relay.Target{Addr: port.Addr().String(), Pin: w.id.Pin(), Identity: node})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- port.Serve(ctx) }()
	w.t.Cleanup(func() {
		client.CloseIdleConnections()
		cancel()
		if err := <-served; err != nil {
			w.t.Errorf("Serve = %v, want nil", err)
		}
	})
	return client
}

// stayOpen makes the owner's events and pages begin and go on until somebody ends them.
func (n *fakeNode) stayOpen(kind string) access.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", kind)
		io.WriteString(w, "id: 1\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return r.Context().Err()
	}
}

// Over the wire: a node's requests and streams pass by its key, and what it has under way
// ends when it may not any more.
func TestPresenterOverTheWire(t *testing.T) {
	const enough = 5 * time.Second
	for _, tt := range []struct {
		name string
		end  func(w *world, p presenter, owner *fakeNode)
		then problem.Code
	}{
		{"withdrawn", func(w *world, p presenter, _ *fakeNode) { w.present(p.fakeNode) }, problem.NotFound},
		{"another in its place", func(w *world, p presenter, owner *fakeNode) { w.present(p.fakeNode, owner.scanner("Feeder").ID) }, problem.NotFound},
		{"revoked", func(w *world, p presenter, _ *fakeNode) {
			w.do(w.signIn(api.RoleAdmin), http.MethodDelete, "/api/v1/nodes/"+p.nodeID(), nil, http.StatusNoContent, nil)
		}, problem.NodeRevoked},
		{"left", func(w *world, p presenter, _ *fakeNode) {
			if a := w.nodeAsks(p.id.Public(), http.MethodPost, "/api/v1/node/leave", nil); a.Code != http.StatusNoContent {
				w.t.Errorf("leaving: status %d, %s", a.Code, a.Body)
			}
		}, problem.NodeUnknown},
		{"withdrawn by another gateway", func(w *world, p presenter, _ *fakeNode) {
			record, err := w.g.cfg.State.Nodes().Get(w.t.Context(), scan.Prefix(p.nodeID()))
			if err != nil {
				w.t.Fatal(err)
			}
			record.Presents = nil
			if _, err := w.g.cfg.State.Nodes().Update(w.t.Context(), record); err != nil {
				w.t.Fatal(err)
			}
		}, problem.NotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			owner := w.newNode("Office")
			owner.on(http.MethodGet, "/jobs/{job}/events", owner.stayOpen("text/event-stream"))
			owner.on(http.MethodGet, "/jobs/{job}/pages/{n}", owner.stayOpen("image/jpeg"))
			job := v1 + "/jobs/" + owner.addJobs(time.Now(), 1)[0]
			p := newPresenter(w, owner.scannerID())
			client := w.openPort(p.id)
			get := func(path string) *http.Response {
				ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
				t.Cleanup(cancel)
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://gateway"+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := client.Do(r)
				if err != nil {
					t.Fatalf("GET %s: %v", path, err)
				}
				t.Cleanup(func() { answer.Body.Close() })
				return answer
			}
			ended := make(chan error, 2)
			for _, path := range []string{job + "/events", job + "/pages/1"} {
				answer := get(path)
				if answer.StatusCode != http.StatusOK {
					t.Fatalf("GET %s: status %d", path, answer.StatusCode)
				}
				body := bufio.NewReader(answer.Body)
				if line, err := body.ReadString('\n'); line != "id: 1\n" { // while the answer goes on
					t.Fatalf("GET %s begins with %q, %v", path, line, err)
				}
				go func() {
					_, err := io.Copy(io.Discard, body)
					ended <- err
				}()
			}
			began := time.Now()
			tt.end(w, p, owner)
			for range cap(ended) {
				select {
				case err := <-ended:
					if err == nil {
						t.Error("a stream ended as if it were whole")
					}
				case <-time.After(waitLimit):
					t.Fatal("a stream goes on")
				}
			}
			if took := time.Since(began); took > enough {
				t.Errorf("the streams ended after %v, want at most %v", took, enough)
			}
			answer := get(job + "/events")
			text, _ := io.ReadAll(answer.Body)
			if answer.StatusCode != tt.then.Status() || !strings.Contains(string(text), string(tt.then)) {
				t.Errorf("asking again: status %d, %s, want %s", answer.StatusCode, text, tt.then)
			}
		})
	}
}

// Another edit, and one more scanner, leave what is under way alone.
func TestStreamsGoOnWhereNothingIsLost(t *testing.T) {
	w := newWorld(t)
	owner := w.newNode("Office")
	owner.on(http.MethodGet, "/jobs/{job}/events", owner.stayOpen("text/event-stream"))
	job := v1 + "/jobs/" + owner.addJobs(time.Now(), 1)[0]
	p := newPresenter(w, owner.scannerID())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := accesstest.NewRequest(access.RoadNode, http.MethodGet, job+"/events", "").WithContext(relay.WithPeerKey(ctx, p.id.Public()))
	ended := make(chan struct{})
	before := owner.requests()
	go func() {
		defer close(ended)
		accesstest.Do(w.g.NodeHandler(), r)
	}()
	eventually(t, "the stream begins", func() bool { return owner.requests() > before+1 }) // after the look at the job
	w.present(p.fakeNode, owner.scannerID(), owner.scanner("Feeder").ID)
	w.do(w.signIn(api.RoleAdmin), http.MethodPatch, "/api/v1/nodes/"+p.nodeID(), api.NodeEdit{Name: "Harbour"}, http.StatusOK, nil)
	select {
	case <-ended:
		t.Error("the stream ended")
	default:
	}
	cancel()
	<-ended
}
