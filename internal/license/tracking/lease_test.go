package tracking

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// Each refusal of the server, for each kind that it can come to.
func TestLeaseRefuses(t *testing.T) {
	now := time.Now()
	n := newIdentity(t).NodeID()
	elsewhere := newIdentity(t).Pin()
	edit := func(f func(*license.Key)) []func(*license.Key) { return []func(*license.Key){f} }
	wish := func(f func(*api.LeaseRequest)) func(*api.LeaseRequest) { return f }
	same := wish(func(*api.LeaseRequest) {})
	for _, tt := range []struct {
		name string
		edit []func(*license.Key)
		wish func(*api.LeaseRequest)
		want problem.Code
		not  []license.Kind // to which this cannot happen
	}{
		{"covered", nil, same, "", nil},
		{"expired", edit(func(k *license.Key) { k.NotBefore, k.Expires = now.AddDate(0, -2, 0), now.AddDate(0, -1, 0) }), same, problem.LicenseExpired, nil},
		{"not yet", edit(func(k *license.Key) { k.NotBefore, k.Expires = now.AddDate(0, 1, 0), now.AddDate(0, 2, 0) }), same, problem.LicenseNotYetValid, nil},
		{"origin", nil, func(r *api.LeaseRequest) { r.Origin = "https://evil.example.net" }, problem.LicenseOrigin, nil},
		{"no origin", nil, func(r *api.LeaseRequest) { r.Origin = "evil" }, problem.BadRequest, nil},
		{"module", nil, func(r *api.LeaseRequest) { r.Module = api.Module(license.OCR) }, problem.LicenseModule, nil},
		{"module that it has", edit(func(k *license.Key) { k.Modules = []license.Module{license.OCR} }), func(r *api.LeaseRequest) { r.Module = api.Module(license.OCR) }, "", nil},
		{"unknown code", nil, func(r *api.LeaseRequest) { r.HandshakeCode = "ACME-NONE" }, problem.HandshakeUnknown, nil},
		{"no code", nil, func(r *api.LeaseRequest) { r.HandshakeCode = "ACME" }, problem.HandshakeUnknown, nil},
		{"nothing", nil, func(r *api.LeaseRequest) { r.HandshakeCode = "" }, problem.LicenseMissing, nil},
		{"both", nil, func(r *api.LeaseRequest) { r.Key = "x" }, problem.LicenseBoth, nil},
		{"nameless", nil, func(r *api.LeaseRequest) { r.Client = "" }, problem.LicenseSeats, []license.Kind{license.Page, license.Server, license.PerNode, license.Trial}},
		{"long name", nil, func(r *api.LeaseRequest) { r.Client = string(make([]byte, 65)) }, problem.BadRequest, nil},
		{"bad node", nil, func(r *api.LeaseRequest) { r.Node = "../../x" }, problem.BadID, nil},
		{"bound to another gateway", edit(func(k *license.Key) { k.Gateways = []string{elsewhere} }), same, problem.LicenseElsewhere, nil},
	} {
		for _, kind := range license.Kinds {
			if slices.Contains(tt.not, kind) {
				continue
			}
			w := newWorld(t)
			s := w.server()
			k := w.key(kind, append([]func(*license.Key){func(k *license.Key) {
				if kind == license.Trial {
					k.Expires = k.NotBefore.AddDate(0, 1, 0)
				}
			}}, tt.edit...)...)
			if kind.Tracked() && tt.want == problem.LicenseElsewhere {
				_, err := s.Add(t.Context(), k.Text)
				wantCode(t, tt.name+", "+string(kind)+", Add", err, tt.want)
				_, err = s.Lease(t.Context(), placeOf(w.gateway), api.LeaseRequest{Key: k.Text, Origin: app, Client: client(1), Node: n})
				wantCode(t, tt.name+", "+string(kind)+", by the key", err, tt.want)
				continue
			}
			w.add(s, k)
			w.project(s)
			r := browser(1, n)
			r.Pages = 2
			tt.wish(&r)
			_, err := w.ask(s, r)
			wantCode(t, tt.name+", "+string(kind), err, tt.want)
			if p := problem.From(err); tt.want != "" && p.Detail == "" && p.Code != problem.LicenseBoth && p.Code != problem.BadID {
				t.Errorf("%s, %s: no detail", tt.name, kind)
			}
		}
	}
}

// What is used up.
func TestLeaseUsedUp(t *testing.T) {
	for kind, want := range map[license.Kind]problem.Code{
		license.Browser: problem.LicenseSeats, license.Concurrent: problem.LicenseSeats,
		license.PerNode: problem.LicenseSeats, license.Page: problem.LicensePages,
	} {
		w := newWorld(t)
		s := w.server()
		w.add(s, w.key(kind))
		w.project(s)
		for i := range 4 {
			r := browser(i, newIdentity(t).NodeID())
			r.Pages = 1
			_, err := w.ask(s, r)
			switch {
			case kind == license.Page && i > 0, i == 3: // the first node got all pages
				wantCode(t, "Lease beyond "+string(kind), err, want)
			default:
				wantCode(t, "Lease within "+string(kind), err, "")
			}
		}
	}
}

func TestOrderOfUse(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	now := time.Now()
	ends := func(days int) func(*license.Key) {
		return func(k *license.Key) { k.Expires = now.AddDate(0, 0, days).Truncate(time.Second) }
	}
	quantity := func(n int64) func(*license.Key) { return func(k *license.Key) { k.Quantity = n } }
	late := w.key(license.Browser, ends(300), quantity(1))
	soon := w.key(license.Browser, ends(100), quantity(1))
	wide := w.key(license.Browser, ends(200), quantity(1), func(k *license.Key) { k.Origins = append(k.Origins, "https://b.example.com") })
	narrow := w.key(license.Browser, ends(200), quantity(1))
	other := w.key(license.Browser, ends(1), func(k *license.Key) { k.Origins = []string{"https://c.example.com"} })
	over := w.key(license.Server, ends(-1), func(k *license.Key) { k.NotBefore = now.AddDate(0, 0, -9) })
	w.add(s, late, soon, wide, narrow, other, over)
	w.project(s)
	want := []license.Key{soon, narrow, wide, late}
	for i, k := range want {
		a, err := w.ask(s, browser(i, ""))
		if err != nil || a.Key.ID != k.ID {
			t.Errorf("browser %d got the licence that ends on %v, %v; want %v", i, a.Key.Expires, err, k.Expires)
		}
	}
	_, err := w.ask(s, browser(4, ""))
	wantCode(t, "Lease when all are used up", err, problem.LicenseSeats)

	// A seat of the first one becomes free: who has one of another keeps that.
	if err := s.Release(t.Context(), soon.ID, 1); err != nil {
		t.Fatal(err)
	}
	if a, err := w.ask(w.server(), browser(3, "")); err != nil || a.Key.ID != late.ID {
		t.Errorf("browser 3 got %v, %v; want the licence of which it has a seat", a.Key.Expires, err)
	}
}

// An end that is to know whose pages may ask is told all keys of a code, and takes nothing.
func TestKeysOfCode(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	browsers, pages, suspended := w.key(license.Browser), w.key(license.Page), w.key(license.Browser)
	w.add(s, browsers, pages, suspended)
	if _, err := s.Suspend(t.Context(), suspended.ID, true); err != nil {
		t.Fatal(err)
	}
	w.project(s)
	a, err := s.Lease(t.Context(), placeOf(w.gateway), api.LeaseRequest{HandshakeCode: "ACME-SCAN"})
	if err != nil || len(a.Keys) != 2 || !slices.Contains(a.Keys, browsers.Text) || !slices.Contains(a.Keys, pages.Text) || a.Lease != "" || len(a.Blocks) > 0 {
		t.Errorf("keys of the code: %+v, %v, want two", a, err)
	}
	_, err = s.Lease(t.Context(), placeOf(w.gateway), api.LeaseRequest{HandshakeCode: "ACME-OTHER"})
	wantCode(t, "keys of an unknown code", err, problem.HandshakeUnknown)
}

// Who changed its key counts what is bound to the keys that it had, for gateways as for nodes.
func TestChangedKeyCounts(t *testing.T) {
	w := newWorld(t)
	browsers, pages := w.key(license.Browser), w.key(license.Page)
	for range 2 {
		if _, err := w.gateway.Prepare(); err != nil {
			t.Fatal(err)
		}
		if err := w.gateway.Change(); err != nil {
			t.Fatal(err)
		}
	}
	s := w.server()
	w.add(s, browsers, pages)
	n := newIdentity(t)
	for _, place := range []license.Place{placeOf(w.gateway), {Node: n.NodeID(), Pin: n.Pin()}} {
		for _, k := range []license.Key{browsers, pages} {
			a, err := s.Lease(t.Context(), place, api.LeaseRequest{Key: k.Text, Origin: app, Client: "c", Node: n.NodeID(), Pages: 5})
			if err != nil || a.Lease == "" && len(a.Blocks) == 0 {
				t.Errorf("%s for %+v: %+v, %v", k.Kind, place, a, err)
			}
		}
	}
}

// A licence with too few pages for a job goes behind one with enough, and is used when
// there is no other.
func TestOrderOfUseOfPages(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	few := w.key(license.Page, func(k *license.Key) { k.Expires, k.Quantity = time.Now().AddDate(0, 1, 0), 5 })
	many := w.key(license.Page, func(k *license.Key) { k.Quantity = 60 })
	w.add(s, few, many)
	w.project(s)
	n := newNode(t)
	for _, step := range []struct {
		pages int
		want  license.Key
		has   int64
	}{{20, many, 50}, {4, few, 5}, {500, few, 5}} {
		a, err := w.ask(s, n.wish(step.pages))
		if err != nil || a.Key.ID != step.want.ID || pagesOf(a) != step.has {
			t.Errorf("%d pages: %d of %d, %v; want %d of %d", step.pages, pagesOf(a), a.Key.Quantity, err, step.has, step.want.Quantity)
		}
	}
}

func pagesOf(a license.Allowance) (pages int64) {
	for _, b := range a.Blocks {
		pages += b.Pages
	}
	return pages
}

// Nothing is handed out that is not stored, and nothing twice.
func TestLeaseWithoutRecords(t *testing.T) {
	for _, kind := range []license.Kind{license.Browser, license.Concurrent, license.PerNode, license.Page} {
		for _, after := range []bool{false, true} {
			w := newWorld(t)
			s := w.server()
			k := w.key(kind, func(k *license.Key) { k.Quantity = 1 })
			w.add(s, k)
			w.project(s)
			broken := false
			s = w.server(func(c *Config) {
				c.Records = &faulty{w.records, func() (bool, bool) { return broken && !after, broken && after }}
			})
			n := newIdentity(t).NodeID()
			r := browser(1, n)
			r.Pages = 1
			broken = true
			_, err := w.ask(s, r)
			wantCode(t, string(kind)+" without records", err, problem.TrackingOffline)
			if !errors.Is(err, errDisk) {
				t.Errorf("%s without records: %v does not say why", kind, err)
			}
			broken = false
			if _, err := w.ask(s, r); err != nil {
				t.Errorf("%s when the records are there again: %v", kind, err)
			}
			r = browser(2, newIdentity(t).NodeID())
			r.Pages = 1
			if _, err := w.ask(s, r); err == nil {
				t.Errorf("%s: two have the only one", kind)
			}
			if item, err := w.server().Item(t.Context(), k.ID); err != nil || item.Used+item.Reserved != 1 {
				t.Errorf("%s: %d used and %d reserved, %v; want 1 altogether", kind, item.Used, item.Reserved, err)
			}
		}
	}
}

// A node to which a key is bound is its own server, and a gateway counts for nodes.
func TestNodeByItself(t *testing.T) {
	w := newWorld(t)
	id := newIdentity(t)
	place := license.Place{Node: id.NodeID(), Pin: id.Pin()}
	s := w.server(func(c *Config) { c.Identity, c.Place = id, func() license.Place { return place } })
	for _, kind := range []license.Kind{license.Browser, license.Concurrent, license.Page, license.PerNode} {
		k := w.key(kind, func(k *license.Key) { k.Gateways, k.Nodes = nil, []string{id.NodeID()} })
		w.add(s, k)
		if _, err := w.askFor(s, place, api.LeaseRequest{Key: k.Text, Client: client(1), Origin: app, Node: id.NodeID(), Pages: 1}); err != nil {
			t.Errorf("%s at its own node: %v", kind, err)
		}
		_, err := w.askFor(s, placeOf(w.gateway), api.LeaseRequest{Key: k.Text, Client: client(1), Origin: app, Node: newIdentity(t).NodeID(), Pages: 1})
		wantCode(t, string(kind)+" for another place", err, problem.LicenseElsewhere)
	}
}

// Rows 3 and 4 from a browser's side: a desk that cannot reach the server for hours.
func TestDeskWithoutServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.server()
		k := w.key(license.Browser, func(k *license.Key) { k.Grace = int64((48 * time.Hour).Seconds()) })
		w.add(s, k)
		w.project(s)
		line := &line{Server: s}
		desk := license.NewDesk(license.DeskConfig{
			Place: func() license.Place { return placeOf(w.gateway) }, End: "gw", Vendors: func() []string { return []string{w.vendor.Pin()} },
			Own: func() access.Terms { return access.Terms{} }, Server: line, Clock: time.Now,
		})
		c := access.Caller{Origin: app, Client: "browser-number-00000001", Terms: access.Terms{HandshakeCode: code}}
		n := newIdentity(t).NodeID()
		permit := func() error { _, err := desk.Permit(t.Context(), c, "", n, 3); return err }
		wantCode(t, "Permit", permit(), "")
		line.cut = true
		time.Sleep(71 * time.Hour)
		wantCode(t, "Permit 71 hours later", permit(), "")
		time.Sleep(2 * time.Hour)
		wantCode(t, "Permit beyond lease and grace", permit(), problem.TrackingOffline)
		line.cut = false
		time.Sleep(time.Minute)
		wantCode(t, "Permit when the server is there again", permit(), "")
		if item, err := s.Item(t.Context(), k.ID); err != nil || item.Used != 1 {
			t.Errorf("%d seats are used, %v; want 1", item.Used, err)
		}
	})
}
