package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/alerts"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/internal/license/lts"
	"github.com/platen-scan/platen/internal/license/tracking"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// tracker is the licence tracking server of an end, with all that belongs to it: that of
// platen lts, of a gateway, and of a node for the keys that are bound to it.
type tracker struct {
	*base
	clock    *license.Clock
	book     *ledger.Book
	server   *tracking.Server
	alerts   *alerts.Alerts
	remote   *license.Remote // nil: no other server is set
	standby  *lts.Standby    // nil: it stands in for nobody
	main     string          // address of the server that it stands in for
	records  access.Records
	tracking license.Tracking // who answers: this one, or another
	desk     *license.Desk    // of the end; see newDesk
	seen     func()           // hears that the standby has asked for a copy
	ticks    bool             // the clock is the tracker's own to serve
}

// trackerConfig is what the ends do not have in common.
type trackerConfig struct {
	records access.Records
	ledger  access.Records
	clock   *license.Clock // that the end serves; nil: the tracker makes one on the records
	place   func() license.Place
	// away is the other server that the end asks, as it is now, before those that platen.ini
	// names: a node's gateway, which must hear of every page. nil: there is none.
	away func() license.Tracking
	// lone is set for platen lts, which may have a standby or be one.
	lone bool
}

func (b *base) newTracker(c trackerConfig) (*tracker, error) {
	t := &tracker{base: b, clock: c.clock, records: c.records, seen: func() {}}
	cfg := b.cfg.Load()
	var err error
	if t.ticks = t.clock == nil; t.ticks {
		if t.clock, err = license.NewClock(b.ctx, license.ClockConfig{Records: c.records, Log: b.log}); err != nil {
			return nil, err
		}
	}
	standsInFor, hasStandby := cfg.Tracking.StandsInFor(), cfg.Tracking.Standby != ""
	t.book, err = ledger.Open(b.ctx, ledger.Config{Records: c.ledger, Server: b.self, Whole: c.lone, Log: b.log})
	if err != nil {
		return nil, err
	}
	counted := c.records // of the server
	journal := lts.Journal{Records: c.records}
	if c.lone && standsInFor.Pin != "" {
		counted = journal
	}
	t.server = tracking.New(tracking.Config{
		Identity: b.self, Records: counted, Ledger: t.book, Place: c.place, Vendors: b.vendors, Own: b.ownKeys, Clock: t.clock.Now, Log: b.log,
	})
	watch := t.alertsConfig(cfg)
	t.tracking = t.server
	switch {
	case c.lone && standsInFor.Pin != "":
		t.main, t.records = standsInFor.Address, journal
		t.standby, err = lts.NewStandby(b.ctx, lts.StandbyConfig{
			Tracking: t.server, Journal: journal, Book: t.book, Main: license.Address{Host: standsInFor.Address, Pin: standsInFor.Pin},
			Client: b.mutualTLS, Log: b.log,
		})
		t.tracking = t.standby
		watch.Away = func() (string, time.Time) { return t.main, t.standby.Away() }
	case c.lone && hasStandby:
		main := lts.NewMain(t.server, t.standbyPin, nil)
		t.tracking, t.seen, watch.Idle = main, main.Seen, main.Waits
	case !c.lone:
		err = t.route(c, cfg.License.Tracking())
	}
	watch.Records = t.records // which are journaled at a standby
	t.alerts = alerts.New(watch)
	return t, err
}

// route asks another server, if there is one, for all but what is bound to this end.
func (t *tracker) route(c trackerConfig, servers []config.Server) error {
	away := c.away
	if len(servers) > 0 {
		var list []license.Address
		for _, s := range servers {
			list = append(list, license.Address{Host: s.Address, Pin: s.Pin})
		}
		remote, err := license.NewRemote(license.RemoteConfig{Servers: list, Identity: t.self, Client: t.mutualTLS})
		if err != nil {
			return err
		}
		t.remote = remote
		away = func() license.Tracking {
			if c.away != nil {
				if first := c.away(); first != nil {
					return first
				}
			}
			return remote
		}
	}
	if away == nil {
		return nil
	}
	t.tracking = &license.Routed{Own: t.server, Place: c.place, Vendors: t.vendors, Away: away, Counts: t.counts, Log: t.log}
	return nil
}

// counts reports whether there are keys that this end counts itself, though it has another
// server.
func (t *tracker) counts(ctx context.Context) bool {
	if t.book.Pages() > 0 {
		return true
	}
	keys, err := t.server.Keys(ctx)
	return err != nil || len(keys) > 0
}

// mutualTLS makes the client for another licence tracking server.
func (b *base) mutualTLS(a license.Address) (*http.Client, error) {
	return relay.NodeClient(relay.Target{Addr: a.Host, Pin: a.Pin, Identity: b.self})
}

func (b *base) vendors() []string { return b.cfg.Load().License.Trusted() }

// ownKeys are those of platen.ini.
func (b *base) ownKeys() []string {
	var keys []string
	for key := range strings.SplitSeq(b.cfg.Load().License.ProductKey, ";") {
		if key = strings.TrimSpace(key); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// gatewayPlace is this end, where it is no node.
func (b *base) gatewayPlace() license.Place {
	return license.Place{Pin: b.self.Pin(), Earlier: b.self.Earlier()}
}

// newDesk makes the desk of the end, which asks the tracker for what is counted.
func (t *tracker) newDesk(place func() license.Place, records access.Records) *license.Desk {
	t.desk = license.NewDesk(license.DeskConfig{
		Place: place, End: t.name, Vendors: t.vendors, Own: func() access.Terms { return t.cfg.Load().License.Terms() },
		Server: t.tracking, Clock: t.clock.Now, Suspect: t.clock.Suspect, Signed: t.clock.Signed, Records: records, Log: t.log,
	})
	return t.desk
}

// describe says what the end is licensed for. unreported is how many of its pages are not
// counted yet; nil: it scans none.
func (t *tracker) describe(d *license.Desk, unreported func(context.Context) (int64, error)) func(context.Context) (api.License, error) {
	return func(ctx context.Context) (l api.License, err error) {
		l = d.License()
		if unreported != nil {
			if l.Unreported, err = unreported(ctx); err != nil {
				return l, err
			}
		}
		if t.remote != nil {
			at, reached := t.remote.Reached()
			l.Server = at.Host
			if !reached.IsZero() {
				l.Reached = scan.At(reached)
			}
		}
		return l, nil
	}
}

func (t *tracker) standbyPin() string { return t.cfg.Load().Tracking.Standby }

// serve runs what belongs to the tracker until ctx ends.
func (t *tracker) serve(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if t.ticks {
		group.Go(func() error { return t.clock.Serve(ctx) })
	}
	group.Go(func() error { return t.book.Serve(ctx) })
	group.Go(func() error { return t.desk.Serve(ctx) })
	group.Go(func() error { return t.alerts.Serve(ctx) })
	if t.standby != nil {
		group.Go(func() error { return t.standby.Serve(ctx) })
	}
	return group.Wait()
}

func (t *tracker) close() {
	if t.remote != nil {
		t.remote.Close()
	}
}

// counter answers administrators and operators, if things are counted here.
func (t *tracker) counter() []access.Route {
	c := lts.Config{Server: t.server, Book: t.book, Alerts: t.alerts}
	if t.standby != nil {
		c.Fixed = t.standby.Fixed
	}
	return lts.Routes(c)
}

// routes are those of a licence tracking server by itself.
func (t *tracker) routes(d *license.Desk) []access.Route {
	list := t.counter()
	list = append(list, lts.NodeRoutes(lts.NodeConfig{
		Tracking: t.tracking, Records: t.records, Known: func(pin string) bool { return pin != "" && pin == t.standbyPin() },
		Counts: func(node string) bool { _, counted := t.book.Head(node); return counted },
	})...)
	list = append(list, lts.ReplicaRoutes(lts.ReplicaConfig{
		Records: t.records, Book: t.book, Adopt: t.server.Adopt, Standby: t.standbyPin, Seen: t.seen,
	})...)
	return append(list, lts.DescribeRoute(t.describe(d, nil))...)
}

// alertsEvery is how often items are looked at for alerts.
const alertsEvery = 10 * time.Second

// alertsConfig says what is watched, and how mail is sent.
func (t *tracker) alertsConfig(cfg *config.Config) alerts.Config {
	a := cfg.Alerts
	return alerts.Config{
		Server: t.self, Name: t.name, Items: t.watched, Every: alertsEvery, Log: t.log, Now: t.clock.Now,
		Mail: alerts.Mail{Server: a.SMTP, Security: a.Security, From: a.From, User: a.User, Password: a.Password},
	}
}

// watched are the items as alerts see them.
func (t *tracker) watched(ctx context.Context) ([]alerts.Item, error) {
	var list []alerts.Item
	for cursor := ""; ; {
		items, next, err := t.server.Items(ctx, 200, cursor)
		if err != nil {
			return nil, fmt.Errorf("listing licences for alerts: %w", err)
		}
		for _, i := range items {
			if i.Suspended {
				continue
			}
			list = append(list, alerts.Item{
				ID: i.Key.Id, Revision: i.Key.Revision, Organisation: i.Key.Organisation, Customer: i.Key.Customer,
				Used: i.Used, Quantity: i.Key.Quantity, Counted: countedWords(license.Kind(i.Key.Kind)),
				Period: periodName(license.Period(i.Key.Period), t.clock.Now()), Expires: i.Key.Expires.Time,
			})
		}
		if cursor = next; next == "" {
			return list, nil
		}
	}
}

// periodName is the period in which a time is; "" for the whole time of a key.
func periodName(p license.Period, now time.Time) string {
	switch p {
	case license.Day:
		return now.UTC().Format("2006-01-02")
	case license.Month:
		return now.UTC().Format("2006-01")
	case license.Year:
		return now.UTC().Format("2006")
	case license.Whole:
	}
	return ""
}

// countedWords is what a kind counts, for people.
func countedWords(k license.Kind) string {
	switch k {
	case license.Browser:
		return "browser clients"
	case license.Page:
		return "pages"
	case license.Concurrent:
		return "clients at the same time"
	case license.PerNode:
		return "nodes"
	case license.Server, license.Trial:
	}
	return ""
}
