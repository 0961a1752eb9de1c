package tracking

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

func TestAdd(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	first := w.key(license.Browser)
	other := newWorld(t)
	revised := func(rev int, edits ...func(*license.Key)) license.Key {
		k := first
		k.Revision, k.Quantity = rev, int64(rev*10)
		for _, edit := range edits {
			edit(&k)
		}
		return w.issued(k)
	}
	for _, step := range []struct {
		name string
		text string
		want problem.Code
	}{
		{"new", first.Text, ""},
		{"same", first.Text, problem.ItemExists},
		{"higher", revised(3).Text, ""},
		{"older", revised(2).Text, problem.LicenseRevoked},
		{"first again", first.Text, problem.LicenseRevoked},
		{"damaged", first.Text[:len(first.Text)-4] + "AAAA", problem.LicenseInvalid},
		{"nothing", "", problem.LicenseInvalid},
		{"untrusted vendor", other.key(license.Browser).Text, problem.LicenseInvalid},
		{"counted elsewhere", w.key(license.Page, func(k *license.Key) { k.Gateways = []string{newIdentity(t).Pin()} }).Text, problem.LicenseElsewhere},
		{"counted by a node", w.key(license.Page, func(k *license.Key) { k.Gateways, k.Nodes = nil, []string{newIdentity(t).NodeID()} }).Text, problem.LicenseElsewhere},
		{"nodes that it names", w.key(license.PerNode, func(k *license.Key) { k.Gateways, k.Nodes, k.Quantity = nil, []string{newIdentity(t).NodeID()}, 0 }).Text, ""},
		{"not counted", w.key(license.Server).Text, ""},
		{"expired", w.key(license.Server, func(k *license.Key) {
			k.NotBefore, k.Expires = time.Now().AddDate(-2, 0, 0), time.Now().AddDate(-1, 0, 0)
		}).Text, ""},
	} {
		_, err := s.Add(t.Context(), step.text)
		wantCode(t, "Add, "+step.name, err, step.want)
	}
	item, err := s.Item(t.Context(), first.ID)
	if err != nil || item.Key.Revision != 3 || item.Key.Quantity != 30 {
		t.Errorf("Item = revision %d of %d, %v; want 3 of 30", item.Key.Revision, item.Key.Quantity, err)
	}
	again, _, err := w.server().Items(t.Context(), 50, "")
	if err != nil || len(again) != 4 {
		t.Errorf("%d items after a restart, %v; want 4", len(again), err)
	}
	if !slices.ContainsFunc(again, func(i api.Item) bool { return i.Key.Problem.Code == string(problem.LicenseExpired) }) {
		t.Error("no item says that it has expired")
	}
}

func TestSuspendAndRemove(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	k := w.key(license.Browser)
	byKey := api.LeaseRequest{Key: k.Text, Client: client(1), Origin: app}
	_, err := w.ask(s, byKey) // a page shows it
	wantCode(t, "Lease by a key", err, "")
	steps := []struct {
		name string
		do   func() error
		want problem.Code
	}{
		{"suspended", func() error { _, err := s.Suspend(t.Context(), k.ID, true); return err }, problem.LicenseRevoked},
		{"let go", func() error { _, err := s.Suspend(t.Context(), k.ID, false); return err }, ""},
		{"removed", func() error { return s.Remove(t.Context(), k.ID) }, problem.LicenseRevoked},
		{"added", func() error { _, err := s.Add(t.Context(), k.Text); return err }, ""},
		{"replaced", func() error { k.Revision = 2; _, err := s.Add(t.Context(), w.issued(k).Text); return err }, problem.LicenseRevoked},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		_, err := w.ask(s, byKey)
		wantCode(t, "Lease when it is "+step.name, err, step.want)
		_, err = w.ask(w.server(), byKey)
		wantCode(t, "Lease after a restart when it is "+step.name, err, step.want)
	}
	wantCode(t, "Remove of nothing", s.Remove(t.Context(), license.NewID()), problem.NotFound)
	_, err = s.Suspend(t.Context(), license.NewID(), true)
	wantCode(t, "Suspend of nothing", err, problem.NotFound)
}

func TestOwnKeys(t *testing.T) {
	w := newWorld(t)
	mine, elsewhere := w.key(license.Browser), w.key(license.Browser, func(k *license.Key) { k.Gateways = []string{newIdentity(t).Pin()} })
	own := []string{mine.Text, elsewhere.Text, "damaged"}
	s := w.server(func(c *Config) { c.Own = func() []string { return own } })
	items, _, err := s.Items(t.Context(), 50, "")
	if err != nil || len(items) != 1 || items[0].Key.Id != mine.ID {
		t.Fatalf("Items = %v, %v; want the one that is counted here", items, err)
	}
	wantCode(t, "Remove of a key of platen.ini", s.Remove(t.Context(), mine.ID), problem.BadRequest)
	own = nil
	wantCode(t, "Remove when it is not in platen.ini any more", s.Remove(t.Context(), mine.ID), "")
	own = []string{mine.Text}
	if keys, err := s.Keys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("Keys = %d, %v; want the one that is in platen.ini again", len(keys), err)
	}
}

func TestAnotherServerSeesWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.server(), w.server()
		k := w.key(license.Browser)
		w.add(a, k)
		w.project(a)
		if _, err := w.ask(b, browser(1, "")); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Suspend(t.Context(), k.ID, true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(catalogAge)
		_, err := w.ask(b, browser(1, ""))
		wantCode(t, "Lease at the other server", err, problem.LicenseRevoked)
	})
}

func TestProjects(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	a, b := w.key(license.Server), w.key(license.Server, func(k *license.Key) { k.Organisation = "OTHER" })
	w.add(s, a, b)
	for _, step := range []struct {
		name string
		r    api.ProjectRequest
		want problem.Code
	}{
		{"new", api.ProjectRequest{Organisation: "ACME", Code: "A_1", Name: "Desk", Origins: []string{"https://*.example.com"}}, ""},
		{"same", api.ProjectRequest{Organisation: "ACME", Code: "A_1"}, problem.ItemExists},
		{"hyphen", api.ProjectRequest{Organisation: "AC-ME", Code: "B"}, problem.BadRequest},
		{"no code", api.ProjectRequest{Organisation: "ACME"}, problem.BadRequest},
		{"no origin", api.ProjectRequest{Organisation: "ACME", Code: "B", Origins: []string{"example.com"}}, problem.BadRequest},
		{"unknown item", api.ProjectRequest{Organisation: "ACME", Code: "B", Items: []string{license.NewID()}}, problem.BadRequest},
		{"item of others", api.ProjectRequest{Organisation: "ACME", Code: "B", Items: []string{b.ID}}, problem.BadRequest},
		{"with item", api.ProjectRequest{Organisation: "ACME", Code: "B", Items: []string{a.ID}}, ""},
	} {
		_, err := s.CreateProject(t.Context(), step.r)
		wantCode(t, "CreateProject, "+step.name, err, step.want)
	}
	ask := func(code, origin string) error {
		_, err := s.Lease(t.Context(), placeOf(w.gateway), api.LeaseRequest{HandshakeCode: code, Origin: origin})
		return err
	}
	wantCode(t, "Lease", ask("ACME-A_1", app), "")
	wantCode(t, "Lease of another origin", ask("ACME-A_1", "https://evil.example.net"), problem.LicenseOrigin)
	wantCode(t, "Lease of an origin that only the project names", ask("ACME-A_1", "https://b.example.com"), problem.LicenseOrigin)
	edited, err := s.EditProject(t.Context(), "ACME-A_1", api.ProjectEdit{Origins: []string{}, Items: []string{a.ID}})
	if err != nil || edited.Name != "Desk" || len(edited.Origins) != 0 || len(edited.Items) != 1 {
		t.Errorf("EditProject = %+v, %v", edited, err)
	}
	_, err = s.EditProject(t.Context(), "ACME-NONE", api.ProjectEdit{})
	wantCode(t, "EditProject of nothing", err, problem.NotFound)
	if err := s.DeleteProject(t.Context(), "ACME-A_1"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "Lease of what was deleted", ask("ACME-A_1", app), problem.HandshakeUnknown)
	wantCode(t, "DeleteProject of nothing", s.DeleteProject(t.Context(), "ACME-A_1"), problem.NotFound)
	if _, err := s.Project(t.Context(), "ACME-B"); err != nil {
		t.Error(err)
	}
}

func TestPaging(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	for i := range 7 {
		w.add(s, w.key(license.Server))
		w.project(s, func(r *api.ProjectRequest) { r.Code = fmt.Sprintf("P%d", i) })
	}
	k := w.key(license.Browser, func(k *license.Key) { k.Quantity = 20 })
	w.add(s, k)
	for i := range 7 {
		if _, err := w.ask(s, api.LeaseRequest{Key: k.Text, Origin: app, Client: client(i)}); err != nil {
			t.Fatal(err)
		}
	}
	lists := map[string]func(limit int, cursor string) (names []string, next string, err error){
		"items": func(limit int, cursor string) (names []string, next string, err error) {
			page, next, err := s.Items(t.Context(), limit, cursor)
			for _, i := range page {
				names = append(names, i.Key.Id)
			}
			return names, next, err
		},
		"projects": func(limit int, cursor string) (names []string, next string, err error) {
			page, next, err := s.Projects(t.Context(), limit, cursor)
			for _, p := range page {
				names = append(names, p.HandshakeCode)
			}
			return names, next, err
		},
		"seats": func(limit int, cursor string) (names []string, next string, err error) {
			page, next, err := s.Seats(t.Context(), k.ID, limit, cursor)
			for _, p := range page {
				names = append(names, seatKey("", p.Seat))
			}
			return names, next, err
		},
	}
	for name, list := range lists {
		all, next, err := list(50, "")
		if err != nil || next != "" || len(all) < 7 || !slices.IsSorted(all) {
			t.Errorf("%s: %d in one page, next %q, %v", name, len(all), next, err)
		}
		var paged []string
		for cursor, rounds := "", 0; rounds == 0 || cursor != ""; rounds++ {
			page, next, err := list(3, cursor)
			if err != nil || len(page) > 3 {
				t.Fatalf("%s: page of %d, %v", name, len(page), err)
			}
			paged, cursor = append(paged, page...), next
		}
		if !slices.Equal(paged, all) {
			t.Errorf("%s: pages of 3 = %q, want %q", name, paged, all)
		}
		_, _, err = list(3, "!")
		wantCode(t, name+" with a bad cursor", err, problem.BadRequest)
	}
}
