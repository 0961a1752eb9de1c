package license

import (
	"context"
	"log/slog"

	"github.com/platen-scan/platen/proto/api"
)

// Routed is the licence tracking server of an end that may have another one: it asks that
// one, but for keys that are bound to this end itself, which it counts itself. Its methods
// are safe for concurrent use.
type Routed struct {
	Own     Tracking        // this end's, in this process
	Place   func() Place    // this end
	Vendors func() []string // pins of those whose keys are taken
	// Away is the other server, as it is now; nil: this end has none.
	Away func() Tracking
	// Counts reports whether Own has pages to count that Away is told of.
	Counts func(context.Context) bool
	Log    *slog.Logger
}

var _ Tracking = (*Routed)(nil)

// Lease implements Tracking.
func (r *Routed) Lease(ctx context.Context, place Place, wish api.LeaseRequest) (api.LeaseAnswer, error) {
	away := r.Away()
	if away == nil || r.own(wish.Key) {
		return r.Own.Lease(ctx, place, wish)
	}
	return away.Lease(ctx, place, wish)
}

// own reports whether the key is bound to this end.
func (r *Routed) own(text string) bool {
	if text == "" {
		return false
	}
	k, err := Parse(text, r.Vendors())
	return err == nil && k.BoundAt(r.Place())
}

// Report implements Tracking. What this end counts itself it is told as well.
func (r *Routed) Report(ctx context.Context, by Place, pin string, batch api.ReceiptBatch) (api.ReceiptMark, error) {
	away := r.Away()
	if away == nil {
		return r.Own.Report(ctx, by, pin, batch)
	}
	var blocks []string
	if r.Counts(ctx) {
		own, err := r.Own.Report(ctx, by, pin, batch)
		if err != nil {
			r.Log.LogAttrs(ctx, slog.LevelWarn, "pages cannot be counted for the licences that are bound to this end", slog.String("node", batch.Node), slog.Any("error", err))
		}
		blocks = own.Blocks
	}
	mark, err := away.Report(ctx, by, pin, batch)
	mark.Blocks = append(mark.Blocks, blocks...)
	return mark, err
}

// Pin implements Tracking: that of the server which signs the answers of Report.
func (r *Routed) Pin() string {
	if away := r.Away(); away != nil {
		return away.Pin()
	}
	return r.Own.Pin()
}
