package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/token"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// What foreign pages scan, and what modules do for anybody, goes under a licence where the
// node trusts vendors. The permit comes over the link, beside the grant that names it, or
// from the node's own desk; the judge checks it the same way. It is asked when a job or
// a call begins and never again: jobs under way end well, and pages can always be read.

// feederPages is how many pages a desk is asked for where nobody knows how many will come.
const feederPages = 100

// licences is what a node judges licences by.
type licences struct {
	node  *Node
	judge license.Judge
	clock *license.Clock // nil: the system's
	desk  *license.Desk  // nil: nothing covers those who come without a gateway

	mu    sync.Mutex
	items map[string]itemSeen // by licence, as in the records
}

// itemSeen is what the node remembers of a licence that was used here.
type itemSeen struct {
	Revision int    `json:"rev"` // the highest; a lower one was withdrawn
	Key      string `json:"key"`
	Origin   string `json:"origin,omitempty"`
}

// same reports whether there is nothing new. Which of its origins a key was used for last
// is not.
func (s itemSeen) same(other itemSeen) bool {
	return s.Revision == other.Revision && s.Key == other.Key
}

func newLicences(n *Node, c Config) *licences {
	l := &licences{node: n, clock: c.Clock, desk: c.Desk, items: map[string]itemSeen{}}
	l.judge = license.Judge{Vendors: c.Vendors, Node: n.id, Clock: time.Now, End: n.name}
	if c.Vendors == nil {
		l.judge.Vendors = func() []string { return nil }
	}
	if c.Clock != nil {
		l.judge.Clock, l.judge.Suspect = c.Clock.Now, c.Clock.Suspect
	}
	return l
}

// gateway is the one that the node has joined, as an end that uses licences, with the key
// that it has proven.
func (l *licences) gateway(pin string) license.Place {
	place := license.Place{Pin: pin}
	if g := l.node.uplink.current(); g != nil {
		place.Earlier = g.earlier()
	}
	return place
}

// licensed judges whether the caller of a module's route may use the module. Its errors
// are the license codes.
func (n *Node) licensed(r *http.Request, module license.Module) error {
	_, err := n.licences.allowance(r, module, 0)
	return err
}

// allowance is what covers a request that is to scan so many pages, or calls a module.
func (l *licences) allowance(r *http.Request, module license.Module, pages int) (license.Allowance, error) {
	ctx, caller := r.Context(), access.CallerOf(r.Context())
	claim := license.Claim{Origin: caller.Origin, Module: module}
	if caller.Road == access.RoadLink {
		claim.Client = caller.Client
		return l.allowanceOfGateway(ctx, caller, claim, r.Header.Values(license.HeaderPermit))
	}
	if claim.Free() || len(l.judge.Vendors()) == 0 {
		return license.Allowance{}, nil
	}
	if l.desk == nil {
		return l.judge.Judge(ctx, claim, l.node.Place(), "", time.Time{})
	}
	if caller.Client != "" {
		claim.Client = license.ClientHash(caller.Origin, caller.Client)
	}
	permit, err := l.desk.Permit(ctx, caller, module, l.node.id, pages)
	if err != nil {
		return license.Allowance{}, err
	}
	a, err := l.judged(ctx, &l.judge, claim, l.node.Place(), permit.String(), time.Time{})
	if err != nil {
		return license.Allowance{}, err
	}
	return a, nil
}

// allowanceOfGateway judges the permit that came beside a grant.
func (l *licences) allowanceOfGateway(ctx context.Context, c access.Caller, claim license.Claim, permits []string) (license.Allowance, error) {
	permit := ""
	if len(permits) > 0 {
		permit = permits[0]
	}
	if len(permits) > 1 || license.Digest(permit) != c.Permit {
		return license.Allowance{}, problem.New(problem.LicenseInvalid, "The licence beside the gateway's grant is not the one that the grant names. Checked by the node %q.", l.node.name)
	}
	judge := l.judge
	from := l.gateway(c.GatewayKey)
	if permit == "" || len(judge.Vendors()) > 0 || claim.Free() {
		return l.judged(ctx, &judge, claim, from, permit, c.GatewayTime)
	}
	// The node asks for no licence, but its gateway does, and wants to know what each page
	// went under.
	if judge.Vendors = vendorOf(permit); judge.Vendors == nil {
		return license.Allowance{}, nil
	}
	a, err := l.judged(ctx, &judge, claim, from, permit, c.GatewayTime)
	if err != nil {
		l.node.log.Warn("the gateway's licence does not hold; it is not asked for here", "error", err)
		return license.Allowance{}, nil
	}
	return a, nil
}

// vendorOf says that whoever signed a permit's key is trusted; nil if nobody did.
func vendorOf(permit string) func() []string {
	p, err := license.ParsePermit(permit)
	if err != nil {
		return nil
	}
	signer, err := token.SignerUpTo(token.Max, p.Key)
	if err != nil {
		return nil
	}
	return func() []string { return []string{identity.PinOf(signer)} }
}

// judged asks the judge, and refuses a licence of which a higher revision was seen.
func (l *licences) judged(ctx context.Context, j *license.Judge, claim license.Claim, from license.Place, permit string, now time.Time) (license.Allowance, error) {
	a, err := j.Judge(ctx, claim, from, permit, now)
	if err != nil || a.Key.ID == "" {
		return a, err
	}
	return a, l.saw(ctx, a)
}

const itemKey = "license.seen." // a tracking server in this process has records of its own

// saw remembers a licence that covered something.
func (l *licences) saw(ctx context.Context, a license.Allowance) error {
	seen := itemSeen{a.Key.Revision, a.Key.Text, a.Origin}
	l.mu.Lock()
	was, known := l.items[a.Key.ID]
	l.mu.Unlock()
	if known && was.same(seen) {
		return nil
	}
	records := l.node.store.Records()
	for {
		was, revision, err := l.item(ctx, a.Key.ID)
		switch {
		case err != nil:
			return err
		case was.Revision > seen.Revision:
			return problem.New(problem.LicenseRevoked, "Licence %s: revision %d was used here before, this is %d. Checked by the node %q.",
				a.Key.ID, was.Revision, seen.Revision, l.node.name)
		}
		value, err := json.Marshal(seen)
		if err != nil {
			return fmt.Errorf("storing a licence that was used: %w", err)
		}
		if revision == 0 {
			_, err = records.Create(ctx, itemKey+a.Key.ID, value, time.Time{})
		} else if !was.same(seen) {
			_, err = records.Update(ctx, itemKey+a.Key.ID, value, time.Time{}, revision)
		}
		if errors.Is(err, access.ErrConflict) {
			continue // another request was as fast
		}
		if err != nil {
			return fmt.Errorf("storing a licence that was used: %w", err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.items[a.Key.ID].Revision <= seen.Revision {
			l.items[a.Key.ID] = seen
		}
		return nil
	}
}

// item is what is remembered of a licence; revision 0: nothing.
func (l *licences) item(ctx context.Context, id string) (seen itemSeen, revision uint64, err error) {
	value, revision, err := l.node.store.Records().Get(ctx, itemKey+id)
	switch {
	case errors.Is(err, access.ErrNoRecord):
		return itemSeen{}, 0, nil
	case err == nil:
		err = json.Unmarshal(value, &seen)
	}
	if err != nil {
		return itemSeen{}, 0, fmt.Errorf("reading a licence that was used: %w", err)
	}
	return seen, revision, nil
}

// granted puts blocks into the wallet that came without a permit, after a report. Each is
// judged with the licence's key as it was used last.
func (l *licences) granted(ctx context.Context, blocks []string) {
	for _, text := range blocks {
		a, err := l.grant(ctx, text)
		if err == nil {
			err = l.node.store.AddBlocks(ctx, walletBlocks(a))
		}
		if err != nil {
			l.node.log.Warn("pages of a licence that came with a mark cannot be used", "error", err)
		}
	}
}

func (l *licences) grant(ctx context.Context, text string) (license.Allowance, error) {
	b, err := license.ParseBlock(text, l.node.id)
	if err != nil {
		return license.Allowance{}, err
	}
	seen, _, err := l.item(ctx, b.Item)
	if err != nil {
		return license.Allowance{}, err
	}
	permit := license.Permit{Key: seen.Key, Blocks: []string{text}}.String()
	judge := l.judge
	if len(judge.Vendors()) == 0 {
		if judge.Vendors = vendorOf(permit); judge.Vendors == nil {
			return license.Allowance{}, problem.LicenseMissing.Error()
		}
	}
	from := l.gateway(l.node.GatewayPin())
	if b.For == l.node.id {
		from = l.node.Place() // reported to its own server, by itself
	}
	return judge.Judge(ctx, license.Claim{Origin: seen.Origin}, from, permit, time.Time{})
}

// under puts what covers a job into its order.
func under(order *pagestore.NewJob, a license.Allowance) {
	order.License, order.Blocks = nil, nil
	if a.Key.ID == "" {
		return
	}
	order.License = &pagestore.License{
		Item: a.Key.ID, Project: a.Project, Origin: a.Origin, Client: a.Client, Paged: a.Key.Kind == license.Page,
	}
	order.Blocks = walletBlocks(a)
}

// walletBlocks are an allowance's blocks as the page store keeps them: with the grace that
// their licence gives.
func walletBlocks(a license.Allowance) []pagestore.Block {
	blocks := make([]pagestore.Block, len(a.Blocks))
	for i, b := range a.Blocks {
		blocks[i] = pagestore.Block{
			ID: b.ID, Item: b.Item, Project: b.Project, Pages: b.Pages, Over: b.Over,
			Until: b.Until.Add(time.Duration(a.Key.Grace) * time.Second),
		}
	}
	return blocks
}

// pagesWanted is how many pages a job may make, as far as is known.
func pagesWanted(s scan.Settings) int {
	switch {
	case s.Pages > 0:
		return s.Pages
	case s.Source == scan.SourcePlaten:
		return 1
	}
	return feederPages
}

// submitLicensed submits an order under what covers it. A key that has made a job gives
// that job, whatever became of the licence since.
func (n *Node) submitLicensed(r *http.Request, d *device, order pagestore.NewJob) (scan.Job, error) {
	if access.CallerOf(r.Context()).Origin != "" {
		if job, found, err := d.submitted(r.Context(), order); err != nil || found {
			return job, err
		}
	}
	pages := pagesWanted(order.Settings)
	for tried := ""; ; {
		a, err := n.licences.allowance(r, "", pages)
		if err != nil {
			return scan.Job{}, err
		}
		under(&order, a)
		job, err := d.submit(r.Context(), order)
		if !errors.Is(err, problem.LicensePages.Error()) || access.CallerOf(r.Context()).Road == access.RoadLink {
			return job, err
		}
		// What the desk has was spent, of which its server may not know yet.
		held, ids := 0, ""
		for _, b := range a.Blocks {
			held, ids = held+int(b.Pages), ids+b.ID+" "
		}
		if ids == tried {
			return job, err
		}
		tried, pages = ids, held+pagesWanted(order.Settings)
	}
}
