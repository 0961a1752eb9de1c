package ledger

import (
	"context"
	"fmt"
	"slices"

	"github.com/platen-scan/platen/proto/api"
)

// Counted reports whether exactly this receipt is in the ledger, whichever Book on the
// records counted it. Of what a node reported before its last records there is no index: then
// the number alone says it, and the caller must know that the page is that old.
func (b *Book) Counted(ctx context.Context, r api.Receipt) (bool, error) {
	if head, _ := b.Head(r.Node); r.Seq > head.Seq {
		if err := b.Refresh(ctx); err != nil {
			return false, err
		}
	}
	b.mu.RLock()
	m := b.nodes[r.Node]
	if m == nil || r.Seq > m.seq || r.Seq <= m.base {
		b.mu.RUnlock()
		return false, nil
	}
	spans := slices.Clone(m.spans)
	b.mu.RUnlock()
	for _, s := range slices.Backward(spans) {
		if s.first > r.Seq {
			continue
		}
		old, err := b.read(ctx, s.place)
		if err != nil {
			return false, fmt.Errorf("reading the ledger: %w", err)
		}
		return r.Seq <= old.last() && old.receipts[r.Seq-old.first()].wire() == r, nil
	}
	return true, nil
}
