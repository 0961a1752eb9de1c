package node

import (
	"context"
	"slices"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// maxQueue is how many jobs may wait for one device.
const maxQueue = 50

// enqueue makes a job. The same key with the same request is the same job, also when
// the queue is full by now.
func (d *device) enqueue(ctx context.Context, nj pagestore.NewJob) (job scan.Job, err error) {
	doErr := d.do(ctx, func() {
		if err = d.usable(); err != nil {
			return
		}
		if waiting := len(d.queue) + d.forOwner(); waiting >= maxQueue {
			err = problem.New(problem.QueueFull, "%d scans are waiting.", waiting).After(30 * time.Second)
			return
		}
		if d.settings.Hold {
			d.hold(&nj)
		}
		var replayed bool
		job, replayed, err = d.node.store.CreateJob(ctx, nj)
		if err != nil || replayed {
			return
		}
		t := &ticket{owner: nj.Owner, code: nj.ReleaseCode}
		t.take(job)
		if job.State == scan.JobHeld {
			d.parked[job.ID] = t
		} else {
			d.queue = append(d.queue, t)
		}
		d.announce(t)
	})
	if doErr != nil {
		return scan.Job{}, doErr
	}
	d.overlay(&job, nj.Owner)
	return job, err
}

// ticketOf finds a job that has not ended.
func (d *device) ticketOf(id string) *ticket {
	if d.current != nil && d.current.job.ID == id {
		return d.current
	}
	if t := d.parked[id]; t != nil {
		return t
	}
	if i := slices.IndexFunc(d.queue, func(t *ticket) bool { return t.job.ID == id }); i >= 0 {
		return d.queue[i]
	}
	return nil
}

// command runs f with a job that has not ended and returns the job as it is then.
func (d *device) command(ctx context.Context, id string, f func(*ticket) error) (job scan.Job, err error) {
	doErr := d.do(ctx, func() {
		t := d.ticketOf(id)
		if t == nil {
			err = problem.New(problem.JobWrongState, "The scan has ended.")
			return
		}
		err = f(t)
		job = t.job
	})
	if doErr != nil {
		return scan.Job{}, doErr
	}
	d.overlay(&job, access.CallerOf(ctx).Subject)
	return job, err
}

// cancel ends a job at once, whatever the device does: the page under way is gone
// when it returns, the device is free when its driver has let go or was killed.
func (d *device) cancel(t *ticket) error {
	if t.run != nil {
		t.run.stop(context.Canceled)
	}
	return d.advance(t, step{event: scan.EventCancel, why: scan.ReasonCanceledByUser})
}

// finish ends a job with the pages that it has and the one under way.
func (d *device) finish(t *ticket) error {
	if t.run == nil || t.job.State != scan.JobProcessing {
		return d.advance(t, step{event: scan.EventFinish, why: scan.ReasonFinishedByUser})
	}
	t.run.finish(d.hasWorker())
	return nil
}

// resume lets a stopped job go on, or a held one begin.
func (d *device) resume(t *ticket) error {
	switch {
	case waitsForOwner(t.job):
		return problem.HeldForOwner.Error()
	case t.job.State == scan.JobHeld:
		return d.unhold(t)
	}
	if err := d.usable(); err != nil {
		return err
	}
	if err := d.advance(t, step{event: scan.EventResume}); err != nil {
		return err
	}
	delete(d.parked, t.job.ID)
	if d.current == t {
		d.current = nil
	}
	d.queue = slices.Insert(d.queue, 0, t)
	t.tries = 0
	return nil
}

// unhold puts a held job at the end of the queue.
func (d *device) unhold(t *ticket) error {
	if err := d.usable(); err != nil {
		return err
	}
	delete(d.parked, t.job.ID)
	d.queue = append(d.queue, t)
	if err := d.advance(t, step{event: scan.EventRelease}); err != nil {
		d.queue = d.queue[:len(d.queue)-1]
		d.parked[t.job.ID] = t
		return err
	}
	return nil
}
