package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"

	"github.com/platen-scan/platen/node/document"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/node/seal"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

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

// wantedContent is the file in which a client asks for a document.
type wantedContent struct {
	container
	format    string
	languages string // to read its pages in; "": they are not read
	download  bool
}

func (n *Node) parseWantedContent(r *http.Request) (want wantedContent, err error) {
	q := r.URL.Query()
	want.format = "pdf"
	if q.Has("format") {
		want.format = q.Get("format")
	}
	var known bool
	if want.container, known = containers[want.format]; !known {
		return want, problem.New(problem.FormatUnsupported, "A document can be had as pdf, tiff, zip or txt.").At("format")
	}
	if want.download, err = boolean(q, "download"); err != nil {
		return want, err
	}
	if want.languages, err = languagesOf(r, "ocr"); err != nil {
		return want, err
	}
	return want, n.checkTexts(r, want.format, want.languages)
}

// getDocumentContent sends all pages of a document as one file, written as it goes.
func (n *Node) getDocumentContent(w http.ResponseWriter, r *http.Request) error {
	doc, _, err := n.documentOf(r)
	if err != nil {
		return err
	}
	want, err := n.parseWantedContent(r)
	if err != nil {
		return err
	}
	to, err := n.documentFor(r, doc)
	if err != nil {
		return err
	}
	pages, tag, err := n.documentPages(r.Context(), doc, want.format, want.languages)
	if err != nil {
		return err
	}
	h := w.Header()
	answer := newStream(w, r)
	body := io.WriteCloser(wholeBody{answer})
	if to == nil {
		etag := `"` + tag + `"`
		h.Set("ETag", etag)
		h.Set("Cache-Control", "private, no-cache")
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		kind := want.mediaType
		if want.format == "txt" {
			kind += "; charset=utf-8"
		}
		h.Set("Content-Type", kind)
	} else {
		// It is written as it goes, so nobody knows yet what the key will seal: it is for
		// this answer only.
		key, name := seal.NewKey(), seal.Name{Node: n.id, Object: doc.ID, Version: tag, Form: want.format}
		if err := sealedHeaders(h, to, key, name, tag, want.mediaType); err != nil {
			return err
		}
		h.Set("Cache-Control", "private, no-store")
		want.extension += sealExtension
		body = seal.NewWriter(key, body)
	}
	if want.download {
		h.Set("Content-Disposition", attachment(doc.Name, want.extension))
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if want.languages != "" {
		n.documentTexts(doc, pages, want.languages, answer)
	}
	err = want.write(r.Context(), body, document.Meta{Title: doc.Name, Created: doc.Updated.Time}, pages)
	if err == nil {
		err = body.Close()
	}
	if err != nil {
		dropFileHeaders(h) // the first page may fail before a byte was written
		return fmt.Errorf("writing document %s as %s: %w", doc.ID, want.format, err)
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
