package tracking

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
)

// pool is the record of an item's pages in a period. At any time
//
//	Spent + Open <= quantity, and Spent + Open + Over <= quantity and over-use,
//
// but for pages that a node reports when its block was taken back already (lateFor).
type pool struct {
	Spent int64 `json:"spent"` // counted in the ledger
	Open  int64 `json:"open"`  // of live blocks and not counted yet
	Over  int64 `json:"over"`  // beyond these, of live blocks and not counted yet
	Step  *step `json:"step,omitempty"`
	Steps int64 `json:"steps"` // number of the last one
}

// step is what a node's record becomes by the last change of the pool.
type step struct {
	Node   string  `json:"node"`
	Record holding `json:"record"`
}

// holding is the record of a node's blocks of an item in a period.
type holding struct {
	Step   int64   `json:"step"` // the last one that made it
	Blocks []block `json:"blocks,omitempty"`
	// How far the ledger was read: place, and number and time of the node's last page.
	Place    int64     `json:"place"`
	Seq      int64     `json:"seq"`
	Reported time.Time `json:"reported,omitzero"`
}

// block is a license.Block without whom it is for: the gateways of one node pass on the
// same blocks.
type block struct {
	ID      string    `json:"id"`
	Pages   int64     `json:"pages"`
	Over    int64     `json:"over,omitempty"`
	Counted int64     `json:"counted,omitempty"` // in the ledger
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	First   time.Time `json:"first"` // Until when it was granted
}

// left are the pages that are not counted, and overLeft those beyond them.
func (b block) left() int64     { return max(0, b.Pages-b.Counted) }
func (b block) overLeft() int64 { return max(0, b.Over-max(0, b.Counted-b.Pages)) }

// period names the period of a key's pages in which a time is, and when it ends: with the
// key if it has none.
func period(k license.Key, now time.Time) (name string, end time.Time) {
	y, m, d := now.UTC().Date()
	switch k.Period {
	case license.Day:
		return now.UTC().Format("2006-01-02"), time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
	case license.Month:
		return now.UTC().Format("2006-01"), time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
	case license.Year:
		return now.UTC().Format("2006"), time.Date(y+1, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return "whole", k.Expires
}

// keepPeriods is how long the records of a period stay after it.
const keepPeriods = 400 * 24 * time.Hour

// account names the records of a period.
type account struct {
	pool    string
	pages   string // and the node
	expires time.Time
}

func accountOf(k license.Key, now time.Time) account {
	name, end := period(k, now)
	a := account{pool: poolPrefix + k.ID + "." + name, pages: pagesPrefix + k.ID + "." + name + "."}
	if k.Period != license.Whole {
		a.expires = end.Add(keepPeriods)
	}
	return a
}

// pool reads the present one of a key.
func (s *Server) pool(ctx context.Context, k license.Key) (pool, error) {
	p, _, err := get[pool](ctx, s.cfg.Records, accountOf(k, s.cfg.Clock()).pool)
	return p, err
}

// withPool lets f change the pool of a period together with the record of one node. f may
// be called again with what another server made of them; it says whether it changed
// something.
func (s *Server) withPool(ctx context.Context, a account, node string, f func(p *pool, h *holding) (changed bool, err error)) error {
	leave, err := s.turns.take(ctx, a.pool)
	if err != nil {
		return err
	}
	defer leave()
	for range tries {
		p, revision, err := get[pool](ctx, s.cfg.Records, a.pool)
		if err != nil {
			return err
		}
		if p.Step != nil {
			if err := s.finish(ctx, a, p); err != nil {
				return err
			}
		}
		h, _, err := get[holding](ctx, s.cfg.Records, a.pages+node)
		if err != nil {
			return err
		}
		if h.Step > p.Steps {
			continue // another server went on since the pool was read
		}
		changed, err := f(&p, &h)
		if err != nil || !changed {
			return err
		}
		p.Steps++
		h.Step = p.Steps
		p.Step = &step{node, h}
		if err = access.PutRecord(ctx, s.cfg.Records, a.pool, p, a.expires, revision); errors.Is(err, access.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		return s.finish(ctx, a, p)
	}
	return fmt.Errorf("changing a pool of pages: %w", errContended)
}

// finish stores what the pool's last step makes of a node's record. Whoever does it later
// once more finds that it was done.
func (s *Server) finish(ctx context.Context, a account, p pool) error {
	return change(ctx, s.cfg.Records, a.pages+p.Step.Node, a.expires, func(h *holding, _ bool) (bool, error) {
		if h.Step >= p.Step.Record.Step {
			return false, nil
		}
		*h = p.Step.Record
		return true, nil
	})
}
