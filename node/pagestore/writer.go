package pagestore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	partSuffix = ".part" // of a file that is no page yet
	pieceSize  = 256 << 10
	roomEvery  = 8 << 20 // bytes between looks at the free disk space
)

var errPageOver = errors.New("page was committed or aborted before")

// PageStart describes a page before its first byte.
type PageStart struct {
	Job        string
	Format     scan.Format // master format
	Mode       scan.ColorMode
	Depth      int // bits per sample
	Resolution int // dots per inch
	Width      int // pixels
	Height     int // pixels; 0: known at Commit, and nobody reads the page before
	Side       scan.Side
}

// PageWriter takes the bytes of one page. One goroutine uses it, and ends it with
// Commit or Abort. A failure of any method but Abort aborts the page.
type PageWriter struct {
	s        *Store
	g        *growing
	document string
	terms    terms
	left     int64  // pages that the job may have beyond the committed one
	name     string // present name of the file; empty: not to be removed
	hash     hash.Hash
	ends     ends
	patched  bool
	roomAt   int64
	over     bool
}

// BeginPage starts the next page of a job that has not ended. A job has one page
// under way at most.
func (s *Store) BeginPage(ctx context.Context, p PageStart) (*PageWriter, error) {
	if !p.Format.Master() || p.Width <= 0 || p.Height < 0 || p.Depth <= 0 || p.Resolution <= 0 {
		return nil, fmt.Errorf("beginning a page: %w: %+v", ErrBadPage, p)
	}
	if err := s.mayBegin(p.Job); err != nil {
		return nil, err
	}
	job, err := s.loadJob(s.index.view(ctx), p.Job)
	if err != nil {
		return nil, readError(ctx, "beginning a page", err)
	}
	if job.State.Terminal() {
		return nil, problem.New(problem.JobWrongState, "The scan is %s.", job.State)
	}
	page := scan.Page{
		ID: scan.NewID(s.cfg.NodeID, scan.KindPage), Job: p.Job, N: job.Pages + 1, State: scan.PageGrowing,
		Side: p.Side, Format: p.Format, Mode: p.Mode, Depth: p.Depth, Resolution: p.Resolution,
		Width: p.Width, Height: p.Height, Started: s.now(),
	}
	w := &PageWriter{s: s, document: job.Document, terms: job.terms(), hash: sha256.New(), name: p.Job + "/" + page.ID + partSuffix}
	w.g = &growing{job: p.Job, number: page.N, owner: job.owner, served: p.Height > 0, page: page, refs: 1}
	if err := w.openFile(p.Job); err != nil {
		return nil, s.noteError("beginning a page", err)
	}
	s.mu.Lock()
	taken, closed := s.growing[p.Job] != nil, s.closed
	if !taken && !closed {
		s.growing[p.Job] = w.g
	}
	s.mu.Unlock()
	if taken || closed {
		w.discard()
		return nil, s.mayBegin(p.Job)
	}
	return w, nil
}

func (s *Store) mayBegin(job string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.growing[job] != nil {
		return fmt.Errorf("job %s has a page under way", job)
	}
	return nil
}

func (w *PageWriter) openFile(dir string) error {
	if _, err := w.s.disk.mkdir(dir); err != nil {
		return err
	}
	f, err := w.s.disk.create(w.name)
	w.g.file = f
	return err
}

// Page is the page as it is now.
func (w *PageWriter) Page() scan.Page { return w.g.snapshot() }

// Left is how many more pages the job may have under its licence once this one is
// committed; false where none are counted.
func (w *PageWriter) Left() (n int64, counted bool) { return max(w.left, 0), w.left != unlimited }

// SetLines says how many rows have been scanned.
func (w *PageWriter) SetLines(n int) {
	w.g.mu.Lock()
	w.g.page.Lines = n
	w.g.mu.Unlock()
}

// Write appends; readers may have the bytes when it returns. Problem disk-low
// once half of the reserve is used up.
func (w *PageWriter) Write(p []byte) (int, error) {
	total := 0
	for len(p) > 0 {
		n, err := w.append(p[:min(len(p), pieceSize)])
		total += n
		if err != nil {
			return total, err
		}
		p = p[n:]
	}
	return total, nil
}

func (w *PageWriter) append(p []byte) (int, error) {
	if err := w.usable(); err != nil {
		return 0, err
	}
	n, err := w.s.disk.write(w.g.file, w.name, p)
	if err != nil {
		return n, w.broken("writing a page", err)
	}
	w.hash.Write(p)
	w.ends.write(p)
	w.g.grew(n)
	if w.ends.n-w.roomAt >= roomEvery {
		w.roomAt = w.ends.n
		if err := w.s.keepReserve(); err != nil {
			return n, w.broken("writing a page", err)
		}
	}
	return n, nil
}

// keepReserve stops a page before it takes the room that the index needs.
func (s *Store) keepReserve() error {
	free, _, err := room(s.spool)
	if err == nil && free < s.cfg.Reserve/2 {
		return problem.New(problem.DiskLow, "%d MiB of disk are free.", free>>20)
	}
	return err
}

// Patch overwrites bytes already written, as an encoder must that learns the
// height last. Only a page that was begun without Height can be patched.
func (w *PageWriter) Patch(offset int64, p []byte) error {
	if err := w.usable(); err != nil {
		return err
	}
	if w.g.served || offset < 0 || offset+int64(len(p)) > w.ends.n {
		return w.broken("patching a page", fmt.Errorf("%w: bytes %d to %d may not be changed", ErrBadPage, offset, offset+int64(len(p))))
	}
	if err := w.s.disk.try(opWrite, w.name); err != nil {
		return w.broken("patching a page", err)
	}
	if _, err := w.g.file.WriteAt(p, offset); err != nil {
		return w.broken("patching a page", err)
	}
	w.patched = true
	return nil
}

func (w *PageWriter) usable() error {
	if w.over {
		return errPageOver
	}
	return w.g.failure()
}

// broken aborts the page because of err and names it.
func (w *PageWriter) broken(doing string, err error) error {
	if !errors.Is(err, ErrBadPage) {
		err = w.s.noteError(doing, err)
	}
	w.Abort(err)
	return err
}

// Abort makes the page no page: its readers are told, its file is removed. It does
// nothing after Commit or Abort.
func (w *PageWriter) Abort(reason error) {
	if w.over {
		return
	}
	if reason == nil {
		reason = errors.New("no reason given")
	}
	w.over = true
	w.g.fail(reason)
	w.s.forget(w.g)
	w.discard()
}

// discard gives the file up.
func (w *PageWriter) discard() {
	if err := w.g.letGo(); err != nil {
		w.s.log.Warn("closing an aborted page failed", "file", w.name, "error", err)
	}
	if w.name == "" {
		return
	}
	if err := w.s.disk.remove(w.name); err != nil {
		w.s.log.Warn("removing an aborted page failed", "file", w.name, "error", err)
	}
}

// forget takes a page off the list of growing ones.
func (s *Store) forget(g *growing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.growing[g.job] == g {
		delete(s.growing, g.job)
	}
}
