package pagestore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// sweepBatch is how many things one transaction of Sweep ends, so that a page that
// is to be committed never waits long for it.
const sweepBatch = 100

// Swept is what Sweep has ended.
type Swept struct {
	Pages     []scan.Page // wiped
	Documents []string    // deleted, by ID
	Jobs      []string    // forgotten, by ID
}

// Sweep ends what has been kept long enough: documents, pages and their files, jobs
// without pages, idempotency keys and records. It is called every minute or so.
func (s *Store) Sweep(ctx context.Context) (Swept, error) {
	var swept Swept
	for _, step := range []func(context.Context, *Swept) error{
		s.sweepDocuments, s.sweepPages, s.sweepJobs, s.sweepRest,
	} {
		if err := step(ctx, &swept); err != nil {
			return swept, readError(ctx, "ending what was kept long enough", err)
		}
	}
	return swept, nil
}

func due(end, now scan.Time) bool { return !end.IsZero() && !now.Before(end.Time) }

func (s *Store) sweepDocuments(ctx context.Context, swept *Swept) error {
	now := s.now()
	var ids []string
	err := s.index.view(ctx).each("SELECT "+documentColumns+" FROM documents d WHERE d.updated <= ?",
		[]any{ms(now) - keepAfterJob.Milliseconds()}, func(row func(...any) error) error {
			d, err := s.scanDocument(row)
			if err == nil && due(d.Expires, now) {
				ids = append(ids, d.ID)
			}
			return err
		})
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(ids, sweepBatch) {
		var done []string
		err := s.write(ctx, "deleting documents", func(t *tx) error {
			for _, id := range batch {
				d, err := s.loadDocument(t.view, id)
				switch {
				case errors.Is(err, problem.NotFound.Error()):
					continue
				case err != nil:
					return err
				case !due(d.Expires, now):
					continue
				}
				if err := dropDocument(t, id); err != nil {
					return err
				}
				done = append(done, id)
			}
			return nil
		})
		if err != nil {
			return err
		}
		swept.Documents = append(swept.Documents, done...)
	}
	return nil
}

// endingPages finds what the end of the pages depends on that still have bytes.
const endingPages = "SELECT " + pageColumns + `, j.owner, j.ended, j.state = 'canceled',
	CASE WHEN j.owner GLOB '` + ownerESCL + `*' THEN (SELECT max(x.delivered) FROM pages x WHERE x.job = p.job) ELSE 0 END,
	EXISTS (SELECT 1 FROM document_pages x WHERE x.job = p.job AND x.n = p.n)
	FROM pages p JOIN jobs j ON j.id = p.job
	WHERE p.state IN ('committed', 'delivered') AND j.state IN ` + terminalStates

func scanEnding(row func(...any) error) (pageRow, pageLife, error) {
	var l pageLife
	var ended, fetched int64
	p, err := scanPage(row, &l.owner, &ended, &l.canceled, &fetched, &l.placed)
	l.jobEnded, l.fetched, l.committed, l.delivered = at(ended), at(fetched), p.Committed, p.delivered
	l.unplaced, l.discarded = p.unplaced, p.discarded
	return p, l, err
}

func (s *Store) sweepPages(ctx context.Context, swept *Swept) error {
	now := s.now()
	var found []scan.Page
	err := s.index.view(ctx).each(endingPages, nil, func(row func(...any) error) error {
		p, l, err := scanEnding(row)
		if err == nil && due(l.end(), now) {
			found = append(found, p.Page)
		}
		return err
	})
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(found, sweepBatch) {
		var wiped []scan.Page
		err := s.write(ctx, "wiping pages", func(t *tx) error {
			for _, p := range batch {
				yes, err := wipeIfDue(t, p, now)
				if err != nil {
					return err
				}
				if yes {
					p.State = scan.PageWiped
					wiped = append(wiped, p)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		s.removePageFiles(wiped)
		swept.Pages = append(swept.Pages, wiped...)
	}
	return nil
}

// wipeIfDue looks again, now that nobody can change the page, and ends it.
func wipeIfDue(t *tx, p scan.Page, now scan.Time) (bool, error) {
	yes := false
	err := t.each(endingPages+" AND p.job = ? AND p.n = ?", []any{p.Job, p.N}, func(row func(...any) error) error {
		_, l, err := scanEnding(row)
		yes = due(l.end(), now)
		return err
	})
	if err != nil || !yes {
		return false, err
	}
	if _, err := t.exec("UPDATE pages SET state = ? WHERE job = ? AND n = ?", string(scan.PageWiped), p.Job, p.N); err != nil {
		return false, err
	}
	if _, err := t.exec(`UPDATE documents SET revision = revision + 1
		WHERE id IN (SELECT document FROM document_pages WHERE job = ? AND n = ?)`, p.Job, p.N); err != nil {
		return false, err
	}
	_, err = t.exec("DELETE FROM document_pages WHERE job = ? AND n = ?", p.Job, p.N)
	return true, err
}

// removePageFiles removes the files of pages whose rows say that they are wiped.
func (s *Store) removePageFiles(pages []scan.Page) {
	for _, p := range pages {
		for _, name := range append(s.renditions.drop(p.Job, p.ID), pageFile(p)) {
			if err := s.disk.remove(name); err != nil {
				s.log.Warn("removing a page file failed", "page", p.ID, "error", err)
			}
		}
	}
}

// sweepJobs forgets ended jobs that have had no page for long enough.
func (s *Store) sweepJobs(ctx context.Context, swept *Swept) error {
	query := "SELECT " + jobColumns + " FROM jobs j WHERE state IN " + terminalStates + ` AND ended <= ?
		AND NOT EXISTS (SELECT 1 FROM pages p WHERE p.job = j.id AND p.state IN ('committed', 'delivered')) LIMIT ?`
	before := ms(s.now()) - keepAtMost.Milliseconds()
	for {
		var gone []string
		err := s.write(ctx, "forgetting jobs", func(t *tx) error {
			var jobs []jobRow
			err := t.each(query, []any{before, sweepBatch}, func(row func(...any) error) error {
				j, err := s.scanJob(row)
				jobs = append(jobs, j)
				return err
			})
			if err != nil {
				return err
			}
			for _, j := range jobs {
				if err := s.forgetJob(t, j); err != nil {
					return err
				}
				gone = append(gone, j.ID)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, id := range gone {
			s.removeJobFiles(id)
		}
		swept.Jobs = append(swept.Jobs, gone...)
		if len(gone) < sweepBatch {
			return nil
		}
	}
}

// sweepRest ends idempotency keys and records, and folds a long log into the file.
func (s *Store) sweepRest(ctx context.Context, _ *Swept) error {
	now := ms(s.now())
	err := s.write(ctx, "ending keys and records", func(t *tx) error {
		if _, err := t.exec(`DELETE FROM submissions WHERE created <= ?
			AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = submissions.job)`, now-keyLifetime.Milliseconds()); err != nil {
			return err
		}
		_, err := t.exec("DELETE FROM records WHERE expires > 0 AND expires <= ?", now)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.index.fold(ctx); err != nil {
		return fmt.Errorf("folding the log of the index: %w", err)
	}
	return nil
}
