package tracking

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	leastBlock = 50 // pages of a block, if so many are left
	// lateFor is how long a node that reports nothing keeps its pages after the last moment
	// in which it could use them.
	lateFor = 24 * time.Hour
	// sweepPools is how often pages of nodes that are not heard of any more are looked for
	// where pages are short.
	sweepPools = time.Minute
)

// wanted is what a node wants of an item.
type wanted struct {
	node  string
	pages int64 // that it should be able to scan
	more  int64 // pages of a new block, if that is more than are missing
	all   bool  // nothing is given if there are not so many
}

// blocks are the node's blocks that have pages left, after it got more if it has fewer
// than it wants. It is LicensePages if none are left.
func (s *Server) blocks(ctx context.Context, k license.Key, w wanted) ([]block, error) {
	if err := s.cfg.Ledger.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	live, err := s.ofNode(ctx, k, w)
	if short := has(live) < w.pages || err != nil; short && (err == nil || errors.Is(err, problem.LicensePages.Error())) {
		if found, sweepErr := s.sweep(ctx, k, w.node); sweepErr != nil {
			return nil, sweepErr
		} else if found {
			return s.ofNode(ctx, k, w)
		}
	}
	return live, err
}

// ofNode is blocks without looking for pages elsewhere.
func (s *Server) ofNode(ctx context.Context, k license.Key, w wanted) (live []block, err error) {
	now := s.cfg.Clock().Round(0).UTC()
	var spent int64
	var full error
	counted := false
	err = s.withPool(ctx, accountOf(k, now), w.node, func(p *pool, h *holding) (bool, error) {
		before := p.Spent
		changed, err := s.settle(ctx, k, p, h, w.node, now)
		if err != nil {
			return false, err
		}
		changed = extend(k, h, now) || changed
		granted, err := grant(k, p, h, w, now)
		full, live = err, h.live() // what was settled is stored even if nothing is granted
		spent, counted = p.Spent, p.Spent > before
		return changed || granted, nil
	})
	if err == nil && counted {
		s.used(ctx, k, spent)
	}
	return live, cmp.Or(err, full)
}

// sweep takes back what other nodes have not used in time. found says that there was something.
func (s *Server) sweep(ctx context.Context, k license.Key, except string) (found bool, err error) {
	now := s.cfg.Clock().Round(0).UTC()
	a := accountOf(k, now)
	s.mu.Lock()
	due := now.Sub(s.swept[a.pool]) >= sweepPools || now.Before(s.swept[a.pool])
	if due {
		s.swept[a.pool] = now
	}
	s.mu.Unlock()
	if !due {
		return false, nil
	}
	var nodes []string
	err = list(ctx, s.cfg.Records, a.pages, func(node string, h holding) error {
		if node != except && slices.ContainsFunc(h.Blocks, func(b block) bool { return !now.Before(k.Until(b.Until)) }) {
			nodes = append(nodes, node)
		}
		return nil
	})
	for _, node := range nodes {
		if err == nil {
			err = s.withPool(ctx, a, node, func(p *pool, h *holding) (bool, error) {
				changed, err := s.settle(ctx, k, p, h, node, now)
				found = found || changed
				return changed, err
			})
		}
	}
	return found, err
}

// settle brings the node's blocks up to the ledger, and takes back what is left of blocks
// whose time is over. Pages of blocks that are there no more count as well.
func (s *Server) settle(ctx context.Context, k license.Key, p *pool, h *holding, node string, now time.Time) (changed bool, err error) {
	pages, changed, err := s.counted(ctx, k, h, node)
	if err != nil {
		return false, err
	}
	for i := range h.Blocks {
		b := &h.Blocks[i]
		left, over := b.left(), b.overLeft()
		b.Counted += pages[b.ID]
		p.Open -= left - b.left()
		p.Over -= over - b.overLeft()
	}
	for _, n := range pages {
		p.Spent += n
	}
	kept := h.Blocks[:0:0]
	for _, b := range h.Blocks {
		end := k.Until(b.Until)
		over := !now.Before(end) && (h.Reported.After(end) || !now.Before(end.Add(lateFor)))
		if over || b.left() == 0 && (b.overLeft() == 0 || h.passed(b)) {
			p.Open -= b.left()
			p.Over -= b.overLeft()
			changed = true
			continue
		}
		kept = append(kept, b)
	}
	h.Blocks = kept
	return changed, nil
}

// passed reports whether the node goes beyond another block's pages before it goes beyond
// those of this one: it takes the block that ends last for that, of those that it knows.
func (h *holding) passed(b block) bool {
	return slices.ContainsFunc(h.Blocks, func(other block) bool { return other.Counted > 0 && other.First.After(b.Until) })
}

// extend lets the node use the blocks that it has for longer, as it is heard of.
func extend(k license.Key, h *holding, now time.Time) (changed bool) {
	const third = license.BlockTime / license.RenewAfter
	until := blockEnd(k, now)
	for i := range h.Blocks {
		b := &h.Blocks[i]
		gain := until.Sub(b.Until)
		if b.left() > 0 && (gain > third || gain > 0 && b.Until.Sub(now) < third) {
			b.Until, changed = until, true
		}
	}
	return changed
}

// blockEnd is until when pages may be used that are given out at a time.
func blockEnd(k license.Key, now time.Time) time.Time {
	until := now.Add(license.BlockTime)
	if _, end := period(k, now); until.After(end) {
		return end
	}
	return until
}

// grant adds a block if the node has fewer pages than it wants. It is LicensePages if it
// has none then, or not all that it must have.
func grant(k license.Key, p *pool, h *holding, w wanted, now time.Time) (changed bool, err error) {
	own, left := has(h.live()), max(0, k.Quantity-p.Spent-p.Open)
	if w.pages <= own && (own > 0 || left > 0) {
		return false, nil
	}
	n := min(left, max(w.more, w.pages-own, leastBlock))
	if own+n == 0 || w.all && own+n < w.pages {
		return false, k.Problem(problem.LicensePages, "It has %d%s: %d are used, %d are reserved for nodes.", k.Quantity, per(k.Period), p.Spent, p.Open)
	}
	if n == 0 {
		return false, nil
	}
	b := block{ID: scan.RandomText(20), Pages: n, From: now, Until: blockEnd(k, now)}
	for _, other := range h.Blocks { // so that it ends last, see passed, even if the period ends before
		if !b.Until.After(other.Until) {
			b.Until = other.Until.Add(time.Millisecond)
		}
	}
	b.First = b.Until
	free := max(0, min(k.Over()-p.Over, k.Quantity+k.Over()-p.Spent-p.Open-p.Over-n))
	if n < left {
		free = (free + 3) / 4 // others will need some
	}
	b.Over = min(free, n)
	p.Open += b.Pages
	p.Over += b.Over
	h.Blocks = append(h.Blocks, b)
	return true, nil
}

func per(p license.Period) string {
	if p == license.Whole {
		return ""
	}
	return " a " + string(p)
}

// live are the blocks with pages left.
func (h *holding) live() []block {
	var live []block
	for _, b := range h.Blocks {
		if b.left() > 0 {
			live = append(live, b)
		}
	}
	return live
}

func has(blocks []block) (pages int64) {
	for _, b := range blocks {
		pages += b.left()
	}
	return pages
}

// sign makes the blocks of a node for a place, as many as a permit holds.
func (s *Server) sign(k license.Key, blocks []block, node string, place license.Place, project string) []string {
	var tokens []string
	for _, b := range blocks {
		if len(tokens) == license.MaxBlocks || b.Pages > k.Quantity+k.Over() {
			continue // a newer revision has fewer pages than the block
		}
		tokens = append(tokens, license.Block{
			ID: b.ID, Item: k.ID, Revision: k.Revision, Project: project, For: place.Name(), Node: node,
			Pages: b.Pages, Over: min(b.Over, k.Over()), From: b.From, Until: b.Until,
		}.Sign(s.cfg.Identity))
	}
	return tokens
}
