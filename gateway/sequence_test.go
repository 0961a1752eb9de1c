package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// machine is a computer with a node's key: all that it remembers is a number.
type machine struct{ stored int64 }

// Where a node is killed, or its link breaks, under a hello.
type killed int

const (
	alive killed = iota
	beforeStoring
	beforeAnswering
)

var errKilled = errors.New("killed")

// link is a link to the machine; fates says how its hellos end, alive when there are no more.
func (m *machine) link(n *fakeNode, gateway *identity.Identity, fates ...killed) relay.Link {
	return relay.NewLink(relay.Carrier{
		Kind: relay.KindMem, Peer: n.id.Public(), RemoteAddr: &net.TCPAddr{}, Done: make(chan struct{}), Close: func(string) {},
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			fate := alive
			if len(fates) > 0 {
				fate, fates = fates[0], fates[1:]
			}
			var hello api.LinkHello
			body, err := io.ReadAll(r.Body)
			if err == nil {
				err = json.Unmarshal(body, &hello)
			}
			if err != nil || fate == beforeStoring {
				return nil, errors.Join(err, errKilled)
			}
			number, err := access.SequenceIn(hello.Sequence, gateway.Pin(), n.nodeID())
			if err != nil {
				return nil, err
			}
			before := m.stored
			m.stored = max(m.stored, number)
			if fate == beforeAnswering {
				return nil, errKilled
			}
			answer := httptest.NewRecorder()
			err = access.WriteJSON(answer, http.StatusOK, api.LinkWelcome{Api: apiVersion, Link: linkVersion, Name: n.name, Sequence: before})
			return answer.Result(), err
		}),
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// restarted is the gateway after a kill: what it knows is what it has stored.
func restarted(t *testing.T, g *Gateway, n *fakeNode) *Gateway {
	t.Helper()
	again := newHolder(t, n)
	again.cfg, again.nodes = g.cfg, g.nodes
	record, err := g.nodes.Get(t.Context(), scan.Prefix(n.nodeID()))
	if err != nil {
		t.Fatal(err)
	}
	again.registry = newRegistry([]state.Node{record}, nil, again.events, again.now)
	return again
}

// links greets the machine over a link.
func (m *machine) links(g *Gateway, n *fakeNode, fates ...killed) error {
	reg, _ := g.registry.get(n.nodeID())
	_, err := g.greet(context.Background(), reg, m.link(n, g.cfg.Identity, fates...), g.cfg.Identity)
	return err
}

// Whatever is killed whenever, an honest node is never taken for two; and once there
// are two, the second of them to link is found out.
func TestClonesAreFound(t *testing.T) {
	quarantined := problem.NodeQuarantined.Error()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		n := newFakeNode(t, "n")
		g := newHolder(t, n)
		records := g.nodes.(*memoryNodes)
		honest := &machine{}
		trouble := func() []killed { // of one link: its hellos end so
			fates := make([]killed, random.IntN(3))
			for i := range fates {
				fates[i] = killed(random.IntN(3))
			}
			return fates
		}
		var told []string
		live := func(m *machine, name string) error {
			fates := trouble()
			writes := random.IntN(8) // writes that reach the disk before the gateway is killed; more than 3: it is not
			records.failing = func(state.Node) error {
				if writes--; writes < 0 {
					return errKilled
				}
				return nil
			}
			if writes > 3 {
				records.failing = nil
			}
			err := m.links(g, n, fates...)
			records.failing = nil
			if random.IntN(4) == 0 || err != nil && random.IntN(2) == 0 {
				g = restarted(t, g, n)
			}
			told = append(told, fmt.Sprintf("%s %v %v: %v", name, fates, writes, err))
			return err
		}
		for range random.IntN(10) {
			if err := live(honest, "honest"); errors.Is(err, quarantined) {
				t.Fatalf("seed %d: an honest node was quarantined: %v", seed, told)
			}
		}

		// Now its folder is copied, whatever state it is in.
		clone := &machine{stored: honest.stored}
		first, second := honest, clone
		if random.IntN(2) == 0 {
			first, second = clone, honest
		}
		for err := errKilled; err != nil; { // until the first of both has linked
			if err = live(first, "first"); errors.Is(err, quarantined) {
				t.Fatalf("seed %d: the first of both was quarantined before the second came: %v", seed, told)
			}
		}
		for range random.IntN(3) {
			if err := live(first, "first"); errors.Is(err, quarantined) {
				t.Fatalf("seed %d: the first of both was quarantined before the second came: %v", seed, told)
			}
		}
		if err := second.links(g, n); !errors.Is(err, quarantined) {
			t.Fatalf("seed %d: the second of both: %v, want node-quarantined: %v", seed, err, told)
		}
		g = restarted(t, g, n)
		if err := first.links(g, n); !errors.Is(err, quarantined) {
			t.Errorf("seed %d: the first after that: %v, want node-quarantined", seed, err)
		}
	}
}

// Who has copied a key cannot make up the number that he would have to give back.
func TestNumbersAreNotGuessed(t *testing.T) {
	n := newFakeNode(t, "n")
	g := newHolder(t, n)
	honest := &machine{}
	for range 5 {
		if err := honest.links(g, n); err != nil {
			t.Fatal(err)
		}
	}
	record := func() state.Node { reg, _ := g.registry.get(n.nodeID()); return g.registry.record(reg) }
	for name, number := range map[string]int64{
		"one less": record().Sequence - 1, "one more": record().Sequence + 1, "none": 0, "negative": -1, "the greatest": 1<<63 - 1,
	} {
		if err := (&machine{stored: number}).links(g, n); !errors.Is(err, problem.NodeQuarantined.Error()) {
			t.Errorf("%s: %v, want node-quarantined", name, err)
		}
		reg, _ := g.registry.get(n.nodeID())
		if _, err := g.editNode(t.Context(), reg, func(r *state.Node) { r.Quarantined = scan.Time{}; r.Offer = 0 }); err != nil {
			t.Fatal(err)
		}
	}
	if err := honest.links(g, n); err != nil {
		t.Errorf("the honest node after that: %v", err)
	}
}

// A node that was reinstated, or has joined again, may give back any number, once.
func TestTrustedOnce(t *testing.T) {
	for _, stored := range []int64{0, 7, 1 << 40} {
		n := newFakeNode(t, "n")
		g := newHolder(t, n)
		reg, _ := g.registry.get(n.nodeID())
		if _, err := g.editNode(t.Context(), reg, func(r *state.Node) { r.Sequence, r.Offer, r.Trust = 1000, 2000, true }); err != nil {
			t.Fatal(err)
		}
		right := &machine{stored: stored}
		for range 3 {
			if err := right.links(g, n); err != nil {
				t.Errorf("the right machine with number %d: %v", stored, err)
			}
		}
		if record := g.registry.record(reg); record.Trust || record.Sequence != right.stored || record.Offer != 0 {
			t.Errorf("the record is %+v, the machine has %d", record, right.stored)
		}
		if err := (&machine{stored: stored}).links(g, n); !errors.Is(err, problem.NodeQuarantined.Error()) {
			t.Errorf("another machine with number %d: %v, want node-quarantined", stored, err)
		}
	}
}

func TestQuarantine(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(api.RoleAdmin)
	events := w.follow(t, admin, "")
	n := w.newNode("Reception")
	job := n.addJobs(w.clock.Now(), 1)[0]
	n.mu.Lock()
	n.sequence = 1 // as a copied folder has it
	n.mu.Unlock()
	link, served := w.dial(n)
	w.g.AddLink(link)
	if err := <-served; !errors.Is(err, problem.NodeQuarantined.Error()) {
		t.Errorf("the copy hears %v, want node-quarantined", err)
	}
	for e := events.until(scan.EventNodeState); e.Node.State != scan.NodeQuarantined; e = events.until(scan.EventNodeState) {
	}
	reg, _ := w.g.registry.get(n.nodeID())
	if w.g.registry.online(reg) {
		t.Error("the other link still takes requests")
	}
	if code := problem.From(w.g.LinkAllowed(n.id.Public())).Code; code != problem.NodeQuarantined {
		t.Errorf("LinkAllowed = %q, want node-quarantined", code)
	}
	w.refused(admin, http.MethodGet, "/api/v1/jobs/"+job, nil, problem.NodeQuarantined)
	var scanners api.ScannerList
	w.do(admin, http.MethodGet, "/api/v1/scanners", nil, http.StatusOK, &scanners)
	if len(scanners.Items) != 0 {
		t.Errorf("scanners = %+v, want none of a quarantined node", scanners.Items)
	}
	token, err := w.g.newJoinToken(t.Context(), api.JoinTokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if answer := w.askToJoin(n.id.Public(), "n", token.Token); answer.Code == http.StatusCreated {
		t.Error("a quarantined node joined again")
	}
	w.stop()
	w.start()
	var node scan.Node
	w.do(admin, http.MethodGet, "/api/v1/nodes/"+n.nodeID(), nil, http.StatusOK, &node)
	if node.State != scan.NodeQuarantined {
		t.Errorf("after a restart the node is %s, want quarantined", node.State)
	}
	w.refused(w.signIn(api.RoleOperator), http.MethodPost, "/api/v1/nodes/"+n.nodeID()+"/reinstate", nil, problem.PermissionDenied)
	w.do(admin, http.MethodPost, "/api/v1/nodes/"+n.nodeID()+"/reinstate", nil, http.StatusOK, &node)
	if node.State != scan.NodeOffline {
		t.Errorf("reinstated it is %s, want offline", node.State)
	}
	for range 3 {
		w.connect(n)
	}
	w.do(admin, http.MethodGet, "/api/v1/jobs/"+job, nil, http.StatusOK, nil)
}

// Links of one node that come at the same moment, as after a race of QUIC and TCP or in
// a drain, are one node's.
func TestParallelLinksAreNoClones(t *testing.T) {
	w := newWorld(t)
	n := w.newNode("n")
	var links []relay.Link
	var adding sync.WaitGroup
	for range 5 {
		for range 3 {
			link, _ := w.dial(n)
			links = append(links, link)
			adding.Go(func() { w.g.AddLink(link) })
		}
		lost, conn := w.unserved(n)
		adding.Go(func() { w.g.AddLink(lost) })
		conn.Close() // the one that lost the race is closed unserved
	}
	adding.Wait()
	reg, _ := w.g.registry.get(n.nodeID())
	eventually(t, "each link stands or was given up for a newer one", func() bool {
		standing := w.g.registry.linksOf(reg)
		return !slices.ContainsFunc(links, func(l relay.Link) bool {
			return !isDone(l.Done()) && !slices.ContainsFunc(standing, func(h *held) bool { return h.Link == l })
		})
	})
	var node scan.Node
	w.do(w.signIn(api.RoleAdmin), http.MethodGet, "/api/v1/nodes/"+n.nodeID(), nil, http.StatusOK, &node)
	if node.State != scan.NodeOnline {
		t.Errorf("the node is %s, want online", node.State)
	}
	w.connect(n)
}
