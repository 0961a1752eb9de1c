package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"unicode/utf8"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/node/document"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/node/seal"
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

// container is a file format of whole documents.
type container struct {
	mediaType, extension string
	write                func(context.Context, io.Writer, document.Meta, []document.Page) error
}

var containers = map[string]container{
	"pdf":  {"application/pdf", ".pdf", document.WritePDF},
	"tiff": {"image/tiff", ".tif", document.WriteTIFF},
	"zip":  {"application/zip", ".zip", document.WriteZIP},
	"txt":  {"text/plain", ".txt", document.WriteText},
}

// getDocumentContent sends all pages of a document as one file, written as it goes.
func (n *Node) getDocumentContent(w http.ResponseWriter, r *http.Request) error {
	doc, _, err := n.documentOf(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	format := "pdf"
	if q.Has("format") {
		format = q.Get("format")
	}
	file, ok := containers[format]
	if !ok {
		return problem.New(problem.FormatUnsupported, "A document can be had as pdf, tiff, zip or txt.").At("format")
	}
	download, err := boolean(q, "download")
	if err != nil {
		return err
	}
	languages, err := languagesOf(r, "ocr")
	if err == nil {
		err = n.checkTexts(r, format, languages)
	}
	if err != nil {
		return err
	}
	to, err := n.documentFor(r, doc)
	if err != nil {
		return err
	}
	pages, tag, err := n.documentPages(r.Context(), doc, format, languages)
	if err != nil {
		return err
	}
	extension := file.extension
	if to != nil {
		extension += sealExtension
	}
	h := w.Header()
	if download {
		h.Set("Content-Disposition", attachment(doc.Name, extension))
	}
	answer := newStream(w, r)
	body := io.WriteCloser(wholeBody{answer})
	if languages != "" {
		n.documentTexts(doc, pages, languages, answer)
	}
	if to == nil {
		etag := `"` + tag + `"`
		h.Set("ETag", etag)
		h.Set("Cache-Control", "private, no-cache")
		if r.Header.Get("If-None-Match") == etag {
			h.Del("Content-Disposition")
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		kind := file.mediaType
		if format == "txt" {
			kind += "; charset=utf-8"
		}
		h.Set("Content-Type", kind)
	} else {
		// It is written as it goes, so nobody knows yet what the key will seal: it is for
		// this answer only.
		key, name := seal.NewKey(), seal.Name{Node: n.id, Object: doc.ID, Version: tag, Form: format}
		if err := sealedHeaders(h, to, key, name, tag, file.mediaType); err != nil {
			return err
		}
		h.Set("Cache-Control", "private, no-store")
		body = seal.NewWriter(key, body)
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	meta := document.Meta{Title: doc.Name, Created: doc.Updated.Time}
	err = file.write(r.Context(), body, meta, pages)
	if err == nil {
		err = body.Close()
	}
	if err != nil {
		dropFileHeaders(h) // the first page may fail before a byte was written
		return fmt.Errorf("writing document %s as %s: %w", doc.ID, format, err)
	}
	return nil
}

// wholeBody needs no end of its own.
type wholeBody struct{ *stream }

func (wholeBody) Close() error { return nil }

// documentPages are a document's pages for writing, and the tag of what is written:
// the same pages, name and time give the same bytes.
func (n *Node) documentPages(ctx context.Context, doc scan.Document, format, languages string) ([]document.Page, string, error) {
	if len(doc.Pages) == 0 {
		return nil, "", problem.New(problem.PageNotReady, "The document has no page yet.")
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s %d %q", doc.ID, format, doc.Revision, doc.Name)
	if languages != "" {
		fmt.Fprintf(sum, " %s %s", languages, n.texts.State(ctx).Version)
	}
	pages := make([]document.Page, 0, len(doc.Pages))
	for _, at := range doc.Pages {
		p, _, err := n.store.Page(ctx, at.Job, at.N)
		if err != nil {
			return nil, "", err
		}
		switch p.State {
		case scan.PageWiped:
			return nil, "", problem.New(problem.PageGone, "Page %d of the scan is gone.", at.N)
		case scan.PageLost:
			return nil, "", problem.New(problem.PageLost, "Page %d of the scan is lost.", at.N)
		case scan.PageGrowing:
			return nil, "", problem.PageNotReady.Error()
		case scan.PageCommitted, scan.PageDelivered:
		}
		fmt.Fprintf(sum, " %s/%d", p.ID, at.Rotate)
		pages = append(pages, document.Page{
			Open:   func() (io.ReadSeekCloser, error) { return n.openStored(ctx, p) },
			Format: p.Format, Mode: p.Mode, Depth: p.Depth, Width: p.Width, Height: p.Height, Resolution: p.Resolution,
			Rotate: at.Rotate,
		})
	}
	return pages, hex.EncodeToString(sum.Sum(nil)[:16]), nil
}

// openStored opens the file of a committed page.
func (n *Node) openStored(ctx context.Context, p scan.Page) (io.ReadSeekCloser, error) {
	reader, err := n.store.OpenPage(ctx, p.Job, p.N)
	if err != nil {
		return nil, err
	}
	if f := reader.File(); f != nil {
		return f, nil
	}
	return &section{io.NewSectionReader(reader, 0, p.Bytes), reader}, nil // committed a moment ago
}

// section is a page that was opened while it grew.
type section struct {
	*io.SectionReader
	page *pagestore.PageReader
}

func (s *section) Close() error { return s.page.Close() }
