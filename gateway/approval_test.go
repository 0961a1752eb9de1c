package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// asker is a node that asks to be let in without a token.
type asker struct {
	*fakeNode
	w     *world
	from  string // address
	nonce string
	ours  string // the gateway's nonce
}

func newAsker(t testing.TB, w *world, name string) *asker {
	t.Helper()
	return &asker{fakeNode: newFakeNode(t, name), w: w, nonce: access.JoinNonce()}
}

// ask sends the commitment; "" is the code where the gateway takes it.
func (a *asker) ask() problem.Code {
	a.t.Helper()
	answer := a.w.nodeAsksFrom(a.from, a.id.Public(), http.MethodPost, "/api/v1/node/join", api.JoinRequest{
		Commit: access.JoinCommit(a.nonce), Name: a.name, Version: "0.0.1", Chain: a.id.Chain(),
	})
	if answer.Code != http.StatusAccepted {
		return accesstest.Code(answer)
	}
	var wait api.JoinWait
	if err := json.Unmarshal(answer.Body.Bytes(), &wait); err != nil || wait.Check != "" {
		a.t.Fatalf("asking: %s, %v, want a nonce and no symbols yet", answer.Body, err)
	}
	a.ours = wait.Nonce
	return ""
}

// reveal asks and opens the commitment.
func (a *asker) reveal() {
	a.t.Helper()
	if code := a.ask(); code != "" {
		a.t.Fatalf("asking: %q", code)
	}
	answer := a.w.nodeAsks(a.id.Public(), http.MethodPost, "/api/v1/node/join/reveal", api.JoinReveal{Nonce: a.nonce})
	if answer.Code != http.StatusAccepted {
		a.t.Fatalf("revealing: status %d, %s", answer.Code, answer.Body)
	}
}

// check is what the node shows.
func (a *asker) check() string {
	return access.JoinCheck(a.w.id.Pin(), a.id.Pin(), a.ours, a.nonce)
}

// state asks whether the node was let in: the status, and the problem's code.
func (a *asker) state() (int, problem.Code) {
	answer := a.w.nodeAsks(a.id.Public(), http.MethodGet, "/api/v1/node/join/state", nil)
	return answer.Code, accesstest.Code(answer)
}

func TestApproval(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(api.RoleAdmin)
	events := w.follow(t, admin, "")
	a := newAsker(t, w, "Basement")
	if code := a.ask(); code != "" {
		t.Fatal(code)
	}
	var list api.NodeList
	w.do(admin, http.MethodGet, "/api/v1/nodes", nil, http.StatusOK, &list)
	if len(list.Items) != 0 {
		t.Errorf("before the node reveals its nonce: %+v, want nothing to approve", list.Items)
	}
	w.refused(admin, http.MethodPost, "/api/v1/nodes/"+a.nodeID()+"/approve", api.NodeApproval{Check: a.check()}, problem.NotFound)
	a.reveal()
	if e := events.until(scan.EventNodeState); e.Node.State != scan.NodeWaiting || e.Node.Check != a.check() {
		t.Errorf("the event tells of %+v, want the waiting node with the symbols that it shows, %s", e.Node, a.check())
	}
	w.do(admin, http.MethodGet, "/api/v1/nodes", nil, http.StatusOK, &list)
	if len(list.Items) != 1 || list.Items[0].State != scan.NodeWaiting || list.Items[0].Check != a.check() || list.Items[0].Address == "" {
		t.Errorf("nodes = %+v, want the one that waits, with symbols and address", list.Items)
	}
	var node scan.Node
	w.do(admin, http.MethodGet, "/api/v1/nodes/"+a.nodeID(), nil, http.StatusOK, &node)
	if node.State != scan.NodeWaiting || node.Name != "Basement" {
		t.Errorf("GET = %+v, want it waiting", node)
	}
	w.refused(admin, http.MethodPatch, "/api/v1/nodes/"+a.nodeID(), api.NodeEdit{Name: "x"}, problem.NodeWaiting)
	if err := w.g.LinkAllowed(a.id.Public()); problem.From(err).Code != problem.NodeUnknown {
		t.Errorf("LinkAllowed while it waits = %v, want node-unknown", err)
	}
	wrong := "2222"
	if wrong == a.check() {
		wrong = "3333"
	}
	w.refused(admin, http.MethodPost, "/api/v1/nodes/"+a.nodeID()+"/approve", api.NodeApproval{Check: wrong}, problem.CheckWrong)
	w.refused(w.signIn(api.RoleOperator), http.MethodPost, "/api/v1/nodes/"+a.nodeID()+"/approve", api.NodeApproval{Check: a.check()}, problem.PermissionDenied)

	// The node holds on while a person decides, and hears of it at once.
	told := make(chan int, 1)
	before := w.g.events.head()
	go func() { status, _ := a.state(); told <- status }()
	w.do(admin, http.MethodPost, "/api/v1/nodes/"+a.nodeID()+"/approve", api.NodeApproval{Check: a.check()}, http.StatusOK, &node)
	if node.State != scan.NodeOffline || node.ID != a.nodeID() {
		t.Errorf("approved: %+v, want it enrolled, not yet linked", node)
	}
	select {
	case status := <-told:
		if status != http.StatusOK {
			t.Errorf("the node was told %d, want 200", status)
		}
	case <-time.After(joinHold / 2):
		t.Error("the node was not told of its approval at once")
	}
	if w.g.events.head() == before {
		t.Error("no event tells of the approval")
	}
	w.do(admin, http.MethodGet, "/api/v1/nodes", nil, http.StatusOK, &list)
	if len(list.Items) != 1 || list.Items[0].State != scan.NodeOffline {
		t.Errorf("nodes = %+v, want the one, enrolled", list.Items)
	}
	a.verifier.Trust(w.id.Pin())
	w.connect(a.fakeNode)
	w.refused(admin, http.MethodPost, "/api/v1/nodes/"+a.nodeID()+"/approve", api.NodeApproval{Check: a.check()}, problem.NotFound)
}

func TestNotMine(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(api.RoleAdmin)
	a := newAsker(t, w, "Stranger")
	a.reveal()
	w.do(admin, http.MethodDelete, "/api/v1/nodes/"+a.nodeID(), nil, http.StatusNoContent, nil)
	if _, code := a.state(); code != problem.NodeRevoked {
		t.Errorf("the node hears %q, want node-revoked", code)
	}
	if code := a.ask(); code != problem.NodeRevoked {
		t.Errorf("asking again: %q, want node-revoked", code)
	}
	w.stop()
	w.start()
	if code := a.ask(); code != problem.NodeRevoked {
		t.Errorf("asking again after a restart: %q, want node-revoked", code)
	}
}

func TestApprovalRefused(t *testing.T) {
	w := newWorld(t)
	a := newAsker(t, w, "n")
	join := func(body api.JoinRequest) problem.Code {
		return accesstest.Code(w.nodeAsks(a.id.Public(), http.MethodPost, "/api/v1/node/join", body))
	}
	other := newFakeNode(t, "other")
	if _, err := other.id.Prepare(); err != nil {
		t.Fatal(err)
	}
	if err := other.id.Change(); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		body api.JoinRequest
		want problem.Code
	}{
		"neither token nor commitment": {api.JoinRequest{Name: "n"}, problem.InvalidJSON},
		"short commitment":             {api.JoinRequest{Name: "n", Commit: "AAAA"}, problem.InvalidJSON},
		"no name":                      {api.JoinRequest{Commit: access.JoinCommit(a.nonce)}, problem.InvalidJSON},
		"another's chain":              {api.JoinRequest{Name: "n", Commit: access.JoinCommit(a.nonce), Chain: other.id.Chain()}, problem.BadRequest},
		"no chain":                     {api.JoinRequest{Name: "n", Commit: access.JoinCommit(a.nonce), Chain: []string{"x"}}, problem.BadRequest},
	} {
		if got := join(row.body); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
	reveal := func(nonce string) problem.Code {
		return accesstest.Code(w.nodeAsks(a.id.Public(), http.MethodPost, "/api/v1/node/join/reveal", api.JoinReveal{Nonce: nonce}))
	}
	if code := reveal(a.nonce); code != problem.NotFound {
		t.Errorf("revealing before asking: %q, want not-found", code)
	}
	if code := a.ask(); code != "" {
		t.Fatal(code)
	}
	for _, nonce := range []string{access.JoinNonce(), "", "nonsense", a.nonce + "A"} {
		if code := reveal(nonce); code != problem.BadRequest {
			t.Errorf("revealing %q, which was not committed to: %q, want bad-request", nonce, code)
		}
	}
	if code := reveal(a.nonce); code != "" {
		t.Errorf("revealing what was committed to: %q", code)
	}

	// After an hour nobody waits any more.
	w.clock.Advance(time.Hour)
	if _, code := a.state(); code != problem.NodeUnknown {
		t.Errorf("after an hour the node hears %q, want node-unknown", code)
	}
	w.refused(w.signIn(api.RoleAdmin), http.MethodPost, "/api/v1/nodes/"+a.nodeID()+"/approve", api.NodeApproval{Check: a.check()}, problem.NotFound)
}

// Each time that somebody asks he has one chance in 2^20 that the symbols are those of
// another connection: so he may not ask often, also if he never reveals.
func TestAskingIsCounted(t *testing.T) {
	w := newWorld(t)
	a := newAsker(t, w, "n")
	a.from = "203.0.113.9"
	for i := range maxWaitingFrom {
		a.nonce = access.JoinNonce()
		if code := a.ask(); code != "" {
			t.Fatalf("asking for the %d. time: %q", i+1, code)
		}
	}
	if code := a.ask(); code != problem.TooManyRequests {
		t.Errorf("asking once more: %q, want too-many-requests", code)
	}
	neighbour := newAsker(t, w, "neighbour")
	neighbour.from = a.from
	if code := neighbour.ask(); code != problem.TooManyRequests {
		t.Errorf("another key from the same address: %q, want too-many-requests", code)
	}
	for i := maxWaitingFrom; i < maxWaiting; i++ {
		if code := newAsker(t, w, "n").ask(); code != "" {
			t.Fatalf("node %d: %q", i, code)
		}
	}
	if code := newAsker(t, w, "n").ask(); code != problem.TooManyRequests {
		t.Errorf("one node too many: %q, want too-many-requests", code)
	}
	w.clock.Advance(time.Hour)
	if code := a.ask(); code != "" {
		t.Errorf("an hour later: %q, want a place", code)
	}
}

func TestSameClient(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::ffff:2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"", "192.0.2.1", false},
		{"", "", true}, // who cannot be told apart is one
	} {
		if got := sameClient(row.a, row.b); got != row.want {
			t.Errorf("sameClient(%q, %q) = %v, want %v", row.a, row.b, got, row.want)
		}
	}
}

// Somebody in the middle has a key of his own towards each end. Whatever he does with
// nonces, the symbols differ but by chance.
func TestManInTheMiddle(t *testing.T) {
	gateway, node, mine := newFakeNode(t, "g").id, newFakeNode(t, "n").id, newFakeNode(t, "m").id
	gatewayNonce, nodeNonce := access.JoinNonce(), access.JoinNonce()
	const tries = 2000
	same := 0
	for range tries {
		n := access.JoinNonce()
		atNode := access.JoinCheck(mine.Pin(), node.Pin(), n, nodeNonce)
		atGateway := access.JoinCheck(gateway.Pin(), mine.Pin(), gatewayNonce, n)
		if atNode == atGateway {
			same++
		}
	}
	if same > 1 { // one in 2^20 each
		t.Errorf("%d of %d tries showed the same symbols at both ends", same, tries)
	}
	check := access.JoinCheck(gateway.Pin(), node.Pin(), gatewayNonce, nodeNonce)
	for name, other := range map[string]string{
		"gateway": access.JoinCheck(mine.Pin(), node.Pin(), gatewayNonce, nodeNonce),
		"node":    access.JoinCheck(gateway.Pin(), mine.Pin(), gatewayNonce, nodeNonce),
		"nonces":  access.JoinCheck(gateway.Pin(), node.Pin(), nodeNonce, gatewayNonce),
	} {
		if other == check {
			t.Errorf("another %s shows the same symbols", name)
		}
	}
	if len(check) != 4 || strings.Trim(check, "23456789ABCDEFGHJKLMNPQRSTUVWXYZ") != "" {
		t.Errorf("check = %q", check)
	}
}

// A node that has changed its key joins with the ID of its first one.
func TestJoinWithChain(t *testing.T) {
	w := newWorld(t)
	n := newFakeNode(t, "n")
	for range 3 {
		if _, err := n.id.Prepare(); err != nil {
			t.Fatal(err)
		}
		if err := n.id.Change(); err != nil {
			t.Fatal(err)
		}
	}
	token, err := w.g.newJoinToken(t.Context(), api.JoinTokenRequest{Labels: []string{"b", "a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := access.ParseJoinToken(token.Token)
	if err != nil {
		t.Fatal(err)
	}
	answer := w.nodeAsks(n.id.Public(), http.MethodPost, "/api/v1/node/join",
		api.JoinRequest{Token: parsed.Credential(), Name: n.name, Version: "0.0.1", Chain: n.id.Chain()})
	var joined scan.Node
	if err := json.Unmarshal(answer.Body.Bytes(), &joined); err != nil || answer.Code != http.StatusCreated {
		t.Fatalf("joining: status %d, %s", answer.Code, answer.Body)
	}
	if want, _ := scan.NodeID(n.id.Public()); joined.ID != n.nodeID() || joined.ID == want {
		t.Errorf("it joined as %s, want %s, the ID of its first key", joined.ID, n.nodeID())
	}
	if fmt.Sprint(joined.Labels) != "[b a b]" { // as the token's maker wrote them: the API puts them in order
		t.Errorf("labels = %v", joined.Labels)
	}
	n.verifier.Trust(w.id.Pin())
	w.connect(n)

	// Who has only an old key is another node, and cannot take this one's place.
	chain := n.id.Chain()
	first, err := identity.ParseRotation(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.g.newJoinToken(t.Context(), api.JoinTokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if code := accesstest.Code(w.askToJoin(first.Old, "thief", again.Token)); code != problem.NodePrefixTaken {
		t.Errorf("joining with the first key: %q, want node-prefix-taken", code)
	}
}
