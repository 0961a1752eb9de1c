package pagestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// documentColumns read a document, its pages and what its end depends on in one
// statement, so that revision and pages always belong together.
const documentColumns = `d.id, d.owner, d.name, d.revision, d.created, d.updated,
	(SELECT json_group_array(json_object('job', job, 'n', n, 'rotate', rotate) ORDER BY pos) FROM document_pages WHERE document = d.id),
	EXISTS (SELECT 1 FROM jobs WHERE document = d.id AND state NOT IN ` + terminalStates + `),
	(SELECT coalesce(max(ended), 0) FROM jobs WHERE document = d.id),
	(SELECT json_array(coalesce(max(p.committed), 0), coalesce(max(j.ended), 0), coalesce(max(p.state = 'committed'), 0),
			coalesce(max(j.state NOT IN ` + terminalStates + `), 0), coalesce(max(p.delivered), 0))
		FROM document_pages x JOIN pages p ON p.job = x.job AND p.n = x.n JOIN jobs j ON j.id = p.job WHERE x.document = d.id)`

// documentRow is a document with what only the store knows.
type documentRow struct {
	scan.Document
	owner string
}

func (s *Store) scanDocument(row func(dest ...any) error) (documentRow, error) {
	var d documentRow
	var created, updated, ended int64
	var pages, sums []byte
	var life documentLife
	if err := row(&d.ID, &d.owner, &d.Name, &d.Revision, &created, &updated, &pages, &life.open, &ended, &sums); err != nil {
		return documentRow{}, err
	}
	d.Node, d.Created, d.Updated = s.cfg.NodeID, at(created), at(updated)
	d.Pages = []scan.DocumentPage{}
	if err := json.Unmarshal(pages, &d.Pages); err != nil {
		return documentRow{}, fmt.Errorf("pages of document %s: %w", d.ID, err)
	}
	var sum [5]int64
	if err := json.Unmarshal(sums, &sum); err != nil {
		return documentRow{}, fmt.Errorf("life of document %s: %w", d.ID, err)
	}
	life.pages = len(d.Pages) > 0
	life.youngest, life.ended = at(sum[0]), at(max(sum[1], ended))
	life.undelivered, life.open = sum[2] != 0, life.open || sum[3] != 0
	life.updated, life.delivered = d.Updated, at(sum[4])
	d.Expires = life.end()
	return d, nil
}

func (s *Store) loadDocument(v view, id string) (documentRow, error) {
	d, err := s.scanDocument(func(dest ...any) error {
		return v.get("SELECT "+documentColumns+" FROM documents d WHERE d.id = ?", []any{id}, dest...)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return documentRow{}, problem.NotFound.Error()
	}
	return d, err
}

func insertDocument(t *tx, id, owner, name string, now scan.Time) error {
	_, err := t.exec("INSERT INTO documents (id, owner, name, revision, created, updated) VALUES (?, ?, ?, 1, ?, ?)",
		id, owner, name, ms(now), ms(now))
	return err
}

// Document returns a document and its owner.
func (s *Store) Document(ctx context.Context, id string) (doc scan.Document, owner string, err error) {
	d, err := s.loadDocument(s.index.view(ctx), id)
	if err != nil {
		return scan.Document{}, "", readError(ctx, "reading a document", err)
	}
	return d.Document, d.owner, nil
}

// Documents lists an owner's documents (everybody's for ""), last changed first.
// next and limit are as with Jobs; a document that changes between two pages of
// the list moves to its front.
func (s *Store) Documents(ctx context.Context, owner, after string, limit int) (docs []scan.Document, next string, err error) {
	c, ok, err := parseCursor(listDocuments, after)
	if err != nil {
		return nil, "", err
	}
	limit = limited(limit)
	query, args := "SELECT "+documentColumns+" FROM documents d WHERE 1", []any{}
	if owner != "" {
		query, args = query+" AND d.owner = ?", append(args, owner)
	}
	if ok {
		query, args = query+" AND (d.updated, d.id) < (?, ?)", append(args, c.place, c.id)
	}
	docs = []scan.Document{}
	err = s.index.view(ctx).each(query+" ORDER BY d.updated DESC, d.id DESC LIMIT ?", append(args, limit+1), func(row func(...any) error) error {
		d, err := s.scanDocument(row)
		docs = append(docs, d.Document)
		return err
	})
	if err != nil {
		return nil, "", readError(ctx, "listing documents", err)
	}
	if len(docs) > limit {
		docs = docs[:limit]
		last := docs[limit-1]
		next = cursor{place: ms(last.Updated), id: last.ID}.encode(listDocuments)
	}
	return docs, next, nil
}

// CreateDocument makes a document of the owner's committed pages.
func (s *Store) CreateDocument(ctx context.Context, owner string, req scan.DocumentRequest) (doc scan.Document, err error) {
	if owner == "" {
		return scan.Document{}, errors.New("a document needs an owner")
	}
	id := scan.NewID(s.cfg.NodeID, scan.KindDocument)
	err = s.write(ctx, "creating a document", func(t *tx) error {
		if err := insertDocument(t, id, owner, req.Name, s.now()); err != nil {
			return err
		}
		if err := s.place(t, id, owner, nil, req.Pages); err != nil {
			return err
		}
		d, err := s.loadDocument(t.view, id)
		doc = d.Document
		return err
	})
	return doc, err
}

// EditDocument changes a document: problem revision-conflict if it is not at
// edit.Revision any more. An edit that changes nothing leaves the revision.
func (s *Store) EditDocument(ctx context.Context, id string, edit scan.DocumentEdit) (doc scan.Document, err error) {
	if edit.Name != nil && *edit.Name == "" {
		return scan.Document{}, problem.New(problem.BadRequest, "A document needs a name.").At("name")
	}
	err = s.write(ctx, "editing a document", func(t *tx) error {
		was, err := s.loadDocument(t.view, id)
		if err != nil {
			return err
		}
		if edit.Revision != nil && *edit.Revision != was.Revision {
			return problem.New(problem.RevisionConflict, "It is at revision %d.", was.Revision).At("revision")
		}
		changed := edit.Name != nil && *edit.Name != was.Name
		if edit.Pages != nil && !samePages(was.Pages, *edit.Pages) {
			changed = true
			if err := s.place(t, id, was.owner, was.Pages, *edit.Pages); err != nil {
				return err
			}
		}
		if !changed {
			doc = was.Document
			return nil
		}
		name := was.Name
		if edit.Name != nil {
			name = *edit.Name
		}
		if _, err := t.exec("UPDATE documents SET name = ?, revision = revision + 1, updated = ? WHERE id = ?", name, ms(s.now()), id); err != nil {
			return err
		}
		d, err := s.loadDocument(t.view, id)
		doc = d.Document
		return err
	})
	return doc, err
}

// DeleteDocument deletes a document. Those of its pages that are in no other are
// wiped ten minutes later. Problem job-wrong-state while a job still scans into it.
func (s *Store) DeleteDocument(ctx context.Context, id string) error {
	return s.write(ctx, "deleting a document", func(t *tx) error {
		d, err := s.loadDocument(t.view, id)
		if err != nil {
			return err
		}
		var open bool
		if err := t.get("SELECT EXISTS (SELECT 1 FROM jobs WHERE document = ? AND state NOT IN "+terminalStates+")", []any{id}, &open); err != nil {
			return err
		}
		if open {
			return problem.New(problem.JobWrongState, "A scan into this document has not ended.")
		}
		if err := dropDocument(t, id); err != nil {
			return err
		}
		for _, p := range d.Pages {
			if err := unplace(t, p, s.now(), true); err != nil {
				return err
			}
		}
		return nil
	})
}

func dropDocument(t *tx, id string) error {
	if _, err := t.exec("DELETE FROM document_pages WHERE document = ?", id); err != nil {
		return err
	}
	_, err := t.exec("DELETE FROM documents WHERE id = ?", id)
	return err
}
