package access_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

const testNode = "aaaaaaaaaaaaaaaaaaaaaaaaaak7"

// end is a guard with the sign-in routes and some of every policy.
type end struct {
	guard   *access.Guard
	records *accesstest.Records
	routes  []access.Route
	log     *strings.Builder
	checked map[access.Road]http.Handler
}

func newEnd(t testing.TB, change ...func(*access.Config)) *end {
	t.Helper()
	e := &end{records: accesstest.NewRecords(), log: &strings.Builder{}, checked: map[access.Road]http.Handler{}}
	c := access.Config{
		Records: e.records, MaxRole: api.RoleAdmin,
		Service: func(c access.Caller) api.Service {
			return api.Service{Role: api.ServiceRoleNode, Version: "1", Id: testNode, Name: "Reception"}
		},
		Log: slog.New(slog.NewTextHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&c)
	}
	e.guard = access.New(c)
	e.routes = append(access.SignInRoutes(e.guard),
		access.Route{Method: "GET", Path: "/api/v1/jobs/{job}", Policy: access.AtLeast(api.RoleUser), Handle: whoami},
		access.Route{Method: "DELETE", Path: "/api/v1/jobs/{job}", Policy: access.AtLeast(api.RoleOperator), Handle: whoami},
		access.Route{Method: "GET", Path: "/api/v1/jobs/{job}/pages/{n}", Policy: access.AtLeast(api.RoleKiosk).Tickets().Nodes(), Handle: whoami},
		access.Route{Method: "GET", Path: "/api/v1/scanners/{scanner}/status", Policy: access.AtLeast(api.RoleKiosk).Needs(scan.See).Nodes(), Handle: whoami},
		access.Route{Method: "POST", Path: "/api/v1/jobs/{job}/finish", Policy: access.AtLeast(api.RoleKiosk).Nodes(), MaxBody: 1 << 10, Handle: readBody},
		access.Route{Method: "POST", Path: "/api/v1/scanners/{scanner}/jobs", Policy: access.AtLeast(api.RoleUser), MaxBody: 1 << 10, Handle: readBody},
		access.Route{Method: "GET", Path: "/api/v1/nodes/{node}", Policy: access.AtLeast(api.RoleAdmin), Handle: whoami},
		access.Route{Method: "POST", Path: "/api/v1/setup/settings", Policy: access.Setup(), MaxBody: 1 << 10, Handle: readBody},
		access.Route{Method: "POST", Path: "/api/v1/link/drain", Policy: access.LinkOnly(), MaxBody: 1 << 10, Handle: whoami},
		access.Route{Method: "POST", Path: "/api/v1/road", Policy: access.RoadOnly(), MaxBody: 1 << 10, Handle: readBody},
		access.Route{Method: "POST", Path: "/api/v1/node/join", Policy: access.NodeOnly(), MaxBody: 1 << 10, Handle: whoami},
	)
	return e
}

func (e *end) on(road access.Road) http.Handler { return e.guard.Handler(road, e.routes, app) }

// validated is the same, checked against the API document.
func (e *end) validated(t testing.TB, road access.Road) http.Handler {
	if e.checked[road] == nil {
		e.checked[road] = accesstest.Validate(t, e.on(road))
	}
	return e.checked[road]
}

// app stands for the web app.
var app = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	io.WriteString(w, "<!doctype html>")
})

// whoami answers with the caller.
func whoami(w http.ResponseWriter, r *http.Request) error {
	c := access.CallerOf(r.Context())
	return access.WriteJSON(w, http.StatusOK, map[string]string{
		"session": c.Session, "subject": c.Subject, "role": string(c.Role), "road": string(c.Road), "gateway": c.Gateway, "origin": c.Origin,
	})
}

func readBody(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Name string `json:"name,omitempty"`
	}
	if err := access.ReadJSON(r, &body); err != nil {
		return err
	}
	return whoami(w, r)
}

const (
	jobPath  = "/api/v1/jobs/aaaaaaaaaaaaaaaa-jaaaaaaaaaaaaaaaaaaaa"
	pagePath = jobPath + "/pages/1"

	testScanner = "aaaaaaaaaaaaaaaa-saaaaaaaaaaaaaaaaaaaa"
)

func wantCode(t testing.TB, w *httptest.ResponseRecorder, want problem.Code) {
	t.Helper()
	if got := accesstest.Code(w); got != want {
		t.Errorf("status %d, problem %q, want problem %q: %s", w.Code, got, want, w.Body)
	}
}

func wantStatus(t testing.TB, w *httptest.ResponseRecorder, want int) {
	t.Helper()
	if w.Code != want {
		t.Errorf("status %d, want %d: %s", w.Code, want, w.Body)
	}
}

func TestLinkHostIsRelays(t *testing.T) {
	e := newEnd(t)
	r := accesstest.NewRequest(access.RoadLink, "POST", "/api/v1/link/drain", "{}")
	r.Host = relay.Host
	wantStatus(t, accesstest.Do(e.on(access.RoadLink), r), http.StatusOK)
}

func TestWalk(t *testing.T) {
	for _, road := range []access.Road{access.RoadLoopback, access.RoadLAN, access.RoadPublic, access.RoadSetup} {
		t.Run(string(road), func(t *testing.T) {
			e := newEnd(t)
			h := e.on(road)
			door := road // where pages sign in
			if road == access.RoadSetup {
				door = access.RoadLAN
			}
			accesstest.AllowPages(e.guard.Origins)
			accesstest.Walk(t, accesstest.Walker{Handler: h, Routes: e.routes, Road: road,
				As:   accesstest.SignIn(e.guard, h, road),
				Page: func(origin string) accesstest.As { return accesstest.SignInPage(e.guard, e.on(door), door, origin) },
				Cookie: func(t testing.TB, role api.Role) *http.Cookie {
					return accesstest.Cookie(t, e.guard, h, road, role)
				},
				Snapshot: e.records.Dump})
		})
	}
	t.Run("link", func(t *testing.T) {
		v := access.NewGrantVerifier(testNode, nil)
		e := newEnd(t, func(c *access.Config) { c.Grants = v })
		gateway := accesstest.NewGateway(t, v, testNode)
		accesstest.Walk(t, accesstest.Walker{Handler: e.on(access.RoadLink), Routes: e.routes, Road: access.RoadLink,
			As: gateway.As, Page: gateway.Page, Snapshot: e.records.Dump})
	})
	t.Run("direct", func(t *testing.T) {
		v := access.NewGrantVerifier(testNode, nil)
		e := newEnd(t, func(c *access.Config) { c.Grants, c.DirectRoad = v, accesstest.DirectRoad })
		gateway := accesstest.NewGateway(t, v, testNode)
		gateway.Scanners = map[string][]scan.Action{testScanner: scan.Actions}
		accesstest.Walk(t, accesstest.Walker{Handler: e.on(access.RoadDirect), Routes: e.routes, Road: access.RoadDirect,
			As: gateway.AsRoad, Page: gateway.RoadPage, Snapshot: e.records.Dump})
	})
}

func TestWalkOfNodes(t *testing.T) {
	n := newNodes(t)
	accesstest.Walk(t, accesstest.Walker{Handler: n.on(access.RoadNode), Routes: n.routes, Road: access.RoadNode, As: n.as(n.branch),
		Others: []accesstest.Other{
			{Name: "node that is not enrolled", As: n.as(n.stranger), Want: problem.NodeUnknown},
			{Name: "node that was revoked", As: n.as(n.revoked), Want: problem.NodeRevoked},
		},
		Snapshot: n.records.Dump})
}

func TestWalkOfNeighbours(t *testing.T) {
	e := newEnd(t)
	accesstest.Walk(t, accesstest.Walker{Handler: e.on(access.RoadESCL), Routes: e.routes, Road: access.RoadESCL,
		As: func(testing.TB, *http.Request, api.Role) {}, Snapshot: e.records.Dump})
}

func TestSignInContract(t *testing.T) {
	e := newEnd(t)
	accesstest.ContractCheck(t, accesstest.Spec(t), access.SignInRoutes(e.guard), accesstest.End{
		Tags:    []string{"service", "sign-in", "users", "origins"},
		Without: []string{"startOIDC", "startPasskeySignIn", "startPasskey", "listPasskeys", "createPasskey", "deletePasskey"}, // of providers
	})
}

func TestRecordsInMemory(t *testing.T) {
	accesstest.TestRecords(t, func(*testing.T) access.Records { return accesstest.NewRecords() })
}
