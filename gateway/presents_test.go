package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/audit"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const presentsPath = "/api/v1/node/presents"

// present lets a node present scanners, and nothing else.
func (w *world) present(n *fakeNode, scanners ...string) (node scan.Node) {
	w.t.Helper()
	if scanners == nil {
		scanners = []string{}
	}
	w.do(w.signIn(api.RoleAdmin), http.MethodPatch, "/api/v1/nodes/"+n.nodeID(), api.NodeEdit{Presents: &scanners}, http.StatusOK, &node)
	return node
}

// wants is what the gateway answers a node that asks to present scanners.
func (w *world) wants(n *fakeNode, scanners ...string) (answer api.PresentAnswer) {
	w.t.Helper()
	a := w.nodeAsks(n.id.Public(), http.MethodPost, presentsPath, map[string]any{"scanners": append([]string{}, scanners...), "later": true})
	if err := json.Unmarshal(a.Body.Bytes(), &answer); err != nil || a.Code != http.StatusOK {
		w.t.Fatalf("asking to present %q: status %d, %s", scanners, a.Code, a.Body)
	}
	if !strings.Contains(a.Body.String(), `"allowed":[`) || !strings.Contains(a.Body.String(), `"waiting":[`) {
		w.t.Errorf("asking to present %q: %s, want two lists", scanners, a.Body)
	}
	return answer
}

func TestPresents(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(api.RoleAdmin)
	owner := w.newNode("Office")
	branch := newFakeNode(t, "Branch")
	w.join(branch)
	known, unknown := owner.scannerID(), newFakeNode(t, "later").scannerID()
	sorted := []string{known, unknown}
	slices.Sort(sorted)
	events := w.follow(t, admin, "")
	shown := func() (node scan.Node) {
		w.do(admin, http.MethodGet, "/api/v1/nodes/"+branch.nodeID(), nil, http.StatusOK, &node)
		return node
	}

	answer := w.wants(branch, unknown, known)
	if len(answer.Allowed) != 0 || !slices.Equal(answer.Waiting, sorted) {
		t.Errorf("at first: %+v, want both to wait", answer)
	}
	if e := events.until(scan.EventNodeState); e.Node.ID != branch.nodeID() || !slices.Equal(e.Node.Wants, sorted) || len(e.Node.Presents) != 0 {
		t.Errorf("the event tells of %+v, want what the node wants", e.Node)
	}
	at := w.g.events.head()
	w.wants(branch, known, unknown)
	if w.g.events.head() != at {
		t.Error("the same wish again made an event")
	}
	if n := shown(); !slices.Equal(n.Wants, sorted) {
		t.Errorf("GET = %+v, want what it wants", n)
	}

	if n := w.present(branch, known); !slices.Equal(n.Presents, []string{known}) || !slices.Equal(n.Wants, []string{unknown}) {
		t.Errorf("after PATCH: presents %q, wants %q", n.Presents, n.Wants)
	}
	if e := events.until(scan.EventNodeState); !slices.Equal(e.Node.Presents, []string{known}) || !slices.Equal(e.Node.Wants, []string{unknown}) {
		t.Errorf("the event tells of %+v, want what the node may", e.Node)
	}
	if answer := w.wants(branch, known, unknown); !slices.Equal(answer.Allowed, []string{known}) || !slices.Equal(answer.Waiting, []string{unknown}) {
		t.Errorf("once it was allowed: %+v", answer)
	}
	w.do(admin, http.MethodPatch, "/api/v1/nodes/"+branch.nodeID(), api.NodeEdit{Name: "Harbour"}, http.StatusOK, nil)
	if n := shown(); n.Name != "Harbour" || !slices.Equal(n.Presents, []string{known}) {
		t.Errorf("another edit made of it %+v", n)
	}
	if w.wants(branch); len(shown().Wants) != 0 {
		t.Errorf("it wants nothing any more, and is shown with %q", shown().Wants)
	}
	if n := w.present(branch); len(n.Presents) != 0 || len(n.Wants) != 0 {
		t.Errorf("after withdrawal: %+v", n)
	}

	w.wants(branch, known)
	w.present(branch, known, unknown)
	w.stop()
	w.start()
	if n := shown(); !slices.Equal(n.Presents, sorted) || len(n.Wants) != 0 {
		t.Errorf("after a restart: presents %q, wants %q", n.Presents, n.Wants)
	}
	w.present(branch)
	w.wants(branch, known)
	w.do(admin, http.MethodDelete, "/api/v1/nodes/"+branch.nodeID(), nil, http.StatusNoContent, nil)
	if n := shown(); n.State != scan.NodeRevoked || len(n.Wants) != 0 {
		t.Errorf("after revocation: %+v, want nothing to allow", n)
	}
}

func TestPresentsRefused(t *testing.T) {
	w := newWorld(t)
	admin, operator := w.signIn(api.RoleAdmin), w.signIn(api.RoleOperator)
	branch := newFakeNode(t, "Branch")
	w.join(branch)
	other := newFakeNode(t, "Office")
	good := other.scannerID()
	var many []string
	for range maxPresents + 1 {
		many = append(many, scan.NewID(other.nodeID(), scan.KindScanner))
	}
	for _, tt := range []struct {
		name     string
		scanners []string
		want     problem.Code
	}{
		{"too many", many, problem.InvalidJSON},
		{"one twice", []string{good, good}, problem.InvalidJSON},
		{"its own", []string{good, branch.scannerID()}, problem.InvalidJSON},
		{"no ID", []string{good, "x"}, problem.BadID},
		{"nothing", []string{""}, problem.BadID},
		{"a job", []string{scan.NewID(other.nodeID(), scan.KindJob)}, problem.BadID},
		{"upper case", []string{strings.ToUpper(good)}, problem.BadID},
	} {
		before := w.dump()
		if got := accesstest.Code(w.nodeAsks(branch.id.Public(), http.MethodPost, presentsPath, map[string]any{"scanners": tt.scanners})); got != tt.want {
			t.Errorf("%s: the node is answered %q, want %q", tt.name, got, tt.want)
		}
		p := w.refused(admin, http.MethodPatch, "/api/v1/nodes/"+branch.nodeID(), api.NodeEdit{Presents: &tt.scanners}, tt.want)
		if p.Field != "presents" {
			t.Errorf("%s: the problem is at %q, want presents", tt.name, p.Field)
		}
		if w.dump() != before {
			t.Errorf("%s changed something", tt.name)
		}
	}
	w.refused(operator, http.MethodPatch, "/api/v1/nodes/"+branch.nodeID(), api.NodeEdit{Presents: &[]string{good}}, problem.PermissionDenied)
	ask := map[string]any{"scanners": []string{good}}
	if code := accesstest.Code(w.nodeAsks(other.id.Public(), http.MethodPost, presentsPath, ask)); code != problem.NodeUnknown {
		t.Errorf("a node that is not enrolled: %q, want node-unknown", code)
	}
	w.do(admin, http.MethodDelete, "/api/v1/nodes/"+branch.nodeID(), nil, http.StatusNoContent, nil)
	if code := accesstest.Code(w.nodeAsks(branch.id.Public(), http.MethodPost, presentsPath, ask)); code != problem.NodeRevoked {
		t.Errorf("a node that was revoked: %q, want node-revoked", code)
	}
	w.refused(admin, http.MethodPatch, "/api/v1/nodes/"+branch.nodeID(), api.NodeEdit{Presents: &[]string{good}}, problem.NodeRevoked)
}

// records keeps what the audit log would.
type records struct {
	mu   sync.Mutex
	list []audit.Entry
}

func (r *records) Ready() error { return nil }

func (r *records) Append(_ context.Context, e audit.Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, e)
	return nil
}

func (r *records) last() audit.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list[len(r.list)-1]
}

// The log says who may present what since when, and which node made a job.
func TestPresentsAreLogged(t *testing.T) {
	w := newWorld(t)
	log := &records{}
	w.g.guard.Audit = log
	owner := w.newNode("Office")
	p := newPresenter(w, owner.scannerID())
	if e := log.last(); e.Action != "node.edit" || e.Target != p.nodeID() || e.Detail != "Branch presents "+owner.scannerID() {
		t.Errorf("recorded %+v, want that the node presents the scanner", e)
	}
	p.asks(http.MethodPost, v1+"/scanners/"+owner.scannerID()+"/jobs", `{"settings":{}}`, headerIdempotency, "0123456789abcdef")
	if e := log.last(); e.Action != "job.create" || e.Result != audit.OK || e.Who != "Branch (node:"+p.nodeID()+")" || e.Road != "node" {
		t.Errorf("recorded %+v, want that the node made a job", e)
	}
	w.present(p.fakeNode)
	if e := log.last(); e.Detail != "Branch presents nothing" {
		t.Errorf("recorded %+v, want that the node presents nothing", e)
	}
}

// The most that a node may present fits into what is stored and sent.
func TestPresentsOfMany(t *testing.T) {
	w := newWorld(t)
	branch, other := newFakeNode(t, "Branch"), newFakeNode(t, "Office")
	w.join(branch)
	var many []string
	for range maxPresents {
		many = append(many, scan.NewID(other.nodeID(), scan.KindScanner))
	}
	if n := w.present(branch, many...); len(n.Presents) != maxPresents {
		t.Errorf("presents %d scanners, want %d", len(n.Presents), maxPresents)
	}
	if answer := w.wants(branch, many...); len(answer.Allowed) != maxPresents {
		t.Errorf("%d allowed, want %d", len(answer.Allowed), maxPresents)
	}
}

// Who comes with an enrolled node's name and another key is another node, and waits.
func TestImpostorIsAnotherNode(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(api.RoleAdmin)
	owner := w.newNode("Office")
	branch := newFakeNode(t, "Branch")
	w.join(branch)
	w.present(branch, owner.scannerID())
	impostor := newAsker(t, w, "Branch")
	impostor.reveal()

	var list api.NodeList
	w.do(admin, http.MethodGet, "/api/v1/nodes", nil, http.StatusOK, &list)
	states := map[string]scan.Node{}
	for _, n := range list.Items {
		if n.Name == "Branch" {
			states[n.ID] = n
		}
	}
	enrolled, waits := states[branch.nodeID()], states[impostor.nodeID()]
	if len(states) != 2 || enrolled.State != scan.NodeOffline || len(enrolled.Presents) != 1 || waits.State != scan.NodeWaiting || len(waits.Presents) != 0 || waits.Check == "" {
		t.Errorf("nodes named Branch: %+v, want the one that is enrolled and the one that waits", states)
	}
	for _, path := range []string{"/api/v1/scanners/" + owner.scannerID(), "/api/v1/scanners/" + owner.scannerID() + "/status"} {
		if code := accesstest.Code(w.nodeAsks(impostor.id.Public(), http.MethodGet, path, nil)); code != problem.NodeUnknown {
			t.Errorf("GET %s by the impostor: %q, want node-unknown", path, code)
		}
	}
	if code := accesstest.Code(w.nodeAsks(impostor.id.Public(), http.MethodPost, presentsPath, map[string]any{"scanners": []string{owner.scannerID()}})); code != problem.NodeUnknown {
		t.Errorf("what the impostor asks to present: %q, want node-unknown", code)
	}
	if code := problem.From(w.g.LinkAllowed(impostor.id.Public())).Code; code != problem.NodeUnknown {
		t.Errorf("LinkAllowed = %q, want node-unknown", code)
	}
	// Refusing it leaves the enrolled one alone.
	w.do(admin, http.MethodDelete, "/api/v1/nodes/"+impostor.nodeID(), nil, http.StatusNoContent, nil)
	if a := w.nodeAsks(branch.id.Public(), http.MethodGet, "/api/v1/scanners/"+owner.scannerID(), nil); a.Code != http.StatusOK {
		t.Errorf("the enrolled node after that: status %d, %s", a.Code, a.Body)
	}
}
