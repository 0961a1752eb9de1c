package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/gateway"
	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
)

// realGateway is a gateway with a port for nodes, links in memory, and its administrator.
type realGateway struct {
	t       *testing.T
	address string
	dialer  relay.Dialer
	handler http.Handler
	token   string
}

func newRealGateway(t *testing.T) *realGateway {
	t.Helper()
	id, err := identity.New()
	need(t, err)
	store, err := state.Open(t.Context(), state.Config{Dir: t.TempDir()})
	need(t, err)
	var guard *access.Guard
	g, err := gateway.New(gateway.Config{Identity: id, Name: "Office", State: store,
		Extra: func(g *access.Guard) []access.Route { guard = g; return nil }})
	need(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		need(t, <-served)
		need(t, store.Close())
	})
	var adding sync.WaitGroup // AddLink waits for the node, which does not answer before it has dialed
	t.Cleanup(adding.Wait)
	gate := &memlink.Gateway{Key: id.Public(), Allowed: g.LinkAllowed, OnLink: func(l relay.Link) { adding.Go(func() { g.AddLink(l) }) }}
	return &realGateway{
		t: t, dialer: gate.Dialer(), handler: g.Handler(),
		token: accesstest.Session(t, guard, g.Handler(), access.RoadPublic, api.RoleAdmin).Token,
		address: gatewayPort(t, id, func(w http.ResponseWriter, r *http.Request) {
			r.TLS = &tls.ConnectionState{} // the test's port hides it
			g.NodeHandler().ServeHTTP(w, r)
		}),
	}
}

// admin sends a request of the gateway's administrator.
func (g *realGateway) admin(method, path, body string) answer {
	r := accesstest.NewRequest(access.RoadPublic, method, path, body)
	r.Header.Set("Authorization", "Bearer "+g.token)
	return answer{accesstest.Do(g.handler, r)}
}

// joins runs a node that finds the gateway in its configuration, and approves it.
func (g *realGateway) joins(w workers) *rig {
	g.t.Helper()
	r := newRig(g.t, w)
	news := make(chan GatewayNews, 8)
	r.config = func(c *Config) {
		c.Gateways, c.Dialers, c.OnGateway = []string{g.address}, []relay.Dialer{g.dialer}, func(n GatewayNews) { news <- n }
	}
	r.start()
	asked := <-news
	waiting := decode[scan.Node](g.t, g.admin(http.MethodGet, "/api/v1/nodes/"+r.node.ID(), ""), http.StatusOK)
	if asked.Kind != NewsWaiting || asked.Check != waiting.Check || asked.Check == "" {
		g.t.Fatalf("the node shows %+v, the gateway %+v", asked, waiting)
	}
	decode[scan.Node](g.t, g.admin(http.MethodPost, "/api/v1/nodes/"+r.node.ID()+"/approve", `{"check":"`+asked.Check+`"}`), http.StatusOK)
	if joined := <-news; joined.Kind != NewsJoined {
		g.t.Fatalf("after the approval: %+v", joined)
	}
	r.until("the link", func() bool { _, up := r.node.Gateway(); return up })
	return r
}

// TestPresentOfRealGateway has two nodes join a gateway by approval, and one scan at the
// other's scanner through it, with its own key, once an administrator allows that.
func TestPresentOfRealGateway(t *testing.T) {
	g := newRealGateway(t)
	d := newFakeDevice("one")
	d.scan = then(1, nil)
	owner := g.joins(&fakeWorkers{devices: map[string]*fakeDevice{"one": d}}).found()
	branch := g.joins(&fakeWorkers{})
	scanner := d.id(owner.node.id)
	branch.until("the gateway to know the scanner", func() bool {
		return g.admin(http.MethodGet, "/api/v1/scanners/"+scanner, "").Code == http.StatusOK
	})

	var mu sync.Mutex
	var allowed, waiting []string
	follow, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		branch.node.FollowPresented(follow, func(a, w []string) { mu.Lock(); defer mu.Unlock(); allowed, waiting = a, w })
	}()
	defer func() { cancel(); <-ended }()
	now := func() (a, w []string) { mu.Lock(); defer mu.Unlock(); return allowed, waiting }

	branch.node.Present([]string{scanner})
	branch.until("the administrator to see the wish", func() bool {
		n := decode[scan.Node](t, g.admin(http.MethodGet, "/api/v1/nodes/"+branch.node.ID(), ""), http.StatusOK)
		return slices.Equal(n.Wants, []string{scanner})
	})
	if a, w := now(); len(a) > 0 || !slices.Equal(w, []string{scanner}) {
		t.Errorf("allowed %v, waiting %v before anybody allowed it", a, w)
	}
	client := branch.node.GatewayAPI()
	refused, err := client.GetScanner(t.Context(), scanner)
	need(t, err)
	refused.Body.Close()
	if refused.StatusCode != http.StatusNotFound {
		t.Errorf("a scanner that the node may not present: status %d, want 404", refused.StatusCode)
	}
	decode[scan.Node](t, g.admin(http.MethodPatch, "/api/v1/nodes/"+branch.node.ID(), `{"presents":["`+scanner+`"]}`), http.StatusOK)
	branch.node.uplink.link().Redial(0) // its next link hears of it at once
	branch.until("the leave to present", func() bool { a, _ := now(); return slices.Equal(a, []string{scanner}) })

	found, err := client.GetScanner(t.Context(), scanner)
	need(t, err)
	if s := jsonOf[scan.Scanner](t, found, http.StatusOK); s.ID != scanner {
		t.Errorf("scanner = %+v", s)
	}
	made, err := client.CreateJobWithBody(t.Context(), scanner, &api.CreateJobParams{IdempotencyKey: newKey()}, "application/json",
		strings.NewReader(request(scan.SourceADF, 0)))
	need(t, err)
	j := jsonOf[scan.Job](t, made, http.StatusCreated)
	page, err := client.GetPage(t.Context(), j.ID, 1, &api.GetPageParams{})
	for deadline := time.Now().Add(20 * time.Second); err == nil && page.StatusCode != http.StatusOK && time.Now().Before(deadline); {
		page.Body.Close()
		time.Sleep(20 * time.Millisecond) // the page is not there yet
		page, err = client.GetPage(t.Context(), j.ID, 1, &api.GetPageParams{})
	}
	need(t, err)
	b, err := io.ReadAll(page.Body)
	need(t, err)
	page.Body.Close()
	if !bytes.Equal(b, testJPEG(1)) {
		t.Errorf("%d bytes came through the gateway (status %d), want %d", len(b), page.StatusCode, len(testJPEG(1)))
	}
	// The node's key changes: its next request proves the new one.
	pin := branch.self.Pin()
	need(t, branch.node.Rotate(t.Context()))
	again, err := client.GetJob(t.Context(), j.ID)
	need(t, err)
	if got := jsonOf[scan.Job](t, again, http.StatusOK); got.ID != j.ID || branch.self.Pin() == pin {
		t.Errorf("after the change of key: %+v", got)
	}
}
