package pagestore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// MaxReceipts is how many receipts Receipts returns at most.
const MaxReceipts = 500

// meterPage counts a committed page, once and for ever: the row outlives page and
// job. Rows are numbered without a gap, and each one's chain follows from the chain
// before it (license.Chain), so that none can be changed or taken away unseen.
func meterPage(t *tx, node string, p scan.Page, digest []byte, under *License, block string) error {
	var seq int64
	var before []byte
	err := t.get("SELECT seq, chain FROM meter ORDER BY seq DESC LIMIT 1", nil, &seq, &before)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	r := api.Receipt{
		Node: node, Seq: seq + 1, Job: p.Job, N: p.N, Page: p.ID, Digest: p.Digest, Bytes: p.Bytes, At: ms(p.Committed), Block: block,
	}
	if under != nil {
		r.Item, r.Project, r.Origin, r.Client = under.Item, under.Project, under.Origin, under.Client
	}
	chain, err := license.Chain(before, r)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO meter (seq, node, job, n, page, digest, bytes, at, item, project, block, origin, client, chain)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Seq, r.Node, r.Job, r.N, r.Page, digest, r.Bytes, r.At, r.Item, r.Project, r.Block, r.Origin, r.Client, chain)
	return err
}

const receiptColumns = "seq, node, job, n, page, digest, bytes, at, item, project, block, origin, client, chain"

func scanReceipt(row func(dest ...any) error) (r api.Receipt, chain []byte, err error) {
	var digest []byte
	err = row(&r.Seq, &r.Node, &r.Job, &r.N, &r.Page, &digest, &r.Bytes, &r.At, &r.Item, &r.Project, &r.Block, &r.Origin, &r.Client, &chain)
	r.Digest = hex.EncodeToString(digest)
	return r, chain, err
}

// ErrNoReceipt is what Receipt and ChainAt return for what has none.
var ErrNoReceipt = errors.New("no receipt")

// Receipt is the receipt of a committed page. A page of before receipts has none.
func (s *Store) Receipt(ctx context.Context, job string, n int) (r api.Receipt, err error) {
	err = ErrNoReceipt
	readErr := s.index.view(ctx).each("SELECT "+receiptColumns+` FROM meter WHERE node = ? AND job = ? AND n = ?
		AND seq > (SELECT value FROM meta WHERE key = 'unreceipted')`, []any{s.cfg.NodeID, job, n}, func(row func(...any) error) error {
		r, _, err = scanReceipt(row)
		return err
	})
	if readErr != nil {
		return r, readError(ctx, "reading a receipt", readErr)
	}
	return r, err
}

// Receipts are those that follow after number after, one after another: limit of them at
// most, or MaxReceipts. before is the chain before the first, head the number and chain of the last;
// without receipts head is what they would follow. What is older than all receipts is
// passed over.
func (s *Store) Receipts(ctx context.Context, after int64, limit int) (before string, list []api.Receipt, head license.Head, err error) {
	v := s.index.view(ctx)
	err = func() error {
		start, err := unreceipted(v)
		if err != nil {
			return err
		}
		after = max(after, start)
		var chain []byte
		err = v.get("SELECT chain FROM meter WHERE seq = ?", []any{after}, &chain)
		if err != nil && (after > 0 || !errors.Is(err, sql.ErrNoRows)) {
			return err
		}
		before, head = hex.EncodeToString(chain), license.Head{Seq: after, Chain: hex.EncodeToString(chain)}
		return v.each("SELECT "+receiptColumns+" FROM meter WHERE seq > ? ORDER BY seq LIMIT ?", []any{after, min(limit, MaxReceipts)}, func(row func(...any) error) error {
			r, chain, err := scanReceipt(row)
			list = append(list, r)
			head = license.Head{Seq: r.Seq, Chain: hex.EncodeToString(chain)}
			return err
		})
	}()
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil, license.Head{}, fmt.Errorf("page number %d: %w", after, ErrNoReceipt)
	}
	if err != nil {
		return "", nil, license.Head{}, readError(ctx, "reading receipts", err)
	}
	return before, list, head, nil
}

// MeterHead is the number of the newest page and the chain up to it, and that of the last page
// of before receipts, after which they begin.
func (s *Store) MeterHead(ctx context.Context) (head license.Head, start int64, err error) {
	v := s.index.view(ctx)
	var chain []byte
	err = v.get("SELECT seq, chain FROM meter ORDER BY seq DESC LIMIT 1", nil, &head.Seq, &chain)
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		start, err = unreceipted(v)
	}
	if err != nil {
		return license.Head{}, 0, readError(ctx, "reading the meter", err)
	}
	head.Chain = hex.EncodeToString(chain)
	return head, start, nil
}

// ChainAt is the chain up to a page's number; ErrNoReceipt if there is no such page.
func (s *Store) ChainAt(ctx context.Context, seq int64) (string, error) {
	var chain []byte
	err := s.index.view(ctx).get("SELECT chain FROM meter WHERE seq = ?", []any{seq}, &chain)
	switch {
	case seq == 0 && errors.Is(err, sql.ErrNoRows):
		return "", nil
	case errors.Is(err, sql.ErrNoRows):
		return "", fmt.Errorf("page number %d: %w", seq, ErrNoReceipt)
	case err != nil:
		return "", readError(ctx, "reading the meter", err)
	}
	return hex.EncodeToString(chain), nil
}

// unreceipted is the number of the last page of before receipts.
func unreceipted(v view) (seq int64, err error) {
	return seq, v.get("SELECT value FROM meta WHERE key = 'unreceipted'", nil, &seq)
}
