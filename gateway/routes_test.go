package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

func TestRoutesAreTheContract(t *testing.T) {
	accesstest.ContractCheck(t, accesstest.Spec(t), newWorld(t).g.Routes(), accesstest.End{
		Tags: []string{"service", "sign-in", "users", "origins", "scanners", "jobs", "pages", "documents", "events", "nodes", "link"},
		Without: []string{
			"linkHello", "getLinkEvents", "drainLink", // a node's
			"startOIDC", "startPasskeySignIn", "listPasskeys", "createPasskey", "startPasskey", "deletePasskey", // of Config.Providers
		},
	})
}

func TestRoutesWalk(t *testing.T) {
	w := newWorld(t)
	n := w.newNode("n")
	job := n.addJobs(time.Now(), 1)[0]
	document := scan.NewID(n.nodeID(), scan.KindDocument)
	node := newFakeNode(t, "to be left alone")
	w.join(node)
	asks := newAsker(t, w, "waits")
	asks.reveal()
	ids := strings.NewReplacer("{user}", strings.Repeat("a", 20), "{permission}", strings.Repeat("a", 20), "{origin}", strings.Repeat("a", 20),
		"{code}", "ABCDEFGH", "{scanner}", n.scannerID(), "{job}", job, "{document}", document, "{n}", "1", "{node}", node.nodeID(),
		"{pairing}", strings.Repeat("a", 20), "{session}", strings.Repeat("a", 20), "{token}", strings.Repeat("a", 20))
	accesstest.AllowPages(w.g.guard.Origins)
	walker := accesstest.Walker{
		Handler: w.g.Handler(), Routes: w.g.Routes(), Road: access.RoadPublic,
		As: w.signInNowAndThen(),
		Page: func(origin string) accesstest.As {
			return accesstest.SignInPage(w.g.guard, w.g.Handler(), access.RoadPublic, origin)
		},
		Cookie: func(t testing.TB, role api.Role) *http.Cookie {
			return accesstest.Cookie(t, w.g.guard, w.g.Handler(), access.RoadPublic, role)
		},
		Target: func(r access.Route) string { return ids.Replace(r.Path) },
		Header: func(r access.Route, h http.Header) {
			if strings.HasSuffix(r.Path, "/scanners/{scanner}/jobs") {
				h.Set(headerIdempotency, "0123456789abcdef")
			}
		},
		Body: func(r access.Route) string {
			switch r.Method + " " + strings.TrimPrefix(r.Path, "/api/v1") {
			case "POST /scanners/{scanner}/jobs":
				return `{"settings":{}}`
			case "POST /documents":
				return fmt.Sprintf(`{"node":%q}`, n.nodeID())
			case "PATCH /nodes/{node}":
				return `{"name":"x"}`
			case "POST /nodes/{node}/approve":
				return fmt.Sprintf(`{"check":%q}`, asks.check())
			case "PATCH /scanners/{scanner}":
				return `{"hold":true}`
			case "POST /scanners/{scanner}/release":
				return `{"code":"123456"}`
			case "POST /jobs/{job}/pages/{n}/ack":
				return fmt.Sprintf(`{"digest":%q}`, strings.Repeat("0", 64))
			}
			return "{}"
		},
		Snapshot: func() string { return w.dump() + n.dump() },
	}
	accesstest.Walk(t, walker)
	all := walker.Routes
	walker.Handler, walker.Road, walker.Routes = w.g.SetupHandler(), access.RoadSetup, w.g.nodeRoutes()
	accesstest.Walk(t, walker)
	walker.Routes = all
	walker.Handler, walker.Road, walker.Snapshot = w.g.NodeHandler(), access.RoadNode, w.dump
	walker.As = func(testing.TB, *http.Request, api.Role) {}
	nodeSide := 0
	for _, r := range walker.Routes {
		if r.Policy.On(access.RoadNode) {
			nodeSide++
		}
	}
	if nodeSide != 5 {
		t.Errorf("%d routes exist for nodes, want only those of a node's life: join, reveal, state, key, leave", nodeSide)
	}
}

// signInNowAndThen uses each session for a while: less often than the guard's limit
// on requests allows, and without thousands of sessions to compare.
func (w *world) signInNowAndThen() accesstest.As {
	tokens, uses := map[api.Role]string{}, 0
	return func(_ testing.TB, r *http.Request, role api.Role) {
		if uses++; uses%100 == 0 {
			clear(tokens)
		}
		if tokens[role] == "" {
			tokens[role] = w.signIn(role)
		}
		r.Header.Set("Authorization", "Bearer "+tokens[role])
	}
}

// dump is all that the gateway stores.
func (w *world) dump() string {
	w.t.Helper()
	var b strings.Builder
	ctx := context.Background()
	nodes, err := w.g.cfg.State.Nodes().List(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	fmt.Fprintf(&b, "%+v\n", nodes)
	err = w.g.cfg.State.Records().List(ctx, "", func(key string, value []byte) error {
		_, err := fmt.Fprintf(&b, "%s %s\n", key, value)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

// dump is all that the node has.
func (n *fakeNode) dump() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprintf("%+v %+v %+v", n.scanners, n.jobs, n.documents)
}

func TestService(t *testing.T) {
	w := newWorld(t)
	var s api.Service
	w.do("", http.MethodGet, "/api/v1/service", nil, http.StatusOK, &s)
	if s != (api.Service{Product: api.ServiceProductPlaten, Api: api.ServiceApiN1}) {
		t.Errorf("anonymous: %+v, want the constant answer", s)
	}
	w.do(w.signIn(api.RoleKiosk), http.MethodGet, "/api/v1/service", nil, http.StatusOK, &s)
	if s.Role != api.ServiceRoleGateway || s.Name != "Test gateway" || s.Version != "0.0.1" || s.Id != w.id.NodeID() {
		t.Errorf("signed in: %+v, want the gateway", s)
	}
	answer := w.send(w.newRequest("", http.MethodGet, "/", nil))
	if answer.StatusCode != http.StatusOK {
		t.Errorf("GET /: status %d, want the app", answer.StatusCode)
	}
}
