package tracking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	maxWish   = 100_000 // pages of one job
	maxClient = 64      // characters of license.ClientHash and more
)

// wish is what somebody asks for.
type wish struct {
	license.Claim
	place   license.Place
	node    string // "": not known yet
	pages   int64
	project string // handshake code
}

// Lease implements license.Tracking. Errors are the codes of licences, HandshakeUnknown,
// and TrackingOffline for a server that cannot use its records: nothing is handed out
// then that is not stored.
func (s *Server) Lease(ctx context.Context, place license.Place, r api.LeaseRequest) (api.LeaseAnswer, error) {
	w := wish{
		Claim: license.Claim{Origin: r.Origin, Client: r.Client, Module: license.Module(r.Module)},
		place: place, node: r.Node, pages: int64(min(max(r.Pages, 0), maxWish)), project: r.HandshakeCode,
	}
	if err := w.check(); err != nil {
		return api.LeaseAnswer{}, err
	}
	entries, err := s.candidates(ctx, r, w)
	if err == nil {
		var answer api.LeaseAnswer
		if r.HandshakeCode != "" && w.Free() && w.node == "" {
			answer = all(entries)
		} else {
			answer, err = s.first(ctx, entries, w)
		}
		if err == nil {
			answer.Time = access.TimeToken(s.cfg.Identity, place.Name(), s.cfg.Clock())
			return answer, nil
		}
	}
	if p := (*problem.Error)(nil); !errors.As(err, &p) && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", problem.New(problem.TrackingOffline, "The licence tracking server cannot use its records: see its log."), err)
	}
	return api.LeaseAnswer{}, err
}

func (w wish) check() error {
	if w.Origin != "" {
		if o, err := access.ParseOrigin(w.Origin); err != nil || o.String() != w.Origin {
			return problem.New(problem.BadRequest, "%q is not an origin.", w.Origin[:min(len(w.Origin), maxOrigin)]).At("origin")
		}
	}
	switch {
	case len(w.Client) > maxClient:
		return problem.New(problem.BadRequest, "It has %d characters at most.", maxClient).At("client")
	case w.node != "" && scan.ParseNodeID(w.node) != nil:
		return problem.BadID.Error().At("node")
	case w.place.Name() == "":
		return problem.New(problem.BadRequest, "Nobody asks.")
	}
	return nil
}

// candidates are the items that somebody asks for, in the order of use.
func (s *Server) candidates(ctx context.Context, r api.LeaseRequest, w wish) ([]entry, error) {
	switch {
	case r.Key != "" && r.HandshakeCode != "":
		return nil, problem.LicenseBoth.Error()
	case r.Key != "":
		k, err := license.Parse(r.Key, s.cfg.Vendors())
		if err == nil {
			err = s.bound(k)
		}
		if err != nil {
			return nil, err
		}
		e, err := s.shown(ctx, k)
		return []entry{e}, err
	case r.HandshakeCode == "":
		return nil, problem.New(problem.LicenseMissing, "The licence tracking server was asked for none.")
	}
	if _, _, err := license.ParseHandshake(r.HandshakeCode); err != nil {
		return nil, err
	}
	c, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	p, ok := c.projects[r.HandshakeCode]
	if !ok {
		return nil, problem.New(problem.HandshakeUnknown, "Handshake code %s.", r.HandshakeCode)
	}
	if w.Origin != "" && len(p.Origins) > 0 && !slices.ContainsFunc(p.Origins, func(o string) bool { return license.OriginMatches(o, w.Origin) }) {
		return nil, problem.New(problem.LicenseOrigin, "Handshake code %s is not for %s.", r.HandshakeCode, w.Origin)
	}
	entries := inOrder(c.itemsOf(p))
	if len(entries) == 0 {
		return nil, problem.New(problem.LicenseMissing, "Handshake code %s has no licence at the licence tracking server.", r.HandshakeCode)
	}
	return entries, nil
}

// all are the keys of items that may be handed out, for an end that is to know whose pages
// may ask.
func all(entries []entry) (answer api.LeaseAnswer) {
	for _, e := range entries {
		if e.available() == nil && len(answer.Keys) < maxItems {
			answer.Keys = append(answer.Keys, e.key.Text)
		}
	}
	if len(answer.Keys) > 0 {
		answer.Key = answer.Keys[0]
	}
	return answer
}

// inOrder puts items into the order of use.
func inOrder(entries []entry) []entry {
	keys := make([]license.Key, len(entries))
	byID := map[string]entry{}
	for i, e := range entries {
		keys[i], byID[e.key.ID] = e.key, e
	}
	license.Sort(keys)
	for i, k := range keys {
		entries[i] = byID[k.ID]
	}
	return entries
}

// first hands out the first item that covers the wish. One whose pages are not enough goes
// behind those that have enough, and one of which the holder has no seat behind those of
// which it has one.
func (s *Server) first(ctx context.Context, entries []entry, w wish) (api.LeaseAnswer, error) {
	var nearest error
	none := func(err error) {
		if nearest == nil || license.Progress(err) > license.Progress(nearest) {
			nearest = err
		}
	}
	var fitting []license.Key
	for _, e := range entries {
		if err := s.fits(e, w); err != nil {
			none(err)
			continue
		}
		fitting = append(fitting, e.key)
	}
	if len(fitting) > 1 {
		held := map[string]int{}
		for _, k := range fitting {
			var err error
			if held[k.ID], err = s.held(ctx, k, w); err != nil {
				return api.LeaseAnswer{}, err
			}
		}
		slices.SortStableFunc(fitting, func(a, b license.Key) int { return held[b.ID] - held[a.ID] })
	}
	for _, all := range []bool{true, false} {
		for _, k := range fitting {
			if !all && k.Kind != license.Page {
				continue
			}
			answer, err := s.hand(ctx, k, w, all)
			if err == nil {
				return answer, nil
			}
			if !errors.Is(err, problem.LicenseSeats.Error()) && !errors.Is(err, problem.LicensePages.Error()) {
				return api.LeaseAnswer{}, err
			}
			none(err)
		}
	}
	return api.LeaseAnswer{}, nearest
}

// fits judges an item but for what is counted.
func (s *Server) fits(e entry, w wish) error {
	k := e.key
	if err := e.available(); err != nil {
		return err
	}
	if err := k.Permits(w.Claim, w.place, w.node, s.cfg.Clock()); err != nil {
		return err
	}
	holder, _, seated := k.Seat(w.Claim, w.node)
	if (seated || k.Kind == license.Page) && !k.BoundAt(s.cfg.Place()) {
		return k.Problem(problem.LicenseElsewhere, "It is counted by another server than this one, whose key is %s.", s.Pin())
	}
	if seated && holder == "" {
		return at(k.Problem(problem.LicenseSeats, "It counts browsers, and this one has not named itself: the page sets client."), "client")
	}
	return nil
}

// held is 1 if the holder has a seat of the key, as far as is known here.
func (s *Server) held(ctx context.Context, k license.Key, w wish) (int, error) {
	holder, _, seated := k.Seat(w.Claim, w.node)
	if !seated {
		return 0, nil
	}
	t := s.table(k)
	if err := s.readSeats(ctx, t, seatsTrusted); err != nil {
		return 0, err
	}
	if t.holds(holder, s.cfg.Clock()) {
		return 1, nil
	}
	return 0, nil
}

// hand leases what the wish needs of a key that fits.
func (s *Server) hand(ctx context.Context, k license.Key, w wish, all bool) (api.LeaseAnswer, error) {
	answer := api.LeaseAnswer{Key: k.Text}
	if holder, origin, seated := k.Seat(w.Claim, w.node); seated {
		held, err := s.take(ctx, k, holder, origin)
		if err != nil {
			return api.LeaseAnswer{}, err
		}
		answer.Lease = s.lease(k, w, held).Sign(s.cfg.Identity)
	}
	if k.Kind != license.Page {
		return answer, nil
	}
	if w.node == "" || w.Module != "" && w.pages == 0 {
		return answer, s.anyPages(ctx, k, w)
	}
	blocks, err := s.blocks(ctx, k, wanted{node: w.node, pages: w.pages, all: all})
	if err != nil {
		return api.LeaseAnswer{}, err
	}
	answer.Blocks = s.sign(k, blocks, w.node, w.place, w.project)
	return answer, nil
}

// anyPages judges a wish of pages at a node that is not known yet: some must be left, or
// with nodes.
func (s *Server) anyPages(ctx context.Context, k license.Key, w wish) error {
	if w.Module != "" {
		return nil
	}
	p, err := s.pool(ctx, k)
	if err == nil && p.Spent >= k.Quantity {
		err = k.Problem(problem.LicensePages, "It has %d%s: all are used.", k.Quantity, per(k.Period))
	}
	return err
}

// lease is the word for a seat.
func (s *Server) lease(k license.Key, w wish, held seat) license.Lease {
	now := s.cfg.Clock().Round(0).UTC()
	until := now.Add(license.LeaseTime)
	if held.Until.Before(until) {
		until = held.Until
	}
	return license.Lease{
		ID: scan.RandomText(20), Item: k.ID, Revision: k.Revision, Project: w.project, For: w.place.Name(),
		Holder: held.Holder, Seat: held.Number, Origin: held.Origin, From: now.Truncate(time.Second), Until: until,
	}
}
