package license_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	shop   = "https://shop.example"
	client = "browser-0123456789abcdef"
)

// start is the first moment of synctest's clock, and of the others in these tests.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// The ends of the tests.
var (
	vendor  = newIdentity()
	gateway = newIdentity()
	lts     = newIdentity()
	node    = newIdentity()
	other   = newIdentity()
)

func newIdentity() *identity.Identity {
	id, err := identity.New()
	if err != nil {
		panic(err)
	}
	return id
}

// key is a good one of the kind, bound to the tracking server, with changes.
func key(kind license.Kind, edits ...func(*license.Key)) license.Key {
	k := license.Key{
		ID: license.NewID(), Revision: 1, Kind: kind, Organisation: "ACME", Customer: "Acme Scanning", Origins: []string{shop},
		NotBefore: start.Add(-24 * time.Hour), Expires: start.Add(60 * 24 * time.Hour),
	}
	if kind.Tracked() {
		k.Quantity, k.Gateways = 100, []string{lts.Pin()}
	}
	for _, edit := range edits {
		edit(&k)
	}
	return k
}

func issue(t testing.TB, k license.Key) string {
	t.Helper()
	text, err := license.Issue(vendor, k)
	if err != nil {
		t.Fatalf("Issue(%+v): %v", k, err)
	}
	return text
}

// server is a tracking server that gives what it is told to give.
type server struct {
	id *identity.Identity

	mu       sync.Mutex
	offline  error             // what it answers; nil: it works
	projects map[string]string // handshake code → key
	asked    []api.LeaseRequest
	number   int
	pages    int64 // of a block
	leaseFor time.Duration
	edit     func(*license.Lease, *license.Block)
	now      func() time.Time
}

func newServer(id *identity.Identity) *server {
	return &server{id: id, projects: map[string]string{}, pages: 50, leaseFor: license.LeaseTime, now: time.Now}
}

func (s *server) Pin() string { return s.id.Pin() }

func (s *server) Report(context.Context, license.Place, string, api.ReceiptBatch) (api.ReceiptMark, error) {
	return api.ReceiptMark{}, errors.New("not asked for in these tests")
}

func (s *server) Lease(_ context.Context, place license.Place, wish api.LeaseRequest) (api.LeaseAnswer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, wish)
	if s.offline != nil {
		return api.LeaseAnswer{}, s.offline
	}
	text := wish.Key
	if wish.HandshakeCode != "" {
		if text = s.projects[wish.HandshakeCode]; text == "" {
			return api.LeaseAnswer{}, problem.New(problem.HandshakeUnknown, "%s.", wish.HandshakeCode)
		}
	}
	k, err := license.Parse(strings.Split(text, ";")[0], []string{vendor.Pin()})
	if err != nil {
		return api.LeaseAnswer{}, err
	}
	if wish.HandshakeCode != "" && wish.Origin == "" && wish.Module == "" && wish.Node == "" {
		return api.LeaseAnswer{Key: text, Keys: strings.Split(text, ";")}, nil
	}
	s.number++
	now := s.now().UTC()
	a := api.LeaseAnswer{Key: text, Time: access.TimeToken(s.id, place.Name(), now)}
	l := license.Lease{ID: fmt.Sprint("l", s.number), Item: k.ID, Revision: k.Revision, For: place.Name(), Holder: wish.Client, Seat: 1, Origin: wish.Origin, From: now, Until: now.Add(s.leaseFor)}
	b := license.Block{ID: fmt.Sprint("b", s.number), Item: k.ID, Revision: k.Revision, For: place.Name(), Node: wish.Node, Pages: s.pages, From: now, Until: now.Add(license.BlockTime)}
	if k.Kind == license.PerNode {
		l.Holder, l.Origin = wish.Node, ""
	}
	if s.edit != nil {
		s.edit(&l, &b)
	}
	switch {
	case k.Kind == license.Page && wish.Pages > 0:
		a.Blocks = []string{b.Sign(s.id)}
	case k.Kind == license.Browser, k.Kind == license.Concurrent, k.Kind == license.PerNode && wish.Node != "":
		a.Lease = l.Sign(s.id)
	}
	return a, nil
}

func (s *server) set(offline error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offline = offline
}

func (s *server) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// desk is a gateway's, with what tests change.
type desk struct {
	*license.Desk
	cfg    license.DeskConfig
	server *server
	own    access.Terms
	now    func() time.Time
}

func newDesk(edits ...func(*desk)) *desk {
	d := &desk{server: newServer(lts), now: time.Now}
	d.cfg = license.DeskConfig{
		Place:   func() license.Place { return license.Place{Pin: gateway.Pin()} },
		End:     "front desk",
		Vendors: func() []string { return []string{vendor.Pin()} },
		Own:     func() access.Terms { return d.own },
		Clock:   func() time.Time { return d.now() },
		Server:  d.server, Records: accesstest.NewRecords(),
	}
	for _, edit := range edits {
		edit(d)
	}
	d.Desk = license.NewDesk(d.cfg)
	return d
}

func caller(terms access.Terms) access.Caller {
	return access.Caller{Origin: shop, Terms: terms, Client: client}
}

func keyTerms(keys ...string) access.Terms { return access.Terms{ProductKey: strings.Join(keys, ";")} }

// judged is what a node says of a permit for the shop's page in the customer's browser.
func judged(t testing.TB, p license.Permit, module license.Module, at time.Time) error {
	t.Helper()
	return judgedFrom(p, license.Claim{Origin: shop, Client: license.ClientHash(shop, client), Module: module}, license.Place{Pin: gateway.Pin()}, at)
}

func judgedFrom(p license.Permit, claim license.Claim, from license.Place, at time.Time) error {
	j := &license.Judge{
		Vendors: func() []string { return []string{vendor.Pin()} }, Node: node.NodeID(), Clock: func() time.Time { return at }, End: "office",
	}
	_, err := j.Judge(context.Background(), claim, from, p.String(), time.Time{})
	return err
}

// wantCode checks a problem's code; "" is none. Each names the end that found it.
func wantCode(t *testing.T, what string, err error, want problem.Code, ends ...string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v, want no problem", what, err)
	case want != "" && (err == nil || problem.From(err).Code != want):
		t.Errorf("%s: %v, want %s", what, err, want)
	case want != "" && len(ends) > 0 && !slices.ContainsFunc(ends, func(end string) bool { return strings.Contains(err.Error(), end) }):
		t.Errorf("%s: %q names none of %q", what, err, ends)
	}
}

// leaseRequest is what the gateway asks for the customer's browser and a job at the node.
func leaseRequest(key string, module license.Module) api.LeaseRequest {
	return api.LeaseRequest{
		Key: key, Client: license.ClientHash(shop, client), Origin: shop, Node: node.NodeID(), Module: api.Module(module), Pages: 1,
	}
}
