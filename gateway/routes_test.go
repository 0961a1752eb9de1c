package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

func TestRoutesAreTheContract(t *testing.T) {
	accesstest.ContractCheck(t, accesstest.Spec(t), newWorld(t).g.Routes(), accesstest.End{
		Tags: []string{"service", "sign-in", "users", "origins", "scanners", "jobs", "pages", "documents", "events", "nodes", "link", "modules"},
		Without: []string{
			"linkHello", "getLinkEvents", "drainLink", "linkRoads", "linkRoadsClose", // a node's
			"leaseLicense", "reportPages", "getReplica", "mergeReplica", // of Config.Extra
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
		Target: func(r access.Route) string {
			if r.Path == v1+"/imports" || r.Path == v1+"/modules" {
				return r.Path + "?node=" + n.nodeID()
			}
			return ids.Replace(r.Path)
		},
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
			case "POST /imports":
				return "%PDF-1.7"
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
	walker.Handler, walker.Road = w.g.NodeHandler(), access.RoadNode
	walker.Page, walker.Cookie = nil, nil
	presents, revoked, other := newFakeNode(t, "presents"), newFakeNode(t, "revoked"), newFakeNode(t, "presents something else")
	w.join(presents)
	w.present(presents, n.scannerID())
	w.join(revoked)
	w.present(revoked, n.scannerID())
	w.do(w.signIn(api.RoleAdmin), http.MethodDelete, "/api/v1/nodes/"+revoked.nodeID(), nil, http.StatusNoContent, nil)
	w.join(other)
	w.present(other, n.scanner("elsewhere").ID)
	walker.As = byKey(presents)
	walker.Others = []accesstest.Other{
		{Name: "node that is not enrolled", As: byKey(newFakeNode(t, "stranger")), Want: problem.NodeUnknown},
		{Name: "node that waits", As: byKey(asks.fakeNode), Want: problem.NodeUnknown},
		{Name: "node that was revoked", As: byKey(revoked), Want: problem.NodeRevoked},
		{Name: "node that nobody allowed anything", As: byKey(node), Want: problem.NotFound},
		{Name: "node that presents another scanner", As: byKey(other), Want: problem.NotFound},
		{Name: "the scanner's own node", As: byKey(n), Want: problem.NotFound},
	}
	n.mu.Lock()
	n.documents = []scan.Document{{ID: document, Pages: []scan.DocumentPage{{Job: job, N: 1}}}}
	n.mu.Unlock()
	accesstest.Walk(t, walker)
	var nodeSide []string
	for _, r := range walker.Routes {
		if r.Policy.On(access.RoadNode) {
			nodeSide = append(nodeSide, r.Method+" "+strings.TrimPrefix(r.Path, "/api/v1"))
		}
	}
	slices.Sort(nodeSide)
	if want := []string{
		"DELETE /documents/{document}", "DELETE /jobs/{job}",
		"GET /documents/{document}", "GET /documents/{document}/content", "GET /jobs/{job}", "GET /jobs/{job}/events", "GET /jobs/{job}/pages",
		"GET /jobs/{job}/pages/{n}", "GET /node/join/state", "GET /scanners/{scanner}", "GET /scanners/{scanner}/capabilities", "GET /scanners/{scanner}/status",
		"POST /jobs/{job}/cancel", "POST /jobs/{job}/finish", "POST /jobs/{job}/pages/{n}/ack",
		"POST /node/join", "POST /node/join/reveal", "POST /node/key", "POST /node/leave", "POST /node/presents", "POST /scanners/{scanner}/jobs",
	}; !slices.Equal(nodeSide, want) {
		t.Errorf("routes for nodes: %q, want %q", nodeSide, want)
	}
}

// byKey is a node that has proven its key.
func byKey(n *fakeNode) accesstest.As {
	return func(_ testing.TB, r *http.Request, _ api.Role) {
		*r = *r.WithContext(relay.WithPeerKey(r.Context(), n.id.Public()))
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
