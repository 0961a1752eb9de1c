package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestJoin(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(api.RoleAdmin)
	var token api.JoinToken
	w.do(admin, http.MethodPost, "/api/v1/join-tokens", api.JoinTokenRequest{Label: "Reception"}, http.StatusCreated, &token)
	parsed, err := access.ParseJoinToken(token.Token)
	if err != nil || parsed.Pin != w.id.Pin() || !slices.Equal(parsed.Addresses, []string{"gateway.example:18603"}) {
		t.Fatalf("the token holds %+v (%v), want the gateway's pin and addresses", parsed, err)
	}
	var open api.JoinTokenList
	w.do(admin, http.MethodGet, "/api/v1/join-tokens", nil, http.StatusOK, &open)
	if len(open.Items) != 1 || open.Items[0].Token != "" || open.Items[0].Label != "Reception" {
		t.Errorf("open tokens = %+v, want the one, without its secret", open.Items)
	}

	n := newFakeNode(t, "PC \u202eat the\x07 door")
	if code := problem.From(w.g.LinkAllowed(n.id.Public())).Code; code != problem.NodeUnknown {
		t.Errorf("LinkAllowed before joining = %q, want node-unknown", code)
	}
	answer := w.askToJoin(n.id.Public(), n.name, token.Token)
	var joined scan.Node
	if err := json.Unmarshal(answer.Body.Bytes(), &joined); err != nil || answer.Code != http.StatusCreated {
		t.Fatalf("joining: status %d, %s", answer.Code, answer.Body)
	}
	if joined.ID != n.nodeID() || joined.State != scan.NodeOffline || strings.Contains(joined.Name, "\x07") {
		t.Errorf("joined as %+v", joined)
	}
	if err := w.g.LinkAllowed(n.id.Public()); err != nil {
		t.Errorf("LinkAllowed after joining = %v, want nil", err)
	}
	if again := w.askToJoin(n.id.Public(), n.name, token.Token); again.Code != http.StatusCreated {
		t.Errorf("the same node asks again, as after a lost answer: status %d, want 201", again.Code)
	}
	if code := accesstest.Code(w.askToJoin(newFakeNode(t, "b").id.Public(), "b", token.Token)); code != problem.JoinTokenUsed {
		t.Errorf("another node with the same token: %q, want join-token-used", code)
	}
	w.do(admin, http.MethodGet, "/api/v1/join-tokens", nil, http.StatusOK, &open)
	if len(open.Items) != 0 {
		t.Errorf("open tokens = %+v, want none", open.Items)
	}
}

func TestJoinRefused(t *testing.T) {
	w := newWorld(t)
	n := newFakeNode(t, "n")
	token := func() string {
		made, err := w.g.newJoinToken(t.Context(), api.JoinTokenRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return made.Token
	}
	join := func(name, token string) problem.Code { return accesstest.Code(w.askToJoin(n.id.Public(), name, token)) }

	if code := join("n", "no token"); code != problem.JoinTokenInvalid {
		t.Errorf("without a token: %q, want join-token-invalid", code)
	}
	if code := join("", token()); code != problem.InvalidJSON {
		t.Errorf("without a name: %q, want invalid-json", code)
	}
	voided := token()
	parsed, err := access.ParseJoinToken(voided)
	if err != nil {
		t.Fatal(err)
	}
	w.do(w.signIn(api.RoleAdmin), http.MethodDelete, "/api/v1/join-tokens/"+parsed.ID, nil, http.StatusNoContent, nil)
	if code := join("n", voided); code != problem.JoinTokenInvalid {
		t.Errorf("with a voided token: %q, want join-token-invalid", code)
	}
	late := token()
	w.clock.Advance(10 * time.Minute)
	if code := join("n", late); code != problem.JoinTokenExpired {
		t.Errorf("with an expired token: %q, want join-token-expired", code)
	}
	r := accesstest.NewRequest(access.RoadNode, http.MethodPost, "/api/v1/node/join", `{}`)
	if code := accesstest.Code(accesstest.Do(w.g.NodeHandler(), r)); code != problem.NodeUnknown {
		t.Errorf("without a key: %q, want node-unknown", code)
	}
	if _, err := w.g.cfg.State.Nodes().Get(t.Context(), scan.Prefix(n.nodeID())); err == nil {
		t.Error("a refused node is in the registry")
	}
}

// Two nodes that use one token at the same time: exactly one is let in.
func TestJoinRace(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		token, err := w.g.newJoinToken(t.Context(), api.JoinTokenRequest{})
		if err != nil {
			t.Fatal(err)
		}
		nodes := []*fakeNode{newFakeNode(t, "a"), newFakeNode(t, "b")}
		answers := make([]*httptest.ResponseRecorder, len(nodes))
		var asking sync.WaitGroup
		for i, n := range nodes {
			asking.Go(func() { answers[i] = w.askToJoin(n.id.Public(), n.name, token.Token) })
		}
		asking.Wait()
		won := 0
		for i, a := range answers {
			allowed := w.g.LinkAllowed(nodes[i].id.Public()) == nil
			switch {
			case a.Code == http.StatusCreated && allowed:
				won++
			case accesstest.Code(a) != problem.JoinTokenUsed || allowed:
				t.Errorf("the one that lost: status %d, %s, allowed %v", a.Code, a.Body, allowed)
			}
		}
		if won != 1 {
			t.Errorf("%d of 2 nodes were let in, want 1", won)
		}
	}
}

// Nobody can make a key for another node's prefix in a test's time, so the clash is
// planted: a record at the prefix of the node that comes to join.
func TestJoinPrefixClash(t *testing.T) {
	w := newWorld(t)
	n, other := newFakeNode(t, "n"), newFakeNode(t, "other")
	record := state.Node{ID: scan.Prefix(n.nodeID()) + "aaaaaaaaaaaa", Key: other.id.Public(), Name: "first", Joined: scan.At(time.Now())}
	w.g.registry.apply(record)
	token, err := w.g.newJoinToken(t.Context(), api.JoinTokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if code := accesstest.Code(w.askToJoin(n.id.Public(), "n", token.Token)); code != problem.NodePrefixTaken {
		t.Errorf("joining with a prefix in use: %q, want node-prefix-taken", code)
	}
	if a := w.askToJoin(newFakeNode(t, "free").id.Public(), "free", token.Token); a.Code != http.StatusCreated {
		t.Errorf("the token after a clash: status %d, want it still good", a.Code)
	}
}

func TestNodes(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(api.RoleAdmin)
	n := w.newNode("Reception")
	away := newFakeNode(t, "Basement")
	w.join(away)

	var list api.NodeList
	w.do(admin, http.MethodGet, "/api/v1/nodes", nil, http.StatusOK, &list)
	if len(list.Items) != 2 || list.Items[0].ID > list.Items[1].ID {
		t.Fatalf("nodes = %+v, want two by ID", list.Items)
	}
	for _, node := range list.Items {
		want := scan.NodeOffline
		if node.ID == n.nodeID() {
			want = scan.NodeOnline
		}
		if node.State != want {
			t.Errorf("%s is %s, want %s", node.Name, node.State, want)
		}
	}
	var got scan.Node
	w.do(admin, http.MethodPatch, "/api/v1/nodes/"+n.nodeID(), api.NodeEdit{Name: "Front desk"}, http.StatusOK, &got)
	if got.Name != "Front desk" {
		t.Errorf("after PATCH the name is %q", got.Name)
	}
	w.do(admin, http.MethodGet, "/api/v1/nodes/"+n.nodeID(), nil, http.StatusOK, &got)
	if got.Name != "Front desk" || got.Version != "0.0.1" {
		t.Errorf("GET = %+v, want the new name", got)
	}
	w.refused(admin, http.MethodPatch, "/api/v1/nodes/"+n.nodeID(), api.NodeEdit{Name: strings.Repeat("é", 81)}, problem.InvalidJSON)
	w.refused(admin, http.MethodPatch, "/api/v1/nodes/"+n.nodeID(), api.NodeEdit{Name: " "}, problem.InvalidJSON)
	w.refused(admin, http.MethodGet, "/api/v1/nodes/"+newFakeNode(t, "x").nodeID(), nil, problem.NotFound)
	w.refused(w.signIn(api.RoleUser), http.MethodGet, "/api/v1/nodes", nil, problem.PermissionDenied)
	w.refused(w.signIn(api.RoleOperator), http.MethodDelete, "/api/v1/nodes/"+n.nodeID(), nil, problem.PermissionDenied)
}

func TestNodesPage(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(api.RoleAdmin)
	for range 7 {
		w.join(newFakeNode(t, "n"))
	}
	var ids []string
	for path := "/api/v1/nodes?limit=3"; path != ""; {
		var list api.NodeList
		w.do(admin, http.MethodGet, path, nil, http.StatusOK, &list)
		for _, n := range list.Items {
			ids = append(ids, n.ID)
		}
		path = ""
		if list.Next != "" {
			path = "/api/v1/nodes?limit=3&cursor=" + list.Next
		}
	}
	if len(ids) != 7 || !slices.IsSorted(ids) || len(slices.Compact(ids)) != 7 {
		t.Errorf("pages of 3 gave %d IDs, want each of 7 once, in order", len(ids))
	}
}

// A renamed or revoked node is so at every gateway on the same state.
func TestRegistryFollowsState(t *testing.T) {
	w := newWorld(t)
	n := w.newNode("n")
	record, err := w.g.cfg.State.Nodes().Get(t.Context(), scan.Prefix(n.nodeID()))
	if err != nil {
		t.Fatal(err)
	}
	record.Name = "renamed elsewhere"
	if record, err = w.g.cfg.State.Nodes().Update(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	reg, _ := w.g.registry.get(n.nodeID())
	eventually(t, "the new name is known", func() bool { return w.g.registry.record(reg).Name == record.Name })
	record.Revoked = scan.At(time.Now())
	if _, err := w.g.cfg.State.Nodes().Update(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the link is cut", func() bool { return !w.g.registry.online(reg) })
	if code := problem.From(w.g.LinkAllowed(n.id.Public())).Code; code != problem.NodeRevoked {
		t.Errorf("LinkAllowed = %q, want node-revoked", code)
	}
}

func TestRevoke(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(api.RoleAdmin)
	n := w.newNode("n")
	job := n.addJobs(time.Now(), 1)[0]
	begun, gone := make(chan struct{}), make(chan struct{})
	n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "image/jpeg")
		w.Write([]byte("half a page"))
		http.NewResponseController(w).Flush()
		close(begun)
		<-r.Context().Done()
		close(gone)
		return nil
	})
	answer := w.send(w.newRequest(admin, http.MethodGet, "/api/v1/jobs/"+job+"/pages/1", nil))
	<-begun
	w.do(admin, http.MethodDelete, "/api/v1/nodes/"+n.nodeID(), nil, http.StatusNoContent, nil)
	if _, err := answer.Body.Read(make([]byte, 64)); err != nil {
		t.Fatalf("what was sent before the revocation: %v", err)
	}
	if _, err := answer.Body.Read(make([]byte, 64)); err == nil || err.Error() == "EOF" {
		t.Errorf("the page of a revoked node ended with %v, want it to break off", err)
	}
	select {
	case <-gone:
	case <-time.After(waitLimit):
		t.Error("the node's handler still runs")
	}
	w.refused(admin, http.MethodGet, "/api/v1/jobs/"+job, nil, problem.NodeRevoked)
	w.refused(admin, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil, problem.NodeRevoked)
	w.refused(admin, http.MethodPatch, "/api/v1/nodes/"+n.nodeID(), api.NodeEdit{Name: "x"}, problem.NodeRevoked)
	w.do(admin, http.MethodDelete, "/api/v1/nodes/"+n.nodeID(), nil, http.StatusNoContent, nil)

	var scanners api.ScannerList
	w.do(admin, http.MethodGet, "/api/v1/scanners", nil, http.StatusOK, &scanners)
	if len(scanners.Items) != 0 || len(scanners.Incomplete) != 0 {
		t.Errorf("scanners = %+v, want nothing of a revoked node", scanners)
	}
	token, err := w.g.newJoinToken(t.Context(), api.JoinTokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if code := accesstest.Code(w.askToJoin(n.id.Public(), "n", token.Token)); code != problem.NodeRevoked {
		t.Errorf("joining again: %q, want node-revoked", code)
	}
	var node scan.Node
	w.do(admin, http.MethodGet, "/api/v1/nodes/"+n.nodeID(), nil, http.StatusOK, &node)
	if node.State != scan.NodeRevoked {
		t.Errorf("the node is %s, want revoked", node.State)
	}
}

func TestRestart(t *testing.T) {
	w := newWorld(t)
	admin, phone := w.signIn(api.RoleAdmin), w.signIn(api.RoleUser)
	n := w.newNode("Reception")
	revoked := w.newNode("Old")
	w.do(admin, http.MethodDelete, "/api/v1/nodes/"+revoked.nodeID(), nil, http.StatusNoContent, nil)
	token, err := w.g.newJoinToken(t.Context(), api.JoinTokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	n.addJobs(time.Now(), 1)
	var before api.JobList
	w.do(phone, http.MethodGet, "/api/v1/jobs", nil, http.StatusOK, &before)
	subject := n.lastCaller().Subject
	eventually(t, "the scanner is known", func() bool {
		all, err := w.g.cfg.State.Scanners().All(t.Context())
		return err == nil && len(all[n.nodeID()]) == 1
	})
	w.stop()
	w.start()

	if code := problem.From(w.g.LinkAllowed(revoked.id.Public())).Code; code != problem.NodeRevoked {
		t.Errorf("LinkAllowed of the revoked node = %q, want node-revoked", code)
	}
	var scanners api.ScannerList
	w.do(phone, http.MethodGet, "/api/v1/scanners", nil, http.StatusOK, &scanners)
	if len(scanners.Items) != 1 || scanners.Items[0].Status.State != scan.ScannerOffline || scanners.Items[0].NodeName != "Reception" {
		t.Errorf("scanners before the node is back = %+v, want the one, offline", scanners.Items)
	}
	if len(scanners.Incomplete) != 1 || scanners.Incomplete[0].Node != n.nodeID() {
		t.Errorf("incomplete = %+v, want the node", scanners.Incomplete)
	}
	w.connect(n)
	var after api.JobList
	w.do(phone, http.MethodGet, "/api/v1/jobs", nil, http.StatusOK, &after)
	if len(after.Items) != 1 || after.Items[0].ID != before.Items[0].ID || len(after.Incomplete) != 0 {
		t.Errorf("jobs after the restart = %+v, want the one", after)
	}
	if got := n.lastCaller().Subject; got != subject {
		t.Errorf("the phone's subject at the node is %q, before the restart it was %q", got, subject)
	}
	if a := w.askToJoin(newFakeNode(t, "new").id.Public(), "new", token.Token); a.Code != http.StatusCreated {
		t.Errorf("a token from before the restart: status %d, want 201", a.Code)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                           "plain",
		" a\x00b\nc\x7f ":                 "abc",
		"\xff\xfebroken":                  "broken",
		strings.Repeat("é", 100):          strings.Repeat("é", 32),
		"x" + strings.Repeat("é", 100):    "x" + strings.Repeat("é", 31),
		"\u009b31mred\u202egnp.exe\u2028": "31mredgnp.exe",
	} {
		if got := clean(in, 64); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
	long := strings.Repeat("é", 32<<10)
	if got := testing.AllocsPerRun(1, func() { clean(long, 64) }); got > 8 {
		t.Errorf("cutting a name of %d bytes allocates %.0f times: it costs more than one look at each", len(long), got)
	}
}
