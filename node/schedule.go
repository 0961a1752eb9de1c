package node

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// A device that another program holds is tried again after waits that double
// between these, for as long as the table waits for a device that went away.
const (
	busyFirst = time.Second
	busyLast  = 30 * time.Second
)

// idleTick bounds how long an actor sleeps.
const idleTick = time.Hour

// due does what a clock decides: jobs that waited long enough end, and what storage
// refused is tried again.
func (d *device) due(now time.Time) {
	d.forgetCrashes(now)
	if len(d.retries) > 0 {
		if now.Before(d.retryAt) {
			return // storage is in doubt: no further steps before that
		}
		retries := d.retries
		d.retries = nil
		for _, again := range retries {
			again()
		}
	}
	if t := d.current; t != nil && t.run == nil && expired(t, now) {
		offline := slices.Contains(t.job.Reasons, scan.ReasonOffline)
		d.settle(t, step{event: scan.EventTimeout})
		if offline {
			d.failQueue(scan.ReasonOffline)
		}
	}
	for _, t := range d.parked {
		if expired(t, now) {
			d.settle(t, step{event: scan.EventTimeout})
		}
	}
}

// failQueue ends the jobs that wait for a device that does not come back.
func (d *device) failQueue(why scan.Reason) {
	for _, t := range slices.Clone(d.queue) {
		d.settle(t, step{event: scan.EventFail, why: why})
	}
}

func expired(t *ticket, now time.Time) bool {
	return !t.until.IsZero() && !now.Before(t.until)
}

// nextDue is when something is due after now. What was due at now has been done, or
// waits for something else to happen.
func (d *device) nextDue(now time.Time) time.Time {
	next := now.Add(idleTick)
	at := func(t time.Time) {
		if t.After(now) && t.Before(next) {
			next = t
		}
	}
	if len(d.retries) > 0 {
		at(d.retryAt)
		return next
	}
	for _, t := range d.parked {
		at(t.until)
	}
	if len(d.crashes) > 0 {
		at(d.crashes[0].Add(crashWindow))
	}
	if t := d.current; t != nil && t.run == nil {
		at(t.until)
		at(d.nextLook(t))
	}
	at(d.lastUse.Add(keepWorker))
	at(d.openFrom)
	return next
}

// nextLook is when the device of a stopped job is to be asked how it is; zero: never.
func (d *device) nextLook(t *ticket) time.Time {
	switch {
	case slices.Contains(t.job.Reasons, scan.ReasonBusyOther):
		return t.again
	case slices.ContainsFunc(t.job.Reasons, func(r scan.Reason) bool {
		return r == scan.ReasonJam || r == scan.ReasonCoverOpen || r == scan.ReasonFeederEmpty || r == scan.ReasonOffline
	}):
		return d.toldAt.Add(askStopped)
	}
	return time.Time{}
}

// schedule starts the next operation if the worker is free: capabilities first, for
// which somebody waits with a job, then jobs, then what a device says of itself.
func (d *device) schedule(now time.Time) {
	if d.busy || d.stopping || len(d.retries) > 0 {
		return
	}
	wanted := len(d.wantsCaps)+len(d.wantsTold) > 0
	if d.hasWorker() == nil && now.Before(d.openFrom) {
		return
	}
	switch t := d.current; {
	case len(d.wantsCaps) > 0 && t == nil:
		d.askCapabilities()
	case t == nil && len(d.queue) > 0 && d.usable() == nil:
		d.start(d.queue[0])
	case wanted && (t == nil || t.job.State == scan.JobStopped):
		d.answerWanted()
	case t != nil && t.job.State == scan.JobStopped && lookDue(d.nextLook(t), now) && d.usable() == nil:
		d.askStatus()
	case d.hasWorker() != nil && now.Sub(d.lastUse) >= keepWorker && t == nil:
		d.retire()
	}
}

func lookDue(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

func (d *device) answerWanted() {
	if len(d.wantsCaps) > 0 {
		d.askCapabilities()
		return
	}
	d.askStatus()
}

// tryAgain continues a job whose device was held by another program, once the device
// has said that it no longer is. Else it sets the time of the next look.
func (d *device) tryAgain(t *ticket) {
	if t.job.State != scan.JobStopped || !slices.Contains(t.job.Reasons, scan.ReasonBusyOther) {
		return
	}
	if !slices.Contains(d.told.Reasons, scan.ReasonBusyOther) && d.told.State != scan.ScannerOffline {
		if err := d.advance(t, step{event: scan.EventResume, deadline: t.until}); err != nil {
			d.log.Error("cannot continue a job", "error", err)
			t.again = time.Now().Add(busyLast)
			return
		}
		d.current = nil
		d.queue = slices.Insert(d.queue, 0, t)
		return
	}
	t.again = time.Now().Add(t.wait())
}

// wait is the pause before the next look at a device that is held elsewhere.
func (t *ticket) wait() time.Duration {
	most := min(busyFirst<<min(t.tries, 10), busyLast)
	t.tries++
	return busyFirst + time.Duration(rand.Int64N(int64(most)))
}

// start takes the device for a queued job and begins its next batch.
func (d *device) start(t *ticket) {
	d.queue = slices.DeleteFunc(d.queue, func(q *ticket) bool { return q == t })
	d.current = t
	busyUntil := t.until // of a job that waited for another program
	if err := d.advance(t, step{event: scan.EventLease}); err != nil {
		d.log.Error("cannot start a job, trying again", "error", err)
		d.current = nil
		d.queue = slices.Insert(d.queue, 0, t)
		d.retryAt = time.Now().Add(storeRetry)
		d.retries = append(d.retries, func() {})
		return
	}
	s, more := batch(t.job)
	if !more {
		d.settle(t, step{event: scan.EventDone})
		return
	}
	r := d.newRun(t, busyUntil)
	t.run = r
	info := d.opens(t.job.ID)
	d.operate(r.ctx, func(ctx context.Context) func() {
		err := r.scan(ctx, info, s)
		r.close()
		return func() { d.ended(t, r, err) }
	})
}

// batch is what the device is asked for now: one sheet from the glass, or from a
// feeder all that is still missing. more is false for a job that has all its pages.
func batch(j scan.Job) (s scan.Settings, more bool) {
	s = j.Settings
	if s.Pages > 0 && j.Pages >= s.Pages {
		return s, false
	}
	switch {
	case !s.Source.Feeder():
		s.Pages = 1
	case s.Pages > 0:
		s.Pages -= j.Pages
	}
	return s, true
}
