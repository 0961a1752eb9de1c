package node

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// run is one batch of a job: from taking the device until it stops.
type run struct {
	d         *device
	sink      *sink
	ctx       context.Context
	cancel    context.CancelFunc
	finishing atomic.Bool  // a person wants no further sheet
	noRoom    atomic.Value // a scan.Reason: why the store takes no other page
	usedUp    atomic.Bool  // the licence has no other page, and one is wanted
	bounded   int          // pages that the licence has for the batch, fewer than are wanted; 0: enough
	canceled  bool         // by stop; the actor's
	busyUntil time.Time    // how long another program may hold the device; zero: not begun
}

func (d *device) newRun(t *ticket, busyUntil time.Time) *run {
	r := &run{d: d, busyUntil: busyUntil}
	r.ctx, r.cancel = context.WithCancel(d.node.ctx)
	r.sink = &sink{d: d, run: r, job: t.job, owner: t.owner}
	return r
}

// scan runs in the operation.
func (r *run) scan(ctx context.Context, info driver.DeviceInfo, s scan.Settings) error {
	w, err := r.d.openWorker(ctx, info)
	if err != nil {
		return err
	}
	if r.d.capabilities() == nil {
		caps, err := w.Capabilities(ctx) // after a restart; nobody must wait for the batch to end
		if err != nil {
			return err
		}
		r.d.setCapabilities(&caps)
	}
	if r.finishing.Load() {
		return nil
	}
	if s, err = r.licensed(ctx, s); err != nil || r.usedUp.Load() {
		return err
	}
	if !r.hasRoom(ctx, s) {
		return nil // before a sheet moves
	}
	before := r.sink.committed()
	err = w.Scan(ctx, s, r.sink)
	if r.bounded > 0 && err == nil && r.sink.committed()-before == r.bounded {
		r.usedUp.Store(true)
	}
	return err
}

// licensed are the settings with no more pages than the licence has. Where it has fewer
// than are wanted there are no more to come: its server would have given them.
func (r *run) licensed(ctx context.Context, s scan.Settings) (scan.Settings, error) {
	left, counted, err := r.d.node.store.PagesLeft(ctx, r.sink.job.ID)
	switch {
	case err != nil || !counted:
		return s, err
	case left == 0:
		r.usedUp.Store(true)
	case s.Source.Feeder() && left < int64(pagesWanted(s)):
		r.bounded, s.Pages = int(left), int(left)
	}
	return s, nil
}

// hasRoom notes if another page may not be stored.
func (r *run) hasRoom(ctx context.Context, s scan.Settings) bool {
	err := r.d.room(ctx, s)
	if err != nil {
		r.noRoom.Store(noRoom(err))
		r.d.log.Warn("no room for another page", "job", r.sink.job.ID, "error", err)
	}
	return err == nil
}

// stop ends the run at once: no page can be committed once it has returned.
func (r *run) stop(why error) {
	r.canceled = true
	r.sink.shut(why)
	r.cancel()
}

// finish ends the run after the page under way.
func (r *run) finish(w worker) {
	r.finishing.Store(true)
	if w != nil {
		w.FinishAfterPage()
	}
}

// close runs when the worker has done its part: what is still growing is no page.
func (r *run) close() {
	r.sink.shut(errRunEnded)
	r.cancel()
}

var errRunEnded = errors.New("the scan ended in mid-page")

// ended decides what the end of a run does to its job.
func (d *device) ended(t *ticket, r *run, err error) {
	t.run = nil
	dead := errors.Is(err, driver.ErrWorker)
	if dead || d.files != nil { // the next file has a worker of its own
		defer d.retire()
	}
	if t.job.State.Terminal() || d.stopping {
		d.current = nil
		return
	}
	if pages := r.sink.committed(); pages > t.job.Pages {
		t.job.Pages = pages
	}
	var stop *driver.Stop
	switch failed := r.sink.failure(); {
	case r.canceled:
		d.settle(t, step{event: scan.EventCancel, why: scan.ReasonCanceledByUser})
	case errors.Is(failed, pagestore.ErrBadPage):
		d.settle(t, step{event: scan.EventFail, why: scan.ReasonShortPage})
	case failed != nil, errors.Is(err, pagestore.ErrStorage):
		d.log.Error("storing a page", "job", t.job.ID, "error", errors.Join(failed, err))
		d.settle(t, step{event: scan.EventStop, why: noRoom(failed)})
	case err == nil:
		d.batchDone(t, r)
	case errors.As(err, &stop):
		d.log.Info("device stopped", "job", t.job.ID, "reason", stop.Reason, "detail", stop.Detail)
		d.stopped(t, r, stop.Reason)
	case dead:
		d.settle(t, step{event: scan.EventFail, why: scan.ReasonDriverFailed})
		if d.files == nil { // a bad file says nothing of the next one
			d.crashed(err)
		}
	default:
		d.log.Error("scan failed", "job", t.job.ID, "error", err)
		d.settle(t, step{event: scan.EventFail, why: scan.ReasonDriverFailed})
	}
}

// noRoom is why a page cannot be stored, in either case until a person acts.
func noRoom(err error) scan.Reason {
	if errors.Is(err, problem.DiskLow.Error()) {
		return scan.ReasonDiskLow
	}
	return scan.ReasonStorageFailed
}

// batchDone handles a batch that the device ended well.
func (d *device) batchDone(t *ticket, r *run) {
	d.told.State, d.told.Reasons, d.toldAt = scan.ScannerIdle, nil, time.Now()
	s := r.done(t.job)
	if d.detectsLoad(t.job.Settings.Source) && (s.why == scan.ReasonFeederEmpty || t.job.Settings.Pages == 0 && s.event == scan.EventDone) {
		d.told.Feeder = scan.FeederEmpty // it went on until no sheet was left
	}
	d.settle(t, s)
}

func (d *device) detectsLoad(s scan.Source) bool {
	c := d.capabilities()
	if c == nil {
		return false
	}
	src, ok := c.Source(s)
	return ok && src.Feeder != nil && src.Feeder.DetectsLoad
}

// done is the step after a batch that the device ended well.
func (r *run) done(j scan.Job) step {
	missing := j.Settings.Pages > 0 && j.Pages < j.Settings.Pages
	switch {
	case r.finishing.Load():
		return step{event: scan.EventFinish, why: scan.ReasonFinishedByUser}
	case r.usedUp.Load():
		return step{event: scan.EventFail, why: scan.ReasonLicense}
	case r.noRoom.Load() != nil:
		return step{event: scan.EventStop, why: r.noRoom.Load().(scan.Reason)}
	case missing && !j.Settings.Source.Feeder():
		return step{event: scan.EventStop, why: scan.ReasonNextSheet}
	case missing:
		return step{event: scan.EventDone, why: scan.ReasonFeederEmpty}
	}
	return step{event: scan.EventDone}
}

// Reasons that a person, or time, can put right. With every other the job ends.
var curable = []scan.Reason{
	scan.ReasonFeederEmpty, scan.ReasonJam, scan.ReasonCoverOpen, scan.ReasonNextSheet, scan.ReasonOffline, scan.ReasonBusyOther,
}

// stopped handles a device that cannot go on.
func (d *device) stopped(t *ticket, r *run, why scan.Reason) {
	d.told.State, d.told.Reasons, d.toldAt = scan.ScannerStopped, []scan.Reason{why}, time.Now()
	if why == scan.ReasonFeederEmpty {
		d.told.Feeder = scan.FeederEmpty
	}
	switch {
	case r.finishing.Load() && (why == scan.ReasonFeederEmpty || why == scan.ReasonNextSheet):
		d.settle(t, step{event: scan.EventFinish, why: scan.ReasonFinishedByUser})
	case r.usedUp.Load() && (why == scan.ReasonFeederEmpty || why == scan.ReasonNextSheet):
		d.settle(t, step{event: scan.EventFail, why: scan.ReasonLicense})
	case r.finishing.Load(), !slices.Contains(curable, why):
		d.settle(t, step{event: scan.EventFail, why: why})
	case why == scan.ReasonOffline:
		d.settle(t, step{event: scan.EventOffline, why: why})
	case why == scan.ReasonBusyOther:
		if r.busyUntil.IsZero() {
			r.busyUntil = time.Now().Add(scan.OfflineTimer)
		}
		t.again = time.Now().Add(t.wait())
		d.settle(t, step{event: scan.EventStop, why: why, deadline: r.busyUntil})
	default:
		d.settle(t, step{event: scan.EventStop, why: why})
	}
}
