package node

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/node/pagestore"
)

// Pages are counted by the page store. Here the batch ends for which a licence has no more,
// and the receipts go out.

// hurryBelow is with how many pages left a report does not wait: its answer may bring more.
const hurryBelow = 10

// serveLicences runs the clock and the reporter until the node ends.
func (n *Node) serveLicences(parts *sync.WaitGroup) {
	if c := n.licences.clock; c != nil {
		parts.Go(func() {
			if err := c.Serve(n.ctx); err != nil {
				n.log.Error("cannot write what time it is", "error", err)
			}
		})
	}
	if n.reporter != nil {
		parts.Go(func() { n.reporter.Serve(n.ctx) })
	}
}

// told takes in the time that the gateway signed just now.
func (l *licences) told(there time.Time) {
	if l.clock != nil {
		l.clock.Signed(there)
	}
}

// committed has a page reported. left is what the licence of its job has still.
func (n *Node) committed(left int64, counted bool) {
	switch {
	case n.reporter == nil:
	case counted && left < hurryBelow:
		n.reporter.Hurry()
	default:
		n.reporter.Committed()
	}
}

// Unreported is how many committed pages the licence tracking server has not counted yet,
// as far as is known here; 0 without one.
func (n *Node) Unreported(ctx context.Context) (int64, error) {
	if n.reporter == nil {
		return 0, nil
	}
	return n.reporter.Unreported(ctx)
}

// checkLicenseLocked ends the batch between two sheets if the licence has no page for the
// next one. A sheet that is moving already is stored whatever the licence says.
func (s *sink) checkLicenseLocked(left int64, counted bool) {
	wanted, spare := s.job.Settings.Pages, int64(0)
	if wanted == 0 {
		spare = 1 // the next sheet is moving already
	}
	if !counted || left > spare || s.run.bounded > 0 && left > 0 || wanted > 0 && s.job.Pages >= wanted || wanted == 0 && !s.job.Settings.Source.Feeder() {
		return
	}
	s.run.usedUp.Store(true)
	s.d.log.Warn("the licence has no other page", "job", s.job.ID, "pages", s.job.Pages)
	if w := s.d.hasWorker(); w != nil {
		w.FinishAfterPage()
	}
}

// account puts the receipt of the committed page in the path beside it, where a gateway
// passes pages on by receipts.
func (n *Node) account(w http.ResponseWriter, r *http.Request) error {
	caller := access.CallerOf(r.Context())
	if caller.Road != access.RoadLink {
		return nil
	}
	receipt, err := n.store.Receipt(r.Context(), r.PathValue("job"), pageNumber(r))
	if errors.Is(err, pagestore.ErrNoReceipt) {
		return nil
	}
	if err != nil {
		return err
	}
	if receipt.Item != "" || caller.Origin != "" {
		w.Header().Set(license.HeaderReceipt, license.SignReceipt(n.identity, receipt))
	}
	return nil
}
