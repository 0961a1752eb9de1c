package pagestore

import (
	"errors"
	"fmt"
	"slices"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// maxDocumentPages is the contract's limit for one edit.
const maxDocumentPages = 3000

func samePages(a, b []scan.DocumentPage) bool { return slices.Equal(a, b) }

// pageKey names a page.
type pageKey struct {
	job string
	n   int
}

// place gives a document its new pages instead of those it had.
func (s *Store) place(t *tx, document, owner string, had, want []scan.DocumentPage) error {
	if len(want) > maxDocumentPages {
		return problem.New(problem.BadRequest, "A document has at most %d pages.", maxDocumentPages).At("pages")
	}
	inside := make(map[pageKey]bool, len(had))
	for _, p := range had {
		inside[pageKey{p.Job, p.N}] = true
	}
	seen := make(map[pageKey]bool, len(want))
	for i, p := range want {
		field := fmt.Sprintf("pages[%d]", i)
		k := pageKey{p.Job, p.N}
		if seen[k] {
			return problem.New(problem.BadRequest, "The page is listed twice.").At(field)
		}
		seen[k] = true
		if p.Rotate < 0 || p.Rotate >= 360 || p.Rotate%90 != 0 {
			return problem.New(problem.BadRequest, "Pages turn by 0, 90, 180 or 270 degrees.").At(field + ".rotate")
		}
		if inside[k] {
			continue // whatever has become of it since, it can stay
		}
		if err := s.placeable(t, owner, p, field); err != nil {
			return err
		}
		if _, err := t.exec("UPDATE pages SET unplaced = 0, discarded = 0 WHERE job = ? AND n = ?", p.Job, p.N); err != nil {
			return err
		}
	}
	if _, err := t.exec("DELETE FROM document_pages WHERE document = ?", document); err != nil {
		return err
	}
	for i, p := range want {
		if _, err := t.exec("INSERT INTO document_pages (document, pos, job, n, rotate) VALUES (?, ?, ?, ?, ?)",
			document, i+1, p.Job, p.N, p.Rotate); err != nil {
			return err
		}
	}
	for _, p := range had {
		if !seen[pageKey{p.Job, p.N}] {
			if err := unplace(t, p, s.now(), false); err != nil {
				return err
			}
		}
	}
	return nil
}

// placeable refuses a page that is not here, not the owner's or not there any more.
func (s *Store) placeable(t *tx, owner string, p scan.DocumentPage, field string) error {
	prefix, kind, err := scan.ParseID(p.Job)
	if err != nil || kind != scan.KindJob {
		return problem.BadID.Error().At(field + ".job")
	}
	row, have, err := loadPage(t.view, p.Job, p.N)
	switch {
	case errors.Is(err, problem.NotFound.Error()) && prefix != scan.Prefix(s.cfg.NodeID):
		return problem.PagesElsewhere.Error().At(field)
	case errors.Is(err, problem.NotFound.Error()), err == nil && have != owner:
		if g := s.growingPage(p.Job); g != nil && g.number == p.N && g.owner == owner {
			return problem.PageNotReady.Error().At(field)
		}
		return problem.New(problem.NotFound, "There is no such page.").At(field)
	case err != nil:
		return err
	case row.State == scan.PageLost:
		return problem.PageLost.Error().At(field)
	case !row.live():
		return problem.PageGone.Error().At(field)
	}
	return nil
}

// unplace starts a page's time to be taken back, if it is in no document now.
func unplace(t *tx, p scan.DocumentPage, now scan.Time, discarded bool) error {
	_, err := t.exec(`UPDATE pages SET unplaced = ?3, discarded = ?4 WHERE job = ?1 AND n = ?2
		AND NOT EXISTS (SELECT 1 FROM document_pages WHERE job = ?1 AND n = ?2)`, p.Job, p.N, ms(now), discarded)
	return err
}

// unplaceAll takes a job's pages out of every document.
func (s *Store) unplaceAll(t *tx, job string) error {
	if _, err := t.exec(`UPDATE documents SET revision = revision + 1, updated = ?2
		WHERE id IN (SELECT document FROM document_pages WHERE job = ?1)`, job, ms(s.now())); err != nil {
		return err
	}
	_, err := t.exec("DELETE FROM document_pages WHERE job = ?", job)
	return err
}
