package node

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/node/seal"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func (n *Node) listPages(w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := access.Page(r)
	if err != nil {
		return err
	}
	job, _, err := n.jobOf(r)
	if err != nil {
		return err
	}
	pages, next, err := n.store.Pages(r.Context(), job.ID, cursor, limit)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, api.PageList{Items: pages, Next: next})
}

// pageNumber is that of the path, which the guard has checked.
func pageNumber(r *http.Request) int {
	n, _ := strconv.Atoi(r.PathValue("n"))
	return n
}

func (n *Node) ackPage(w http.ResponseWriter, r *http.Request) error {
	var ack scan.PageAck
	if err := access.ReadJSON(r, &ack); err != nil {
		return err
	}
	if sum, err := hex.DecodeString(ack.Digest); err != nil || len(sum) != sha256.Size {
		return problem.New(problem.BadRequest, "A digest is 64 hexadecimal digits.").At("digest")
	}
	job, owner, err := n.jobOf(r)
	if err != nil {
		return err
	}
	if owner != access.CallerOf(r.Context()).Subject {
		return problem.New(problem.PermissionDenied, "Only its owner says that a page has arrived.")
	}
	if err := n.store.Ack(r.Context(), job.ID, pageNumber(r), ack.Digest); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// getPage answers with a page, or a problem without the headers of one.
func (n *Node) getPage(w http.ResponseWriter, r *http.Request) error {
	err := n.sendPage(w, r)
	if err != nil {
		dropFileHeaders(w.Header())
	}
	return err
}

// dropFileHeaders takes back what was said of a file that does not come.
func dropFileHeaders(h http.Header) {
	for _, name := range []string{"Content-Disposition", "Repr-Digest", "Accept-Ranges", "Cache-Control", "Content-Length", seal.HeaderName, license.HeaderReceipt} {
		h.Del(name)
	}
}

// sendPage sends the image of a page: the stored bytes, also while they grow, or a
// rendition of a page that is whole.
func (n *Node) sendPage(w http.ResponseWriter, r *http.Request) error {
	job, _, err := n.jobOf(r)
	if err != nil {
		return err
	}
	to, err := n.sealedFor(r, job.Recipient)
	if err != nil {
		return err
	}
	want, err := parseWant(r)
	if err != nil {
		return err
	}
	page, _, err := n.store.Page(r.Context(), job.ID, pageNumber(r))
	if err != nil {
		return err
	}
	spec, err := want.spec(page)
	if err != nil {
		return err
	}
	if want.negotiated {
		w.Header().Add("Vary", "Accept")
	}
	if want.download {
		extension := pageExtensions[formatOf(page, spec)]
		if to != nil {
			extension += sealExtension
		}
		w.Header().Set("Content-Disposition", attachment(n.titleOf(r.Context(), job)+" "+strconv.Itoa(page.N), extension))
	}
	if spec != (imaging.Spec{}) {
		return n.sendRendition(w, r, to, page, spec)
	}
	reader, err := n.store.OpenPage(r.Context(), job.ID, page.N)
	if err != nil {
		return err
	}
	defer reader.Close()
	if to != nil {
		return n.sendSealedPage(w, r, to, reader)
	}
	h := w.Header()
	h.Set("Content-Type", page.Format.MediaType())
	h.Set("ETag", `"`+reader.Page().ID+`"`)
	if reader.Page().State == scan.PageGrowing {
		return n.sendGrowing(w, r, plainGrowing{reader})
	}
	if err := n.account(w, r); err != nil {
		return err
	}
	if f := reader.File(); f != nil {
		return sendCommitted(w, r, reader.Page().Digest, f)
	}
	return sendCommitted(w, r, reader.Page().Digest, io.NewSectionReader(reader, 0, reader.Page().Bytes))
}

// plainGrowing is a page that grows, as it is stored.
type plainGrowing struct{ *pagestore.PageReader }

func (p plainGrowing) Digest() string { return p.Page().Digest }

// sendCommitted sends the bytes of a page that is whole, or the part that is asked for.
// digest is their SHA-256; "" if it is not to be told.
func sendCommitted(w http.ResponseWriter, r *http.Request, digest string, content io.ReadSeeker) error {
	if sum, err := hex.DecodeString(digest); err == nil && len(sum) == sha256.Size {
		w.Header().Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":") // RFC 9530
	}
	return sendImmutable(w, r, content)
}

// sendImmutable sends what never changes under its ETag.
func sendImmutable(w http.ResponseWriter, r *http.Request, content io.ReadSeeker) error {
	w.Header().Set("Cache-Control", "private, max-age=86400, immutable")
	// Units that are not known are ignored (RFC 9110, section 14.2), and several ranges at
	// once, as it allows: a gateway passes on no answer of many parts. A list of one is one.
	if spec, isBytes := strings.CutPrefix(r.Header.Get("Range"), "bytes="); !isBytes || strings.Contains(strings.TrimSuffix(spec, ","), ",") {
		r.Header.Del("Range")
	}
	s := newStream(w, r)
	http.ServeContent(s, r, "", time.Time{}, content)
	if s.refused {
		return problem.RangeNotSatisfiable.Error()
	}
	return nil
}

// convertTime is how long a rendition may take.
const convertTime = 2 * time.Minute

// rendition opens another form of a page. It is made once and kept, under the name.
func (n *Node) rendition(ctx context.Context, page scan.Page, spec imaging.Spec) (f *os.File, name string, err error) {
	name = string(spec.Format)
	if spec.Width > 0 {
		name += "-w" + strconv.Itoa(spec.Width)
	}
	f, err = n.makeOnce(ctx, page, name, func(ctx context.Context, src *os.File, dst io.Writer) error {
		return n.workers.Convert(ctx, src, page.Format, spec, dst)
	})
	return f, name, err
}

// makeOnce opens what a worker makes of a page, and keeps it under the name. Others may
// wait for the same: making it does not end with ctx.
func (n *Node) makeOnce(ctx context.Context, page scan.Page, name string, make func(ctx context.Context, src *os.File, dst io.Writer) error) (*os.File, error) {
	return n.store.Rendition(ctx, page, name, func(src *os.File, dst io.Writer) error {
		ctx, cancel := context.WithTimeout(n.ctx, convertTime)
		defer cancel()
		select {
		case n.converting <- struct{}{}:
			defer func() { <-n.converting }()
		case <-ctx.Done():
			return ctx.Err()
		}
		return make(ctx, src, dst)
	})
}

// sendRendition sends another form of a page that is whole, sealed where there is a
// recipient.
func (n *Node) sendRendition(w http.ResponseWriter, r *http.Request, to *seal.Recipient, page scan.Page, spec imaging.Spec) error {
	f, name, err := n.rendition(r.Context(), page, spec)
	switch {
	case errors.Is(err, driver.ErrConvert):
		n.log.Warn("page cannot be converted", "page", page.ID, "to", name, "error", err)
		return problem.New(problem.FormatUnsupported, "This page cannot be had as %s; %s is how it is stored.", name, page.Format)
	case err != nil:
		return err
	}
	defer f.Close()
	if err := n.account(w, r); err != nil {
		return err
	}
	if to != nil {
		return n.sendSealedRendition(w, r, to, page, name, spec.Format.MediaType(), f)
	}
	w.Header().Set("Content-Type", spec.Format.MediaType())
	w.Header().Set("ETag", `"`+page.ID+"."+name+`"`)
	return sendImmutable(w, r, f)
}
