package tracking

import (
	"context"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// line is the way to a server, which can be cut.
type line struct {
	*Server
	cut bool
}

func (l *line) Lease(ctx context.Context, place license.Place, r api.LeaseRequest) (api.LeaseAnswer, error) {
	if l.cut {
		return api.LeaseAnswer{}, problem.TrackingOffline.Error()
	}
	return l.Server.Lease(ctx, place, r)
}

func (l *line) Report(ctx context.Context, by license.Place, pin string, b api.ReceiptBatch) (api.ReceiptMark, error) {
	if l.cut {
		return api.ReceiptMark{}, problem.TrackingOffline.Error()
	}
	return l.Server.Report(ctx, by, pin, b)
}
