package pagestore

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"runtime"
	"sync"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// walLimit is how much of the write-ahead log is kept on disk between checkpoints.
const walLimit = 16 << 20

// index is the SQLite file: one writer, a few readers, a statement cache each.
type index struct {
	slot    chan struct{} // holds one token: the writer's
	writers *sql.DB
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt // of conn; needs the slot
	closed  bool                 // needs the slot

	readers   *sql.DB
	mu        sync.Mutex
	readStmts map[string]*sql.Stmt
}

func openIndex(ctx context.Context, path string) (*index, error) {
	dsn := func(more ...string) string {
		u := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_pragma": append([]string{
			"busy_timeout(10000)", "foreign_keys(OFF)", "trusted_schema(OFF)", "temp_store(MEMORY)", "cache_size(-2048)",
		}, more...)}.Encode()}
		return u.String()
	}
	x := &index{slot: make(chan struct{}, 1), stmts: map[string]*sql.Stmt{}, readStmts: map[string]*sql.Stmt{}}
	var err error
	if x.writers, err = sql.Open("sqlite", dsn("journal_mode(WAL)", "synchronous(FULL)",
		fmt.Sprintf("journal_size_limit(%d)", walLimit))); err != nil {
		return nil, err
	}
	x.writers.SetMaxOpenConns(1)
	if x.conn, err = x.writers.Conn(ctx); err != nil {
		x.writers.Close()
		return nil, err
	}
	if x.readers, err = sql.Open("sqlite", dsn("query_only(ON)")); err != nil {
		x.conn.Close()
		x.writers.Close()
		return nil, err
	}
	n := max(2, runtime.GOMAXPROCS(0))
	x.readers.SetMaxOpenConns(n)
	x.readers.SetMaxIdleConns(n)
	x.slot <- struct{}{}
	return x, nil
}

// close waits for the writer, then shuts both sides; the last one out makes SQLite
// fold the log into the file.
func (x *index) close() error {
	<-x.slot
	defer func() { x.slot <- struct{}{} }()
	x.closed = true
	err := x.readers.Close()
	for _, s := range x.stmts {
		s.Close()
	}
	x.conn.Close()
	if e := x.writers.Close(); err == nil {
		err = e
	}
	return err
}

// view runs statements, of the writer within a transaction or of a reader.
type view struct {
	ctx     context.Context
	prepare func(ctx context.Context, query string) (*sql.Stmt, error)
}

func (x *index) view(ctx context.Context) view { return view{ctx, x.prepareReader} }

func (x *index) prepareReader(ctx context.Context, query string) (*sql.Stmt, error) {
	x.mu.Lock()
	s := x.readStmts[query]
	x.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := x.readers.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if other := x.readStmts[query]; other != nil {
		s.Close()
		return other, nil
	}
	x.readStmts[query] = s
	return s, nil
}

func (x *index) prepareWriter(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := x.stmts[query]; s != nil {
		return s, nil
	}
	s, err := x.conn.PrepareContext(ctx, query)
	if err == nil {
		x.stmts[query] = s
	}
	return s, err
}

// get scans one row; sql.ErrNoRows where there is none.
func (v view) get(query string, args []any, dest ...any) error {
	s, err := v.prepare(v.ctx, query)
	if err != nil {
		return err
	}
	return s.QueryRowContext(v.ctx, args...).Scan(dest...)
}

// each calls row for every row of the answer.
func (v view) each(query string, args []any, row func(scan func(dest ...any) error) error) error {
	s, err := v.prepare(v.ctx, query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(v.ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// tx is the one writing transaction.
type tx struct{ view }

// exec tells how many rows changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	s, err := t.prepare(t.ctx, query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// write runs fn in a transaction that is durable when write returns nil. ctx bounds
// the wait for the writer only: a transaction that has begun is not torn by a
// client that leaves. ambiguous: the commit itself failed, so that only the next
// start will tell whether it holds.
func (x *index) write(ctx context.Context, fn func(*tx) error) (ambiguous bool, err error) {
	select {
	case <-x.slot:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { x.slot <- struct{}{} }()
	if x.closed {
		return false, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	t := &tx{view{context.WithoutCancel(ctx), x.prepareWriter}}
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return false, err
	}
	committed := false
	defer func() {
		if !committed {
			// Fails where SQLite itself has rolled back, which is as good.
			_, _ = t.exec("ROLLBACK")
		}
	}()
	if err := fn(t); err != nil {
		return false, err
	}
	if _, err := t.exec("COMMIT"); err != nil {
		return !diskFull(err), err
	}
	committed = true
	return false, nil
}

// The index stores times as Unix milliseconds, 0 for none.

func ms(t scan.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func at(ms int64) scan.Time {
	if ms == 0 {
		return scan.Time{}
	}
	return scan.At(time.UnixMilli(ms))
}

// fold moves the write-ahead log into the file, and empties it once it is long:
// SQLite's own checkpoints never wait for a moment without readers, and without one
// the log only grows.
func (x *index) fold(ctx context.Context) error {
	select {
	case <-x.slot:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { x.slot <- struct{}{} }()
	if x.closed {
		return ErrClosed
	}
	const frameSize = 4096 + 24
	var busy, frames, moved int
	err := x.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &frames, &moved)
	if err != nil || frames*frameSize <= walLimit {
		return err
	}
	return x.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved)
}
