package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestDrainNode(t *testing.T) {
	w := newWorld(t)
	admin, user := w.signIn(api.RoleAdmin), w.signIn(api.RoleUser)
	n := w.newNode("n")
	path := "/api/v1/nodes/" + n.nodeID()
	submit := func() *http.Response {
		r := w.newRequest(user, http.MethodPost, "/api/v1/scanners/"+n.scannerID()+"/jobs", scan.JobRequest{})
		r.Header.Set(headerIdempotency, scan.RandomText(20))
		return w.send(r)
	}
	var node scan.Node
	w.do(admin, http.MethodPatch, path, api.NodeEdit{Draining: new(true)}, http.StatusOK, &node)
	if node.State != scan.NodeDraining || !node.Draining {
		t.Errorf("drained: %+v, want state draining", node)
	}
	check := func(when string) {
		t.Helper()
		before := n.requests()
		if answer := submit(); answer.StatusCode != problem.NodeDraining.Status() {
			t.Errorf("%s: a job on a draining node: status %d", when, answer.StatusCode)
		}
		if n.requests() != before {
			t.Errorf("%s: a draining node was asked for a job", when)
		}
		w.do(user, http.MethodGet, "/api/v1/jobs", nil, http.StatusOK, nil)
		w.do(user, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil, http.StatusOK, nil)
	}
	check("drained")
	w.stop()
	w.start()
	w.connect(n)
	check("after a restart")
	node = scan.Node{}
	w.do(admin, http.MethodPatch, path, api.NodeEdit{Draining: new(false)}, http.StatusOK, &node)
	if node.State != scan.NodeOnline || node.Draining {
		t.Errorf("no longer drained: %+v", node)
	}
	if answer := submit(); answer.StatusCode != http.StatusCreated {
		t.Errorf("a job after that: status %d", answer.StatusCode)
	}
}

func TestLabels(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(api.RoleAdmin)
	var token api.JoinToken
	w.do(admin, http.MethodPost, "/api/v1/join-tokens", api.JoinTokenRequest{Labels: []string{"floor-2", "colour", "floor-2"}}, http.StatusCreated, &token)
	n := newFakeNode(t, "n")
	var node scan.Node
	if answer := w.askToJoin(n.id.Public(), "n", token.Token); json.Unmarshal(answer.Body.Bytes(), &node) != nil || !slices.Equal(node.Labels, []string{"colour", "floor-2"}) {
		t.Errorf("joined: %s, want the token's labels", answer.Body)
	}
	path := "/api/v1/nodes/" + n.nodeID()
	edit := func(labels ...string) api.NodeEdit { return api.NodeEdit{Labels: &labels} }
	w.do(admin, http.MethodPatch, path, edit("b", "a", "b"), http.StatusOK, &node)
	if !slices.Equal(node.Labels, []string{"a", "b"}) || node.Name != "n" {
		t.Errorf("edited: %+v, want labels a and b and the name as it was", node)
	}
	w.do(admin, http.MethodPatch, path, api.NodeEdit{Name: "m"}, http.StatusOK, &node)
	if !slices.Equal(node.Labels, []string{"a", "b"}) || node.Name != "m" {
		t.Errorf("renamed: %+v, want the labels as they were", node)
	}
	many := make([]string, maxLabels+1)
	for i := range many {
		many[i] = strings.Repeat("x", i+1)
	}
	for _, bad := range [][]string{{""}, {" "}, {"a\nb"}, {strings.Repeat("é", maxLabel+1)}, many} {
		w.refused(admin, http.MethodPatch, path, edit(bad...), problem.InvalidJSON)
		w.refused(admin, http.MethodPost, "/api/v1/join-tokens", api.JoinTokenRequest{Labels: bad}, problem.InvalidJSON)
	}
	node = scan.Node{}
	w.do(admin, http.MethodPatch, path, api.NodeEdit{Labels: &[]string{}}, http.StatusOK, &node)
	if len(node.Labels) != 0 {
		t.Errorf("labels = %v, want none", node.Labels)
	}
}

func TestNodeLeaves(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(api.RoleAdmin)
	n := w.newNode("n")
	leave := func() problem.Code {
		return accesstest.Code(w.nodeAsks(n.id.Public(), http.MethodPost, "/api/v1/node/leave", nil))
	}
	link := w.g.registry.linksOf(mustGet(t, w, n))[0]
	if code := leave(); code != "" {
		t.Fatalf("leaving: %q", code)
	}
	<-link.Done()
	if code := leave(); code != problem.NodeUnknown {
		t.Errorf("leaving twice: %q, want node-unknown", code)
	}
	w.refused(admin, http.MethodGet, "/api/v1/nodes/"+n.nodeID(), nil, problem.NotFound)
	w.refused(admin, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil, problem.NotFound)
	n.mu.Lock()
	n.sequence = 0 // it has forgotten the gateway
	n.mu.Unlock()
	w.join(n)
	w.connect(n)
	w.do(admin, http.MethodDelete, "/api/v1/nodes/"+n.nodeID(), nil, http.StatusNoContent, nil)
	if code := leave(); code != problem.NodeRevoked {
		t.Errorf("a revoked node leaves: %q, want node-revoked", code)
	}
	w.stop()
	w.start()
	if code := problem.From(w.g.LinkAllowed(n.id.Public())).Code; code != problem.NodeRevoked {
		t.Errorf("after a restart: %q, want node-revoked", code)
	}
}

// revokeLimit is the promise: so long after the word a revoked node is cut off, at every
// gateway on the same state.
const revokeLimit = 5 * time.Second

// second is another gateway on the same state.
func (w *world) second(t *testing.T) (g *Gateway, client func(token, path string) *http.Response) {
	t.Helper()
	g, err := New(Config{Identity: w.id, Name: "Second", Version: "0.0.1", State: w.g.cfg.State, Now: w.clock.Now, Addresses: w.g.cfg.Addresses})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx) }()
	server := httptest.NewTLSServer(g.Handler())
	stopped := w.stop
	w.stop = func() { cancel(); <-served; server.Client().CloseIdleConnections(); server.Close(); stopped() }
	return g, func(token, path string) *http.Response {
		r := w.newRequest(token, http.MethodGet, path, nil)
		r.URL.Host = server.Listener.Addr().String()
		r.Host = r.URL.Host
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		return answer
	}
}

func TestRevokedAtAnotherGateway(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(api.RoleAdmin)
	other, get := w.second(t)
	n := w.joined("n")
	eventually(t, "the second gateway knows the node", func() bool { return other.LinkAllowed(n.id.Public()) == nil })
	job := n.addJobs(time.Now(), 1)[0]
	growing := make(chan struct{})
	n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "image/jpeg")
		for {
			if _, err := w.Write(bytes.Repeat([]byte("x"), 4<<10)); err != nil {
				return err
			}
			http.NewResponseController(w).Flush()
			select {
			case growing <- struct{}{}:
			case <-r.Context().Done():
				return r.Context().Err()
			}
		}
	})
	link, served := w.dial(n)
	other.AddLink(link)
	eventually(t, "the node is online at the second gateway", func() bool {
		reg, ok := other.registry.get(n.nodeID())
		return ok && other.registry.online(reg)
	})
	answer := get(admin, "/api/v1/jobs/"+job+"/pages/1")
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, answer.Body); ended <- err }()
	for range 10 {
		<-growing
	}
	go func() {
		for range growing { // until the test's end the page goes on growing
		}
	}()
	defer close(growing)
	began := time.Now()
	w.do(admin, http.MethodDelete, "/api/v1/nodes/"+n.nodeID(), nil, http.StatusNoContent, nil)
	if err := <-ended; err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the growing page of a revoked node ended with %v, want it to break off", err)
	}
	if err := <-served; !errors.Is(err, problem.NodeRevoked.Error()) {
		t.Errorf("the node hears %v, want node-revoked", err)
	}
	if took := time.Since(began); took > revokeLimit {
		t.Errorf("it took %v, want at most %v", took, revokeLimit)
	}
	if code := problem.From(other.LinkAllowed(n.id.Public())).Code; code != problem.NodeRevoked {
		t.Errorf("LinkAllowed = %q, want node-revoked", code)
	}
}

// The node goes by the gateway's clock, also where both are a day apart.
func TestClockADayOff(t *testing.T) {
	w := newWorld(t)
	w.clock.Advance(24 * time.Hour)
	n := w.newNode("n")
	w.do(w.signIn(api.RoleUser), http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil, http.StatusOK, nil)
}

// Who may not see a scanner finds it nowhere; the node is told what the others may.
func TestPermissions(t *testing.T) {
	w := newWorld(t)
	admin, operator, user := w.signIn(api.RoleAdmin), w.signIn(api.RoleOperator), w.signIn(api.RoleUser)
	open, closed := w.newNode("open"), w.newNode("closed")
	for n, label := range map[*fakeNode]string{open: "hall", closed: "cellar"} {
		w.do(admin, http.MethodPatch, "/api/v1/nodes/"+n.nodeID(), api.NodeEdit{Labels: &[]string{label}}, http.StatusOK, nil)
	}
	var made api.Permission
	w.do(admin, http.MethodPost, "/api/v1/permissions", map[string]any{
		"role": "operator", "label": "cellar", "actions": []string{"see"},
	}, http.StatusCreated, &made)

	list := func(token string) map[string][]scan.Action {
		var list api.ScannerList
		w.do(token, http.MethodGet, "/api/v1/scanners?limit=1", nil, http.StatusOK, &list)
		all := map[string][]scan.Action{}
		for {
			for _, s := range list.Items {
				all[s.ID] = s.May
			}
			if list.Next == "" {
				return all
			}
			next := list.Next
			list = api.ScannerList{}
			w.do(token, http.MethodGet, "/api/v1/scanners?limit=1&cursor="+next, nil, http.StatusOK, &list)
		}
	}
	sees := func(token, id string) []scan.Action { return list(token)[id] }
	// Permissions are remembered for a moment.
	eventually(t, "the user sees the open scanner alone", func() bool {
		all := list(user)
		return len(all) == 1 && slices.Equal(all[open.scannerID()], []scan.Action{scan.See, scan.Use})
	})
	if got := sees(operator, closed.scannerID()); !slices.Equal(got, []scan.Action{scan.See}) {
		t.Errorf("the operator may %v with the scanner in the cellar, want see alone", got)
	}
	if got := sees(admin, closed.scannerID()); !slices.Equal(got, scan.Actions) {
		t.Errorf("the administrator may %v, want everything", got)
	}

	w.refused(user, http.MethodGet, "/api/v1/scanners/"+closed.scannerID(), nil, problem.NotFound)
	w.refused(operator, http.MethodPatch, "/api/v1/scanners/"+closed.scannerID(), map[string]any{"hold": true}, problem.PermissionDenied)
	r := w.newRequest(operator, http.MethodPost, "/api/v1/scanners/"+closed.scannerID()+"/jobs", scan.JobRequest{})
	r.Header.Set(headerIdempotency, scan.RandomText(20))
	if answer := w.send(r); answer.StatusCode != http.StatusForbidden {
		t.Errorf("a job by who may only see: status %d, want 403", answer.StatusCode)
	}
	w.do(operator, http.MethodGet, "/api/v1/scanners/"+closed.scannerID(), nil, http.StatusOK, nil)
	if got := closed.lastCaller().Actions; !slices.Equal(got, []scan.Action{scan.See}) {
		t.Errorf("the grant permits %v, want see alone", got)
	}
	w.do(user, http.MethodGet, "/api/v1/scanners/"+open.scannerID(), nil, http.StatusOK, nil)
	if got := open.lastCaller().Actions; !slices.Equal(got, []scan.Action{scan.See, scan.Use}) {
		t.Errorf("the grant permits %v, want see and scan", got)
	}

	events := w.follow(t, user, "")
	hidden, shown := closed.scanners[0], open.scanners[0]
	hidden.Name, shown.Name = "news from the cellar", "news from the hall"
	closed.tell(scan.Event{Type: scan.EventDeviceState, Scanner: &hidden})
	eventually(t, "the gateway knows the news from the cellar", func() bool {
		list, _, _ := w.g.registry.scannerPage("", 200)
		return slices.ContainsFunc(list, func(s scan.Scanner) bool { return s.Name == hidden.Name })
	})
	open.tell(scan.Event{Type: scan.EventDeviceState, Scanner: &shown})
	if e := events.next(); e.Scanner == nil || e.Scanner.Name != shown.Name || len(e.Scanner.May) != 2 {
		t.Errorf("the user's next event is %+v, want that of the open scanner", e)
	}
}

// What changes something leaves a trace, but for what is part of reading and editing
// one's own pages.
func TestChangesAreAudited(t *testing.T) {
	w := newWorld(t)
	for _, r := range slices.Concat(w.g.listRoutes(), w.g.nodeRoutes(), w.g.joinRoutes(), w.g.passedRoutes()) {
		quiet := slices.Contains([]string{
			"POST /api/v1/documents", "PATCH /api/v1/documents/{document}", "POST /api/v1/jobs/{job}/pages/{n}/ack", "POST /api/v1/node/join/reveal",
			"POST /api/v1/node/presents", // a wish, asked for again and again: the leave is recorded
		}, r.Method+" "+r.Path)
		if changes := r.Method != http.MethodGet; changes != (r.Audit != "" || quiet) {
			t.Errorf("%s %s has the audit action %q", r.Method, r.Path, r.Audit)
		}
		managed := strings.HasPrefix(r.Path, "/api/v1/nodes") || strings.HasPrefix(r.Path, "/api/v1/join-tokens") || strings.HasPrefix(r.Path, "/api/v1/identity")
		if managed && r.Policy.ForForeignPages(access.RoadPublic) {
			t.Errorf("%s %s may be used by foreign pages", r.Method, r.Path)
		}
	}
}
