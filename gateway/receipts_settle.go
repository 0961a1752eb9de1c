package gateway

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

// serve looks after what is owed until ctx ends.
func (r *receiptWatches) serve(ctx context.Context) error {
	var looks sync.WaitGroup
	defer looks.Wait()
	free := make(chan struct{}, settleMost)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait, ready := r.ready(time.Now())
		for _, w := range ready {
			select {
			case free <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			looks.Go(func() {
				defer func() { <-free }()
				r.settle(ctx, w)
			})
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-timer.C:
		}
	}
}

// ready are those that are to be looked at, and how long there is until the next.
func (r *receiptWatches) ready(now time.Time) (wait time.Duration, ready []*owed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait = time.Hour
	for _, w := range r.owed {
		switch left := w.next.Sub(now); {
		case w.looking:
		case left <= 0:
			w.looking = true
			ready = append(ready, w)
		case left < wait:
			wait = left
		}
	}
	return wait, ready
}

// finding is what became of a page whose receipt is owed.
type finding int

const (
	findNothing finding = iota // and its time is over
	findCounted
	findGrowing // a part passed, and the rest is being scanned
	findNoPage  // a part passed, and the attempt at the page came to nothing
	findShown   // a part passed, and the page was committed since
	findForged
	findUnknown // the ledger, or the node, cannot be asked
)

// settle looks whether what is owed is counted, and acts if it is not.
func (r *receiptWatches) settle(ctx context.Context, w *owed) {
	r.mu.Lock()
	seen := *w
	r.mu.Unlock()
	found, receipt := r.look(ctx, &seen)
	if ctx.Err() != nil {
		return
	}
	if fault := r.decide(w, &seen, found, receipt); fault != "" {
		r.blame(ctx, &seen, fault)
	}
}

// look finds out what became of it.
func (r *receiptWatches) look(ctx context.Context, w *owed) (finding, api.Receipt) {
	if w.forged {
		return findForged, w.receipt
	}
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	online, since := r.g.linkedSince(w.node)
	if !online || r.g.now().Sub(since) < r.g.cfg.ReceiptTime {
		return findUnknown, w.receipt // it reports once it is back
	}
	receipt, found := w.receipt, findNothing
	if receipt.Seq == 0 {
		if receipt, found = r.ask(ctx, w); receipt.Seq == 0 {
			return found, receipt
		}
	}
	counted, err := r.g.ledger.Counted(ctx, receipt)
	if err != nil {
		r.g.log.Warn("cannot look for a page in the ledger", "error", err)
		return findUnknown, receipt
	}
	if counted {
		return findCounted, receipt
	}
	return found, receipt
}

// ask has the node show the receipt of a page that passed while it grew.
func (r *receiptWatches) ask(ctx context.Context, w *owed) (api.Receipt, finding) {
	receipt, err := r.g.receiptOf(access.WithCaller(ctx, w.caller), w.node, w.key)
	code := problem.Code("")
	if err != nil {
		code = problem.From(err).Code
	}
	switch {
	case err == nil && w.whole && receipt.Page != w.page, code == problem.ReceiptInvalid:
		return api.Receipt{}, findForged
	case err == nil && w.whole:
		return receipt, findNothing
	case err == nil:
		return receipt, findShown
	case w.whole, code == problem.ReceiptMissing:
		return api.Receipt{}, findNothing // it was passed on as a page
	case errors.Is(err, errGrowing):
		return api.Receipt{}, findGrowing
	case code == problem.PageGone:
		return api.Receipt{}, findNoPage
	}
	return api.Receipt{}, findUnknown
}

// decide notes what was found. With a fault the node is to blame.
func (r *receiptWatches) decide(w, seen *owed, found finding, receipt api.Receipt) (fault problem.Code) {
	now, later := time.Now(), r.g.cfg.ReceiptTime
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.wakeUp()
	w.looking = false
	if r.owed[w.key] != w {
		return ""
	}
	if w.whole != seen.whole || w.receipt != seen.receipt || w.forged != seen.forged || w.due.After(now) && !w.forged {
		return "" // more came meanwhile
	}
	switch found {
	case findCounted:
		r.dropLocked(w)
		if !r.knowLocked(receipt) {
			return problem.ReceiptInvalid
		}
		return ""
	case findNoPage:
		r.dropLocked(w)
		return ""
	case findShown:
		w.page, w.receipt, w.whole, w.due = receipt.Page, receipt, true, now.Add(later)
		w.next = w.due
		return ""
	case findUnknown:
		w.next = now.Add(later)
		return ""
	case findGrowing:
		if now.Before(w.until) {
			w.next = now.Add(later)
			return ""
		}
	case findForged:
		r.dropLocked(w)
		return problem.ReceiptInvalid
	case findNothing:
	}
	r.dropLocked(w)
	return problem.ReceiptMissing
}

// linkedSince is whether the node has a link, and since when that is so.
func (g *Gateway) linkedSince(n *node) (online bool, since time.Time) {
	g.registry.mu.RLock()
	defer g.registry.mu.RUnlock()
	return n.link != nil, n.since
}

// blame notes that a node did not account for what it gave out, and ends the job.
func (r *receiptWatches) blame(ctx context.Context, w *owed, fault problem.Code) {
	g := r.g
	ctx, cancel := context.WithTimeout(relay.WithControl(ctx), settleLimit)
	defer cancel()
	name := g.registry.record(w.node).Name
	g.log.Error("a node did not account for a page; it gets no jobs that need a licence until it is reinstated",
		"node", w.node.id, "name", name, "job", w.key.job, "page", w.key.n, "fault", fault)
	if _, err := g.editNode(ctx, w.node, func(record *state.Node) {
		if record.Fault == "" {
			record.Fault = string(fault)
		}
	}); err != nil {
		g.log.Error("the fault of a node could not be written", "node", w.node.id, "error", err)
	}
	if err := g.cancelJob(ctx, w.node, w.caller, w.key.job); err != nil {
		g.log.Warn("a job that is not accounted for could not be canceled", "node", w.node.id, "job", w.key.job, "error", err)
	}
}

// cancelJob cancels a job in the caller's name. One that has ended stays as it is.
func (g *Gateway) cancelJob(ctx context.Context, n *node, caller access.Caller, job string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, nodeURL(v1+"/jobs/"+job+"/cancel"), nil)
	if err != nil {
		return err
	}
	answer, err := (&asking{g: g, node: n, caller: caller, ctx: ctx}).RoundTrip(r)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}
