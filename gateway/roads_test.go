package gateway

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// roadEnd is what a node with direct roads was asked.
type roadEnd struct {
	mu     sync.Mutex
	asked  []api.LinkRoadsRequest
	closed []api.LinkRoadsClose
}

// reachable gives the node direct roads.
func (n *fakeNode) reachable() *roadEnd {
	e := &roadEnd{}
	n.on(http.MethodPost, "/link/roads", func(w http.ResponseWriter, r *http.Request) error {
		var q api.LinkRoadsRequest
		if err := access.ReadPeerJSON(r, &q); err != nil {
			return err
		}
		e.mu.Lock()
		e.asked = append(e.asked, q)
		e.mu.Unlock()
		said := api.LinkRoads{Statement: access.RoadStatement{Fingerprint: "f"}.Sign(n.id, time.Now()), Chain: []string{"change"}}
		if q.Offer != "" {
			said.Answer = "answer to " + q.Offer
		}
		return access.WriteJSON(w, http.StatusOK, said)
	})
	n.on(http.MethodPost, "/link/roads/close", func(w http.ResponseWriter, r *http.Request) error {
		var q api.LinkRoadsClose
		if err := access.ReadPeerJSON(r, &q); err != nil {
			return err
		}
		e.mu.Lock()
		e.closed = append(e.closed, q)
		e.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
	return e
}

func (e *roadEnd) closes() []api.LinkRoadsClose {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.closed)
}

func roadsPath(n *fakeNode) string { return "/api/v1/nodes/" + n.nodeID() + "/roads" }

// roads opens a road for who has the token, and has the node judge the grant.
func (w *world) roads(token string, n *fakeNode, q api.RoadRequest) (api.Roads, access.RoadGrant) {
	w.t.Helper()
	var answer api.Roads
	w.do(token, http.MethodPost, roadsPath(n), q, http.StatusOK, &answer)
	g, left, err := n.verifier.VerifyRoad(w.t.Context(), answer.Grant)
	if err != nil {
		w.t.Fatalf("the node's judgement: %v", err)
	}
	if left <= time.Minute || left >= roadWatchTime || answer.Expires != scan.At(g.Expires) {
		w.t.Errorf("the grant is good for %v until %v, said is %v", left, g.Expires, answer.Expires)
	}
	return answer, g
}

func TestOpenRoads(t *testing.T) {
	w := newWorld(t)
	w.stop()
	turnUser := ""
	w.config = func(c *Config) {
		c.Roads = RoadsConfig{STUN: []string{"stun:gateway.example"}, TURN: func(user string) (api.ICEServer, bool) {
			turnUser = user
			return api.ICEServer{Urls: []string{"turn:gateway.example"}, Username: "u", Credential: "c"}, true
		}}
	}
	w.start()
	n := w.newNode("n")
	end := n.reachable()
	session := accesstest.Session(t, w.g.guard, w.g.Handler(), access.RoadPublic, api.RoleUser)

	answer, g := w.roads(session.Token, n, api.RoadRequest{Offer: "o"})
	if g.Session != session.Id || g.Subject != session.Id || g.Role != api.RoleUser || g.Origin != "" ||
		!slices.Equal(g.Pages, []string{w.server.URL}) ||
		!reflect.DeepEqual(g.Actions, map[string][]scan.Action{n.scannerID(): {scan.See, scan.Use}}) {
		t.Errorf("grant %+v", g)
	}
	servers := []api.ICEServer{{Urls: []string{"stun:gateway.example"}}, {Urls: []string{"turn:gateway.example"}, Username: "u", Credential: "c"}}
	if answer.Answer != "answer to o" || !slices.Equal(answer.Chain, []string{"change"}) || !reflect.DeepEqual(answer.IceServers, servers) || !answer.Near {
		t.Errorf("answer %+v", answer)
	}
	if _, err := access.RoadStatementIn(answer.Statement, nil, n.nodeID(), time.Now()); err != nil {
		t.Errorf("statement: %v", err)
	}
	if turnUser != session.Id || len(end.asked) != 1 || !reflect.DeepEqual(end.asked[0].IceServers, servers[:1]) {
		t.Errorf("TURN for %q, the node was asked %+v", turnUser, end.asked)
	}
	second, _ := w.roads(w.signIn(api.RoleKiosk), n, api.RoadRequest{})
	if second.Network != answer.Network || len(answer.Network) != 16 || second.Grant == answer.Grant || second.Answer != "" {
		t.Errorf("another session: network %q, want %q", second.Network, answer.Network)
	}
	w.stop()
	w.start()
	w.connect(n)
	if third, _ := w.roads(session.Token, n, api.RoadRequest{}); third.Network != answer.Network {
		t.Errorf("after a restart: network %q, want %q", third.Network, answer.Network)
	}
	if got := end.closes(); len(got) != 0 {
		t.Errorf("closed: %+v, want nothing", got)
	}
}

func TestOpenRoadsForAForeignPage(t *testing.T) {
	w := newWorld(t)
	n := w.newNode("n")
	n.reachable()
	accesstest.AllowPages(w.g.guard.Origins)
	session := accesstest.PageSession(t, w.g.guard, w.g.Handler(), access.RoadPublic, api.RoleUser, accesstest.ShopOrigin)
	r := accesstest.NewRequest(access.RoadPublic, http.MethodPost, roadsPath(n), "{}")
	r.Header.Set("Authorization", "Bearer "+session.Token)
	r.Header.Set("Origin", accesstest.ShopOrigin)
	answer := accesstest.Do(w.g.Handler(), r)
	if answer.Code != http.StatusOK || answer.Header().Get("Access-Control-Allow-Origin") != accesstest.ShopOrigin {
		t.Fatalf("status %d, %s", answer.Code, answer.Body)
	}
	token := strings.Split(strings.SplitAfter(answer.Body.String(), `"grant":"`)[1], `"`)[0]
	if _, _, err := n.verifier.VerifyRoad(t.Context(), token); problem.From(err).Code != problem.OriginNotAllowed {
		t.Errorf("a node that does not allow the page: %v", err)
	}
}

func TestOpenRoadsRefused(t *testing.T) {
	w := newWorld(t)
	n := w.newNode("n")
	user, operator, admin := w.signIn(api.RoleUser), w.signIn(api.RoleOperator), w.signIn(api.RoleAdmin)
	stranger := newFakeNode(t, "stranger")
	w.refused(user, http.MethodPost, roadsPath(stranger), api.RoadRequest{}, problem.NotFound)
	w.refused(user, http.MethodPost, roadsPath(n), map[string]any{"more": 1}, problem.UnknownField)
	if p := w.refused(user, http.MethodPost, roadsPath(n), api.RoadRequest{Offer: strings.Repeat("x", maxOffer+1)}, problem.BadRequest); p.Field != "offer" {
		t.Errorf("too long an offer: %+v", p)
	}

	var answer api.Roads
	w.do(user, http.MethodPost, roadsPath(n), api.RoadRequest{}, http.StatusOK, &answer)
	if answer.Statement != "" || answer.Grant == "" || answer.IceServers != nil {
		t.Errorf("a node whose program is older: %+v, want no statement", answer)
	}
	n.reachable()
	n.on(http.MethodPost, "/link/roads", func(http.ResponseWriter, *http.Request) error {
		return problem.New(problem.BadRequest, "The offer cannot be answered.").At("offer")
	})
	if p := w.refused(user, http.MethodPost, roadsPath(n), api.RoadRequest{Offer: "x"}, problem.BadRequest); p.Field != "offer" {
		t.Errorf("a bad offer: %+v, want the node's problem", p)
	}
	n.on(http.MethodPost, "/link/roads", func(w http.ResponseWriter, _ *http.Request) error {
		_, err := w.Write([]byte("<html>"))
		return err
	})
	w.refused(user, http.MethodPost, roadsPath(n), api.RoadRequest{}, problem.Unavailable)

	// Only somebody else may see the node's scanner.
	w.do(admin, http.MethodPost, "/api/v1/permissions", map[string]any{"role": "admin", "scanner": n.scannerID(), "actions": []string{"see"}}, http.StatusCreated, nil)
	n.reachable()
	w.refused(user, http.MethodPost, roadsPath(n), api.RoadRequest{}, problem.NotFound)
	if _, g := w.roads(operator, n, api.RoadRequest{}); g.Actions != nil {
		t.Errorf("an operator who may see no scanner: %v", g.Actions)
	}
	if _, g := w.roads(admin, n, api.RoadRequest{}); !slices.Equal(g.Actions[n.scannerID()], scan.Actions) {
		t.Errorf("an administrator: %v, want everything", g.Actions)
	}
	w.do(admin, http.MethodDelete, "/api/v1/nodes/"+n.nodeID(), nil, http.StatusNoContent, nil)
	w.refused(operator, http.MethodPost, roadsPath(n), api.RoadRequest{}, problem.NodeRevoked)
	w.refused(user, http.MethodPost, roadsPath(n), api.RoadRequest{}, problem.NotFound)
}

func TestRoadsCloseWithTheirSession(t *testing.T) {
	w := newWorld(t)
	n := w.newNode("n")
	end := n.reachable()
	session := accesstest.Session(t, w.g.guard, w.g.Handler(), access.RoadPublic, api.RoleUser)
	stays := w.signIn(api.RoleUser)
	w.roads(stays, n, api.RoadRequest{})
	var last access.RoadGrant
	for range 3 {
		_, last = w.roads(session.Token, n, api.RoadRequest{})
	}
	began := time.Now()
	if err := w.g.guard.EndSession(t.Context(), session.Id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node is told", func() bool { return len(end.closes()) > 0 })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	got := end.closes()
	if len(got) != 1 || got[0].Session != session.Id || !got[0].At.After(last.IssuedAt) || got[0].At.After(w.clock.Now().Add(time.Second)) {
		t.Errorf("the node was told %+v, want once of %s, after %v", got, session.Id, last.IssuedAt)
	}
	w.g.roads.mu.Lock()
	open := len(w.g.roads.open)
	w.g.roads.mu.Unlock()
	if open != 1 {
		t.Errorf("%d watches, want that of the other session", open)
	}
}

// A close that a link did not carry goes over the next one.
func TestRoadsCloseOverTheNextLink(t *testing.T) {
	w := newWorld(t)
	n := w.joined("n")
	cut := w.connect(n)
	end := n.reachable()
	session := accesstest.Session(t, w.g.guard, w.g.Handler(), access.RoadPublic, api.RoleUser)
	w.roads(session.Token, n, api.RoadRequest{})
	cut()
	if err := w.g.guard.EndSession(t.Context(), session.Id); err != nil {
		t.Fatal(err)
	}
	w.connect(n)
	eventually(t, "the node is told", func() bool { return len(end.closes()) == 1 })
}

// Who gets other rights gets other grants, and loses what the former ones opened.
func TestRoadsCloseWithTheRole(t *testing.T) {
	w := newWorld(t)
	n := w.newNode("n")
	end := n.reachable()
	caller := access.Caller{Session: "s", Subject: "s", Role: api.RoleUser, Origin: accesstest.ShopOrigin}
	accesstest.AllowPages(w.g.guard.Origins)
	node, _ := w.g.registry.get(n.nodeID())
	first, err := w.g.roads.keep(t.Context(), caller, node)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.g.roads.keep(t.Context(), caller, node); err != nil || again != first {
		t.Errorf("a second watch of the same: %v, %v", again, err)
	}
	w.g.guard.Origins.Configure(false, nil) // ends what the page has
	eventually(t, "the node is told", func() bool { return len(end.closes()) == 1 })
	if !first.over() {
		t.Error("the watch does not know")
	}
	second, err := w.g.roads.keep(t.Context(), caller, node)
	if err != nil || second == first || second.over() {
		t.Errorf("after its end: %v, %v, want another watch", second, err)
	}
}

func TestNear(t *testing.T) {
	for _, tt := range []struct {
		peer, local, header string
		want                bool
	}{
		{"192.168.1.20:5000", "192.168.1.5:8443", "", true}, {"10.1.2.3:5000", "172.16.0.1:443", "", true},
		{"127.0.0.1:5000", "127.0.0.1:443", "", true}, {"[fe80::1%eth0]:5000", "[fe80::2%eth0]:443", "", true},
		{"[fd00::1]:5000", "[fd00::2]:443", "", true}, {"100.64.1.1:5000", "100.127.0.1:443", "", true},
		{"[::ffff:192.168.1.20]:5000", "[::ffff:192.168.1.5]:443", "", true},
		{"203.0.113.1:5000", "192.168.1.5:443", "", false}, {"192.168.1.20:5000", "203.0.113.1:443", "", false},
		{"100.128.0.1:5000", "192.168.1.5:443", "", false}, {"[2001:db8::1]:5000", "[2001:db8::2]:443", "", false},
		{"127.0.0.1:5000", "127.0.0.1:443", "X-Forwarded-For", false}, {"pipe", "127.0.0.1:443", "", false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.RemoteAddr = tt.peer
		if tt.header != "" {
			r.Header.Set(tt.header, "x")
		}
		var local net.Addr = net.TCPAddrFromAddrPort(netip.MustParseAddrPort(tt.local))
		if got := near(r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))); got != tt.want {
			t.Errorf("near from %s to %s = %v, want %v", tt.peer, tt.local, got, tt.want)
		}
	}
}

func TestNetworkOf(t *testing.T) {
	w := newWorld(t)
	n, other := &node{id: "a"}, &node{id: "b"}
	of := func(address string, n *node) string {
		name, err := w.g.networkOf(access.Caller{Address: address}, n)
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	home := of("203.0.113.7", n)
	for _, tt := range []struct {
		address string
		node    *node
		same    bool
	}{
		{"203.0.113.250", n, true}, {"203.0.114.7", n, false}, {"203.0.113.7", other, false}, {"2001:db8::1", n, false}, {"nowhere", n, false},
	} {
		if got := of(tt.address, tt.node) == home; got != tt.same {
			t.Errorf("%s to node %s is the same network: %v, want %v", tt.address, tt.node.id, got, tt.same)
		}
	}
	if of("2001:db8:0:0::1", n) != of("2001:db8:0:ff::1", n) || of("2001:db8:0:0::1", n) == of("2001:db8:0:100::1", n) {
		t.Error("a /56 is one network")
	}
}
