package tracking

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Adopt takes in the record of a node's pages, license.pages.<id>.<period>.<node>, of a
// server that stood in for this one: the blocks that it has given, and for how long it has
// let the node use those of this one. The pool of this server holds them from then on. To
// adopt again changes nothing. Of an item that is not here nothing is taken.
func (s *Server) Adopt(ctx context.Context, key string, record []byte) error {
	parts := strings.Split(strings.TrimPrefix(key, pagesPrefix), ".")
	if !strings.HasPrefix(key, pagesPrefix) || len(parts) != 3 || scan.ParseNodeID(parts[2]) != nil {
		return problem.New(problem.BadRequest, "That is no record of a node's pages.")
	}
	id, name, node := parts[0], parts[1], parts[2]
	var theirs holding
	if err := json.Unmarshal(record, &theirs); err != nil {
		return problem.New(problem.BadRequest, "The record of a node's pages is damaged.")
	}
	c, err := s.catalog(ctx)
	if err != nil {
		return err
	}
	e, ok := c.items[id]
	if !ok || e.key.ID != id || e.key.Kind != license.Page {
		return nil
	}
	if err := s.cfg.Ledger.Refresh(ctx); err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	a := account{pool: poolPrefix + id + "." + name, pages: pagesPrefix + id + "." + name + "."}
	if e.key.Period != license.Whole {
		a.expires = s.cfg.Clock().Add(keepPeriods)
	}
	return s.withPool(ctx, a, node, func(p *pool, h *holding) (changed bool, err error) {
		for _, b := range theirs.Blocks {
			if b.Pages < 1 || b.Over < 0 || b.Over > b.Pages || b.ID == "" {
				return false, problem.New(problem.BadRequest, "The record of a node's pages is damaged.")
			}
			if i := slices.IndexFunc(h.Blocks, func(own block) bool { return own.ID == b.ID }); i >= 0 {
				if own := &h.Blocks[i]; own.Until.Before(b.Until) {
					own.Until, changed = b.Until, true
				}
				continue
			}
			// What the ledger was read of counts as used already, with no block to its name.
			if b.Counted, err = s.countedOf(ctx, b.ID, node, h.Seq); err != nil {
				return false, err
			}
			if b.left() == 0 && b.overLeft() == 0 {
				continue
			}
			p.Open += b.left()
			p.Over += b.overLeft()
			h.Blocks = append(h.Blocks, b)
			changed = true
		}
		return changed, nil
	})
}

// countedOf is how many pages of a block are among the first pages of a node, up to a number.
func (s *Server) countedOf(ctx context.Context, block, node string, seq int64) (pages int64, err error) {
	if seq == 0 {
		return 0, nil
	}
	err = s.cfg.Ledger.Scan(ctx, 0, node, func(e api.LedgerEntry) error {
		if e.Receipt.Block == block && e.Receipt.Seq <= seq {
			pages++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("reading the ledger: %w", err)
	}
	return pages, nil
}
