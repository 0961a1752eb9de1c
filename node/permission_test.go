package node

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// allow makes a permission at the machine and returns its path.
func (g *rig) allow(role api.Role, scanner string, actions string) (path string) {
	g.t.Helper()
	body := fmt.Sprintf(`{"role":%q,"scanner":%q,"actions":[%s]}`, role, scanner, actions)
	p := decode[api.Permission](g.t, g.ask(http.MethodPost, "/api/v1/permissions", body), http.StatusCreated)
	return "/api/v1/permissions/" + p.Id
}

// TestPermissions shows each role what it may do with a scanner, and keeps it from the rest.
func TestPermissions(t *testing.T) {
	for _, c := range []struct {
		actions string // permitted to users, on the one scanner that is named
		role    api.Role
		may     string // of the role on that scanner
	}{
		{`"see"`, api.RoleUser, "[see]"},
		{`"see","scan"`, api.RoleUser, "[see scan]"},
		{`"scan"`, api.RoleUser, "[see scan]"},
		{`"see","scan"`, api.RoleKiosk, "[]"},
		{`"see","scan"`, api.RoleOperator, "[]"},
		{`"see","scan"`, api.RoleAdmin, "[see scan configure]"},
	} {
		t.Run(string(c.role)+" with "+c.actions, func(t *testing.T) {
			one, two := newFakeDevice("one"), newFakeDevice("two")
			g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": one, "two": two}}).start().found()
			named, open := one.id(g.node.id), two.id(g.node.id)
			g.allow(api.RoleUser, named, c.actions)
			ask := g.localUser(c.role)

			seen := map[string]string{}
			for _, s := range decode[api.ScannerList](t, ask(http.MethodGet, "/api/v1/scanners", ""), http.StatusOK).Items {
				seen[s.ID] = fmt.Sprint(s.May)
			}
			want := map[string]string{open: fmt.Sprint(g.node.guard.May(t.Context(), access.Caller{Role: c.role}, open))}
			if c.may != "[]" {
				want[named] = c.may
			}
			if fmt.Sprint(seen) != fmt.Sprint(want) {
				t.Errorf("the list has %v, want %v", seen, want)
			}

			refused := func(a scan.Action) problem.Code {
				switch {
				case c.may == "[]":
					return problem.NotFound
				case !strings.Contains(c.may, string(a)):
					return problem.PermissionDenied
				}
				return ""
			}
			path := "/api/v1/scanners/" + named
			for _, try := range []struct {
				needs              scan.Action
				method, path, body string
			}{
				{scan.See, http.MethodGet, path, ""},
				{scan.See, http.MethodGet, path + "/status", ""},
				{scan.See, http.MethodGet, path + "/capabilities", ""},
				{scan.Use, http.MethodPost, path + "/jobs", request(scan.SourceADF, 0)},
				{scan.Configure, http.MethodPatch, path, `{"name":"Mine"}`},
				{scan.Configure, http.MethodGet, path + "/sticker", ""},
			} {
				a := ask(try.method, try.path, try.body)
				want := refused(try.needs)
				if try.needs == scan.Configure && (c.role == api.RoleUser || c.role == api.RoleKiosk) {
					want = problem.PermissionDenied // their role is too low
				}
				if got := problemOf(t, a).Code; got != want {
					t.Errorf("%s %s: problem %q, want %q", try.method, try.path, got, want)
				}
			}
		})
	}
}

// TestPermissionTakenAway leaves the owner what was scanned, and the job to end.
func TestPermissionTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, inMidPage(1, stop(scan.ReasonJam)))
		defer g.stop()
		ask := g.localUser(api.RoleUser)
		j := ask.submit(t, scanner)
		synctest.Wait()
		g.allow(api.RoleOperator, scanner, `"see","scan"`) // and so to no user
		job := "/api/v1/jobs/" + j.ID
		ask(http.MethodGet, "/api/v1/scanners/"+scanner, "").wants(t, problem.NotFound, "")
		ask(http.MethodPost, job+"/resume", "").wants(t, problem.PermissionDenied, "")
		if a := ask(http.MethodGet, job+"/pages/1", ""); a.Code != http.StatusOK {
			t.Errorf("the page: status %d, %s", a.Code, a.Body)
		}
		if l := decode[api.JobList](t, ask(http.MethodGet, "/api/v1/jobs", ""), http.StatusOK); len(l.Items) != 1 {
			t.Errorf("%d jobs are listed, want the owner's", len(l.Items))
		}
		decode[scan.Job](t, ask(http.MethodPost, job+"/finish", ""), http.StatusOK)
	})
}

// TestEventsOfScanners go to those who may see the scanner, with what they may do.
func TestEventsOfScanners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newFakeDevice("one"), newFakeDevice("two")
		g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": one, "two": two}}).start().found()
		defer g.stop()
		hidden, open := one.id(g.node.id), two.id(g.node.id)
		g.allow(api.RoleOperator, hidden, `"see","configure"`)
		h := g.node.Handler(access.RoadLAN)
		streams := map[api.Role]func() string{}
		for _, role := range []api.Role{api.RoleUser, api.RoleOperator} {
			streams[role] = followAll(t, g, h, role)
		}
		synctest.Wait()
		for _, scanner := range []string{hidden, open} {
			decode[scan.Scanner](t, g.ask(http.MethodPatch, "/api/v1/scanners/"+scanner, `{"name":"Renamed"}`), http.StatusOK)
		}
		synctest.Wait()
		for role, want := range map[api.Role]map[string]string{
			api.RoleUser:     {open: "[see scan]"},
			api.RoleOperator: {open: "[see scan configure]", hidden: "[see configure]"},
		} {
			got := map[string]string{}
			for _, e := range parseEvents(t, streams[role]()) {
				if e.Scanner != nil {
					got[e.Scanner.ID] = fmt.Sprint(e.Scanner.May)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("events for role %s: %v, want %v", role, got, want)
			}
		}
	})
}

// followAll follows all events from now on, until the function that it returns ends that.
func followAll(t *testing.T, g *rig, h http.Handler, role api.Role) func() string {
	t.Helper()
	session := accesstest.Session(t, g.node.guard, h, access.RoadLAN, role)
	r := accesstest.NewRequest(access.RoadLAN, http.MethodGet, "/api/v1/events", "")
	r.Header.Set("Authorization", "Bearer "+session.Token)
	ctx, cancel := context.WithCancel(r.Context())
	text := make(chan string, 1)
	go func() { text <- accesstest.Do(h, r.WithContext(ctx)).Body.String() }()
	return func() string {
		cancel()
		return <-text
	}
}
