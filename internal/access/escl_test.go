package access_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// neighbour asks in the name of an eSCL client.
func (e *end) neighbour(from, method, path string, header ...string) *httptest.ResponseRecorder {
	r := accesstest.NewRequest(access.RoadESCL, method, path, "")
	r.RemoteAddr, r.Host = from, "whatever"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return accesstest.Do(e.on(access.RoadESCL), r)
}

func TestNeighboursAreTheirAddresses(t *testing.T) {
	e := newEnd(t, func(c *access.Config) { c.AdminToken, c.LoopbackTrust = "secret", true })
	admin := accesstest.Session(t, e.guard, e.on(access.RoadLAN), access.RoadLAN, api.RoleAdmin)
	for _, tt := range []struct {
		from, want string // want "": refused
		header     []string
	}{
		{"192.0.2.7:1", "escl:192.0.2.7", nil},
		{"[::ffff:192.0.2.7]:1", "escl:192.0.2.7", nil},
		{"[2001:db8:0::7]:65535", "escl:2001:db8::7", nil},
		{"[fe80::7%eth0]:1", "escl:fe80::7", nil},
		{"127.0.0.1:1", "escl:127.0.0.1", nil},
		{"192.0.2.7:0", "escl:192.0.2.7", []string{"Authorization", "Bearer " + admin.Token}},
		{"127.0.0.1:0", "escl:127.0.0.1", []string{"Authorization", "Bearer secret"}},
		{"192.0.2.7:0", "escl:192.0.2.7", []string{"Cookie", "__Host-platen=" + admin.Token}},
		{"192.0.2.7:0", "escl:192.0.2.7", []string{"Origin", "https://evil.example"}},
		{"192.0.2.7", "", nil},
		{"scanner.local:1", "", nil},
		{"", "", nil},
	} {
		w := e.neighbour(tt.from, "GET", pagePath, tt.header...)
		if tt.want == "" {
			wantCode(t, w, problem.SessionRequired)
			continue
		}
		who := decode[map[string]string](t, w)
		if who["session"] != tt.want || who["subject"] != tt.want || who["role"] != "kiosk" || who["road"] != "escl" || who["origin"] != "" {
			t.Errorf("from %q with %q: %v, want the kiosk %s", tt.from, tt.header, who, tt.want)
		}
		if h := w.Header().Get("Access-Control-Allow-Origin"); h != "" {
			t.Errorf("from %q with %q: Access-Control-Allow-Origin %q", tt.from, tt.header, h)
		}
	}
}

// Of this end's routes, those about its scanners alone exist for neighbours.
func TestNeighboursHaveNoSignIn(t *testing.T) {
	e := newEnd(t)
	for _, route := range access.SignInRoutes(e.guard) {
		wantCode(t, e.neighbour("192.0.2.7:1", route.Method, accesstest.FillPath(route.Path)), problem.NotFound)
	}
	wantCode(t, e.neighbour("192.0.2.7:1", "GET", "/"), problem.NotFound)
	wantCode(t, e.neighbour("192.0.2.7:1", "DELETE", jobPath), problem.NotFound)
	e.allow(t, rule{Role: api.RoleKiosk, Scanner: deskScanner, Actions: scan.Actions})
	wantCode(t, e.neighbour("192.0.2.7:1", "GET", statusOf(deskScanner)), problem.NotFound)
	wantStatus(t, e.neighbour("192.0.2.7:1", "GET", statusOf(hallScanner)), http.StatusOK)
}

// An eSCL client asks as often as it likes. The same requests of a session are too many.
func TestNeighboursAreNotCounted(t *testing.T) {
	e := newEnd(t, func(c *access.Config) { c.Rate = 2 })
	policy := access.AtLeast(api.RoleKiosk).Limit(3, time.Minute).Parallel(1)
	e.routes = append(e.routes, access.Route{Method: "GET", Path: "/api/v1/jobs/{job}/pages", Policy: policy, Handle: whoami})
	for range 50 {
		wantStatus(t, e.neighbour("192.0.2.7:1", "GET", jobPath+"/pages"), http.StatusOK)
	}
	h := e.on(access.RoadLAN)
	as, often := accesstest.SignIn(e.guard, h, access.RoadLAN), 0
	for range 50 {
		r := accesstest.NewRequest(access.RoadLAN, "GET", jobPath+"/pages", "")
		as(t, r, api.RoleKiosk)
		if accesstest.Code(accesstest.Do(h, r)) == problem.TooManyRequests {
			often++
		}
	}
	if often == 0 {
		t.Error("no request of the session was too many: the test shows nothing")
	}
}

func TestNeighboursAreLogged(t *testing.T) {
	log := &auditor{}
	e := newEnd(t, func(c *access.Config) { c.Audit = log })
	e.routes = append(e.routes, access.Route{Method: "POST", Path: "/api/v1/jobs/{job}/cancel", Policy: access.AtLeast(api.RoleKiosk), Audit: "job.cancel", Handle: whoami})
	wantStatus(t, e.neighbour("[::ffff:192.0.2.7]:9", "POST", jobPath+"/cancel"), http.StatusOK)
	if got, want := log.take(), "job.cancel ok by=escl:192.0.2.7 on="+jobPath[len("/api/v1/jobs/"):]+": "; !slices.Equal(got, []string{want}) {
		t.Errorf("the audit log has %q, want %q", got, want)
	}
}
