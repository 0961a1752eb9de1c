package node

import (
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const maxDocumentPages = 3000

func (n *Node) listDocuments(w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := access.Page(r)
	if err != nil {
		return err
	}
	owner := ""
	if c := access.CallerOf(r.Context()); !c.May(api.RoleOperator) {
		owner = c.Subject
	}
	docs, next, err := n.store.Documents(r.Context(), owner, cursor, limit)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, api.DocumentList{Items: docs, Next: next})
}

func (n *Node) createDocument(w http.ResponseWriter, r *http.Request) error {
	var request scan.DocumentRequest
	if err := access.ReadJSON(r, &request); err != nil {
		return err
	}
	if request.Node != "" && request.Node != n.id {
		return problem.New(problem.PagesElsewhere, "This is another node.").At("node")
	}
	if err := checkDocument(request.Name, request.Pages); err != nil {
		return err
	}
	owner := access.CallerOf(r.Context()).Subject
	doc, err := n.store.CreateDocument(r.Context(), owner, request)
	if err != nil {
		return err
	}
	n.announceDocument(doc, owner)
	w.Header().Set("Location", "/api/v1/documents/"+doc.ID)
	return access.WriteJSON(w, http.StatusCreated, doc)
}

// checkDocument judges what a client sent against the contract.
func checkDocument(name string, pages []scan.DocumentPage) error {
	if utf8.RuneCountInString(name) > maxName {
		return problem.New(problem.BadRequest, "A name has at most %d characters.", maxName).At("name")
	}
	if len(pages) > maxDocumentPages {
		return problem.New(problem.BadRequest, "A document has at most %d pages.", maxDocumentPages).At("pages")
	}
	for i, p := range pages {
		at := fmt.Sprintf("pages.%d.", i)
		if _, kind, err := scan.ParseID(p.Job); err != nil || kind != scan.KindJob {
			return problem.BadID.Error().At(at + "job")
		}
		if p.N < 1 {
			return problem.New(problem.BadRequest, "Pages are numbered from 1.").At(at + "n")
		}
		if p.Rotate%90 != 0 || p.Rotate < 0 || p.Rotate > 270 {
			return problem.New(problem.BadRequest, "It is 0, 90, 180 or 270.").At(at + "rotate")
		}
	}
	return nil
}

// documentOf finds the document in the path, if the caller may see it.
func (n *Node) documentOf(r *http.Request) (doc scan.Document, owner string, err error) {
	doc, owner, err = n.store.Document(r.Context(), r.PathValue("document"))
	if err != nil {
		return scan.Document{}, "", err
	}
	if !access.CallerOf(r.Context()).Sees(owner) {
		return scan.Document{}, "", problem.NotFound.Error()
	}
	return doc, owner, nil
}

func (n *Node) getDocument(w http.ResponseWriter, r *http.Request) error {
	doc, _, err := n.documentOf(r)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, doc)
}

func (n *Node) editDocument(w http.ResponseWriter, r *http.Request) error {
	var edit scan.DocumentEdit
	if err := access.ReadJSON(r, &edit); err != nil {
		return err
	}
	if edit.Name != nil {
		if err := checkDocument(*edit.Name, nil); err != nil {
			return err
		}
	}
	if edit.Pages != nil {
		if err := checkDocument("", *edit.Pages); err != nil {
			return err
		}
	}
	was, owner, err := n.documentOf(r)
	if err != nil {
		return err
	}
	doc, err := n.store.EditDocument(r.Context(), was.ID, edit)
	if err != nil {
		return err
	}
	if doc.Revision != was.Revision {
		n.announceDocument(doc, owner)
	}
	return access.WriteJSON(w, http.StatusOK, doc)
}

func (n *Node) deleteDocument(w http.ResponseWriter, r *http.Request) error {
	doc, _, err := n.documentOf(r)
	if err != nil {
		return err
	}
	if err := n.store.DeleteDocument(r.Context(), doc.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// announceDocument tells those who may know that a document was edited.
func (n *Node) announceDocument(doc scan.Document, owner string) {
	n.hub.publish(notice{event: &scan.Event{Type: scan.EventDocument, Document: &doc}, owner: owner})
}
