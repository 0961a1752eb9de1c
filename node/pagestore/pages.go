package pagestore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const pageColumns = `p.job, p.n, p.id, p.state, p.side, p.format, p.mode, p.depth, p.resolution, p.width, p.height,
	p.bytes, p.digest, p.started, p.committed, p.delivered, p.unplaced, p.discarded, p.epoch`

// pageRow is a page with what only the store knows.
type pageRow struct {
	scan.Page
	delivered scan.Time // last acknowledgement
	unplaced  scan.Time // when it was taken out of its last document
	discarded bool      // by deleting that document
	epoch     int64
}

// live reports whether the page's bytes are to be had.
func (p pageRow) live() bool {
	return p.State == scan.PageCommitted || p.State == scan.PageDelivered
}

// pageFile is the name of a committed page's file below spool/.
func pageFile(p scan.Page) string { return p.Job + "/" + p.ID + "." + string(p.Format) }

func scanPage(row func(dest ...any) error, more ...any) (pageRow, error) {
	var p pageRow
	var digest []byte
	var started, committed, delivered, unplaced int64
	dest := []any{&p.Job, &p.N, &p.ID, (*string)(&p.State), (*string)(&p.Side), (*string)(&p.Format), (*string)(&p.Mode),
		&p.Depth, &p.Resolution, &p.Width, &p.Height, &p.Bytes, &digest, &started, &committed, &delivered, &unplaced, &p.discarded, &p.epoch}
	if err := row(append(dest, more...)...); err != nil {
		return pageRow{}, err
	}
	p.Lines = p.Height
	p.Digest = hex.EncodeToString(digest)
	p.Started, p.Committed, p.delivered, p.unplaced = at(started), at(committed), at(delivered), at(unplaced)
	return p, nil
}

// loadPage finds a committed page and its owner.
func loadPage(v view, job string, n int) (p pageRow, owner string, err error) {
	p, err = scanPage(func(dest ...any) error {
		return v.get("SELECT "+pageColumns+", j.owner FROM pages p JOIN jobs j ON j.id = p.job WHERE p.job = ? AND p.n = ?", []any{job, n}, dest...)
	}, &owner)
	if errors.Is(err, sql.ErrNoRows) {
		return pageRow{}, "", problem.NotFound.Error()
	}
	return p, owner, err
}

// growingPage is the page under way of a job.
func (s *Store) growingPage(job string) *growing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.growing[job]
}

// Page returns a page, growing or committed, and its owner.
func (s *Store) Page(ctx context.Context, job string, n int) (page scan.Page, owner string, err error) {
	if g := s.growingPage(job); g != nil && g.number == n {
		return g.snapshot(), g.owner, nil
	}
	p, owner, err := loadPage(s.index.view(ctx), job, n)
	if err != nil {
		return scan.Page{}, "", readError(ctx, "reading a page", err)
	}
	return p.Page, owner, nil
}

// Pages lists a job's pages in order, the growing one last. next and limit are as
// with Jobs. Problem not-found if there is no such job.
func (s *Store) Pages(ctx context.Context, job, after string, limit int) (pages []scan.Page, next string, err error) {
	c, _, err := parseCursor(listPages, after)
	if err != nil {
		return nil, "", err
	}
	limit = limited(limit)
	g := s.growingPage(job) // before the index: a page may be committed in between, and must not be in neither
	pages = []scan.Page{}
	err = s.index.view(ctx).each("SELECT "+pageColumns+" FROM pages p WHERE p.job = ? AND p.n > ? ORDER BY p.n LIMIT ?",
		[]any{job, c.place, limit + 1}, func(row func(...any) error) error {
			p, err := scanPage(row)
			pages = append(pages, p.Page)
			return err
		})
	if err == nil && len(pages) == 0 && g == nil {
		_, err = s.loadJob(s.index.view(ctx), job)
	}
	if err != nil {
		return nil, "", readError(ctx, "listing pages", err)
	}
	last := int(c.place)
	if len(pages) > 0 {
		last = pages[len(pages)-1].N
	}
	if g != nil && g.number > last && len(pages) <= limit {
		pages = append(pages, g.snapshot())
	}
	if len(pages) > limit {
		pages = pages[:limit]
		next = cursor{place: int64(pages[limit-1].N)}.encode(listPages)
	}
	return pages, next, nil
}

// Ack notes that the owner has the page's bytes, which digest proves: problem
// digest-mismatch if it is another, page-not-ready while the page grows.
func (s *Store) Ack(ctx context.Context, job string, n int, digest string) error {
	if g := s.growingPage(job); g != nil && g.number == n {
		return problem.PageNotReady.Error()
	}
	return s.write(ctx, "acknowledging a page", func(t *tx) error {
		p, _, err := loadPage(t.view, job, n)
		if err != nil {
			return err
		}
		if !strings.EqualFold(p.Digest, digest) {
			return problem.DigestMismatch.Error()
		}
		if !p.live() {
			return nil // there is nothing left to free
		}
		_, err = t.exec("UPDATE pages SET state = ?, delivered = ? WHERE job = ? AND n = ?",
			string(scan.PageDelivered), ms(s.now()), job, n)
		return err
	})
}
