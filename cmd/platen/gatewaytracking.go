package main

import (
	"context"
	"crypto/ed25519"

	"github.com/platen-scan/platen/gateway"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/lts"
	"github.com/platen-scan/platen/proto/api"
)

// openTracker makes the gateway's licence tracking server, and the desk that asks it.
func (g *gatewayService) openTracker() (err error) {
	g.tracker, err = g.newTracker(trackerConfig{records: g.state.Records(), ledger: g.state.Ledger(), place: g.gatewayPlace})
	if err != nil {
		return err
	}
	g.desk = g.tracker.newDesk(g.gatewayPlace, g.state.Records())
	g.origins.Licensed(g.desk.Allows)
	return nil
}

// ledger is that of the gateway's own tracking server; nil where another one counts.
func (g *gatewayService) ledger() gateway.Ledger {
	if g.tracker.remote != nil {
		return nil
	}
	return g.tracker.book
}

// extra are the routes that the command adds to the gateway.
func (g *gatewayService) extra(guard *access.Guard) []access.Route {
	list := append(g.routes(g)(guard), lts.DescribeRoute(g.tracker.describe(g.desk, nil))...)
	list = append(list, lts.NodeRoutes(lts.NodeConfig{
		Tracking: reported{g},
		Enrolled: func(ctx context.Context, key ed25519.PublicKey) (string, error) {
			id, _, err := guard.PeerNode(ctx, key)
			return id, err
		},
	})...)
	if g.tracker.remote == nil {
		list = append(list, g.tracker.counter()...)
	}
	return list
}

// reported is the gateway's tracking server as its nodes reach it: the gateway, which is not
// made yet when its routes are, hears of what they report.
type reported struct{ g *gatewayService }

func (r reported) Lease(ctx context.Context, place license.Place, wish api.LeaseRequest) (api.LeaseAnswer, error) {
	return r.g.gateway.Tracking().Lease(ctx, place, wish)
}

func (r reported) Report(ctx context.Context, by license.Place, pin string, batch api.ReceiptBatch) (api.ReceiptMark, error) {
	return r.g.gateway.Tracking().Report(ctx, by, pin, batch)
}

func (r reported) Pin() string { return r.g.gateway.Tracking().Pin() }
