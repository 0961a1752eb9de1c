package airscan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/platen-scan/platen/node/document"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/scan"
)

// file is what a client gets.
type file struct {
	io.ReadCloser
	size int64 // -1: not known
}

// open opens a file of a job.
func (s *Server) open(ctx context.Context, j *job, n int) (*file, error) {
	if j.order.Format == escl.PDF {
		t, err := s.makePDF(ctx, j, n)
		if err != nil {
			return nil, err
		}
		return &file{t, t.size}, nil
	}
	res, err := j.api.GetPage(ctx, j.id, n, &api.GetPageParams{Format: new(formats[j.order.Format])})
	if err := api.Accept(res, err); err != nil {
		return nil, err
	}
	return &file{res.Body, lengthOf(res)}, nil
}

var formats = map[string]scan.Format{escl.JPEG: scan.FormatJPEG, escl.PNG: scan.FormatPNG, escl.TIFF: scan.FormatTIFF}

func lengthOf(res *http.Response) int64 {
	if n, err := strconv.ParseInt(res.Header.Get("Content-Length"), 10, 64); err == nil {
		return n
	}
	return res.ContentLength
}

// sendPart answers a request that may have a Range.
func (s *Server) sendPart(w http.ResponseWriter, r *http.Request, j *job, n int) error {
	h := w.Header()
	if j.order.Format == escl.PDF {
		t, err := s.makePDF(r.Context(), j, n)
		if err != nil {
			return err
		}
		defer t.Close()
		h.Set("Content-Type", escl.PDF)
		h.Set("ETag", fmt.Sprintf(`"%s.%d"`, j.uuid, n))
		http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(t, 0, t.size))
		return nil
	}
	params := &api.GetPageParams{Format: new(formats[j.order.Format])}
	if v := r.Header.Get("Range"); v != "" {
		params.Range = &v
	}
	if v := r.Header.Get("If-Range"); v != "" {
		params.IfRange = &v
	}
	res, err := j.api.GetPage(r.Context(), j.id, n, params)
	if res != nil {
		for _, name := range []string{"Content-Type", "Content-Range", "Content-Length", "ETag", "Accept-Ranges"} {
			if v := res.Header.Get(name); v != "" {
				h.Set(name, v)
			}
		}
	}
	if err := api.Accept(res, err); err != nil {
		return err
	}
	defer res.Body.Close()
	w.WriteHeader(res.StatusCode)
	if err := send(w, &file{res.Body, lengthOf(res)}); err != nil {
		return errBroken
	}
	return nil
}

// makePDF makes a PDF file of a page, or fetches that of all pages.
func (s *Server) makePDF(ctx context.Context, j *job, n int) (*temporary, error) {
	select {
	case s.spooling <- struct{}{}:
		defer func() { <-s.spooling }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if j.order.Concat {
		j.mu.Lock()
		document := j.told.Document
		j.mu.Unlock()
		format := api.GetDocumentContentParamsFormat("pdf")
		return s.fetch(j.api.GetDocumentContent(ctx, document, &api.GetDocumentContentParams{Format: &format}))
	}
	page, err := s.page(ctx, j, n)
	if err != nil {
		return nil, err
	}
	image, err := s.fetch(j.api.GetPage(ctx, j.id, n, &api.GetPageParams{Format: &page.Format}))
	if err != nil {
		return nil, err
	}
	defer image.Close()
	pages := []document.Page{{
		Open: func() (io.ReadSeekCloser, error) {
			return struct {
				io.ReadSeeker
				io.Closer
			}{io.NewSectionReader(image, 0, image.size), io.NopCloser(nil)}, nil
		},
		Format: page.Format, Mode: page.Mode, Depth: page.Depth, Width: page.Width, Height: page.Height, Resolution: page.Resolution,
	}}
	// The same page gives the same bytes, so that parts of it fit together.
	return s.spool(func(w io.Writer) error {
		return document.WritePDF(ctx, w, document.Meta{Title: "Scan", Created: page.Committed.Time}, pages)
	})
}

// page is what the node told of a committed page, or tells now.
func (s *Server) page(ctx context.Context, j *job, n int) (scan.Page, error) {
	params := &api.ListPagesParams{Limit: new(200)} // the most that the API gives
	for {
		j.mu.Lock()
		page, ok := j.pages[n]
		j.mu.Unlock()
		if ok {
			return page, nil
		}
		list, err := api.Decode[api.PageList](j.api.ListPages(ctx, j.id, params))
		if err != nil {
			return scan.Page{}, err
		}
		j.mu.Lock()
		for _, p := range list.Items {
			if p.State != scan.PageGrowing {
				j.pages[p.N] = p
			}
		}
		_, ok = j.pages[n]
		j.mu.Unlock()
		if !ok && list.Next == "" {
			return scan.Page{}, fmt.Errorf("page %d is not in the list of its job", n)
		}
		params.Cursor = &list.Next
	}
}

// temporary is a file that is gone when it is closed.
type temporary struct {
	*os.File
	size int64
}

func (t *temporary) Close() error {
	err := t.File.Close()
	_ = os.Remove(t.Name()) // where that was not possible while it was open
	return err
}

// maxSpool is how large a temporary file may be.
const maxSpool = 2 << 30

// errSpool is what keeps a file from being made here.
var errSpool = errors.New("making a file for an eSCL client")

// fetch keeps the body of an answer.
func (s *Server) fetch(res *http.Response, err error) (*temporary, error) {
	if err := api.Accept(res, err); err != nil {
		return nil, err
	}
	defer res.Body.Close()
	want := lengthOf(res)
	if want > maxSpool {
		return nil, fmt.Errorf("%w: it has %d bytes", errSpool, want)
	}
	var broke error
	t, err := s.spool(func(w io.Writer) error {
		n, err := io.Copy(w, &noting{res.Body, &broke})
		if err == nil && want >= 0 && n != want {
			err, broke = io.ErrUnexpectedEOF, io.ErrUnexpectedEOF
		}
		return err
	})
	if broke != nil {
		return nil, fmt.Errorf("fetching a page: %w", broke)
	}
	return t, err
}

// noting keeps the error of a reader apart from that of who copies it.
type noting struct {
	r   io.Reader
	err *error
}

func (n *noting) Read(b []byte) (int, error) {
	m, err := n.r.Read(b)
	if err != nil && err != io.EOF {
		*n.err = err
	}
	return m, err
}

// spool makes a temporary file. It is at its beginning.
func (s *Server) spool(fill func(io.Writer) error) (*temporary, error) {
	f, err := os.CreateTemp(s.cfg.Spool, "escl-*")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSpool, err)
	}
	t := &temporary{File: f}
	_ = os.Remove(f.Name()) // nothing is left behind whatever happens; not every system can
	if err := fill(&bounded{f, maxSpool}); err != nil {
		t.Close()
		return nil, fmt.Errorf("%w: %w", errSpool, err)
	}
	if t.size, err = f.Seek(0, io.SeekCurrent); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("%w: %w", errSpool, err)
	}
	return t, nil
}

// bounded refuses what would be too much.
type bounded struct {
	w    io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errors.New("it is too large")
	}
	return b.w.Write(p)
}
