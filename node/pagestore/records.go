package pagestore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/platen-scan/platen/internal/access"
)

// records keeps sessions and pairings beside the pages, as access wants them kept.
type records struct{ s *Store }

// Records is the store's access.Records. A zero expires means never.
func (s *Store) Records() access.Records { return records{s} }

// listBatch is how many records List reads before it yields them, so that no
// reader of the index is held while a callback runs.
const listBatch = 128

func (r records) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	err = r.s.index.view(ctx).get("SELECT value, revision FROM records WHERE key = ? AND (expires = 0 OR expires > ?)",
		[]any{key, ms(r.s.now())}, &value, &revision)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, access.ErrNoRecord
	}
	if err != nil {
		return nil, 0, readError(ctx, "reading a record", err)
	}
	return value, revision, nil
}

func (r records) Create(ctx context.Context, key string, value []byte, expires time.Time) (revision uint64, err error) {
	err = r.change(ctx, "creating a record", &revision, func(t *tx) (int64, error) {
		return t.exec(`INSERT INTO records (key, value, revision, expires) VALUES (?1, ?2, ?3, ?4)
			ON CONFLICT (key) DO UPDATE SET value = ?2, revision = ?3, expires = ?4
			WHERE records.expires > 0 AND records.expires <= ?5`, key, notNil(value), revision, expiry(expires), ms(r.s.now()))
	})
	return revision, err
}

func (r records) Update(ctx context.Context, key string, value []byte, expires time.Time, revision uint64) (next uint64, err error) {
	err = r.change(ctx, "changing a record", &next, func(t *tx) (int64, error) {
		return t.exec(`UPDATE records SET value = ?, revision = ?, expires = ?
			WHERE key = ? AND revision = ? AND (expires = 0 OR expires > ?)`,
			notNil(value), next, expiry(expires), key, revision, ms(r.s.now()))
	})
	return next, err
}

// change runs a statement with a revision that no record ever had, not even one
// that was deleted since; ErrConflict if it changes no row.
func (r records) change(ctx context.Context, doing string, revision *uint64, statement func(*tx) (int64, error)) error {
	conflict := false
	_, err := r.s.index.write(ctx, func(t *tx) error {
		if err := t.get("UPDATE meta SET value = value + 1 WHERE key = 'revision' RETURNING value", nil, revision); err != nil {
			return err
		}
		n, err := statement(t)
		if err == nil && n == 0 {
			conflict = true
			err = access.ErrConflict
		}
		return err
	})
	if err != nil {
		*revision = 0
	}
	if conflict {
		return access.ErrConflict
	}
	return r.s.writeError(ctx, doing, err)
}

func (r records) Delete(ctx context.Context, key string) error {
	return r.s.write(ctx, "deleting a record", func(t *tx) error {
		_, err := t.exec("DELETE FROM records WHERE key = ?", key)
		return err
	})
}

func (r records) List(ctx context.Context, prefix string, yield func(key string, value []byte) error) error {
	type record struct {
		key   string
		value []byte
	}
	from, now := prefix, ms(r.s.now())
	for {
		batch := make([]record, 0, listBatch)
		err := r.s.index.view(ctx).each(`SELECT key, value FROM records WHERE key >= ? AND substr(key, 1, ?) = ?
			AND (expires = 0 OR expires > ?) ORDER BY key LIMIT ?`,
			[]any{from, len(prefix), prefix, now, listBatch}, func(row func(...any) error) error {
				var rec record
				err := row(&rec.key, &rec.value)
				batch = append(batch, rec)
				return err
			})
		if err != nil {
			return readError(ctx, "listing records", err)
		}
		for _, rec := range batch {
			if err := yield(rec.key, rec.value); err != nil {
				return err
			}
		}
		if len(batch) < listBatch {
			return nil
		}
		from = batch[len(batch)-1].key + "\x00"
	}
}

func expiry(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// notNil keeps an empty value from becoming SQL's NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
