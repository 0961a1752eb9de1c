package tracking

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// lowWater is with how few pages left a node that reports gets more without asking, so
// that its jobs need not wait.
const lowWater = leastBlock / 2

// Report implements license.Tracking: the ledger counts the pages. A node that is low on
// pages gets more with the mark; where that fails it asks before its next job.
func (s *Server) Report(ctx context.Context, by license.Place, pin string, batch api.ReceiptBatch) (api.ReceiptMark, error) {
	mark, err := s.cfg.Ledger.Report(ctx, by, pin, batch)
	if err != nil {
		return mark, err
	}
	type use struct {
		pages   int64
		project string
	}
	used := map[string]use{}
	for _, r := range batch.Receipts {
		if r.Item != "" && r.Block != "" {
			used[r.Item] = use{used[r.Item].pages + 1, r.Project}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(used)) {
		tokens, err := s.topUp(ctx, by, batch.Node, id, used[id].project, used[id].pages)
		if err != nil {
			s.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "a node that reports pages cannot get more with the mark",
				slog.String("node", batch.Node), slog.String("item", id), slog.Any("error", err))
		}
		mark.Blocks = append(mark.Blocks, tokens...)
	}
	return mark, nil
}

// topUp accounts for pages of an item that a node has just reported, and gives it more if
// it has few left.
func (s *Server) topUp(ctx context.Context, by license.Place, node, id, project string, pages int64) ([]string, error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	e, ok := c.items[id]
	if !ok || e.key.Kind != license.Page || e.key.ID != id {
		return nil, nil
	}
	k := e.key
	w := wanted{node: node, pages: max(lowWater, pages), more: 2 * pages}
	if e.available() != nil || k.During(s.cfg.Clock()) != nil || !k.BoundAt(s.cfg.Place()) {
		w = wanted{node: node} // what was used is used
	}
	blocks, err := s.blocks(ctx, k, w)
	if errors.Is(err, problem.LicensePages.Error()) {
		return nil, nil
	}
	if err != nil || w.pages == 0 {
		return nil, err
	}
	return s.sign(k, blocks, node, by, project), nil
}
