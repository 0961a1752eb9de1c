package tracking

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/problem"
)

// item is the record of a key.
type item struct {
	Token     string    `json:"token"`
	Vendor    string    `json:"vendor"` // pin, so that it can be read when he is trusted no more
	Revision  int       `json:"revision"`
	Suspended bool      `json:"suspended,omitempty"`
	Removed   bool      `json:"removed,omitempty"` // it stays, so that a page that shows the key does not bring it back
	Added     time.Time `json:"added"`
}

// entry is an item with its key.
type entry struct {
	item
	key     license.Key
	trusted error // why its key is not taken any more; nil: it is
	own     bool  // it is in platen.ini
}

// catalog is all items and projects as they were read.
type catalog struct {
	items    map[string]entry
	present  []entry // those that were not taken away, in the order of their IDs
	projects map[string]project
	read     time.Time
	vendors  []string
	own      []string
}

const (
	// catalogAge is how soon a server sees what another one on the same records changed.
	catalogAge = 2 * time.Second
	// changing is the turn of those who change items and projects or read them all.
	changing = "catalog"
)

func (c *catalog) fresh(now time.Time, vendors, own []string) bool {
	return c != nil && !now.Before(c.read) && now.Sub(c.read) < catalogAge && slices.Equal(vendors, c.vendors) && slices.Equal(own, c.own)
}

// catalog reads items and projects, not more often than it must.
func (s *Server) catalog(ctx context.Context) (*catalog, error) {
	if c := s.kept.Load(); c.fresh(s.cfg.Clock(), s.cfg.Vendors(), s.cfg.Own()) {
		return c, nil
	}
	leave, err := s.turns.take(ctx, changing)
	if err != nil {
		return nil, err
	}
	defer leave()
	old := s.kept.Load()
	if old.fresh(s.cfg.Clock(), s.cfg.Vendors(), s.cfg.Own()) {
		return old, nil
	}
	return s.readCatalog(ctx, old)
}

// readCatalog reads all, first storing the keys of platen.ini that are not items yet. The
// caller has the turn.
func (s *Server) readCatalog(ctx context.Context, old *catalog) (*catalog, error) {
	c := &catalog{
		items: map[string]entry{}, projects: map[string]project{},
		read: s.cfg.Clock(), vendors: slices.Clone(s.cfg.Vendors()), own: slices.Clone(s.cfg.Own()),
	}
	err := list(ctx, s.cfg.Records, itemPrefix, func(id string, i item) error {
		e := entry{item: i}
		if before, ok := old.find(id); ok && before.Token == i.Token && slices.Equal(old.vendors, c.vendors) {
			e.key, e.trusted = before.key, before.trusted
		} else {
			e.key, e.trusted = readKey(i, c.vendors)
		}
		c.items[id] = e
		return nil
	})
	if err == nil {
		err = list(ctx, s.cfg.Records, projectPrefix, func(code string, p project) error {
			c.projects[code] = p
			return nil
		})
	}
	if err == nil {
		err = s.takeOwn(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(c.items)) {
		if e := c.items[id]; !e.Removed {
			e.key.ID = id
			c.present = append(c.present, e)
		}
	}
	s.kept.Store(c)
	return c, nil
}

func (c *catalog) find(id string) (entry, bool) {
	if c == nil {
		return entry{}, false
	}
	e, ok := c.items[id]
	return e, ok
}

func readKey(i item, vendors []string) (license.Key, error) {
	k, err := license.Parse(i.Token, []string{i.Vendor})
	if err == nil && !slices.Contains(vendors, i.Vendor) {
		err = k.Problem(problem.LicenseInvalid, "Its vendor is not trusted here any more, %s.", i.Vendor)
	}
	return k, err
}

// takeOwn makes items of the keys of platen.ini that are counted here. Those that are no
// good are shown where the end says what it is licensed for.
func (s *Server) takeOwn(ctx context.Context, c *catalog) error {
	for _, text := range c.own {
		k, err := license.Parse(text, c.vendors)
		if err != nil || s.bound(k) != nil {
			continue
		}
		e, ok := c.items[k.ID]
		if !ok || e.Removed || e.Revision < k.Revision {
			i, err := s.store(ctx, k, takeAnyway)
			if err != nil {
				s.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "a key of platen.ini cannot be taken", slog.String("item", k.ID), slog.Any("error", err))
				continue
			}
			e = entry{item: i, key: k}
		}
		e.own = true
		c.items[k.ID] = e
	}
	return nil
}

// bound judges whether what a key counts can be handed out by this server.
func (s *Server) bound(k license.Key) error {
	if !k.Kind.Tracked() || k.BoundAt(s.cfg.Place()) || k.Kind == license.PerNode && len(k.Nodes) > 0 {
		return nil
	}
	return k.Problem(problem.LicenseElsewhere, "It is counted by another server than this one, whose key is %s.", s.Pin())
}

// available are the items that may be handed out as far as their administrator and vendor
// are concerned.
func (e entry) available() error {
	switch {
	case e.trusted != nil:
		return e.trusted
	case e.Removed:
		return e.key.Problem(problem.LicenseRevoked, "The licence tracking server does not hand it out any more.")
	case e.Suspended:
		return e.key.Problem(problem.LicenseRevoked, "It is suspended at the licence tracking server.")
	}
	return nil
}
