package gateway

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// nextKeyOf is the gateway's next key that the node has stored.
func (n *fakeNode) nextKeyOf() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.nextKey
}

func TestGatewayRotation(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(api.RoleAdmin)
	n := w.newNode("n")
	away := newFakeNode(t, "away")
	w.join(away)
	n.addJobs(time.Now(), 3)
	pin := w.id.Pin()
	const path = "/api/v1/identity/rotation"
	rotation := func() (r api.Rotation) { w.do(admin, http.MethodGet, path, nil, http.StatusOK, &r); return r }
	if got := rotation(); got != (api.Rotation{Pin: pin}) {
		t.Errorf("before: %+v, want pin %s alone", got, pin)
	}
	w.refused(w.signIn(api.RoleOperator), http.MethodPost, path, nil, problem.PermissionDenied)

	var started api.Rotation
	w.do(admin, http.MethodPost, path, nil, http.StatusOK, &started)
	if started.Pin != pin || started.Next == "" || started.Next == pin || started.From.Sub(started.Announced.Time) != announceFor {
		t.Errorf("started: %+v, want a next key after seven days", started)
	}
	w.refused(admin, http.MethodPost, path, nil, problem.RotationPending)
	eventually(t, "the node that is connected hears of it", func() bool { return n.nextKeyOf() == started.Next })
	eventually(t, "one node is behind", func() bool { return rotation().Behind == 1 })

	// It is taken back, and announced again.
	w.do(admin, http.MethodDelete, path, nil, http.StatusNoContent, nil)
	eventually(t, "the node hears that it was taken back", func() bool { return n.nextKeyOf() == "" })
	if got := rotation(); got.Next != "" || w.id.Next() != "" {
		t.Errorf("taken back: %+v, next %q", got, w.id.Next())
	}
	w.do(admin, http.MethodPost, path, nil, http.StatusOK, &started)
	eventually(t, "the node hears of the second", func() bool { return n.nextKeyOf() == started.Next })

	// A restart before the time changes nothing.
	w.stop()
	w.clock.Advance(announceFor - time.Minute)
	w.start()
	if got := rotation(); got.Pin != pin || got.Next != started.Next {
		t.Errorf("after a restart: %+v, want the announcement to stand", got)
	}
	away.verifier.Trust(pin)
	w.connect(away)
	w.connect(n)
	eventually(t, "nobody is behind", func() bool { return rotation().Behind == 0 })
	token, err := w.g.newJoinToken(t.Context(), api.JoinTokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var jobs api.JobList
	w.do(admin, http.MethodGet, "/api/v1/jobs?limit=1", nil, http.StatusOK, &jobs)

	// The time comes while it runs.
	if changed, err := w.g.changeKeyIfDue(t.Context()); changed || err != nil {
		t.Errorf("a minute early: changed %v, %v", changed, err)
	}
	w.clock.Advance(time.Minute)
	w.connect(n) // hears what time it is now
	drained := make(chan struct{}, 8)
	n.onDrain(drained)
	if changed, err := w.g.changeKeyIfDue(t.Context()); !changed || err != nil {
		t.Fatalf("in time: changed %v, %v", changed, err)
	}
	if got := rotation(); got.Pin != started.Next || got.Next != "" || w.id.Pin() != started.Next {
		t.Errorf("changed: %+v, want pin %s", got, started.Next)
	}
	// Links that stand go on with the key that they began with, until they are renewed.
	w.do(admin, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil, http.StatusOK, nil)
	renewed, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.g.renewLinks(renewed) }()
	<-drained
	cancel()
	<-done
	eventually(t, "links that began with the old key are gone", func() bool { return !w.g.registry.online(mustGet(t, w, n)) })

	w.refused(admin, http.MethodGet, "/api/v1/jobs?limit=1&cursor="+jobs.Next, nil, problem.BadRequest)
	if code := accesstest.Code(w.askToJoin(newFakeNode(t, "late").id.Public(), "late", token.Token)); code != problem.JoinTokenInvalid {
		t.Errorf("a token that holds the old pin: %q, want join-token-invalid", code)
	}
	n.verifier.TrustSuccessor(started.Next, pin)
	w.connect(n)
	w.do(admin, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil, http.StatusOK, nil)
	w.stop()
	w.start()
	if got := rotation(); got != (api.Rotation{Pin: started.Next}) {
		t.Errorf("after a restart: %+v", got)
	}
}

// A gateway that was off when the time came has its next key when it starts.
func TestGatewayRotationAtStart(t *testing.T) {
	w := newWorld(t)
	var started api.Rotation
	w.do(w.signIn(api.RoleAdmin), http.MethodPost, "/api/v1/identity/rotation", nil, http.StatusOK, &started)
	w.stop()
	w.clock.Advance(announceFor)
	w.start()
	if w.id.Pin() != started.Next || w.id.Next() != "" || w.g.announced.Load() != nil {
		t.Errorf("the key is %s, want %s, and nothing announced", w.id.Pin(), started.Next)
	}
	// A change that was done and not yet written down as done, and a next key that is lost.
	for _, announcement := range []string{w.id.Pin(), "lost"} {
		value := []byte(`{"pin":"` + announcement + `","at":"2000-01-01T00:00:00Z","from":"2000-01-08T00:00:00Z"}`)
		if _, err := w.g.cfg.State.Records().Create(t.Context(), rotationKey, value, w.clock.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		w.stop()
		w.start()
		if w.id.Pin() != started.Next || w.g.announced.Load() != nil {
			t.Errorf("with the announcement of %q: key %s, announced %+v", announcement, w.id.Pin(), w.g.announced.Load())
		}
	}
}

func mustGet(t *testing.T, w *world, n *fakeNode) *node {
	t.Helper()
	reg, ok := w.g.registry.get(n.nodeID())
	if !ok {
		t.Fatalf("node %s is not in the registry", n.nodeID())
	}
	return reg
}

func TestNodeKeyRotation(t *testing.T) {
	w := newWorld(t)
	n := w.newNode("n")
	old := n.id.Frozen()
	rotation, err := n.id.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(key ed25519.PublicKey, rotation string) problem.Code {
		return accesstest.Code(w.nodeAsks(key, http.MethodPost, "/api/v1/node/key", api.KeyRotation{Rotation: rotation}))
	}
	stranger := newFakeNode(t, "stranger")
	theirs, err := stranger.id.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		key      ed25519.PublicKey
		rotation string
		want     problem.Code
	}{
		"a stranger":             {stranger.id.Public(), theirs.String(), problem.NodeUnknown},
		"another node's":         {n.id.Public(), theirs.String(), problem.BadRequest},
		"over the new key's TLS": {rotation.New, rotation.String(), problem.NodeUnknown},
		"nonsense":               {n.id.Public(), "nonsense", problem.BadRequest},
	} {
		if got := ask(row.key, row.rotation); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
	for range 2 { // the first answer may have been lost
		if code := ask(n.id.Public(), rotation.String()); code != "" {
			t.Fatalf("the node's rotation: %q", code)
		}
	}
	for name, key := range map[string]ed25519.PublicKey{"old": rotation.Old, "new": rotation.New} {
		if err := w.g.LinkAllowed(key); err != nil {
			t.Errorf("the %s key before the change: %v, want both admitted", name, err)
		}
	}
	w.connect(n) // it was killed before it changed, and came back with the old key
	if err := w.g.LinkAllowed(rotation.New); err != nil {
		t.Errorf("the new key after a link with the old one: %v", err)
	}
	if err := n.id.Change(); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.start()
	w.connect(n)
	if code := problem.From(w.g.LinkAllowed(rotation.Old)).Code; code != problem.NodeUnknown {
		t.Errorf("the old key after the new one has linked: %q, want node-unknown", code)
	}
	if code := ask(old.Public(), rotation.String()); code != problem.NodeUnknown {
		t.Errorf("a rotation by the old key: %q, want node-unknown", code)
	}
	var node scan.Node
	w.do(w.signIn(api.RoleAdmin), http.MethodGet, "/api/v1/nodes/"+n.nodeID(), nil, http.StatusOK, &node)
	if node.State != scan.NodeOnline {
		t.Errorf("the node is %s under its ID, want online", node.State)
	}
	again, err := n.id.Prepare() // and once more
	if err != nil {
		t.Fatal(err)
	}
	if code := ask(n.id.Public(), again.String()); code != "" {
		t.Errorf("a second change: %q", code)
	}
	if err := n.id.Change(); err != nil {
		t.Fatal(err)
	}
	w.connect(n)
	if got := identity.PinOf(mustGet(t, w, n).record.Key); got != n.id.Pin() {
		t.Errorf("the record has key %s, the node %s", got, n.id.Pin())
	}

	// Another node cannot take a key that is in use.
	mine, err := n.id.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	other := w.newNode("other")
	w.g.registry.mu.Lock()
	w.g.registry.byKey[string(mine.New)] = mustGetLocked(w, other)
	w.g.registry.mu.Unlock()
	if code := ask(n.id.Public(), mine.String()); code != problem.NodePrefixTaken {
		t.Errorf("a key of another node: %q, want node-prefix-taken", code)
	}
}

func mustGetLocked(w *world, n *fakeNode) *node {
	return w.g.registry.byPrefix[scan.Prefix(n.nodeID())]
}
