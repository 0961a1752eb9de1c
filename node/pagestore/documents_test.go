package pagestore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func ptr[T any](v T) *T { return &v }

func TestEditDocument(t *testing.T) {
	s, c := newStore(t)
	job := newJob(t, s)
	for range 3 {
		commitPage(t, s, job.ID, 50)
	}
	page := func(n, rotate int) scan.DocumentPage { return scan.DocumentPage{Job: job.ID, N: n, Rotate: rotate} }
	c.add(time.Hour)
	order := []scan.DocumentPage{page(3, 90), page(1, 0)}
	doc, err := s.EditDocument(t.Context(), job.Document, scan.DocumentEdit{Revision: ptr(4), Name: ptr("Contract"), Pages: &order})
	if err != nil || doc.Name != "Contract" || doc.Revision != 5 || !slices.Equal(doc.Pages, order) || !doc.Updated.Equal(c.now()) {
		t.Fatalf("EditDocument = %+v, %v", doc, err)
	}
	if stored, who, err := s.Document(t.Context(), job.Document); err != nil || who != owner || fmt.Sprint(stored) != fmt.Sprint(doc) {
		t.Errorf("Document = %+v, %v, want %+v", stored, err, doc)
	}
	c.add(time.Hour)
	if same, err := s.EditDocument(t.Context(), job.Document, scan.DocumentEdit{Name: ptr("Contract"), Pages: &order}); err != nil || fmt.Sprint(same) != fmt.Sprint(doc) {
		t.Errorf("an edit that changes nothing = %+v, %v, want revision and time as they were", same, err)
	}
	undo := []scan.DocumentPage{page(1, 0), page(2, 0), page(3, 0)}
	if doc, err := s.EditDocument(t.Context(), job.Document, scan.DocumentEdit{Pages: &undo}); err != nil || !slices.Equal(doc.Pages, undo) {
		t.Errorf("putting a page back = %+v, %v", doc, err)
	}
	if p, _ := commitPage(t, s, job.ID, 50); p.N != 4 {
		t.Fatal(p)
	}
	if doc, _, err := s.Document(t.Context(), job.Document); err != nil || len(doc.Pages) != 4 || doc.Pages[3] != page(4, 0) {
		t.Errorf("a page is not appended after an edit: %+v, %v", doc.Pages, err)
	}
}

func TestEditDocumentRefuses(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	commitPage(t, s, job.ID, 50)
	foreign := newJob(t, s, func(n *NewJob) { n.Owner = "another" })
	commitPage(t, s, foreign.ID, 50)
	w := begin(t, s, job.ID)
	defer w.Abort(nil)
	elsewhere := "aaaaaaaaaaaaaaaa" + job.ID[16:]
	pages := func(p ...scan.DocumentPage) scan.DocumentEdit { return scan.DocumentEdit{Pages: &p} }
	tests := []struct {
		name  string
		edit  scan.DocumentEdit
		code  problem.Code
		field string
	}{
		{"old revision", scan.DocumentEdit{Revision: ptr(1), Name: ptr("x")}, problem.RevisionConflict, "revision"},
		{"no name", scan.DocumentEdit{Name: ptr("")}, problem.BadRequest, "name"},
		{"twice", pages(scan.DocumentPage{Job: job.ID, N: 1}, scan.DocumentPage{Job: job.ID, N: 1, Rotate: 90}), problem.BadRequest, "pages[1]"},
		{"askew", pages(scan.DocumentPage{Job: job.ID, N: 1, Rotate: 45}), problem.BadRequest, "pages[0].rotate"},
		{"all round", pages(scan.DocumentPage{Job: job.ID, N: 1, Rotate: 360}), problem.BadRequest, "pages[0].rotate"},
		{"no job", pages(scan.DocumentPage{Job: "x", N: 1}), problem.BadID, "pages[0].job"},
		{"no page", pages(scan.DocumentPage{Job: job.ID, N: 7}), problem.NotFound, "pages[0]"},
		{"growing", pages(scan.DocumentPage{Job: job.ID, N: 2}), problem.PageNotReady, "pages[0]"},
		{"somebody else's", pages(scan.DocumentPage{Job: job.ID, N: 1}, scan.DocumentPage{Job: foreign.ID, N: 1}), problem.NotFound, "pages[1]"},
		{"another node's", pages(scan.DocumentPage{Job: elsewhere, N: 1}), problem.PagesElsewhere, "pages[0]"},
		{"too many", pages(make([]scan.DocumentPage, maxDocumentPages+1)...), problem.BadRequest, "pages"},
	}
	before, _, err := s.Document(t.Context(), job.Document)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		_, err := s.EditDocument(t.Context(), job.Document, tt.edit)
		wantProblem(t, tt.name, err, tt.code)
		if f := problem.From(err).Field; f != tt.field {
			t.Errorf("%s: field %q, want %q", tt.name, f, tt.field)
		}
	}
	if after, _, err := s.Document(t.Context(), job.Document); err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("refused edits made %+v of %+v", after, before)
	}
	_, err = s.EditDocument(t.Context(), scan.NewID(testNode, scan.KindDocument), scan.DocumentEdit{})
	wantProblem(t, "EditDocument of no document", err, problem.NotFound)
}

func TestCreateDocument(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	commitPage(t, s, job.ID, 50)
	pages := []scan.DocumentPage{{Job: job.ID, N: 1, Rotate: 180}}
	doc, err := s.CreateDocument(t.Context(), owner, scan.DocumentRequest{Name: "copy", Pages: pages})
	if err != nil || doc.Name != "copy" || doc.Revision != 1 || doc.Node != testNode || !slices.Equal(doc.Pages, pages) {
		t.Errorf("CreateDocument = %+v, %v", doc, err)
	}
	docs := count(t, s, "SELECT count(*) FROM documents")
	_, err = s.CreateDocument(t.Context(), "another", scan.DocumentRequest{Pages: pages})
	wantProblem(t, "CreateDocument of somebody else's pages", err, problem.NotFound)
	if n := count(t, s, "SELECT count(*) FROM documents"); n != docs {
		t.Errorf("a refused document was stored")
	}
}

func TestDeleteDocument(t *testing.T) {
	s, c := newStore(t)
	job := newJob(t, s)
	commitPage(t, s, job.ID, 50)
	commitPage(t, s, job.ID, 50)
	wantProblem(t, "DeleteDocument while a job scans into it", s.DeleteDocument(t.Context(), job.Document), problem.JobWrongState)
	setState(t, s, job.ID, scan.JobCompleted)
	keep, err := s.CreateDocument(t.Context(), owner, scan.DocumentRequest{Pages: []scan.DocumentPage{{Job: job.ID, N: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteDocument(t.Context(), job.Document); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Document(t.Context(), job.Document)
	wantProblem(t, "Document", err, problem.NotFound)
	wantProblem(t, "DeleteDocument again", s.DeleteDocument(t.Context(), job.Document), problem.NotFound)
	if n := count(t, s, "SELECT count(*) FROM pages WHERE unplaced > 0"); n != 1 {
		t.Errorf("%d pages are in no document, want 1", n)
	}
	if _, err := readPage(t, s, job.ID, 1); err != nil {
		t.Errorf("a page of a deleted document: %v, want it for ten minutes more", err)
	}
	c.add(keepForUndo)
	if swept := sweep(t, s); len(swept.Pages) != 1 || swept.Pages[0].N != 1 {
		t.Errorf("Sweep = %+v, want page 1 wiped", swept)
	}
	if _, err := readPage(t, s, job.ID, 2); err != nil {
		t.Errorf("a page that another document has: %v", err)
	}
	if d, _, err := s.Document(t.Context(), keep.ID); err != nil || len(d.Pages) != 1 {
		t.Errorf("the other document = %+v, %v", d, err)
	}
}

func TestDocuments(t *testing.T) {
	s, c := newStore(t)
	var want, everybodys []string
	for i := range 13 {
		if i%3 > 0 { // some at the same instant
			c.add(time.Second)
		}
		d, err := s.CreateDocument(t.Context(), []string{owner, owner, "another"}[i%3], scan.DocumentRequest{Name: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		everybodys = append(everybodys, d.ID)
		if i%3 < 2 {
			want = append(want, d.ID)
		}
	}
	for _, limit := range []int{0, 1, 2, 5, 13} {
		for who, want := range map[string][]string{owner: want, "": everybodys} {
			var got []string
			var last scan.Time
			for next, first := "", true; first || next != ""; first = false {
				docs, more, err := s.Documents(t.Context(), who, next, limit)
				if err != nil || docs == nil {
					t.Fatalf("Documents = %v, %v", docs, err)
				}
				for _, d := range docs {
					if !last.IsZero() && d.Updated.After(last.Time) {
						t.Errorf("a document of %v after one of %v", d.Updated, last)
					}
					last = d.Updated
					got = append(got, d.ID)
				}
				next = more
			}
			slices.Sort(got)
			sorted := slices.Sorted(slices.Values(want))
			if !slices.Equal(got, sorted) {
				t.Errorf("Documents of %q by %d = %v, want %v", who, limit, got, sorted)
			}
		}
	}
	c.add(time.Minute)
	if _, err := s.EditDocument(t.Context(), want[0], scan.DocumentEdit{Name: ptr("touched")}); err != nil {
		t.Fatal(err)
	}
	if docs, _, err := s.Documents(t.Context(), owner, "", 1); err != nil || docs[0].ID != want[0] {
		t.Errorf("the first of the documents = %+v, %v, want the one changed last", docs, err)
	}
}
