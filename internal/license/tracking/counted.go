package tracking

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
)

// readAgain is by how many pages the ledger may be ahead of a node's record before that
// is stored only to say that none of them were of its blocks.
const readAgain = 5000

var errElsewhere = errors.New("the pages are elsewhere in the ledger")

// counted are the pages of each block of the key that the ledger got since the node's
// record was stored, and reads on from there. changed says that the record should be
// stored even if there are none. "" is for pages that count although no block is theirs any more.
func (s *Server) counted(ctx context.Context, k license.Key, h *holding, node string) (pages map[string]int64, changed bool, err error) {
	// In this order: what the ledger gets in between is read again, and known by its number.
	place := s.cfg.Ledger.Pages()
	head, _ := s.cfg.Ledger.Head(node)
	if h.Step == 0 { // it has had no block yet
		h.Place, h.Seq = place, head.Seq
		return nil, false, nil
	}
	if head.Seq <= h.Seq {
		changed = place-h.Place > readAgain
		h.Place = max(h.Place, place)
		return nil, changed, nil
	}
	pages, err = s.readOn(ctx, k, h, node, h.Place)
	if errors.Is(err, errElsewhere) {
		// The record is of a server whose ledger has its pages in another order.
		pages, err = s.readOn(ctx, k, h, node, 0)
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading the ledger: %w", err)
	}
	h.Place = place
	return pages, true, nil
}

func (s *Server) readOn(ctx context.Context, k license.Key, h *holding, node string, after int64) (map[string]int64, error) {
	live := map[string]bool{}
	for _, b := range h.Blocks {
		live[b.ID] = true
	}
	present, _ := period(k, s.cfg.Clock())
	pages, seq, reported := map[string]int64{}, h.Seq, h.Reported
	err := s.cfg.Ledger.Scan(ctx, after, node, func(e api.LedgerEntry) error {
		r := e.Receipt
		switch {
		case r.Seq <= seq:
			return nil
		case r.Seq != seq+1 && after > 0:
			return errElsewhere
		}
		seq = r.Seq
		at := time.UnixMilli(r.At).UTC()
		if at.After(reported) {
			reported = at
		}
		switch name, _ := period(k, at); {
		case r.Item != k.ID || r.Block == "":
		case live[r.Block]:
			pages[r.Block]++
		case name == present:
			pages[""]++
		}
		return nil
	})
	if err == nil && seq == h.Seq && after > 0 {
		err = errElsewhere
	}
	if err != nil {
		return nil, err
	}
	h.Seq, h.Reported = seq, reported
	return pages, nil
}
