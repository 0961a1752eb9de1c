package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/token"
	"github.com/platen-scan/platen/proto/api"
)

// Scan calls yield for each page behind a place (0: all), of one node or of every one
// (""), in the order of their places: pages of one node come in the order of their numbers.
// It reads record by record. An error of yield ends it and is returned.
func (b *Book) Scan(ctx context.Context, after int64, node string, yield func(api.LedgerEntry) error) error {
	return b.walk(ctx, after, func(r record) error {
		if node != "" && r.node != node {
			return nil
		}
		chain := r.before
		for i := range r.receipts {
			wire := r.receipts[i].wire()
			var err error
			if chain, err = license.Chain(chain, wire); err != nil {
				return err
			}
			place := r.place + int64(i)
			if place <= after {
				continue
			}
			if err := yield(api.LedgerEntry{Place: place, Receipt: wire, Chain: hex.EncodeToString(chain)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Batches calls yield for each batch with a page behind a place, as Report takes it with
// the pin that Signer says: it is how another server copies a ledger. next is the place of
// the batch's last page, from where to go on.
func (b *Book) Batches(ctx context.Context, after int64, yield func(next int64, batch api.ReceiptBatch) error) error {
	return b.walk(ctx, after, func(r record) error {
		if r.next()-1 <= after {
			return nil
		}
		keys, err := b.keysOf(r)
		if err != nil {
			return err
		}
		batch := api.ReceiptBatch{Node: r.node, Chain: keys, Before: hex.EncodeToString(r.before), Head: r.head}
		b.mu.RLock()
		if m := b.nodes[r.node]; m != nil && m.base == r.first()-1 {
			batch.Start = m.base // there is nothing before it here
		}
		b.mu.RUnlock()
		for i := range r.receipts {
			batch.Receipts = append(batch.Receipts, r.receipts[i].wire())
		}
		return yield(r.next()-1, batch)
	})
}

// keysOf is how the key that signed a record follows from its node's first one: what is
// known of the node by the end begins with it.
func (b *Book) keysOf(r record) ([]string, error) {
	if len(r.keys) > 0 {
		return r.keys, nil
	}
	var keys []string
	b.mu.RLock()
	if m := b.nodes[r.node]; m != nil {
		keys = m.keys
	}
	b.mu.RUnlock()
	signer, err := token.SignerUpTo(token.Max, r.head)
	if err != nil {
		return nil, err
	}
	for n := range len(keys) + 1 {
		if id, err := identity.ParseChain(signer, keys[:n]); err == nil && id == r.node {
			return slices.Clone(keys[:n]), nil
		}
	}
	return nil, fmt.Errorf("page %d of the ledger is signed by a key that does not follow from the node's first one", r.place)
}

// walk calls yield for each record that holds a page behind a place.
func (b *Book) walk(ctx context.Context, after int64, yield func(record) error) error {
	if after > 0 {
		// Most who ask for a part name the end of a record.
		return b.walkFrom(ctx, after, yield)
	}
	next := int64(1)
	err := b.cfg.Records.List(ctx, keyPrefix, func(_ string, value []byte) error {
		r, err := decode(value)
		if err == nil && r.place != next {
			err = fmt.Errorf("page %d of the ledger is missing", next)
		}
		if err != nil {
			return err
		}
		next = r.next()
		return yield(r)
	})
	return err
}

func (b *Book) walkFrom(ctx context.Context, after int64, yield func(record) error) error {
	place := after + 1
	for {
		r, err := b.read(ctx, place)
		if errors.Is(err, access.ErrNoRecord) && place == after+1 && place <= b.Pages() {
			// It is within a record: so small a distance is found by trying.
			for place > 1 && place > after+1-maxReceipts && errors.Is(err, access.ErrNoRecord) {
				place--
				r, err = b.read(ctx, place)
			}
		}
		if errors.Is(err, access.ErrNoRecord) {
			return nil
		}
		if err != nil {
			return err
		}
		place = r.next()
		if err := yield(r); err != nil {
			return err
		}
	}
}
