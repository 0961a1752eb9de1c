package pagestore

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// maxRenditions is how many renditions of one page are kept; the oldest goes.
const maxRenditions = 16

// renditionMark precedes the name of the specification in a rendition's file name.
const renditionMark = ".r"

// renditions knows the rendition files of this process. They can be made again, so
// they are not synced and every start removes those it finds.
type renditions struct {
	making flights

	mu    sync.Mutex
	pages map[string]map[string]*pageRenditions // by job, then page ID
}

type pageRenditions struct {
	names   []string // oldest first
	making  int
	dropped bool // the page was wiped while one was made
}

// Rendition opens the file that make once wrote for the page and specification, and
// has it made if there is none: once, however many ask. make reads src, the master,
// from its start. It runs in the caller's goroutine and its error is returned. The
// page must be committed: problem page-not-ready if not, else those of OpenPage.
func (s *Store) Rendition(ctx context.Context, page scan.Page, spec string, make func(src *os.File, dst io.Writer) error) (*os.File, error) {
	if page.State == scan.PageGrowing {
		return nil, problem.PageNotReady.Error()
	}
	sum := sha256.Sum256([]byte(spec))
	name := page.Job + "/" + page.ID + renditionMark + hex.EncodeToString(sum[:12])
	for {
		if s.renditions.has(page, name) {
			f, _, err := s.disk.open(name)
			if err == nil {
				return f, nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return nil, storageError("opening a rendition", err)
			}
			s.renditions.remove(page, name) // evicted a moment ago, or removed by somebody else
		}
		if err := s.renditions.making.do(ctx, name, func() error { return s.makeRendition(ctx, page, name, make) }); err != nil {
			return nil, err
		}
	}
}

func (s *Store) makeRendition(ctx context.Context, page scan.Page, name string, make func(src *os.File, dst io.Writer) error) (err error) {
	if s.renditions.has(page, name) {
		return nil
	}
	s.renditions.begin(page)
	defer func() {
		evicted, gone := s.renditions.end(page, name, err == nil)
		if gone {
			err = problem.PageGone.Error() // whatever else failed, this is why
		}
		if err != nil {
			evicted = append(evicted, name, name+partSuffix)
		}
		for _, old := range evicted {
			if e := s.disk.remove(old); e != nil {
				s.log.Warn("removing a rendition failed", "error", e)
			}
		}
	}()
	src, row, _, err := s.openCommitted(ctx, page.Job, page.N)
	if err != nil {
		return readError(ctx, "opening a page", err)
	}
	defer src.Close()
	if row.ID != page.ID {
		return problem.PageGone.Error()
	}
	if err := s.keepReserve(); err != nil {
		return storageError("making a rendition", err)
	}
	if err := s.writeRendition(name, src, make); err != nil {
		if diskFull(err) {
			return storageError("making a rendition", err)
		}
		return fmt.Errorf("making a rendition: %w", err)
	}
	return nil
}

func (s *Store) writeRendition(name string, src *os.File, make func(src *os.File, dst io.Writer) error) error {
	part := name + partSuffix
	f, err := s.disk.create(part)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(f, 64<<10)
	if err = make(src, b); err == nil {
		err = b.Flush()
	}
	if fi, e := f.Stat(); err == nil && (e != nil || fi.Size() == 0) {
		err = errors.Join(e, errors.New("nothing was written"))
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return s.disk.rename(part, name)
}

func (r *renditions) has(p scan.Page, name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.pages[p.Job][p.ID]
	return e != nil && slices.Contains(e.names, name)
}

// begin notes that a file is being made, so that a wipe in the meantime is noticed.
func (r *renditions) begin(p scan.Page) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pages == nil {
		r.pages = map[string]map[string]*pageRenditions{}
	}
	if r.pages[p.Job] == nil {
		r.pages[p.Job] = map[string]*pageRenditions{}
	}
	e := r.pages[p.Job][p.ID]
	if e == nil {
		e = &pageRenditions{}
		r.pages[p.Job][p.ID] = e
	}
	e.making++
}

// end notes the file, if it was made, and returns those that must make room for
// it, or that the page was wiped meanwhile.
func (r *renditions) end(p scan.Page, name string, made bool) (evicted []string, gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.pages[p.Job][p.ID]
	e.making--
	gone = e.dropped
	if made && !gone {
		e.names = append(e.names, name)
		if over := len(e.names) - maxRenditions; over > 0 {
			evicted = slices.Clone(e.names[:over])
			e.names = slices.Delete(e.names, 0, over)
		}
	}
	r.tidyLocked(p.Job, p.ID)
	return evicted, gone
}

func (r *renditions) remove(p scan.Page, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.pages[p.Job][p.ID]; e != nil {
		e.names = slices.DeleteFunc(e.names, func(n string) bool { return n == name })
		r.tidyLocked(p.Job, p.ID)
	}
}

// drop forgets the renditions of a page, or of all pages of a job for "", and
// returns their names for removal.
func (r *renditions) drop(job, page string) (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, e := range r.pages[job] {
		if page == "" || id == page {
			names = append(names, e.names...)
			e.names, e.dropped = nil, true
			r.tidyLocked(job, id)
		}
	}
	return names
}

func (r *renditions) tidyLocked(job, page string) {
	if e := r.pages[job][page]; e != nil && e.making == 0 && len(e.names) == 0 {
		delete(r.pages[job], page)
		if len(r.pages[job]) == 0 {
			delete(r.pages, job)
		}
	}
}
