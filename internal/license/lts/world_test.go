package lts

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/alerts"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/internal/license/tracking"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	app  = "https://app.example.com"
	code = "ACME-SCAN"
)

func newIdentity(t testing.TB) *identity.Identity {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// world is a vendor with his keys.
type world struct {
	t      testing.TB
	vendor *identity.Identity
}

func newWorld(t testing.TB) *world { return &world{t, newIdentity(t)} }

// key is one that may be used at the ends.
func (w *world) key(kind license.Kind, quantity int64, ends ...*identity.Identity) string {
	w.t.Helper()
	now := time.Now()
	k := license.Key{
		ID: license.NewID(), Revision: 1, Kind: kind, Organisation: "ACME", Origins: []string{app}, Quantity: quantity,
		NotBefore: now.Add(-time.Hour), Expires: now.AddDate(1, 0, 0), Grace: 3600,
	}
	for _, e := range ends {
		k.Gateways = append(k.Gateways, e.Pin())
	}
	text, err := license.Issue(w.vendor, k)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// end is a licence tracking server in memory.
type end struct {
	t        testing.TB
	id       *identity.Identity
	vendor   *identity.Identity
	records  *accesstest.Records
	pages    *accesstest.Records
	book     *ledger.Book
	server   *tracking.Server
	standby  *Standby
	main     *Main
	tracking license.Tracking
	alerts   *alerts.Alerts
	guard    *access.Guard
	table    []access.Route
	public   http.Handler
	node     http.Handler
	down     atomic.Bool
	asked    atomic.Int32 // requests of ends
	answers  atomic.Int32 // how many of them are answered, the last one too late; 0: all
}

func (w *world) end(id *identity.Identity) *end {
	return &end{t: w.t, id: id, records: accesstest.NewRecords(), pages: accesstest.NewRecords()}
}

// start begins anew with what is in the records. With main it is that server's standby, with
// the pin of a standby it has one.
func (w *world) start(e *end, main *end, standby string) {
	w.t.Helper()
	var err error
	e.book, err = ledger.Open(w.t.Context(), ledger.Config{Records: e.pages, Server: e.id, Whole: true})
	if err != nil {
		w.t.Fatal(err)
	}
	records := access.Records(e.records)
	if main != nil {
		records = Journal{e.records}
	}
	e.server = tracking.New(tracking.Config{
		Identity: e.id, Records: records, Ledger: e.book, Clock: time.Now, Log: slog.New(slog.DiscardHandler),
		Place: func() license.Place { return license.Place{Pin: e.id.Pin()} }, Vendors: func() []string { return []string{w.vendor.Pin()} },
	})
	e.main = NewMain(e.server, func() string { return standby }, nil)
	e.tracking = e.main
	watch := alerts.Config{
		Records: records, Server: e.id, Name: "test", Items: func(context.Context) ([]alerts.Item, error) { return nil, nil },
	}
	if main != nil {
		watch.Away = func() (string, time.Time) { return "main:1", e.standby.Away() }
	}
	e.alerts = alerts.New(watch)
	c := Config{Server: e.server, Book: e.book, Alerts: e.alerts}
	if main != nil {
		e.standby, err = NewStandby(w.t.Context(), StandbyConfig{
			Tracking: e.server, Journal: Journal{e.records}, Book: e.book, Main: license.Address{Host: "main:1", Pin: main.id.Pin()},
			Client: func(license.Address) (*http.Client, error) { return main.clientOf(e.id), nil },
		})
		if err != nil {
			w.t.Fatal(err)
		}
		e.tracking, c.Fixed = e.standby, e.standby.Fixed
	}
	e.guard = access.New(access.Config{Records: e.records, PeerKey: peerKey, Origins: access.NewOrigins()})
	e.table = slices.Concat(
		Routes(c),
		NodeRoutes(NodeConfig{Tracking: e.tracking, Records: records, Known: func(pin string) bool { return standby != "" && pin == standby },
			Counts: func(node string) bool { _, counted := e.book.Head(node); return counted }}),
		ReplicaRoutes(ReplicaConfig{Records: e.records, Book: e.book, Adopt: e.server.Adopt, Standby: func() string { return standby }, Seen: e.main.Seen}),
		DescribeRoute(func(context.Context) (api.License, error) {
			return api.License{Mode: api.LicenseModeFree, Vendors: []string{w.vendor.Pin()}, Keys: []api.LicenseKey{}, Clock: api.LicenseClockGood}, nil
		}),
	)
	all := append(access.SignInRoutes(e.guard), e.table...)
	e.public = e.guard.Handler(access.RoadPublic, all, nil)
	e.node = e.guard.Handler(access.RoadNode, all, nil)
}

type peer struct{}

func peerKey(ctx context.Context) ed25519.PublicKey {
	key, _ := ctx.Value(peer{}).(ed25519.PublicKey)
	return key
}

// clientOf is another end's way to this one: mutual TLS in memory.
func (e *end) clientOf(id *identity.Identity) *http.Client {
	return &http.Client{Transport: wire{e, id}}
}

type wire struct {
	to   *end
	from *identity.Identity
}

var errDown = errors.New("nobody is there")

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	asked, most := w.to.asked.Add(1), w.to.answers.Load()
	if w.to.down.Load() || most > 0 && asked > most {
		return nil, errDown
	}
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
	}
	in := accesstest.NewRequest(access.RoadNode, r.Method, r.URL.RequestURI(), body)
	in = in.WithContext(context.WithValue(r.Context(), peer{}, w.from.Public()))
	in.RemoteAddr = "192.0.2.9:40000" // all ends are at one
	answer := accesstest.Do(w.to.node, in)
	if w.to.down.Load() || most > 0 && asked == most || answer.Code == 0 {
		return nil, errDown
	}
	res := answer.Result()
	res.Request = r
	return res, nil
}

// remote asks servers as an end.
func remote(t testing.TB, id *identity.Identity, servers ...*end) *license.Remote {
	t.Helper()
	var list []license.Address
	by := map[string]*end{}
	for _, s := range servers {
		list = append(list, license.Address{Host: "server:1", Pin: s.id.Pin()})
		by[s.id.Pin()] = s
	}
	r, err := license.NewRemote(license.RemoteConfig{
		Servers: list, Identity: id, Client: func(a license.Address) (*http.Client, error) { return by[a.Pin].clientOf(id), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantCode(t testing.TB, what string, err error, want problem.Code) {
	t.Helper()
	if err == nil || !errors.Is(err, want.Error()) {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

func client(name string) string { return license.ClientHash(app, "browser-with-name-"+name) }

// meter is a node's.
type meter struct {
	t      testing.TB
	id     *identity.Identity
	rows   []api.Receipt
	chains []string
}

func newMeter(t testing.TB) *meter { return &meter{t: t, id: newIdentity(t)} }

// commit commits pages of one job under a block.
func (m *meter) commit(pages int, item, block string) {
	job := scan.NewID(m.id.NodeID(), scan.KindJob)
	for n := range pages {
		r := api.Receipt{
			Node: m.id.NodeID(), Seq: int64(len(m.rows) + 1), Job: job, N: n + 1, Page: scan.NewID(m.id.NodeID(), scan.KindPage),
			Digest: strings.Repeat("0f", 32), Bytes: 1000, At: time.Now().UnixMilli(), Item: item, Block: block, Project: code, Origin: app,
		}
		var before []byte
		if len(m.chains) > 0 {
			before, _ = hex.DecodeString(m.chains[len(m.chains)-1])
		}
		chain, err := license.Chain(before, r)
		if err != nil {
			m.t.Fatal(err)
		}
		m.rows, m.chains = append(m.rows, r), append(m.chains, hex.EncodeToString(chain))
	}
}

// batch is what follows after a page's number.
func (m *meter) batch(after int) api.ReceiptBatch {
	last := min(len(m.rows), after+500)
	b := api.ReceiptBatch{Node: m.id.NodeID(), Receipts: m.rows[after:last]}
	if after > 0 {
		b.Before = m.chains[after-1]
	}
	b.Head = license.SignHead(m.id, license.Head{Seq: int64(last), Chain: m.chains[last-1]})
	return b
}

// report reports by a way, from after on, and goes back where it is told to.
func (m *meter) report(to license.Tracking, after int) error {
	for after < len(m.rows) {
		mark, err := to.Report(m.t.Context(), license.Place{}, m.id.Pin(), m.batch(after))
		if gap, is := ledger.Gap(err); is {
			after = int(gap.Seq)
			continue
		}
		if err != nil {
			return err
		}
		if _, err := license.MarkIn(mark.Mark, to.Pin(), m.id.NodeID()); err != nil {
			return err
		}
		after = int(mark.Seq)
	}
	return nil
}

func withPeer(ctx context.Context, id *identity.Identity) context.Context {
	return context.WithValue(ctx, peer{}, id.Public())
}
