package pagestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Commit makes the page durable and whole for everybody: when it returns nil the
// page has its number for good. height is the final one, 0 for that of BeginPage.
// On any error there is no page: ErrBadPage for bytes that are no whole image,
// problem job-wrong-state if the job has ended meanwhile.
func (w *PageWriter) Commit(ctx context.Context, height int) (scan.Page, error) {
	if err := w.usable(); err != nil {
		return scan.Page{}, err
	}
	page := w.g.snapshot()
	if height > 0 {
		page.Height = height
	}
	if page.Height <= 0 {
		return scan.Page{}, w.broken("committing a page", fmt.Errorf("%w: its height is not known", ErrBadPage))
	}
	digest, err := w.seal(page)
	if err != nil {
		return scan.Page{}, w.broken("committing a page", err)
	}
	page.State, page.Lines, page.Digest, page.Committed = scan.PageCommitted, page.Height, hex.EncodeToString(digest), w.s.now()
	left := unlimited
	ambiguous, err := w.s.index.write(ctx, func(t *tx) (err error) {
		left, err = w.s.insertPage(t, w.document, page, digest, w.terms)
		return err
	})
	if err != nil {
		if ambiguous {
			w.name = "" // the next start finds out whether the row is there; the file must be, if so
		}
		if ctx.Err() != nil {
			w.Abort(ctx.Err())
			return scan.Page{}, ctx.Err()
		}
		return scan.Page{}, w.broken("committing a page", err)
	}
	w.over, w.left = true, left
	w.g.finish(page)
	w.s.forget(w.g)
	if err := w.g.letGo(); err != nil {
		w.s.log.Warn("closing a committed page failed", "page", page.ID, "error", err)
	}
	return page, nil
}

// seal checks the file and makes it durable under its final name.
func (w *PageWriter) seal(page scan.Page) (digest []byte, err error) {
	f := w.g.file
	digest = w.hash.Sum(nil)
	if w.patched {
		if digest, err = w.reread(); err != nil {
			return nil, err
		}
	}
	if err := w.ends.check(page.Format); err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if fi.Size() != w.ends.n {
		return nil, fmt.Errorf("%w: %d bytes were written, the file has %d", ErrBadPage, w.ends.n, fi.Size())
	}
	if err := w.s.disk.sync(f, w.name); err != nil {
		return nil, fmt.Errorf("fsync: %w", err)
	}
	final := pageFile(page)
	if err := w.s.disk.rename(w.name, final); err != nil {
		return nil, err
	}
	w.name = final
	if err := w.s.disk.syncDir(page.Job); err != nil {
		return nil, fmt.Errorf("fsync of the folder: %w", err)
	}
	return digest, nil
}

// reread takes digest and ends of a file that was patched.
func (w *PageWriter) reread() ([]byte, error) {
	h := sha256.New()
	size := w.ends.n
	w.ends = ends{}
	_, err := io.CopyBuffer(both{h, &w.ends}, io.NewSectionReader(w.g.file, 0, size), make([]byte, 128<<10))
	return h.Sum(nil), err
}

// both is the writer of reread.
type both struct {
	digest io.Writer
	ends   *ends
}

func (b both) Write(p []byte) (int, error) {
	b.ends.write(p)
	return b.digest.Write(p)
}

// insertPage is the one transaction that makes a file a page. left is how many more the
// job may have under its licence.
func (s *Store) insertPage(t *tx, document string, p scan.Page, digest []byte, under terms) (left int64, err error) {
	n, err := t.exec(`UPDATE jobs SET pages = ?2 WHERE id = ?1 AND pages = ?2 - 1 AND state NOT IN `+terminalStates, p.Job, p.N)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, problem.New(problem.JobWrongState, "The scan has ended.")
	}
	if _, err := t.exec(`INSERT INTO pages (job, n, id, state, side, format, mode, depth, resolution, width, height, bytes, digest, started, committed, epoch)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		p.Job, p.N, p.ID, string(p.State), string(p.Side), string(p.Format), string(p.Mode), p.Depth, p.Resolution,
		p.Width, p.Height, p.Bytes, digest, ms(p.Started), ms(p.Committed), s.epoch); err != nil {
		return 0, err
	}
	block, left, err := under.spend(t, p.Committed)
	if err != nil {
		return 0, err
	}
	if err := meterPage(t, s.cfg.NodeID, p, digest, under.license, block); err != nil {
		return 0, err
	}
	if _, err := t.exec(`INSERT INTO document_pages (document, pos, job, n, rotate)
		SELECT ?1, coalesce(max(pos), 0) + 1, ?2, ?3, 0 FROM document_pages WHERE document = ?1`, document, p.Job, p.N); err != nil {
		return 0, err
	}
	n, err = t.exec("UPDATE documents SET revision = revision + 1, updated = ? WHERE id = ?", ms(p.Committed), document)
	if err == nil && n == 0 {
		err = fmt.Errorf("document %s of job %s is missing", document, p.Job)
	}
	return left, err
}

// terminalStates lists the states of scan.JobState.Terminal for SQL.
const terminalStates = "('canceled', 'aborted', 'completed')"
