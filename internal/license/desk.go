package license

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Desk finds what covers sessions and requests, where browsers sign in: at a gateway, and
// at a node for those who come to it without one. Its methods are safe for concurrent use.
type Desk struct {
	cfg     DeskConfig
	cache   cache
	own     ownKeys
	changed chan struct{} // platen.ini was

	mu      sync.Mutex
	down    time.Time // until then the server is not asked for what can go without
	coded   coded
	reached time.Time // when the server answered last; zero: not since the start
}

var _ access.Licenser = (*Desk)(nil)

// DeskConfig is what a desk is made of.
type DeskConfig struct {
	Place   func() Place        // this end
	End     string              // its name, for people
	Vendors func() []string     // pins; none: no licence is asked for
	Own     func() access.Terms // of platen.ini, for sessions that bring none
	Server  Tracking            // nil: nothing that is counted can be used
	Clock   func() time.Time    // see Clock.Now
	Suspect func() bool         // see Clock.Suspect; nil: it never is
	Signed  func(time.Time)     // see Clock.Signed; nil: what the server says of the time is passed over
	// Records keep what was leased, so that it is there when the server cannot be reached;
	// nil: memory alone does.
	Records access.Records
	Log     *slog.Logger // nil: none
}

// NewDesk makes a desk. It starts nothing; see Serve.
func NewDesk(cfg DeskConfig) *Desk {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Suspect == nil {
		cfg.Suspect = func() bool { return false }
	}
	return &Desk{cfg: cfg, changed: make(chan struct{}, 1), cache: cache{records: cfg.Records, log: cfg.Log}}
}

// wish is a claim with all that decides what covers it.
type wish struct {
	Claim
	terms access.Terms
	node  string // "": not known yet
	pages int    // wanted at the node
}

// Admit judges a new session of a foreign page. A seat is taken for its browser, where
// the licence counts browsers. Errors are the license codes.
func (d *Desk) Admit(ctx context.Context, t access.Terms, origin, client string) (api.SessionLicense, error) {
	claim := Claim{Origin: origin, Client: holder(origin, client)}
	vendors := d.cfg.Vendors()
	if len(vendors) == 0 || claim.Free() {
		return api.SessionLicense{}, nil
	}
	k, _, err := d.find(ctx, wish{Claim: claim, terms: d.terms(t), node: d.cfg.Place().Node}, vendors)
	if err != nil {
		return api.SessionLicense{}, d.at(err)
	}
	return api.SessionLicense{Id: k.ID, Kind: string(k.Kind), Organisation: k.Organisation, Modules: k.apiModules(), Expires: scan.At(k.Expires)}, nil
}

// Permit is what covers what the caller's page wants, or the module that anybody calls, at the
// node, which is to scan so many pages; zero where no licence is needed. A session's own
// terms go before those of platen.ini.
func (d *Desk) Permit(ctx context.Context, c access.Caller, module Module, node string, pages int) (Permit, error) {
	claim := Claim{Origin: c.Origin, Client: holder(c.Origin, c.Client), Module: module}
	vendors := d.cfg.Vendors()
	if len(vendors) == 0 || claim.Free() {
		return Permit{}, nil
	}
	_, p, err := d.find(ctx, wish{Claim: claim, terms: d.terms(c.Terms), node: node, pages: pages}, vendors)
	if err != nil {
		return Permit{}, d.at(err)
	}
	return p, nil
}

// holder is what leases call a browser client; "" if it has not named itself.
func holder(origin, client string) string {
	if client == "" {
		return ""
	}
	return ClientHash(origin, client)
}

func (d *Desk) terms(t access.Terms) access.Terms {
	if t == (access.Terms{}) {
		return d.cfg.Own()
	}
	return t
}

// at adds this end to a problem.
func (d *Desk) at(err error) error {
	what := "gateway"
	if d.cfg.Place().Node != "" {
		what = "node"
	}
	return at(err, what, d.cfg.End)
}

// find is the first key that covers the wish, with what was handed out for it. Of keys
// that do not, the error is that of the one that came nearest to it.
func (d *Desk) find(ctx context.Context, w wish, vendors []string) (Key, Permit, error) {
	switch {
	case w.terms.ProductKey != "" && w.terms.HandshakeCode != "":
		return Key{}, Permit{}, problem.LicenseBoth.Error()
	case w.terms.HandshakeCode != "":
		if _, _, err := ParseHandshake(w.terms.HandshakeCode); err != nil {
			return Key{}, Permit{}, err
		}
		return d.leased(ctx, w, nil, vendors)
	}
	keys, faults := parseAll(w.terms.ProductKey, vendors)
	if len(keys)+len(faults) == 0 {
		return Key{}, Permit{}, problem.LicenseMissing.Error()
	}
	Sort(keys)
	best, furthest := error(nil), -1
	for _, k := range keys {
		k, p, err := d.covering(ctx, w, k, vendors)
		if err == nil {
			return k, p, nil
		}
		if far := progress(err); best == nil || far > furthest {
			best, furthest = err, far
		}
	}
	return Key{}, Permit{}, beside(best, faults)
}

// beside is why no key covers a wish, with the first of those that could not even be read.
func beside(err error, faults []error) error {
	var found *problem.Error
	switch {
	case len(faults) == 0:
		return err
	case err == nil:
		return faults[0]
	case !errors.As(err, &found):
		return err
	}
	p := *found
	p.Detail += " " + problem.From(faults[0]).Detail
	return &p
}

// Sort puts keys into the order of use: the nearest end first, then the most specific,
// which is bound to fewer places and has fewer origins.
func Sort(keys []Key) {
	slices.SortStableFunc(keys, func(a, b Key) int {
		return cmp.Or(a.Expires.Compare(b.Expires), cmp.Compare(a.breadth(), b.breadth()), cmp.Compare(len(a.Origins), len(b.Origins)))
	})
}

// breadth is to how many places a key is bound; nowhere is everywhere.
func (k Key) breadth() int {
	if n := len(k.Gateways) + len(k.Nodes); n > 0 {
		return n
	}
	return maxBound + 1
}

// progress is how far the checks of a key came before a problem, in their order.
func progress(err error) int {
	order := []problem.Code{
		problem.LicenseOrigin, problem.LicenseModule, problem.LicenseElsewhere, problem.LicenseExpired, problem.LicenseNotYetValid,
		problem.LicenseRevoked, problem.LicenseClock, problem.TrackingOffline, problem.BadRequest, problem.LicenseSeats, problem.LicensePages,
	}
	return slices.Index(order, problem.From(err).Code)
}

// covering judges one key of the terms, and gets what it needs of the server.
func (d *Desk) covering(ctx context.Context, w wish, k Key, vendors []string) (Key, Permit, error) {
	if err := k.permits(w.Claim, d.cfg.Place(), w.node, d.cfg.Clock()); err != nil {
		return k, Permit{}, err
	}
	if d.needs(k, w) {
		return d.leased(ctx, w, &k, vendors)
	}
	if d.cfg.Suspect() {
		return k, Permit{}, k.problem(problem.LicenseClock, "Its time cannot be told.")
	}
	return k, Permit{Key: k.Text}, nil
}

// needs reports whether the server must hand something out for the wish.
func (d *Desk) needs(k Key, w wish) bool {
	return k.seated(w.Claim, w.node) || k.Kind == Page && w.pages > 0
}

// apiModules are the modules as the API has them.
func (k Key) apiModules() []api.Module {
	var list []api.Module
	for _, m := range k.Modules {
		list = append(list, api.Module(m))
	}
	return list
}

// called names a wish's licence for people, before its key is known.
func called(w wish, k *Key) string {
	if k != nil {
		return fmt.Sprintf("Licence %s", k.ID)
	}
	return fmt.Sprintf("Handshake code %s", w.terms.HandshakeCode)
}
