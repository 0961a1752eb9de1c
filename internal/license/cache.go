package license

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
)

// entry is what a tracking server handed out for the same wishes. Its tokens are judged
// again whenever they are used.
type entry struct {
	Key    string    `json:"key"`
	Lease  string    `json:"lease,omitempty"`
	Blocks []string  `json:"blocks,omitempty"`
	Asked  time.Time `json:"asked"`
	Until  time.Time `json:"until"` // of the lease; without one, when the server should be asked at the latest
}

// Permit is the entry without its times.
func (e entry) Permit() Permit { return Permit{Key: e.Key, Lease: e.Lease, Blocks: e.Blocks} }

// fresh reports whether it is too early for renewing.
func (e entry) fresh(now time.Time) bool {
	return !now.Before(e.Asked.Add(-skew)) && now.Before(e.Asked.Add(e.Until.Sub(e.Asked)/RenewAfter))
}

const (
	leaseKey = "license.lease."
	// sweepAt is how many entries are kept in memory before those whose time is over go.
	sweepAt = 1024
)

// cache keeps entries in memory, and in records for the next start.
type cache struct {
	records access.Records // nil: memory alone
	log     *slog.Logger

	mu      sync.Mutex
	entries map[string]entry
	sweep   int // when so many are there
}

// slot names the entries of a wish's terms: of one browser client or one node, or of
// neither.
func slot(w wish, k *Key, who string) string {
	terms := "code:" + w.terms.HandshakeCode
	if k != nil {
		terms = "key:" + k.ID
	}
	text, _ := json.Marshal([]string{terms, w.Origin, string(w.Module), who})
	sum := sha256.Sum256(text)
	return leaseKey + hex.EncodeToString(sum[:16])
}

// slots are where an entry for the wish may be.
func slots(w wish, k *Key) []string {
	list := []string{slot(w, k, w.Client), slot(w, k, w.node), slot(w, k, "")}
	slices.Sort(list)
	return slices.Compact(list)
}

// find is what is kept for the wish.
func (c *cache) find(ctx context.Context, w wish, k *Key) []entry {
	var list []entry
	for _, name := range slots(w, k) {
		c.mu.Lock()
		e, ok := c.entries[name]
		c.mu.Unlock()
		if !ok && c.records != nil {
			value, _, err := c.records.Get(ctx, name)
			if err == nil {
				err = json.Unmarshal(value, &e)
			}
			if ok = err == nil; ok {
				c.remember(name, e)
			} else if !errors.Is(err, access.ErrNoRecord) {
				c.log.LogAttrs(ctx, slog.LevelWarn, "cannot read what was leased", slog.Any("error", err))
			}
		}
		if ok {
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b entry) int { return cmp.Compare(b.Asked.Unix(), a.Asked.Unix()) })
	return list
}

func (c *cache) remember(name string, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		c.entries, c.sweep = map[string]entry{}, sweepAt
	}
	if c.entries[name] = e; len(c.entries) < c.sweep {
		return
	}
	for n, old := range c.entries {
		if !e.Asked.Before(old.Until) {
			delete(c.entries, n) // with a grace it is in the records still
		}
	}
	c.sweep = max(sweepAt, 2*len(c.entries))
}

// put keeps what was handed out of the key that the wish is covered by.
func (c *cache) put(ctx context.Context, w wish, asked *Key, k Key, e entry) {
	who := ""
	switch {
	case k.Kind == Page && w.pages > 0, k.Kind == PerNode:
		who = w.node
	case k.seated(w.Claim, w.node):
		who = w.Client
	}
	c.keep(ctx, slot(w, asked, who), e, k)
	if asked != nil || who == "" {
		return
	}
	// The code is good for others than the browser and node of this wish.
	name, known := slot(w, asked, ""), entry{Key: e.Key, Asked: e.Asked, Until: e.Asked.Add(LeaseTime)}
	c.mu.Lock()
	before, ok := c.entries[name]
	c.mu.Unlock()
	if !ok || before.Key != known.Key || !before.fresh(known.Asked) {
		c.keep(ctx, name, known, k)
	}
}

// keep puts an entry into memory and records.
func (c *cache) keep(ctx context.Context, name string, e entry, k Key) {
	c.remember(name, e)
	if c.records == nil {
		return
	}
	value, err := json.Marshal(e)
	if err == nil {
		// A clock that is wrong must not make the records forget it early.
		err = access.Overwrite(ctx, c.records, name, value, k.until(later(e.Until, k.Expires)))
	}
	if err != nil {
		c.log.LogAttrs(ctx, slog.LevelWarn, "cannot keep what was leased; it will be asked for again", slog.Any("error", err))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// drop forgets what the server refuses to renew.
func (c *cache) drop(ctx context.Context, w wish, k *Key) {
	for _, name := range slots(w, k) {
		c.mu.Lock()
		delete(c.entries, name)
		c.mu.Unlock()
		if c.records == nil {
			continue
		}
		if err := c.records.Delete(ctx, name); err != nil {
			c.log.LogAttrs(ctx, slog.LevelWarn, "cannot forget what was leased", slog.Any("error", err))
		}
	}
}
