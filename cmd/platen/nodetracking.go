package main

import (
	"context"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/lts"
	"github.com/platen-scan/platen/proto/api"
)

// openTracker makes the node's licence tracking server for the keys that are bound to it,
// the way to that of its gateway, and the desk for those who come without the gateway.
func (n *nodeService) openTracker() (err error) {
	records := n.store.Records()
	if n.clock, err = license.NewClock(n.ctx, license.ClockConfig{Records: records, Log: n.log}); err != nil {
		return err
	}
	through := license.NewThrough(func() *api.Client { return n.node.GatewayAPI() }, func() string { return n.node.GatewayPin() })
	n.tracker, err = n.newTracker(trackerConfig{
		records: within{records, "tracking."}, ledger: records, clock: n.clock, place: n.place,
		away: func() license.Tracking {
			if n.node.GatewayPin() == "" {
				return nil
			}
			return through
		},
	})
	if err == nil {
		n.desk = n.tracker.newDesk(n.place, records)
	}
	return err
}

func (n *nodeService) place() license.Place { return n.node.Place() }

// extra are the routes that the command adds to the node.
func (n *nodeService) extra(guard *access.Guard) []access.Route {
	list := append(n.routes(n)(guard), lts.DescribeRoute(n.tracker.describe(n.desk, n.unreported))...)
	return append(list, n.tracker.counter()...)
}

// unreported asks the node, which is not made yet when its routes are.
func (n *nodeService) unreported(ctx context.Context) (int64, error) { return n.node.Unreported(ctx) }

// within are Records whose keys begin with a word: those of the node itself have others.
type within struct {
	access.Records
	word string
}

func (w within) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	return w.Records.Get(ctx, w.word+key)
}

func (w within) Create(ctx context.Context, key string, value []byte, expires time.Time) (uint64, error) {
	return w.Records.Create(ctx, w.word+key, value, expires)
}

func (w within) Update(ctx context.Context, key string, value []byte, expires time.Time, revision uint64) (uint64, error) {
	return w.Records.Update(ctx, w.word+key, value, expires, revision)
}

func (w within) Delete(ctx context.Context, key string) error {
	return w.Records.Delete(ctx, w.word+key)
}

func (w within) List(ctx context.Context, prefix string, yield func(key string, value []byte) error) error {
	return w.Records.List(ctx, w.word+prefix, func(key string, value []byte) error {
		return yield(strings.TrimPrefix(key, w.word), value)
	})
}
