package pagestore

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestSplitDocument(t *testing.T) {
	s, c := newStore(t)
	job := newJob(t, s)
	for range 5 {
		commitPage(t, s, job.ID, 50)
	}
	page := func(n int) scan.DocumentPage { return scan.DocumentPage{Job: job.ID, N: n, Rotate: 90 * (n % 4)} }
	all := []scan.DocumentPage{page(1), page(2), page(3), page(4), page(5)}
	_, err := s.EditDocument(t.Context(), job.Document, scan.DocumentEdit{Pages: &all})
	if err != nil {
		t.Fatal(err)
	}
	was, _, err := s.Document(t.Context(), job.Document)
	if err != nil {
		t.Fatal(err)
	}
	parts := []Part{{Pages: all[:2]}, {Name: "B", Pages: all[3:4]}, {Name: "C", Pages: all[4:]}}
	refused := func(why string, revision int, parts []Part, code problem.Code) {
		t.Helper()
		if _, err := s.SplitDocument(t.Context(), job.Document, revision, parts); problem.From(err).Code != code {
			t.Errorf("%s: %v, want %s", why, err, code)
		}
		now, _, err := s.Document(t.Context(), job.Document)
		if docs, _, e := s.Documents(t.Context(), owner, "", 10); err != nil || e != nil || now.Revision != was.Revision || !slices.Equal(now.Pages, all) || len(docs) != 1 {
			t.Errorf("%s: %d documents, the first is %+v", why, len(docs), now)
		}
	}
	refused("while the job goes on", was.Revision, parts, problem.JobWrongState)
	setState(t, s, job.ID, scan.JobCompleted)
	refused("an old revision", was.Revision-1, parts, problem.RevisionConflict)
	refused("nothing", was.Revision, nil, problem.BadRequest)
	gone := []Part{{Pages: all[:2]}, {Name: "B", Pages: all[2:]}, {Name: "C", Pages: []scan.DocumentPage{page(9)}}}
	refused("a page that is not there", was.Revision, gone, problem.NotFound)

	c.add(time.Hour)
	same, err := s.SplitDocument(t.Context(), job.Document, was.Revision, []Part{{Pages: all}})
	if err != nil || len(same) != 1 || same[0].Revision != was.Revision {
		t.Errorf("one part = %+v, %v", same, err)
	}
	docs, err := s.SplitDocument(t.Context(), job.Document, was.Revision, parts)
	if err != nil {
		t.Fatal(err)
	}
	if len(docs) != 3 || docs[0].ID != job.Document || docs[0].Name != was.Name || docs[0].Revision != was.Revision+1 || docs[1].Name != "B" || docs[2].Name != "C" {
		t.Fatalf("SplitDocument = %+v", docs)
	}
	for i, d := range docs {
		stored, who, err := s.Document(t.Context(), d.ID)
		if err != nil || who != owner || !slices.Equal(stored.Pages, parts[i].Pages) || !d.Updated.Equal(c.now()) {
			t.Errorf("part %d: %+v of %s, %v", i, stored, who, err)
		}
	}
	// The separator is still there, and goes back where it was.
	edit := scan.DocumentEdit{Pages: &all}
	if back, err := s.EditDocument(t.Context(), job.Document, edit); err != nil || !slices.Equal(back.Pages, all) {
		t.Errorf("putting all back = %+v, %v", back, err)
	}
	if _, err := s.SplitDocument(t.Context(), scan.NewID(s.cfg.NodeID, scan.KindDocument), 1, parts); !errors.Is(err, problem.NotFound.Error()) {
		t.Errorf("a document that is not there: %v", err)
	}
}
