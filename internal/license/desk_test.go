package license_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/problem"
)

// TestKinds goes the whole way of each kind and each fault of a key: a session at the
// gateway's desk, a permit for a job, and the node's judge.
func TestKinds(t *testing.T) {
	ocr := func(k *license.Key) { k.Modules = []license.Module{license.OCR} }
	tests := []struct {
		name   string
		kind   license.Kind
		edits  []func(*license.Key)
		module license.Module
		admit  problem.Code // what the desk says of the session
		permit problem.Code // and of the job or module call
	}{
		{name: "browser", kind: license.Browser},
		{name: "pages", kind: license.Page},
		{name: "server", kind: license.Server},
		{name: "concurrent", kind: license.Concurrent},
		{name: "node", kind: license.PerNode},
		{name: "trial", kind: license.Trial},
		{name: "any origin", kind: license.Browser, edits: []func(*license.Key){func(k *license.Key) { k.Origins = nil }}},
		{name: "other sub-domain", kind: license.Server, edits: []func(*license.Key){func(k *license.Key) { k.Origins = []string{"https://*.shop.example"} }},
			admit: problem.LicenseOrigin, permit: problem.LicenseOrigin},
		{name: "another origin", kind: license.Server, edits: []func(*license.Key){func(k *license.Key) { k.Origins = []string{"https://bank.example"} }},
			admit: problem.LicenseOrigin, permit: problem.LicenseOrigin},
		{name: "over", kind: license.Server, edits: []func(*license.Key){func(k *license.Key) { k.Expires = start }},
			admit: problem.LicenseExpired, permit: problem.LicenseExpired},
		{name: "not begun", kind: license.Trial, edits: []func(*license.Key){func(k *license.Key) { k.NotBefore = start.Add(time.Hour) }},
			admit: problem.LicenseNotYetValid, permit: problem.LicenseNotYetValid},
		{name: "another gateway", kind: license.Server, edits: []func(*license.Key){func(k *license.Key) { k.Gateways = []string{other.Pin()} }},
			admit: problem.LicenseElsewhere, permit: problem.LicenseElsewhere},
		{name: "another node", kind: license.Server, edits: []func(*license.Key){func(k *license.Key) { k.Nodes = []string{other.NodeID()} }},
			permit: problem.LicenseElsewhere},
		{name: "this node", kind: license.Server, edits: []func(*license.Key){func(k *license.Key) { k.Nodes = []string{node.NodeID()} }}},
		{name: "this gateway", kind: license.Server, edits: []func(*license.Key){func(k *license.Key) { k.Gateways = []string{gateway.Pin()} }}},
		{name: "counted by another server", kind: license.Browser, edits: []func(*license.Key){func(k *license.Key) { k.Gateways = []string{other.Pin()} }},
			admit: problem.LicenseElsewhere, permit: problem.LicenseElsewhere},
		{name: "pages of another server", kind: license.Page, edits: []func(*license.Key){func(k *license.Key) { k.Gateways = []string{other.Pin()} }},
			permit: problem.LicenseElsewhere},
		{name: "node by name", kind: license.PerNode, edits: []func(*license.Key){func(k *license.Key) { k.Nodes, k.Quantity = []string{node.NodeID()}, 0 }}},
		{name: "module", kind: license.Browser, edits: []func(*license.Key){ocr}, module: license.OCR},
		{name: "module with pages", kind: license.Page, edits: []func(*license.Key){ocr}, module: license.OCR},
		{name: "another module", kind: license.Browser, edits: []func(*license.Key){ocr}, module: license.Barcode, permit: problem.LicenseModule},
		{name: "no module", kind: license.Trial, module: license.PDFRasterizer, permit: problem.LicenseModule},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			k := key(test.kind, test.edits...)
			now := func() time.Time { return start }
			d := newDesk(func(d *desk) { d.now, d.server.now = now, now })
			text := issue(t, k)
			s, err := d.Admit(t.Context(), keyTerms(text), shop, client)
			wantCode(t, "Admit", err, test.admit, `gateway "front desk"`)
			if err == nil && (s.Id != k.ID || s.Kind != string(test.kind) || !s.Expires.Equal(k.Expires)) {
				t.Errorf("Admit describes %+v, want %s until %v", s, k.ID, k.Expires)
			}
			p, err := d.Permit(t.Context(), caller(keyTerms(text)), test.module, node.NodeID(), 1)
			wantCode(t, "Permit", err, test.permit, `gateway "front desk"`)
			if err == nil {
				wantCode(t, "Judge", judged(t, p, test.module, start), "")
				return
			}
			// What a patched gateway would send in its place.
			a, _ := d.server.Lease(context.Background(), license.Place{Pin: gateway.Pin()}, leaseRequest(text, test.module))
			err = judged(t, license.Permit{Key: text, Lease: a.Lease, Blocks: a.Blocks}, test.module, start)
			wantCode(t, "Judge of a patched gateway's permit", err, test.permit, `node "office"`)
		})
	}
}

// TestJudgeRefuses is what a patched gateway may try with leases and blocks.
func TestJudgeRefuses(t *testing.T) {
	day := 24 * time.Hour
	tests := []struct {
		name string
		kind license.Kind
		edit func(*license.Lease, *license.Block)
		id   func(*server)
		from license.Place
		at   time.Duration
		want problem.Code
	}{
		{name: "good seat", kind: license.Browser},
		{name: "good pages", kind: license.Page},
		{name: "seat beyond the quantity", kind: license.Browser, edit: func(l *license.Lease, _ *license.Block) { l.Seat = 111 }, want: problem.LicenseSeats},
		{name: "seat within over-use", kind: license.Browser, edit: func(l *license.Lease, _ *license.Block) { l.Seat = 110 }},
		{name: "another's seat", kind: license.Concurrent, edit: func(l *license.Lease, _ *license.Block) { l.Holder = "somebody" }, want: problem.LicenseInvalid},
		{name: "seat of another origin", kind: license.Browser, edit: func(l *license.Lease, _ *license.Block) { l.Origin = "https://bank.example" }, want: problem.LicenseInvalid},
		{name: "seat of another licence", kind: license.Browser, edit: func(l *license.Lease, _ *license.Block) { l.Item = license.NewID() }, want: problem.LicenseInvalid},
		{name: "seat of an older licence", kind: license.Browser, edit: func(l *license.Lease, _ *license.Block) { l.Revision = 7 }, want: problem.LicenseInvalid},
		{name: "seat for another gateway", kind: license.Browser, from: license.Place{Pin: other.Pin()}, want: problem.LicenseInvalid},
		{name: "seat that the gateway made", kind: license.Browser, id: func(s *server) { s.id = gateway }, want: problem.LicenseElsewhere},
		{name: "seat of another node", kind: license.PerNode, edit: func(l *license.Lease, _ *license.Block) { l.Holder = other.NodeID() }, want: problem.LicenseInvalid},
		{name: "seat that is over", kind: license.Browser, at: day + 2*time.Hour, want: problem.TrackingOffline},
		{name: "seat in its grace", kind: license.Browser, at: day + 30*time.Minute},
		{name: "seat of tomorrow", kind: license.Browser, edit: func(l *license.Lease, _ *license.Block) { l.From = start.Add(time.Hour) }, want: problem.TrackingOffline},
		{name: "no seat", kind: license.Browser, edit: func(l *license.Lease, _ *license.Block) { l.Holder = "" }, want: problem.LicenseInvalid},
		{name: "pages of another node", kind: license.Page, edit: func(_ *license.Lease, b *license.Block) { b.Node = other.NodeID() }, want: problem.LicenseInvalid},
		{name: "more pages than there are", kind: license.Page, edit: func(_ *license.Lease, b *license.Block) { b.Pages = 111 }, want: problem.LicensePages},
		{name: "more over-use than there is", kind: license.Page, edit: func(_ *license.Lease, b *license.Block) { b.Over = 11 }, want: problem.LicensePages},
		{name: "pages that the gateway made", kind: license.Page, id: func(s *server) { s.id = gateway }, want: problem.LicenseElsewhere},
		{name: "pages for another gateway", kind: license.Page, from: license.Place{Pin: other.Pin()}, want: problem.LicenseInvalid},
		{name: "pages that are over", kind: license.Page, at: day + 2*time.Hour, want: problem.TrackingOffline},
		{name: "pages of another licence", kind: license.Page, edit: func(_ *license.Lease, b *license.Block) { b.Item = license.NewID() }, want: problem.LicenseInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(lts)
			s.now = func() time.Time { return start }
			s.edit = test.edit
			if test.id != nil {
				test.id(s)
			}
			text := issue(t, key(test.kind, func(k *license.Key) { k.OverUse, k.Grace = 10, 3600 }))
			a, err := s.Lease(t.Context(), license.Place{Pin: gateway.Pin()}, leaseRequest(text, ""))
			if err != nil {
				t.Fatal(err)
			}
			from := test.from
			if from.Pin == "" {
				from = license.Place{Pin: gateway.Pin()}
			}
			claim := license.Claim{Origin: shop, Client: license.ClientHash(shop, client)}
			err = judgedFrom(license.Permit{Key: text, Lease: a.Lease, Blocks: a.Blocks}, claim, from, start.Add(test.at))
			wantCode(t, "Judge", err, test.want, `node "office"`)
		})
	}
	t.Run("no pages", func(t *testing.T) {
		wantCode(t, "Judge", judged(t, license.Permit{Key: issue(t, key(license.Page))}, "", start), problem.LicensePages)
	})
	t.Run("nothing", func(t *testing.T) {
		wantCode(t, "Judge", judged(t, license.Permit{}, "", start), problem.LicenseMissing, `node "office"`)
		err := judgedFrom(license.Permit{}, license.Claim{}, license.Place{}, start)
		wantCode(t, "Judge of Platen's own page", err, "")
	})
}

// TestTerms is which licence counts.
func TestTerms(t *testing.T) {
	now := func() time.Time { return start }
	d := newDesk(func(d *desk) { d.now, d.server.now = now, now })
	own := key(license.Server)
	session := key(license.Trial)
	ownText, sessionText := issue(t, own), issue(t, session)
	stranger, err := license.Issue(other, key(license.Server))
	if err != nil {
		t.Fatal(err)
	}
	d.server.projects["ACME-desk"] = issue(t, key(license.Concurrent))
	offline := issue(t, key(license.Browser))
	tests := []struct {
		name  string
		own   access.Terms
		terms access.Terms
		want  string // ID
		code  problem.Code
	}{
		{name: "none", code: problem.LicenseMissing},
		{name: "platen.ini", own: keyTerms(ownText), want: own.ID},
		{name: "session before platen.ini", own: keyTerms(ownText), terms: keyTerms(sessionText), want: session.ID},
		{name: "both of the session", terms: access.Terms{ProductKey: sessionText, HandshakeCode: "ACME-desk"}, code: problem.LicenseBoth},
		{name: "both of platen.ini", own: access.Terms{ProductKey: sessionText, HandshakeCode: "ACME-desk"}, code: problem.LicenseBoth},
		{name: "handshake", terms: access.Terms{HandshakeCode: "ACME-desk"}},
		{name: "unknown handshake", terms: access.Terms{HandshakeCode: "ACME-door"}, code: problem.HandshakeUnknown},
		{name: "no handshake", terms: access.Terms{HandshakeCode: "ACME"}, code: problem.HandshakeUnknown},
		{name: "stranger", terms: keyTerms(stranger), code: problem.LicenseInvalid},
		{name: "cut", terms: keyTerms(offline[:len(offline)-9]), code: problem.LicenseInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d.own = test.own
			s, err := d.Admit(t.Context(), test.terms, shop, client)
			wantCode(t, "Admit", err, test.code, `gateway "front desk"`)
			if test.want != "" && s.Id != test.want {
				t.Errorf("Admit took %s, want %s", s.Id, test.want)
			}
		})
	}
	t.Run("browser without a name", func(t *testing.T) {
		_, err := d.Admit(t.Context(), keyTerms(offline), shop, "")
		wantCode(t, "Admit", err, problem.BadRequest, "front desk")
		_, err = d.Admit(t.Context(), access.Terms{HandshakeCode: "ACME-desk"}, shop, "")
		wantCode(t, "Admit by handshake", err, problem.BadRequest, "front desk")
	})
	t.Run("no server", func(t *testing.T) {
		d := newDesk(func(d *desk) { d.now, d.cfg.Server = now, nil })
		_, err := d.Admit(t.Context(), keyTerms(offline), shop, client)
		wantCode(t, "Admit", err, problem.LicenseElsewhere)
		_, err = d.Admit(t.Context(), access.Terms{HandshakeCode: "ACME-desk"}, shop, client)
		wantCode(t, "Admit by handshake", err, problem.TrackingOffline)
	})
	t.Run("open", func(t *testing.T) {
		d := newDesk(func(d *desk) { d.cfg.Vendors = func() []string { return nil } })
		s, err := d.Admit(t.Context(), access.Terms{}, shop, "")
		p, errPermit := d.Permit(t.Context(), caller(access.Terms{}), license.OCR, node.NodeID(), 1)
		if err != nil || errPermit != nil || s.Id != "" || p.String() != "" {
			t.Errorf("without vendors: %+v, %v and %v, %v", s, err, p, errPermit)
		}
	})
	t.Run("free", func(t *testing.T) {
		d.own = access.Terms{}
		p, err := d.Permit(t.Context(), access.Caller{}, "", node.NodeID(), 5)
		if err != nil || p.String() != "" {
			t.Errorf("Platen's own page: %v, %v", p, err)
		}
		_, err = d.Permit(t.Context(), access.Caller{}, license.OCR, node.NodeID(), 0)
		wantCode(t, "module of Platen's own page", err, problem.LicenseMissing)
		for _, kind := range license.Kinds {
			d.own = keyTerms(issue(t, key(kind, func(k *license.Key) { k.Modules = []license.Module{license.OCR} })))
			p, err = d.Permit(t.Context(), access.Caller{}, license.OCR, node.NodeID(), 0)
			wantCode(t, string(kind)+": module of Platen's own page, licensed", err, "")
			err = judgedFrom(p, license.Claim{Module: license.OCR}, license.Place{Pin: gateway.Pin()}, start)
			wantCode(t, string(kind)+": its judge", err, "")
		}
	})
}

// TestOrder is which of several keys is used, and whose error counts.
func TestOrder(t *testing.T) {
	now := func() time.Time { return start }
	d := newDesk(func(d *desk) { d.now, d.server.now = now, now })
	with := func(edit func(*license.Key)) license.Key { return key(license.Server, edit) }
	far := key(license.Server)
	near := with(func(k *license.Key) { k.Expires = start.Add(time.Hour) })
	bound := with(func(k *license.Key) { k.Gateways = []string{gateway.Pin()} })
	two := with(func(k *license.Key) { k.Gateways = []string{gateway.Pin(), other.Pin()} })
	wide := with(func(k *license.Key) { k.Origins = []string{shop, "https://bank.example"} })
	over := with(func(k *license.Key) { k.Expires = start })
	bank := with(func(k *license.Key) { k.Origins = []string{"https://bank.example"} })
	broken := license.Key{}
	used := key(license.Concurrent, func(k *license.Key) { k.Expires = start.Add(time.Minute) })
	tests := []struct {
		name string
		keys []license.Key
		want license.Key
		code problem.Code
	}{
		{"nearest end", []license.Key{far, near, bound}, near, ""},
		{"fewest places", []license.Key{far, two, bound}, bound, ""},
		{"fewest origins", []license.Key{wide, far}, far, ""},
		{"what covers", []license.Key{over, bank, far}, far, ""},
		{"when seats are taken", []license.Key{used, far}, far, ""},
		{"beside a damaged one", []license.Key{broken, far}, far, ""},
		{"error of the right page, damaged ones beside it", []license.Key{broken, over}, license.Key{}, problem.LicenseExpired},
		{"damaged ones alone", []license.Key{broken, broken}, license.Key{}, problem.LicenseInvalid},
		{"error of the right page", []license.Key{bank, over}, license.Key{}, problem.LicenseExpired},
		{"error that came furthest", []license.Key{bank, over, used}, license.Key{}, problem.LicenseSeats},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d.server.set(problem.New(problem.LicenseSeats, "All 100 are taken."))
			var texts []string
			for _, k := range test.keys {
				if k.ID == "" {
					texts = append(texts, issue(t, far)[1:])
					continue
				}
				texts = append(texts, issue(t, k))
			}
			s, err := d.Admit(t.Context(), keyTerms(texts...), shop, client)
			wantCode(t, "Admit", err, test.code)
			if err != nil && test.keys[0].ID == "" && !strings.Contains(err.Error(), "Key 1 of 2 cannot be used. The key is damaged") {
				t.Errorf("Admit does not say which key is damaged: %v", err)
			}
			if err == nil && s.Id != test.want.ID {
				t.Errorf("Admit took %s, want %s", s.Id, test.want.ID)
			}
		})
	}
}

func TestAllows(t *testing.T) {
	now := start
	var log bytes.Buffer
	d := newDesk(func(d *desk) {
		d.now, d.cfg.Log = func() time.Time { return now }, slog.New(slog.NewTextHandler(&log, nil))
	})
	d.server.set(errors.New("it must not be asked"))
	d.own = keyTerms(
		issue(t, key(license.Server, func(k *license.Key) { k.Origins = []string{shop, "https://*.bank.example:8443"} })),
		issue(t, key(license.Browser, func(k *license.Key) { k.Origins = []string{"http://intranet"} })),
		issue(t, key(license.Server, func(k *license.Key) {
			k.Origins, k.Gateways = []string{"https://elsewhere.example"}, []string{other.Pin()}
		})),
		"damaged")
	for origin, want := range map[string]bool{
		shop: true, "http://shop.example": false, "https://a.bank.example:8443": true, "https://a.b.bank.example:8443": true,
		"https://bank.example:8443": false, "https://a.bank.example": false, "https://evilbank.example:8443": false,
		"http://intranet": true, "https://elsewhere.example": false, "https://other.example": false,
	} {
		o, err := access.ParseOrigin(origin)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Allows(o); got != want {
			t.Errorf("Allows(%s) = %v, want %v", origin, got, want)
		}
	}
	o, _ := access.ParseOrigin(shop)
	if now = start.Add(61 * 24 * time.Hour); d.Allows(o) {
		t.Error("Allows goes by a key whose time is over")
	}
	if l := d.License(); len(l.Keys) != 4 || l.Mode != "licensed" || l.Keys[0].Problem.Code != "license-expired" || l.Keys[3].Problem.Code != "license-invalid" {
		t.Errorf("License = %+v", l)
	}
	if told := strings.Count(log.String(), "a licence that is set in platen.ini cannot be used"); told != 1 || !strings.Contains(log.String(), "Key 4 of 4") {
		t.Errorf("the log says of the damaged key:\n%s", log.String())
	}
	if d.server.times() != 0 {
		t.Error("Allows asked the server")
	}
}
