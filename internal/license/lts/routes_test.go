package lts

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

func TestContract(t *testing.T) {
	w := newWorld(t)
	e := w.end(newIdentity(t))
	w.start(e, nil, "")
	table := append(access.SignInRoutes(e.guard), e.table...)
	accesstest.ContractCheck(t, accesstest.Spec(t), table, accesstest.End{
		Tags: []string{"service", "sign-in", "users", "origins", "licences", "link"},
		Without: []string{
			"linkHello", "getLinkEvents", "drainLink", "linkRoads", "linkRoadsClose", // a node's
			"joinNode", "revealNode", "getJoinState", "rotateNodeKey", "leaveNode", "presentScanners", // a gateway's
			"startOIDC", "startPasskeySignIn", "listPasskeys", "createPasskey", "startPasskey", "deletePasskey", // of providers
		},
	})
}

// call asks as somebody with the role; the answer is checked against the document.
func (e *end) call(role api.Role, method, path, body string, want int, into any) *problem.Error {
	e.t.Helper()
	r := accesstest.NewRequest(access.RoadPublic, method, "/api/v1"+path, body)
	accesstest.SignIn(e.guard, e.public, access.RoadPublic)(e.t, r, role)
	answer := accesstest.Do(accesstest.Validate(e.t, e.public), r)
	if answer.Code != want {
		e.t.Errorf("%s %s: status %d, want %d: %s", method, path, answer.Code, want, answer.Body)
	}
	if answer.Code >= 400 {
		var p problem.Error
		if err := json.Unmarshal(answer.Body.Bytes(), &p); err != nil {
			e.t.Errorf("%s %s: %v", method, path, err)
		}
		return &p
	}
	if text, ok := into.(*string); ok {
		*text = answer.Body.String()
	} else if into != nil {
		if err := json.Unmarshal(answer.Body.Bytes(), into); err != nil {
			e.t.Errorf("%s %s: %v", method, path, err)
		}
	}
	return nil
}

func TestItemsAndProjects(t *testing.T) {
	w := newWorld(t)
	e := w.end(newIdentity(t))
	w.start(e, nil, "")
	text := w.key(license.Browser, 2, e.id)
	admin := api.RoleAdmin
	var item api.Item
	e.call(admin, "POST", "/license/items", fmt.Sprintf(`{"key":%q}`, text), 201, &item)
	id := item.Key.Id
	if item.Key.Quantity != 2 || item.Used != 0 {
		t.Errorf("item = %+v", item)
	}
	if p := e.call(admin, "POST", "/license/items", fmt.Sprintf(`{"key":%q}`, text), 409, nil); p == nil || p.Code != problem.ItemExists {
		t.Errorf("the same key again: %v", p)
	}
	if p := e.call(admin, "POST", "/license/items", fmt.Sprintf(`{"key":%q}`, w.key(license.Browser, 2, newIdentity(t))), 403, nil); p == nil || p.Code != problem.LicenseElsewhere {
		t.Errorf("a key of another server: %v", p)
	}
	e.call(api.RoleOperator, "POST", "/license/items", fmt.Sprintf(`{"key":%q}`, text), 403, nil)
	e.call(api.RoleUser, "GET", "/license/items", "", 403, nil)

	var project api.Project
	e.call(admin, "POST", "/license/projects", `{"organisation":"ACME","code":"SCAN","name":"Front desk"}`, 201, &project)
	if project.HandshakeCode != code {
		t.Errorf("project = %+v", project)
	}
	e.call(admin, "PATCH", "/license/projects/"+code, `{"origins":["`+app+`"]}`, 200, &project)
	if len(project.Origins) != 1 || project.Name != "Front desk" {
		t.Errorf("project = %+v", project)
	}
	e.call(admin, "GET", "/license/projects/NOT-THERE", "", 404, nil)
	e.call(admin, "GET", "/license/projects/nothing", "", 400, nil)

	gateway := newIdentity(t)
	from := remote(t, gateway, e)
	lease := func(name string) error {
		_, err := from.Lease(t.Context(), license.Place{}, api.LeaseRequest{HandshakeCode: code, Origin: app, Client: client(name)})
		return err
	}
	for _, name := range []string{"one", "two", "one"} {
		if err := lease(name); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, "a third browser", lease("three"), problem.LicenseSeats)
	var seats api.SeatList
	e.call(api.RoleOperator, "GET", "/license/items/"+id+"/seats?limit=1", "", 200, &seats)
	if len(seats.Items) != 1 || seats.Next == "" {
		t.Errorf("seats = %+v", seats)
	}
	e.call(api.RoleOperator, "DELETE", fmt.Sprintf("/license/items/%s/seats/%d", id, seats.Items[0].Seat), "", 403, nil)
	e.call(admin, "DELETE", fmt.Sprintf("/license/items/%s/seats/%d", id, seats.Items[0].Seat), "", 204, nil)
	e.call(admin, "DELETE", "/license/items/"+id+"/seats/0", "", 400, nil)
	if err := lease("three"); err != nil {
		t.Errorf("after a seat was released: %v", err)
	}

	e.call(admin, "PATCH", "/license/items/"+id, `{"suspended":true}`, 200, &item)
	if !item.Suspended || item.Used != 2 {
		t.Errorf("item = %+v", item)
	}
	wantCode(t, "a suspended item", lease("one"), problem.LicenseRevoked)
	e.call(admin, "PATCH", "/license/items/"+id, `{}`, 200, &item)
	e.call(admin, "PATCH", "/license/items/"+id, `{"suspended":false}`, 200, &item)
	var items api.ItemList
	e.call(api.RoleOperator, "GET", "/license/items", "", 200, &items)
	if len(items.Items) != 1 {
		t.Errorf("items = %+v", items)
	}
	e.call(admin, "DELETE", "/license/items/"+id, "", 204, nil)
	e.call(admin, "GET", "/license/items/"+id, "", 404, nil)
	e.call(admin, "DELETE", "/license/projects/"+code, "", 204, nil)
	wantCode(t, "a code that was ended", lease("one"), problem.HandshakeUnknown)

	var alerts api.Alerts
	e.call(api.RoleOperator, "GET", "/license/alerts", "", 200, &alerts)
	e.call(admin, "PUT", "/license/alerts", `{"thresholds":[50],"expiryDays":[3]}`, 200, &alerts)
	if len(alerts.Settings.Thresholds) != 1 {
		t.Errorf("alerts = %+v", alerts)
	}
	e.call(admin, "POST", "/license/alerts/test", "", 200, nil)
	e.call(api.RoleOperator, "GET", "/license", "", 200, nil)
}

func TestUsageAndLedger(t *testing.T) {
	w := newWorld(t)
	e := w.end(newIdentity(t))
	w.start(e, nil, "")
	e.call(api.RoleAdmin, "POST", "/license/items", fmt.Sprintf(`{"key":%q}`, w.key(license.Page, 100, e.id)), 201, nil)
	e.call(api.RoleAdmin, "POST", "/license/projects", `{"organisation":"ACME","code":"SCAN"}`, 201, nil)
	m := newMeter(t)
	from := remote(t, newIdentity(t), e)
	item, block := leasePages(t, from, m, 20)
	m.commit(12, item, block)
	if err := m.report(from, 0); err != nil {
		t.Fatal(err)
	}
	var usage api.Usage
	e.call(api.RoleOperator, "GET", "/license/usage?by=year", "", 200, &usage)
	if len(usage.Items) != 1 || usage.Items[0].Pages != 12 || usage.Items[0].Organisation != "ACME" || usage.Items[0].Kind != "page" || usage.Items[0].Project != code {
		t.Errorf("usage = %+v", usage)
	}
	var csv, lines string
	e.call(api.RoleOperator, "GET", "/license/usage?format=csv&from=2000-01-01&item="+item, "", 200, &csv)
	if rows := strings.Split(strings.TrimSpace(csv), "\r\n"); len(rows) != 2 || !strings.Contains(rows[1], ",12,") {
		t.Errorf("CSV = %q", csv)
	}
	e.call(api.RoleOperator, "GET", "/license/ledger?node="+m.id.NodeID(), "", 200, &lines)
	if n := strings.Count(lines, "\n"); n != 12 {
		t.Errorf("the ledger has %d lines, want 12", n)
	}
	for _, bad := range []string{"/license/usage?by=hour", "/license/usage?from=x", "/license/usage?item=x", "/license/usage?by=day&by=day", "/license/usage?format=xml", "/license/ledger?node=x"} {
		e.call(api.RoleOperator, "GET", bad, "", 400, nil)
	}
}

// leasePages leases pages for a node, and answers item and block.
func leasePages(t testing.TB, from license.Tracking, m *meter, pages int) (item, block string) {
	t.Helper()
	answer, err := from.Lease(t.Context(), license.Place{}, api.LeaseRequest{HandshakeCode: code, Origin: app, Node: m.id.NodeID(), Pages: pages})
	if err != nil {
		t.Fatal(err)
	}
	b, err := license.ParseBlock(answer.Blocks[len(answer.Blocks)-1], m.id.NodeID())
	if err != nil {
		t.Fatal(err)
	}
	return b.Item, b.ID
}

func TestWalk(t *testing.T) {
	w := newWorld(t)
	e := w.end(newIdentity(t))
	w.start(e, nil, "")
	walker := accesstest.Walker{
		Handler: e.public, Routes: e.table, Road: access.RoadPublic, As: accesstest.SignIn(e.guard, e.public, access.RoadPublic),
		Page: func(origin string) accesstest.As {
			return accesstest.SignInPage(e.guard, e.public, access.RoadPublic, origin)
		},
		Cookie: func(t testing.TB, role api.Role) *http.Cookie {
			return accesstest.Cookie(t, e.guard, e.public, access.RoadPublic, role)
		},
		Body: func(r access.Route) string {
			switch r.Method + " " + strings.TrimPrefix(r.Path, "/api/v1") {
			case "POST /license/items":
				return `{"key":"x"}`
			case "POST /license/projects":
				return `{"organisation":"ACME","code":"SCAN"}`
			case "PUT /license/alerts":
				return `{"thresholds":[50],"expiryDays":[3]}`
			}
			return "{}"
		},
		Snapshot: func() string { return licences(e) },
	}
	accesstest.AllowPages(e.guard.Origins)
	accesstest.Walk(t, walker)
	stranger := newIdentity(t)
	walker.Handler, walker.Road, walker.Page, walker.Cookie = e.node, access.RoadNode, nil, nil
	walker.As = func(_ testing.TB, r *http.Request, _ api.Role) {
		*r = *r.WithContext(withPeer(r.Context(), stranger))
	}
	accesstest.Walk(t, walker)
}

// licences is all that is stored but for sign-ins.
func licences(e *end) string {
	var kept []string
	for line := range strings.Lines(e.records.Dump()) {
		if begins(line, copied) || strings.HasPrefix(line, "alerts.") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "") + e.pages.Dump()
}
