package pagestore

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// PageReader reads a page, also while it grows. It holds the bytes until Close,
// whatever happens to the page. Its methods may be called from several goroutines.
type PageReader struct {
	g     *growing // nil: f was opened for this reader
	f     *os.File
	page  scan.Page
	owner string
}

// OpenPage opens a page. Problems: page-not-ready for a growing page of unknown
// height, page-gone for one that was wiped, page-lost for one whose bytes are
// missing or not what they were; after an unclean shutdown the first reader has
// them checked.
func (s *Store) OpenPage(ctx context.Context, job string, n int) (*PageReader, error) {
	if g := s.growingPage(job); g != nil && g.number == n {
		if !g.served {
			return nil, problem.PageNotReady.Error()
		}
		if g.hold() {
			return &PageReader{g: g, f: g.file, owner: g.owner}, nil
		}
	}
	f, p, owner, err := s.openCommitted(ctx, job, n)
	if err != nil {
		return nil, readError(ctx, "opening a page", err)
	}
	return &PageReader{f: f, page: p.Page, owner: owner}, nil
}

// openCommitted opens the file of a page that is whole.
func (s *Store) openCommitted(ctx context.Context, job string, n int) (*os.File, pageRow, string, error) {
	p, owner, err := loadPage(s.index.view(ctx), job, n)
	if err != nil {
		return nil, p, "", err
	}
	switch p.State {
	case scan.PageWiped:
		return nil, p, "", problem.PageGone.Error()
	case scan.PageLost:
		return nil, p, "", problem.PageLost.Error()
	}
	f, fi, err := s.disk.open(pageFile(p.Page))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNotRegular):
		return nil, p, "", s.lose(ctx, p.Page, err)
	case err != nil:
		return nil, p, "", err
	case fi.Size() != p.Bytes:
		err = s.lose(ctx, p.Page, errors.New("the file has another size"))
	case p.epoch < s.epoch:
		err = s.verify(ctx, p.Page, f)
	}
	if err != nil {
		f.Close()
		return nil, p, "", err
	}
	return f, p, owner, nil
}

// Page is the page as it is now.
func (r *PageReader) Page() scan.Page {
	if r.g != nil {
		return r.g.snapshot()
	}
	return r.page
}

// Owner is the subject that the page belongs to.
func (r *PageReader) Owner() string { return r.owner }

// ReadAt reads as io.ReaderAt does. On a growing page io.EOF means that there is
// no more yet: Size tells whether there ever will be. ErrPageFailed once it was
// aborted.
func (r *PageReader) ReadAt(p []byte, off int64) (int, error) {
	if r.g != nil {
		return r.g.readAt(p, off)
	}
	return r.f.ReadAt(p, off)
}

// Size is how many bytes can be read now, and whether the page is committed. err
// is ErrPageFailed once it was aborted.
func (r *PageReader) Size() (n int64, done bool, err error) {
	if r.g != nil {
		return r.g.size()
	}
	return r.page.Bytes, true, nil
}

// Wait blocks until there are more than beyond bytes, or the page is committed
// (nil), or it is aborted (ErrPageFailed), or ctx ends.
func (r *PageReader) Wait(ctx context.Context, beyond int64) error {
	if r.g != nil {
		return r.g.wait(ctx, beyond)
	}
	return nil
}

// File is the page's file, positioned at its start, for handing to the kernel as a
// whole (sendfile); nil if the page was still growing when it was opened. Close
// closes it.
func (r *PageReader) File() *os.File {
	if r.g != nil {
		return nil
	}
	return r.f
}

// Close lets the bytes go. It is called once.
func (r *PageReader) Close() error {
	if r.g != nil {
		return r.g.letGo()
	}
	return r.f.Close()
}

var _ io.ReaderAt = (*PageReader)(nil)
