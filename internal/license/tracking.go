package license

import (
	"context"

	"github.com/platen-scan/platen/proto/api"
)

// Tracking is a licence tracking server: the one place where what a key counts is handed
// out. It is in this process (tracking.Server) or asked over mutual TLS (Remote).
type Tracking interface {
	// Lease finds an item that covers the wish and leases what it needs: a seat, and pages at
	// the node. Of several items that one whose end is nearest, then the most specific one:
	// bound to fewer places, then with fewer origins. The same wish again renews what it has.
	// place is who asks: the gateway that passes requests on, or a node without one.
	Lease(ctx context.Context, place Place, wish api.LeaseRequest) (api.LeaseAnswer, error)
	// Report counts the pages of a batch that were not counted before, all or none. The
	// node's present key has the pin; by is who passed the batch on.
	Report(ctx context.Context, by Place, pin string, batch api.ReceiptBatch) (api.ReceiptMark, error)
	// Pin is that of the server's key, which signs leases, blocks and marks.
	Pin() string
}
