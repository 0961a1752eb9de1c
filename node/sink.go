package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/scan"
)

// progressEvery bounds how often a page's growth is announced.
const progressEvery = 200 * time.Millisecond

// sink takes the pages of a run into the store and announces them. The worker calls
// it from one goroutine; shut comes from the device's actor. Its lock is held while a
// page is committed: who shuts the sink waits for that, so a page is either there
// before its job is canceled, or never.
type sink struct {
	d     *device
	run   *run
	owner string

	mu     sync.Mutex
	job    scan.Job // as it is announced while it runs
	page   *pageSink
	closed error // why no page may begin or be committed any more
	failed error // the first error of the store
}

// PageStarted begins a page in the store.
func (s *sink) PageStarted(info driver.PageInfo) (driver.PageSink, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed != nil {
		return nil, s.closed
	}
	w, err := s.d.node.store.BeginPage(s.storing(), pagestore.PageStart{
		Job: s.job.ID, Format: info.Format, Mode: info.Mode, Depth: info.Depth, Resolution: info.Resolution,
		Width: info.Width, Height: info.Height, Side: info.Side,
	})
	if err != nil {
		return nil, s.failLocked(err)
	}
	s.page = &pageSink{sink: s, w: w, told: time.Now()}
	p := w.Page()
	s.growLocked(p.N)
	s.tellLocked(scan.EventPageStarted, p)
	if s.run.finishing.Load() {
		if w := s.d.hasWorker(); w != nil {
			w.FinishAfterPage() // asked for before there was a scan to finish
		}
	}
	return s.page, nil
}

// storing is the context of what is written: not the run's, because a page that is
// being committed is committed.
func (s *sink) storing() context.Context { return context.WithoutCancel(s.run.ctx) }

// shut aborts the page under way and lets no other begin.
func (s *sink) shut(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed == nil {
		s.closed = why
	}
	if s.page != nil {
		s.page.abortLocked(why)
	}
}

// committed is how many pages the job has.
func (s *sink) committed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.job.Pages
}

// failure is what went wrong in the store, nil for all that the device did.
func (s *sink) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func (s *sink) failLocked(err error) error {
	if s.failed == nil {
		s.failed = err
	}
	return err
}

func (s *sink) growLocked(n int) {
	s.job.Growing = n
	s.d.mu.Lock()
	s.d.growing = growth{s.job.ID, n}
	s.d.mu.Unlock()
}

func (s *sink) tellLocked(what scan.EventType, p scan.Page) {
	s.d.node.hub.publish(notice{event: &scan.Event{Type: what, Page: &p}, owner: s.owner, job: s.job.ID})
}

// pageSink takes one page.
type pageSink struct {
	sink *sink
	w    *pagestore.PageWriter
	told time.Time
	over bool
}

// Write appends to the page's file.
func (p *pageSink) Write(b []byte) (int, error) {
	s := p.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.over {
		return 0, s.closed
	}
	n, err := p.w.Write(b)
	if err != nil {
		return n, s.failLocked(err)
	}
	return n, nil
}

// Progress announces how far the page is, a few times a second.
func (p *pageSink) Progress(lines int) {
	s := p.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.over {
		return
	}
	p.w.SetLines(lines)
	if now := time.Now(); now.Sub(p.told) >= progressEvery {
		p.told = now
		s.tellLocked(scan.EventPageProgress, p.w.Page())
	}
}

// Commit makes the page durable, then announces it with its digest.
func (p *pageSink) Commit(height int, patches ...driver.Patch) error {
	s := p.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.over {
		return s.closed
	}
	for _, patch := range patches {
		if err := p.w.Patch(patch.Offset, patch.Data); err != nil {
			p.abortLocked(err)
			return s.failLocked(err)
		}
	}
	page, err := p.w.Commit(s.storing(), height)
	if err != nil {
		p.abortLocked(err)
		return s.failLocked(err)
	}
	p.over, s.page = true, nil
	s.job.Pages = page.N
	s.growLocked(0)
	s.tellLocked(scan.EventPageCommitted, page)
	s.d.node.announceJob(s.job, s.owner, "")
	left, counted := p.w.Left()
	s.d.node.committed(left, counted)
	s.checkRoomLocked()
	s.checkLicenseLocked(left, counted)
	return nil
}

// checkRoomLocked ends the batch between two sheets if the next page would not fit: a
// sheet that is already moving would be lost.
func (s *sink) checkRoomLocked() {
	if !s.job.Settings.Source.Feeder() || s.run.hasRoom(s.storing(), s.job.Settings) {
		return
	}
	if w := s.d.hasWorker(); w != nil {
		w.FinishAfterPage()
	}
}

// Abort says that what came is no page.
func (p *pageSink) Abort(err error) {
	p.sink.mu.Lock()
	defer p.sink.mu.Unlock()
	p.abortLocked(err)
}

func (p *pageSink) abortLocked(why error) {
	if p.over {
		return
	}
	p.over, p.sink.page = true, nil
	if why == nil {
		why = errors.New("no reason was given")
	}
	page := p.w.Page()
	p.w.Abort(why)
	p.sink.growLocked(0)
	p.sink.tellLocked(scan.EventPageFailed, page)
}

// room is an error if another page with these settings may not fit on the disk.
func (d *device) room(ctx context.Context, s scan.Settings) error {
	return d.node.room(ctx, expectedBytes(s, d.capabilities()))
}

// expectedBytes is about what a page takes at most: JPEG is hardly ever larger than a
// third of its pixels, PNG may be all of them.
func expectedBytes(s scan.Settings, caps *scan.Capabilities) int64 {
	const a3Width, a3Height = 297, 420
	w, h := float64(a3Width), float64(a3Height)
	if caps != nil {
		if src, ok := caps.Source(s.Source); ok {
			w, h = src.Area.MaxWidth, min(src.Area.MaxHeight, 2*a3Height)
		}
	}
	if s.Region != nil {
		w, h = s.Region.Width, s.Region.Height
	}
	bits := int64(s.Depth)
	if s.Mode == scan.ModeColor {
		bits *= 3
	}
	raw := int64(scan.Pixels(w, s.Resolution)) * int64(scan.Pixels(h, s.Resolution)) * bits / 8
	if s.Format == scan.FormatJPEG {
		return raw / 3
	}
	return raw
}
