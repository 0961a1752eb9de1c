package pagestore

import (
	"context"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Part is what becomes a document of its own.
type Part struct {
	Name  string // "": the first part keeps its name; others have one
	Pages []scan.DocumentPage
}

// SplitDocument leaves the first part in a document and makes new ones of its owner of the
// others, all or nothing. Pages that are in no part stay with their job for as long as
// those that were taken out of a document. Problems: revision-conflict if it is not at the
// revision any more, job-wrong-state while a job still scans into it. One part that is the
// document as it is changes nothing.
func (s *Store) SplitDocument(ctx context.Context, id string, revision int, parts []Part) (docs []scan.Document, err error) {
	err = s.write(ctx, "splitting a document", func(t *tx) error {
		docs = make([]scan.Document, 0, len(parts))
		was, err := s.loadDocument(t.view, id)
		if err != nil {
			return err
		}
		var open bool
		if err := t.get("SELECT EXISTS (SELECT 1 FROM jobs WHERE document = ? AND state NOT IN "+terminalStates+")", []any{id}, &open); err != nil {
			return err
		}
		switch {
		case was.Revision != revision:
			return problem.New(problem.RevisionConflict, "It is at revision %d.", was.Revision)
		case open:
			return problem.New(problem.JobWrongState, "A scan into this document has not ended.")
		case len(parts) == 0:
			return problem.New(problem.BadRequest, "Nothing would be left.")
		}
		first := parts[0]
		if first.Name == "" {
			first.Name = was.Name
		}
		if len(parts) == 1 && first.Name == was.Name && samePages(first.Pages, was.Pages) {
			docs = append(docs, was.Document)
			return nil
		}
		// The new ones come first, so that their pages are in some document all the time.
		var made []scan.Document
		for _, part := range parts[1:] {
			other := scan.NewID(s.cfg.NodeID, scan.KindDocument)
			if err := insertDocument(t, other, was.owner, part.Name, s.now()); err != nil {
				return err
			}
			if err := s.place(t, other, was.owner, nil, part.Pages); err != nil {
				return err
			}
			d, err := s.loadDocument(t.view, other)
			if err != nil {
				return err
			}
			made = append(made, d.Document)
		}
		if err := s.place(t, id, was.owner, was.Pages, first.Pages); err != nil {
			return err
		}
		if _, err := t.exec("UPDATE documents SET name = ?, revision = revision + 1, updated = ? WHERE id = ?", first.Name, ms(s.now()), id); err != nil {
			return err
		}
		d, err := s.loadDocument(t.view, id)
		docs = append(append(docs, d.Document), made...)
		return err
	})
	return docs, err
}
