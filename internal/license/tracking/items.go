package tracking

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// manner is how a key comes to be an item.
type manner int

const (
	takeNew    manner = iota + 1 // an administrator adds it: once
	takeShown                    // a page shows it: not what an administrator has taken away
	takeAnyway                   // it is in platen.ini
)

// store makes an item of the key, or puts it in the place of an older revision. The caller
// has the turn.
func (s *Server) store(ctx context.Context, k license.Key, how manner) (item, error) {
	var stored item
	err := change(ctx, s.cfg.Records, itemPrefix+k.ID, time.Time{}, func(i *item, there bool) (bool, error) {
		next := item{Token: k.Text, Vendor: k.Vendor, Revision: k.Revision, Added: s.cfg.Clock().UTC()}
		stored = *i
		switch {
		case !there:
		case k.Vendor != i.Vendor && slices.Contains(s.cfg.Vendors(), i.Vendor):
			return false, k.Problem(problem.LicenseInvalid, "Another vendor has signed a licence of this name before.")
		case k.Revision < i.Revision:
			return false, k.Problem(problem.LicenseRevoked, "It was replaced by revision %d.", i.Revision)
		case i.Removed && how == takeShown:
			return false, k.Problem(problem.LicenseRevoked, "The licence tracking server does not hand it out any more.")
		case k.Revision == i.Revision && !i.Removed && how == takeNew:
			return false, problem.New(problem.ItemExists, "Licence %s, revision %d.", k.ID, k.Revision)
		case k.Revision == i.Revision && !i.Removed:
			return false, nil
		default:
			next.Suspended, next.Added = i.Suspended && !i.Removed, i.Added
		}
		*i, stored = next, next
		return true, nil
	})
	return stored, err
}

// Add makes an item of a key. Errors are LicenseInvalid, LicenseElsewhere for one that
// another server counts, LicenseRevoked for an older revision and ItemExists for the same.
func (s *Server) Add(ctx context.Context, token string) (api.Item, error) {
	k, err := license.Parse(token, s.cfg.Vendors())
	if err == nil {
		err = s.bound(k)
	}
	if err != nil {
		return api.Item{}, at(err, "key")
	}
	if _, err := s.changed(ctx, func() error {
		_, err := s.store(ctx, k, takeNew)
		return err
	}); err != nil {
		return api.Item{}, err
	}
	return s.Item(ctx, k.ID)
}

// changed runs what changes items or projects, and reads them again.
func (s *Server) changed(ctx context.Context, f func() error) (*catalog, error) {
	leave, err := s.turns.take(ctx, changing)
	if err != nil {
		return nil, err
	}
	defer leave()
	// What was stored counts even where the reading fails, or the storing failed half way.
	defer func(old *catalog) { s.kept.CompareAndSwap(old, nil) }(s.kept.Load())
	if err := f(); err != nil {
		return nil, err
	}
	return s.readCatalog(ctx, s.kept.Load())
}

// shown is the item of a key that somebody shows.
func (s *Server) shown(ctx context.Context, k license.Key) (entry, error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return entry{}, err
	}
	e, ok := c.items[k.ID]
	if !ok || e.Revision < k.Revision && !e.Removed {
		c, err = s.changed(ctx, func() error {
			_, err := s.store(ctx, k, takeShown)
			return err
		})
		if err != nil {
			return entry{}, err
		}
		e = c.items[k.ID]
	}
	if k.Revision < e.Revision {
		return e, k.Problem(problem.LicenseRevoked, "It was replaced by revision %d.", e.Revision)
	}
	return e, nil
}

// Items lists a page of the items in the order of their IDs. next is "" at the end.
func (s *Server) Items(ctx context.Context, limit int, cursor string) (page []api.Item, next string, err error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return nil, "", err
	}
	entries, next, err := pageOf(c.present, func(e entry) string { return e.key.ID }, limit, cursor)
	if err != nil {
		return nil, "", err
	}
	page = make([]api.Item, 0, len(entries))
	for _, e := range entries {
		described, err := s.describe(ctx, e)
		if err != nil {
			return nil, "", err
		}
		page = append(page, described)
	}
	return page, next, nil
}

// Keys are those of all items that may be used, for who watches their ends.
func (s *Server) Keys(ctx context.Context) ([]license.Key, error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	var keys []license.Key
	for _, e := range c.present {
		if e.available() == nil {
			keys = append(keys, e.key)
		}
	}
	return keys, nil
}

// Item describes an item; NotFound if there is none.
func (s *Server) Item(ctx context.Context, id string) (api.Item, error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return api.Item{}, err
	}
	e, err := c.get(id)
	if err != nil {
		return api.Item{}, err
	}
	return s.describe(ctx, e)
}

func (c *catalog) get(id string) (entry, error) {
	e, ok := c.items[id]
	if !ok || e.Removed {
		return entry{}, problem.New(problem.NotFound, "There is no licence %q.", id)
	}
	return e, nil
}

func (s *Server) describe(ctx context.Context, e entry) (api.Item, error) {
	described := api.Item{Key: e.key.Described(cmp.Or(e.trusted, e.key.During(s.cfg.Clock()))), Suspended: e.Suspended, Added: scan.At(e.Added)}
	switch e.key.Kind {
	case license.Page:
		p, err := s.pool(ctx, e.key)
		if err != nil {
			return api.Item{}, err
		}
		described.Used, described.Reserved = p.Spent, p.Open
	case license.Browser, license.Concurrent, license.PerNode:
		t := s.table(e.key)
		if err := s.readSeats(ctx, t, seatsShown); err != nil {
			return api.Item{}, err
		}
		described.Used = t.count(s.cfg.Clock())
	}
	return described, nil
}

// Suspend ends the handing out of an item, or begins it again. What was leased runs out
// by itself.
func (s *Server) Suspend(ctx context.Context, id string, suspended bool) (api.Item, error) {
	_, err := s.changed(ctx, func() error {
		return change(ctx, s.cfg.Records, itemPrefix+id, time.Time{}, func(i *item, there bool) (bool, error) {
			if !there || i.Removed {
				return false, problem.New(problem.NotFound, "There is no licence %q.", id)
			}
			store := i.Suspended != suspended
			i.Suspended = suspended
			return store, nil
		})
	})
	if err != nil {
		return api.Item{}, err
	}
	return s.Item(ctx, id)
}

// Remove takes an item away. It does not come back but by Add.
func (s *Server) Remove(ctx context.Context, id string) error {
	c, err := s.catalog(ctx)
	if err != nil {
		return err
	}
	e, err := c.get(id)
	if err != nil {
		return err
	}
	if e.own {
		return problem.New(problem.BadRequest, "Licence %s is set as ProductKey of this end: remove it there.", id)
	}
	_, err = s.changed(ctx, func() error {
		return change(ctx, s.cfg.Records, itemPrefix+id, time.Time{}, func(i *item, there bool) (bool, error) {
			i.Removed = true
			return there, nil
		})
	})
	return err
}

// at says which member of a request a problem is about.
func at(err error, field string) error {
	p := *problem.From(err)
	return p.At(field)
}
