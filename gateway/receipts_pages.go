package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// headsAtOnce is how many pages of a document are asked for at a time.
const headsAtOnce = 8

// accountedFor demands the receipts of pages before what was made of them is passed on:
// those that were seen before, and of others what the node answers to HEAD.
func (g *Gateway) accountedFor(ctx context.Context, n *node, pages []pageKey) error {
	group, asking := errgroup.WithContext(relay.WithControl(ctx))
	group.SetLimit(headsAtOnce)
	for _, page := range pages {
		if prefix, kind, err := scan.ParseID(page.job); err != nil || kind != scan.KindJob || prefix != n.prefix {
			return problem.NotFound.Error() // a document holds pages of its own node only
		}
		if g.receipts.isCounted(page) {
			continue
		}
		group.Go(func() error {
			receipt, err := g.receiptOf(asking, n, page)
			if errors.Is(err, errGrowing) {
				return problem.PageNotReady.Error()
			}
			if err != nil {
				return err
			}
			return g.receipts.shown(&accounting{g, asking, n, page}, receipt)
		})
	}
	return group.Wait()
}

// errGrowing is what receiptOf finds of a page that is not committed yet.
var errGrowing = errors.New("the page grows")

// receiptOf asks the node for the receipt of a committed page, in the name of ctx's caller.
func (g *Gateway) receiptOf(ctx context.Context, n *node, page pageKey) (api.Receipt, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerLimit, errNoAnswer)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, nodeURL(v1+"/jobs/"+page.job+"/pages/"+strconv.Itoa(page.n)), nil)
	if err != nil {
		return api.Receipt{}, err
	}
	answer, err := (&asking{g: g, node: n, caller: access.CallerOf(ctx), ctx: ctx}).RoundTrip(r)
	if err != nil {
		return api.Receipt{}, g.explain(ctx, n, err)
	}
	answer.Body.Close()
	a := &accounting{g, ctx, n, page}
	text := answer.Header.Get(license.HeaderReceipt)
	switch {
	case answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusGone:
		return api.Receipt{}, problem.PageGone.Error()
	case answer.StatusCode != http.StatusOK:
		return api.Receipt{}, fmt.Errorf("%w: status %d for a page", problem.Unavailable.Error(), answer.StatusCode)
	case text == "" && grows(answer):
		return api.Receipt{}, errGrowing
	case text == "":
		return api.Receipt{}, a.missing("A page has no receipt.")
	}
	return a.read(text, answer)
}
