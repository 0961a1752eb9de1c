package access_test

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// nodes is a gateway's end that knows two nodes, of which one was revoked.
type nodes struct {
	*end
	branch, revoked, stranger *identity.Identity
	barred                    atomic.Bool // the first one too
}

type peerKey struct{}

func newNodes(t testing.TB, change ...func(*access.Config)) *nodes {
	t.Helper()
	n := &nodes{}
	for _, id := range []**identity.Identity{&n.branch, &n.revoked, &n.stranger} {
		var err error
		if *id, err = identity.New(); err != nil {
			t.Fatal(err)
		}
	}
	n.end = newEnd(t, append([]func(*access.Config){func(c *access.Config) {
		c.PeerKey = func(ctx context.Context) ed25519.PublicKey {
			key, _ := ctx.Value(peerKey{}).(ed25519.PublicKey)
			return key
		}
		c.PeerNode = func(_ context.Context, key ed25519.PublicKey) (string, string, error) {
			switch {
			case key.Equal(n.branch.Public()) && !n.barred.Load():
				return n.branch.NodeID(), "Branch", nil
			case key.Equal(n.stranger.Public()):
				return "", "", problem.NodeUnknown.Error()
			}
			return "", "", problem.NodeRevoked.Error()
		}
		c.NodeMay = func(node, scanner string) bool { return node == n.branch.NodeID() && scanner == hallScanner }
	}}, change...)...)
	return n
}

// as is a node that has proven its key.
func (n *nodes) as(id *identity.Identity) accesstest.As {
	return func(_ testing.TB, r *http.Request, _ api.Role) {
		*r = *r.WithContext(context.WithValue(r.Context(), peerKey{}, id.Public()))
	}
}

func (n *nodes) asks(t testing.TB, id *identity.Identity, method, path, body string) (problem.Code, map[string]string) {
	r := accesstest.NewRequest(access.RoadNode, method, path, body)
	n.as(id)(t, r, "")
	w := accesstest.Do(n.on(access.RoadNode), r)
	if code := accesstest.Code(w); code != "" {
		return code, nil
	}
	return "", decode[map[string]string](t, w)
}

func statusOf(scanner string) string { return "/api/v1/scanners/" + scanner + "/status" }

func TestNodesByTheirKeys(t *testing.T) {
	n := newNodes(t)
	code, who := n.asks(t, n.branch, "GET", statusOf(hallScanner), "")
	me := "node:" + n.branch.NodeID()
	if code != "" || who["session"] != me || who["subject"] != me || who["role"] != "kiosk" || who["road"] != "node" {
		t.Errorf("a scanner that the node may use: problem %q, caller %v, want %s as a kiosk", code, who, me)
	}
	for _, tt := range []struct {
		name, method, path, body string
		by                       *identity.Identity
		want                     problem.Code
	}{
		{"a scanner that it may not use", "GET", statusOf(deskScanner), "", n.branch, problem.NotFound},
		{"something of a scanner", "POST", jobPath + "/finish", "{}", n.branch, ""},
		{"a route of a node's life", "POST", "/api/v1/node/join", "{}", n.branch, ""},
		{"a route of a node's life, as anybody", "POST", "/api/v1/node/join", "{}", n.stranger, ""},
		{"a route of users", "GET", jobPath, "", n.branch, problem.NotFound},
		{"a route of the sign-in", "GET", "/api/v1/session", "", n.branch, problem.NotFound},
		{"a session", "POST", "/api/v1/sessions", `{"secret":"x"}`, n.branch, problem.NotFound},
		{"as one that was revoked", "GET", statusOf(hallScanner), "", n.revoked, problem.NodeRevoked},
		{"as one that is unknown", "GET", statusOf(hallScanner), "", n.stranger, problem.NodeUnknown},
	} {
		if code, _ := n.asks(t, tt.by, tt.method, tt.path, tt.body); code != tt.want {
			t.Errorf("%s: problem %q, want %q", tt.name, code, tt.want)
		}
	}
	nobody := newNodes(t, func(c *access.Config) { c.PeerNode = nil })
	if code, _ := nobody.asks(t, nobody.branch, "GET", statusOf(hallScanner), ""); code != problem.NodeUnknown {
		t.Errorf("where nodes may use nothing: problem %q, want node-unknown", code)
	}
	closed := newNodes(t, func(c *access.Config) { c.NodeMay = nil })
	if code, _ := closed.asks(t, closed.branch, "GET", statusOf(hallScanner), ""); code != problem.NotFound {
		t.Errorf("where nothing is allowed to nodes: problem %q, want not-found", code)
	}
}

func TestPoliciesForNodesAndNeighbours(t *testing.T) {
	kiosk := access.AtLeast(api.RoleKiosk)
	for _, tt := range []struct {
		name       string
		policy     access.Policy
		node, escl bool
	}{
		{"scanners", kiosk, false, true},
		{"scanners for nodes", kiosk.Needs(scan.See).Nodes().Tickets().Parallel(1), true, true},
		{"own session", kiosk.Direct(), false, false},
		{"own session for nodes", kiosk.Direct().Nodes(), false, false},
		{"own pages", kiosk.OwnPages().Nodes(), false, false},
		{"users", access.AtLeast(api.RoleUser).Nodes(), false, false},
		{"administrators", access.AtLeast(api.RoleAdmin).Nodes(), false, false},
		{"anybody", access.Anonymous().Nodes(), false, false},
		{"probe", access.Probe().Nodes(), false, false},
		{"link", access.LinkOnly().Nodes(), false, false},
		{"setup", access.Setup().Nodes(), false, false},
		{"node", access.NodeOnly(), true, false},
	} {
		if got := tt.policy.On(access.RoadNode); got != tt.node {
			t.Errorf("%s: On(node) = %v, want %v", tt.name, got, tt.node)
		}
		if got := tt.policy.On(access.RoadESCL); got != tt.escl {
			t.Errorf("%s: On(escl) = %v, want %v", tt.name, got, tt.escl)
		}
	}
}

// What a node has under way ends at once, and one that was barred while its request was
// judged is refused.
func TestEndNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNodes(t)
		n.routes = append(n.routes, access.Route{Method: "GET", Path: "/api/v1/events", Policy: access.AtLeast(api.RoleKiosk).Nodes(),
			Handle: func(w http.ResponseWriter, r *http.Request) error {
				<-r.Context().Done()
				return r.Context().Err()
			}})
		h := n.on(access.RoadNode)
		ended := false
		go func() {
			r := accesstest.NewRequest(access.RoadNode, "GET", "/api/v1/events", "")
			n.as(n.branch)(t, r, "")
			accesstest.Do(h, r)
			ended = true
		}()
		synctest.Wait()
		n.guard.EndNode(n.revoked.NodeID())
		synctest.Wait()
		if ended {
			t.Fatal("it ended with what another node has under way")
		}
		n.guard.EndNode(n.branch.NodeID())
		synctest.Wait()
		if !ended {
			t.Fatal("the node's stream goes on")
		}
	})
}

func TestNodeBarredWhileJudged(t *testing.T) {
	n := newNodes(t)
	find := n.guard.PeerNode
	n.guard.PeerNode = func(ctx context.Context, key ed25519.PublicKey) (string, string, error) {
		id, name, err := find(ctx, key)
		if n.barred.CompareAndSwap(false, true) {
			n.guard.EndNode(n.branch.NodeID())
		}
		return id, name, err
	}
	if code, _ := n.asks(t, n.branch, "GET", statusOf(hallScanner), ""); code != problem.NodeRevoked {
		t.Errorf("problem %q, want node-revoked", code)
	}
}

// A gateway's subjects are none of the node's own: not its machine's user, not its
// neighbours, not a node's.
func TestSubjectsOfGatewaysAreTheirOwn(t *testing.T) {
	v := access.NewGrantVerifier(testNode, nil)
	e := newEnd(t, func(c *access.Config) { c.Grants = v })
	gateway := accesstest.NewGateway(t, v, testNode)
	const pin = 12
	for _, claimed := range []string{access.SubjectLocal, access.SessionLoopback, "escl:192.0.2.7", "node:" + branchNode, ":", "gw-x:escl:192.0.2.7"} {
		r := accesstest.NewRequest(access.RoadLink, "GET", pagePath, "")
		c := access.Caller{Session: claimed, Subject: claimed, Role: api.RoleKiosk}
		r.Header.Set(access.HeaderGrant, access.NewGrant(c, testNode, r, time.Now()).Sign(gateway.Identity))
		who := decode[map[string]string](t, accesstest.Do(e.on(access.RoadLink), r))
		if want := "gw-" + gateway.Identity.Pin()[:pin] + ":" + claimed; who["subject"] != want {
			t.Errorf("subject %q of a gateway is %q, want %q", claimed, who["subject"], want)
		}
		if want := "gw-" + claimed; who["session"] != want {
			t.Errorf("session %q of a gateway is %q, want %q", claimed, who["session"], want)
		}
	}
}
