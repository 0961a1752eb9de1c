package node

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
)

func TestContract(t *testing.T) {
	g := newRig(t, &fakeWorkers{}).start()
	accesstest.ContractCheck(t, accesstest.Spec(t), g.node.routes(access.RoadLoopback), accesstest.End{
		Tags: []string{"service", "sign-in", "users", "origins", "scanners", "jobs", "pages", "documents", "events", "nodes", "link", "roads", "modules"},
		Without: []string{
			"openRoads", "joinNode", "leaveNode", "revealNode", "getJoinState", "rotateNodeKey", "presentScanners", // a gateway's
			"listNodes", "getNode", "editNode", "revokeNode", "approveNode", "reinstateNode",
			"listJoinTokens", "createJoinToken", "deleteJoinToken",
			"leaseLicense", "reportPages", "getReplica", "mergeReplica", // a licence tracking server's
			"startOIDC", "startPasskeySignIn", "listPasskeys", "createPasskey", "startPasskey", "deletePasskey", // a provider's
		},
	})
}

// TestEveryRouteUnderAttack misuses each route on each road: the right problem, and
// nothing changed.
func TestEveryRouteUnderAttack(t *testing.T) {
	for _, road := range []access.Road{access.RoadLoopback, access.RoadLAN, access.RoadLink, access.RoadDirect, access.RoadSetup, access.RoadESCL} {
		t.Run(string(road), func(t *testing.T) {
			t.Parallel()
			d := newFakeDevice("one")
			d.scan = then(1, nil)
			g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}})
			g.config = func(c *Config) {
				c.Access.Origins = access.NewOrigins()
				accesstest.AllowPages(c.Access.Origins)
			}
			g.start().found()
			scanner := d.id(g.node.id)
			j := g.submit(scanner, request(scan.SourceADF, 0))
			g.reaches(j.ID, scan.JobCompleted)
			h := g.node.Handler(road)
			as := accesstest.SignIn(g.node.guard, h, road)
			page := func(origin string) accesstest.As { return accesstest.SignInPage(g.node.guard, h, road, origin) }
			cookie := func(t testing.TB, role api.Role) *http.Cookie {
				return accesstest.Cookie(t, g.node.guard, h, road, role)
			}
			switch road {
			case access.RoadSetup: // pages of others sign in elsewhere, and may do nothing there
				lan := g.node.Handler(access.RoadLAN)
				page = func(origin string) accesstest.As {
					return accesstest.SignInPage(g.node.guard, lan, access.RoadLAN, origin)
				}
			case access.RoadLink:
				gateway := accesstest.NewGateway(t, g.node.grants, g.node.id)
				as, page, cookie = gateway.As, gateway.Page, nil
			case access.RoadDirect:
				as, page, cookie = onRoad(t, g), nil, nil
			case access.RoadESCL: // nobody signs in there
				as, page, cookie = func(testing.TB, *http.Request, api.Role) {}, nil, nil
			}
			ids := strings.NewReplacer("{scanner}", scanner, "{job}", j.ID, "{document}", j.Document, "{n}", "1")
			accesstest.Walk(t, accesstest.Walker{
				Handler: h, Routes: g.node.routes(road), Road: road, As: as, Page: page, Cookie: cookie,
				Target: func(r access.Route) string { return accesstest.FillPath(ids.Replace(r.Path)) },
				Header: func(r access.Route, h http.Header) {
					if strings.HasSuffix(r.Path, "/{scanner}/jobs") {
						h.Set("Idempotency-Key", newKey())
					}
				},
				Body: func(r access.Route) string {
					switch {
					case strings.HasSuffix(r.Path, "/{scanner}/jobs"):
						return request(scan.SourceADF, 0)
					case strings.HasSuffix(r.Path, "/{scanner}/release"):
						return `{"code":"000000"}`
					case r.Method == http.MethodPatch && strings.HasSuffix(r.Path, "/{scanner}"):
						return `{"name":"Mine","hold":true}`
					case strings.HasSuffix(r.Path, "/imports"):
						return "%PDF-1.7"
					case strings.HasSuffix(r.Path, "/road"):
						return `{"grant":"x"}`
					case strings.HasSuffix(r.Path, "/ack"):
						return `{"digest":"` + strings.Repeat("a", 64) + `"}`
					}
					return ""
				},
				Snapshot: func() string { return snapshot(t, g) },
			})
		})
	}
}

// onRoad puts requests on one direct road, whose grant is renewed for each.
func onRoad(t *testing.T, g *rig) accesstest.As {
	gateway := accesstest.NewGateway(t, g.node.grants, g.node.id)
	g.node.roads.follow(gateway.Identity.Pin())
	way, ok := g.node.roads.roadFor(memlink.NewRoad(relay.KindWebRTC).Join("").Session())
	if !ok {
		t.Fatal("no room for a road")
	}
	return func(t testing.TB, r *http.Request, role api.Role) {
		c := access.Caller{Session: "test", Subject: "test", Role: role}
		grant, left, err := g.node.grants.VerifyRoad(r.Context(), access.NewRoadGrant(c, g.node.id, nil, nil, time.Now()).Sign(gateway.Identity))
		need(t, err)
		_, err = g.node.roads.open(way, grant, left)
		need(t, err)
		*r = *r.WithContext(context.WithValue(r.Context(), roadKey{}, way))
	}
}

// snapshot is what a request could change: jobs, documents, pages, scanners, and what
// the guard keeps but for sessions, whose last use is noted.
func snapshot(t *testing.T, g *rig) string {
	t.Helper()
	ctx := t.Context()
	jobs, _, err := g.store.Jobs(ctx, pagestore.JobFilter{}, "", 200)
	need(t, err)
	docs, _, err := g.store.Documents(ctx, "", "", 200)
	need(t, err)
	all := []any{jobs, docs}
	for _, d := range g.node.devices() {
		settings, err := g.store.Scanner(ctx, d.id)
		need(t, err)
		all = append(all, settings)
	}
	need(t, g.store.Records().List(ctx, "", func(key string, value []byte) error {
		if !strings.HasPrefix(key, "session.") {
			all = append(all, key, value)
		}
		return nil
	}))
	for _, j := range jobs {
		pages, _, err := g.store.Pages(ctx, j.ID, "", 200)
		need(t, err)
		all = append(all, pages)
	}
	b, err := json.Marshal(all)
	need(t, err)
	return fmt.Sprintf("%x %s", sha256.Sum256(b), b)
}

// TestService tells anonymous callers nothing and those with a session what answers.
func TestService(t *testing.T) {
	g := newRig(t, &fakeWorkers{}).start()
	got := get[api.Service](g, "/api/v1/service")
	want := api.Service{Product: "platen", Api: "1", Role: api.ServiceRoleNode, Version: "1.2.3", Id: g.node.id, Name: "Reception"}
	if got != want {
		t.Errorf("service = %+v, want %+v", got, want)
	}
	anonymous := accesstest.Do(g.node.Handler(access.RoadLAN), accesstest.NewRequest(access.RoadLAN, http.MethodGet, "/api/v1/service", ""))
	if body := strings.TrimSpace(anonymous.Body.String()); body != `{"api":"1","product":"platen"}` {
		t.Errorf("anonymous service = %s", body)
	}
}

// TestLimitsOfASession bounds jobs on the LAN, not on the machine itself.
func TestLimitsOfASession(t *testing.T) {
	g, _, scanner := oneDevice(t, func(b *fakeBatch) error { return b.hang() })
	phone := g.user(api.RoleUser)
	url := "/api/v1/scanners/" + scanner + "/jobs"
	for i := range jobsPerMinute {
		if a := phone(http.MethodPost, url, request(scan.SourceADF, 0)); a.Code != http.StatusCreated {
			t.Fatalf("job %d: status %d, %s", i, a.Code, a.Body)
		}
	}
	a := phone(http.MethodPost, url, request(scan.SourceADF, 0))
	a.wants(t, problem.TooManyRequests, "")
	if a.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	g.submit(scanner, request(scan.SourceADF, 0))
}

// TestWebApp has every path outside /api/ but on links.
func TestWebApp(t *testing.T) {
	g := newRig(t, &fakeWorkers{})
	g.config = func(c *Config) {
		c.Web = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("app")) })
	}
	g.start()
	for road, want := range map[access.Road]int{access.RoadLoopback: 200, access.RoadLAN: 200, access.RoadLink: 404} {
		w := accesstest.Do(g.node.Handler(road), accesstest.NewRequest(road, http.MethodGet, "/jobs/x", ""))
		if w.Code != want {
			t.Errorf("app on road %s: status %d, want %d", road, w.Code, want)
		}
	}
}
