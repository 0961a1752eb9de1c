package access_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	permissionsPath = "/api/v1/permissions"
	otherNode       = "bbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	branchNode      = "cccccccccccccccccccccccccccc"
)

var (
	deskScanner  = scan.DerivedID(testNode, scan.KindScanner, "desk")
	hallScanner  = scan.DerivedID(testNode, scan.KindScanner, "hall")
	otherScanner = scan.DerivedID(otherNode, scan.KindScanner, "hall")
)

// place is a gateway's: only the node with the first two scanners has labels.
func place(scanner string) (string, []string) {
	if strings.HasPrefix(scanner, scan.Prefix(testNode)) {
		return testNode, []string{"ground-floor", "public"}
	}
	return otherNode, nil
}

func withPlace(c *access.Config) { c.Place = place }

// withPresence lets one node present the scanner in the hall.
func withPresence(c *access.Config) {
	c.NodeMay = func(node, scanner string) bool { return node == branchNode && scanner == hallScanner }
}

// rule is a permission as it is kept.
type rule struct {
	User    string        `json:"user,omitempty"`
	Group   string        `json:"group,omitempty"`
	Role    api.Role      `json:"role,omitempty"`
	Scanner string        `json:"scanner,omitempty"`
	Node    string        `json:"node,omitempty"`
	Label   string        `json:"label,omitempty"`
	Actions []scan.Action `json:"actions"`
}

func (e *end) allow(t testing.TB, rules ...rule) {
	t.Helper()
	for i, r := range rules {
		value, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.records.Create(t.Context(), fmt.Sprintf("permission.%020d", i), value, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
}

var (
	all     = scan.Actions
	seeScan = []scan.Action{scan.See, scan.Use}
	seeOnly = []scan.Action{scan.See}
	nothing = []scan.Action{}
)

func TestPermissions(t *testing.T) {
	kiosk, user, operator, admin := access.Caller{Role: api.RoleKiosk}, access.Caller{Role: api.RoleUser, User: "u1", Groups: []string{"office"}},
		access.Caller{Role: api.RoleOperator}, access.Caller{Role: api.RoleAdmin}
	configure := []scan.Action{scan.Configure}
	neighbour := access.Caller{Role: api.RoleKiosk, Session: "escl:192.0.2.7", Road: access.RoadESCL}
	branch := access.Caller{Role: api.RoleKiosk, Session: "node:" + branchNode, Node: branchNode, Road: access.RoadNode}
	tests := []struct {
		name   string
		rules  []rule
		caller access.Caller
		desk   []scan.Action // what the caller may with the scanner at the desk
		hall   []scan.Action // and with the one in the hall of the same node
		other  []scan.Action // and with the one of another node
	}{
		{"nothing said: kiosk", nil, kiosk, seeScan, seeScan, seeScan},
		{"nothing said: user", nil, user, seeScan, seeScan, seeScan},
		{"nothing said: operator", nil, operator, all, all, all},
		{"nothing said: admin", nil, admin, all, all, all},
		{"nothing said: nobody", nil, access.Caller{}, nothing, nothing, nothing},
		{"nothing said: unknown role", nil, access.Caller{Role: "root"}, nothing, nothing, nothing},
		{"named for another", []rule{{User: "u2", Scanner: deskScanner, Actions: all}}, user, nothing, seeScan, seeScan},
		{"named for another: operator", []rule{{User: "u2", Scanner: deskScanner, Actions: all}}, operator, nothing, all, all},
		{"named for another: admin", []rule{{User: "u2", Scanner: deskScanner, Actions: all}}, admin, all, all, all},
		{"by user", []rule{{User: "u1", Scanner: deskScanner, Actions: seeOnly}}, user, seeOnly, seeScan, seeScan},
		{"by group", []rule{{Group: "office", Scanner: deskScanner, Actions: all}}, user, all, seeScan, seeScan},
		{"by another group", []rule{{Group: "offic", Scanner: deskScanner, Actions: all}}, user, nothing, seeScan, seeScan},
		{"by role", []rule{{Role: api.RoleUser, Scanner: deskScanner, Actions: seeOnly}}, user, seeOnly, seeScan, seeScan},
		{"by a lower role", []rule{{Role: api.RoleUser, Scanner: deskScanner, Actions: all}}, operator, nothing, all, all},
		{"by node", []rule{{User: "u1", Node: testNode, Actions: seeOnly}}, user, seeOnly, seeOnly, seeScan},
		{"by label", []rule{{User: "u1", Label: "public", Actions: seeOnly}}, user, seeOnly, seeOnly, seeScan},
		{"by a label that is nowhere", []rule{{User: "u1", Label: "pub", Actions: seeOnly}}, user, seeScan, seeScan, seeScan},
		{"scanning needs seeing", []rule{{User: "u1", Scanner: deskScanner, Actions: []scan.Action{scan.Use}}}, user, seeScan, seeScan, seeScan},
		{"configuring needs seeing", []rule{{User: "u1", Scanner: deskScanner, Actions: configure}}, user, []scan.Action{scan.See, scan.Configure}, seeScan, seeScan},
		{"the union", []rule{{User: "u1", Scanner: deskScanner, Actions: configure}, {Group: "office", Label: "public", Actions: []scan.Action{scan.Use}},
			{User: "u2", Scanner: hallScanner, Actions: all}}, user, all, seeScan, seeScan},
		{"nobody's user is nobody", []rule{{Group: "x", Scanner: deskScanner, Actions: all}}, access.Caller{Role: api.RoleUser}, nothing, seeScan, seeScan},
		{"as the gateway says", nil, access.Caller{Role: api.RoleOperator, Gateway: "g", Actions: seeScan}, seeScan, seeScan, seeScan},
		{"as the gateway says: nothing", nil, access.Caller{Role: api.RoleAdmin, Gateway: "g", Actions: nothing}, nothing, nothing, nothing},
		{"never more than here", []rule{{Role: api.RoleUser, Node: testNode, Actions: seeOnly}}, access.Caller{Role: api.RoleUser, Gateway: "g", Actions: all}, seeOnly, seeOnly, seeScan},
		{"without a sign-in", nil, neighbour, seeScan, seeScan, seeScan},
		{"without a sign-in: named for a user", []rule{{User: "u1", Scanner: deskScanner, Actions: seeOnly}}, neighbour, nothing, seeScan, seeScan},
		{"without a sign-in: named for its role", []rule{{Role: api.RoleKiosk, Scanner: deskScanner, Actions: all}}, neighbour, nothing, seeScan, seeScan},
		{"without a sign-in: named by node", []rule{{Role: api.RoleKiosk, Node: testNode, Actions: all}}, neighbour, nothing, nothing, seeScan},
		{"without a sign-in: named by label", []rule{{Role: api.RoleKiosk, Label: "public", Actions: all}}, neighbour, nothing, nothing, seeScan},
		{"without a sign-in: with a role", []rule{{Role: api.RoleAdmin, Scanner: deskScanner, Actions: all}},
			access.Caller{Role: api.RoleAdmin, User: "u1", Road: access.RoadESCL}, nothing, seeScan, seeScan},
		{"node", nil, branch, nothing, seeScan, nothing},
		{"node: named for others", []rule{{User: "u1", Node: testNode, Actions: all}}, branch, nothing, seeScan, nothing},
		{"node: named for its role", []rule{{Role: api.RoleKiosk, Node: testNode, Actions: all}, {Role: api.RoleKiosk, Node: otherNode, Actions: all}}, branch, nothing, seeScan, nothing},
		{"node: with a role", nil, access.Caller{Role: api.RoleAdmin, Node: branchNode, Road: access.RoadNode}, nothing, seeScan, nothing},
		{"node that is none", nil, access.Caller{Role: api.RoleKiosk, Road: access.RoadNode}, nothing, nothing, nothing},
		{"node that nothing was allowed", nil, access.Caller{Role: api.RoleKiosk, Node: otherNode, Road: access.RoadNode}, nothing, nothing, nothing},
		{"node's ID elsewhere", nil, access.Caller{Role: api.RoleKiosk, Node: branchNode, Road: access.RoadLAN}, seeScan, seeScan, seeScan},
		{"what others say of actions", nil, access.Caller{Role: api.RoleUser, Actions: seeOnly}, seeScan, seeScan, seeScan},
	}
	for _, tt := range tests {
		e := newEnd(t, withPlace, withPresence)
		e.allow(t, tt.rules...)
		for scanner, want := range map[string][]scan.Action{deskScanner: tt.desk, hallScanner: tt.hall, otherScanner: tt.other} {
			got := e.guard.May(t.Context(), tt.caller, scanner)
			if !slices.Equal(got, want) {
				t.Errorf("%s: May(%s) = %v, want %v", tt.name, scanner, got, want)
			}
			for _, a := range scan.Actions {
				if e.guard.Permits(t.Context(), tt.caller, scanner, a) != slices.Contains(want, a) {
					t.Errorf("%s: Permits(%s, %s) = %v", tt.name, scanner, a, !slices.Contains(want, a))
				}
			}
		}
	}
}

// model says the same as May, one question at a time.
func model(rules []rule, c access.Caller, scanner string, a scan.Action) bool {
	if c.Road == access.RoadNode {
		return c.Node == branchNode && scanner == hallScanner && a != scan.Configure
	}
	if c.Role == api.RoleAdmin && c.Road != access.RoadESCL {
		return true
	}
	node, labels := place(scanner)
	named, permitted := false, false
	for _, r := range rules {
		if r.Scanner != scanner && r.Node != node && (r.Label == "" || !slices.Contains(labels, r.Label)) {
			continue
		}
		named = true
		mine := r.User != "" && r.User == c.User || r.Group != "" && slices.Contains(c.Groups, r.Group) || r.Role != "" && r.Role == c.Role
		permitted = permitted || mine && (slices.Contains(r.Actions, a) || a == scan.See && len(r.Actions) > 0)
	}
	if c.Road == access.RoadESCL {
		return !named && a != scan.Configure
	}
	if named {
		return permitted
	}
	return c.Role == api.RoleOperator || (c.Role == api.RoleUser || c.Role == api.RoleKiosk) && a != scan.Configure
}

func FuzzPermissions(f *testing.F) {
	f.Add([]byte{2, 1, 0, 0, 0, 7, 4, 2, 1})
	f.Add([]byte{1, 0, 3, 0, 0, 1, 1, 5, 3, 4, 2, 2, 6})
	f.Add([]byte{1, 0, 0, 1, 0, 4, 4, 7})
	f.Add([]byte{1, 0, 0, 2, 1, 4, 2, 7})
	f.Fuzz(func(t *testing.T, b []byte) {
		next := func(n int) int {
			if len(b) == 0 {
				return 0
			}
			v := int(b[0]) % n
			b = b[1:]
			return v
		}
		c := access.Caller{Role: []api.Role{"", api.RoleKiosk, api.RoleUser, api.RoleOperator, api.RoleAdmin}[next(5)],
			User: []string{"", "u1", "u2"}[next(3)], Groups: [][]string{nil, {"g1"}, {"g1", "g2"}}[next(3)],
			Road: []access.Road{access.RoadLAN, access.RoadESCL, access.RoadNode}[next(3)], Node: []string{"", branchNode, otherNode}[next(3)]}
		e := newEnd(t, withPlace, withPresence, func(c *access.Config) { c.Log = nil })
		var rules []rule
		for len(b) > 0 && len(rules) < 6 {
			r := []rule{{User: "u1"}, {User: "u2"}, {Group: "g1"}, {Group: "g2"}, {Role: api.RoleKiosk}, {Role: api.RoleUser}, {Role: api.RoleOperator}}[next(7)]
			switch next(6) {
			case 0:
				r.Scanner = deskScanner
			case 1:
				r.Scanner = otherScanner
			case 2:
				r.Node = testNode
			case 3:
				r.Node = otherNode
			case 4:
				r.Label = "public"
			case 5:
				r.Label = "nowhere"
			}
			bits := 1 + next(7)
			for i, a := range scan.Actions {
				if bits>>i&1 == 1 {
					r.Actions = append(r.Actions, a)
				}
			}
			rules = append(rules, r)
		}
		e.allow(t, rules...)
		for _, scanner := range []string{deskScanner, hallScanner, otherScanner} {
			for _, a := range scan.Actions {
				if got, want := e.guard.Permits(t.Context(), c, scanner, a), model(rules, c, scanner, a); got != want {
					t.Errorf("%+v with %+v: Permits(%s, %s) = %v, want %v", c, rules, scanner, a, got, want)
				}
			}
		}
	})
}

// brokenLists are records that cannot be listed.
type brokenLists struct{ access.Records }

func (brokenLists) List(context.Context, string, func(string, []byte) error) error {
	return context.DeadlineExceeded
}

func TestUnknownPermissionsPermitNothing(t *testing.T) {
	e := newEnd(t, func(c *access.Config) { c.Records = brokenLists{c.Records} })
	if got := e.guard.May(t.Context(), access.Caller{Role: api.RoleAdmin}, deskScanner); len(got) != 0 {
		t.Errorf("May = %v, want nothing", got)
	}
}

// Another process's edit counts within two seconds, this one's at once.
func TestPermissionsAreFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t)
		user := access.Caller{Role: api.RoleUser}
		sees := func() bool { return e.guard.Permits(t.Context(), user, deskScanner, scan.See) }
		if !sees() {
			t.Fatal("a scanner that no permission names is hidden")
		}
		e.allow(t, rule{User: "u2", Scanner: deskScanner, Actions: all})
		time.Sleep(2 * time.Second)
		if sees() {
			t.Error("another process's permission is not known after two seconds")
		}
		admin, _ := e.client(t, api.RoleAdmin)
		wantStatus(t, admin.do("DELETE", permissionsPath+"/"+fmt.Sprintf("%020d", 0), ""), http.StatusBadRequest)
		made := decode[api.Permission](t, admin.do("POST", permissionsPath, `{"role":"user","scanner":"`+deskScanner+`","actions":["see"]}`))
		if !sees() {
			t.Error("a new permission does not count at once")
		}
		wantStatus(t, admin.do("DELETE", permissionsPath+"/"+made.Id, ""), http.StatusNoContent)
		if sees() {
			t.Error("a removed permission still counts")
		}
	})
}

func TestPermissionRoutes(t *testing.T) {
	e := newEnd(t)
	admin, _ := e.client(t, api.RoleAdmin)
	ada := decode[api.User](t, admin.do("POST", usersPath, `{"name":"Ada","role":"user"}`))
	for _, body := range []string{
		`{"user":"` + ada.Id + `","scanner":"` + deskScanner + `","actions":["see","scan"]}`,
		`{"group":"office","node":"` + testNode + `","actions":["configure"]}`,
		`{"role":"kiosk","label":"ground floor","actions":["scan"]}`,
	} {
		w := admin.do("POST", permissionsPath, body)
		wantStatus(t, w, http.StatusCreated)
		if p := decode[api.Permission](t, w); w.Header().Get("Location") != permissionsPath+"/"+p.Id {
			t.Errorf("Location = %q for %+v", w.Header().Get("Location"), p)
		}
	}
	list := decode[api.PermissionList](t, admin.do("GET", permissionsPath, ""))
	if len(list.Items) != 3 {
		t.Fatalf("list %+v, want three", list.Items)
	}
	before := e.records.Dump()
	desk := `"scanner":"` + deskScanner + `"`
	for body, want := range map[string]problem.Code{
		`{"actions":["see"]}`:                                                                  problem.InvalidJSON,
		`{"user":"` + ada.Id + `","actions":["see"]}`:                                          problem.InvalidJSON,
		`{` + desk + `,"actions":["see"]}`:                                                     problem.InvalidJSON,
		`{"user":"` + ada.Id + `","role":"user",` + desk + `,"actions":["see"]}`:               problem.InvalidJSON,
		`{"role":"user",` + desk + `,"label":"x","actions":["see"]}`:                           problem.InvalidJSON,
		`{"role":"root",` + desk + `,"actions":["see"]}`:                                       problem.InvalidJSON,
		`{"role":"user",` + desk + `,"actions":[]}`:                                            problem.InvalidJSON,
		`{"role":"user",` + desk + `,"actions":["own"]}`:                                       problem.InvalidJSON,
		`{"role":"user",` + desk + `,"actions":["see","see","see","see"]}`:                     problem.InvalidJSON,
		`{"role":"user","label":"` + strings.Repeat("x", 41) + `","actions":["see"]}`:          problem.InvalidJSON,
		`{"group":"a\u0000",` + desk + `,"actions":["see"]}`:                                   problem.InvalidJSON,
		`{"user":"aaaaaaaaaaaaaaaaaaaa",` + desk + `,"actions":["see"]}`:                       problem.InvalidJSON,
		`{"role":"user","scanner":"x","actions":["see"]}`:                                      problem.BadID,
		`{"role":"user","scanner":"aaaaaaaaaaaaaaaa-jaaaaaaaaaaaaaaaaaaaa","actions":["see"]}`: problem.BadID,
		`{"role":"user","node":"aaaa","actions":["see"]}`:                                      problem.BadID,
	} {
		if got := accesstest.Code(admin.do("POST", permissionsPath, body)); got != want {
			t.Errorf("POST %s: problem %q, want %q", body, got, want)
		}
	}
	if e.records.Dump() != before {
		t.Error("a refused permission was stored")
	}
	wantStatus(t, admin.do("DELETE", permissionsPath+"/"+list.Items[0].Id, ""), http.StatusNoContent)
	wantCode(t, admin.do("DELETE", permissionsPath+"/"+list.Items[0].Id, ""), problem.NotFound)
}

// What may not be seen is not there; what may be seen only cannot be used.
func TestRoutesNeedPermissions(t *testing.T) {
	v := access.NewGrantVerifier(testNode, nil)
	e := newEnd(t, func(c *access.Config) { c.Grants = v })
	gateway := accesstest.NewGateway(t, v, testNode)
	path := "/api/v1/scanners/" + deskScanner + "/sticker"
	e.routes = []access.Route{{Method: "GET", Path: "/api/v1/scanners/{scanner}/sticker", Policy: access.AtLeast(api.RoleUser).Needs(scan.Configure), Handle: whoami}}
	e.routes = append(e.routes, access.SignInRoutes(e.guard)...)
	e.allow(t, rule{Role: api.RoleUser, Scanner: deskScanner, Actions: seeOnly}, rule{Role: api.RoleOperator, Label: "x", Actions: all})
	get := func(road access.Road, role api.Role, actions ...scan.Action) problem.Code {
		r := accesstest.NewRequest(road, "GET", path, "")
		if road == access.RoadLink {
			c := access.Caller{Session: "s", Subject: "s", Role: role}
			r.Header.Set(access.HeaderGrant, access.NewGrant(c, testNode, r, time.Now(), actions...).Sign(gateway.Identity))
		} else {
			accesstest.SignIn(e.guard, e.on(road), road)(t, r, role)
		}
		return accesstest.Code(accesstest.Do(e.on(road), r))
	}
	for _, tt := range []struct {
		name      string
		got, want problem.Code
	}{
		{"user who may see", get(access.RoadLAN, api.RoleUser), problem.PermissionDenied},
		{"operator who is not named", get(access.RoadLAN, api.RoleOperator), problem.NotFound},
		{"admin", get(access.RoadLAN, api.RoleAdmin), ""},
		{"admin by grant", get(access.RoadLink, api.RoleAdmin, all...), ""},
		{"admin by a grant to see", get(access.RoadLink, api.RoleAdmin, scan.See), problem.PermissionDenied},
		{"admin by a grant that says nothing", get(access.RoadLink, api.RoleAdmin), problem.NotFound},
		{"user by grant", get(access.RoadLink, api.RoleUser, all...), problem.PermissionDenied},
		{"operator by grant", get(access.RoadLink, api.RoleOperator, all...), problem.NotFound},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: problem %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}
