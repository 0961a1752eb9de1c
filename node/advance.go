package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// step is what happens to a job, and why.
type step struct {
	event    scan.JobEvent
	why      scan.Reason // "" where there is nothing to say
	deadline time.Time   // zero: as the table says
}

const (
	storeTimeout = 10 * time.Second // for one write; storage that takes longer has failed
	storeRetry   = 5 * time.Second  // between tries of what must be written
)

// advance is the one way by which a job changes state: the table of proto/scan
// decides, the store makes it durable, and only then anybody hears of it. The caller
// has put the ticket where it belongs; a job that ends is taken away here.
func (d *device) advance(t *ticket, s step) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.node.ctx), storeTimeout)
	defer cancel()
	now := time.Now()
	job, err := d.node.update(ctx, t.job.ID, func(j *scan.Job) error { return s.apply(j, now) })
	if err != nil {
		return fmt.Errorf("job %s, event %s: %w", t.job.ID, s.event, err)
	}
	waited := t.job.State == scan.JobStopped
	t.take(job)
	if job.State.Terminal() {
		d.release(t, waited)
		if d.files != nil {
			d.files.forget(job.ID)
		}
		d.log.Info("job ended", "job", job.ID, "state", job.State, "reasons", job.Reasons, "pages", job.Pages)
	}
	d.announce(t)
	return nil
}

// apply changes the job as the table says.
func (s step) apply(j *scan.Job, now time.Time) error {
	next, ok := j.State.Next(s.event, j.Pages)
	if !ok {
		return problem.New(problem.JobWrongState, "The scan is %s.", j.State)
	}
	j.Reasons = s.reasons(j, next.To)
	j.State = next.To
	j.Deadline = scan.Time{}
	switch {
	case !s.deadline.IsZero():
		j.Deadline = scan.At(s.deadline)
	case next.Timer > 0:
		j.Deadline = scan.At(now.Add(next.Timer))
	}
	if j.State == scan.JobProcessing && j.Started.IsZero() {
		j.Started = scan.At(now)
	}
	if j.State.Terminal() {
		j.Ended = scan.At(now)
	}
	return nil
}

// reasons says why the job will be in state to.
func (s step) reasons(j *scan.Job, to scan.JobState) []scan.Reason {
	why := s.why
	if s.event == scan.EventTimeout && len(j.Reasons) > 0 {
		why = j.Reasons[0] // what it waited for
	}
	cut := s.event == scan.EventTimeout || s.event == scan.EventFail
	if to == scan.JobCompleted && why != "" && (cut || why == scan.ReasonFeederEmpty) {
		why = scan.Partial(why)
	}
	var reasons []scan.Reason
	if why != "" {
		reasons = append(reasons, why)
	}
	if s.event == scan.EventTimeout {
		reasons = append(reasons, scan.ReasonTimedOut)
	}
	return reasons
}

// settle is advance for what must happen whether storage works or not: it is tried
// again until it is durable, and the job keeps its place in the meantime.
func (d *device) settle(t *ticket, s step) {
	err := d.advance(t, s)
	switch {
	case err == nil:
	case errors.Is(err, problem.JobWrongState.Error()), errors.Is(err, problem.NotFound.Error()):
		d.log.Error("job cannot take a step", "error", err)
		d.release(t, false)
	default:
		d.log.Error("cannot record a job's state, trying again", "error", err)
		if t.job.State == scan.JobProcessing && !slices.Contains(t.job.Reasons, scan.ReasonStorageFailed) {
			t.job.Reasons = []scan.Reason{scan.ReasonStorageFailed} // not in the store, of course
			d.announce(t)
		}
		d.retryAt = time.Now().Add(storeRetry)
		d.retries = append(d.retries, func() { d.settle(t, s) })
	}
}

// release takes the ticket off the device, queue and waiting room. The batch that a
// stopped job left open at the device is given up. A run under way keeps the device
// until it has ended.
func (d *device) release(t *ticket, waited bool) {
	delete(d.parked, t.job.ID)
	d.queue = slices.DeleteFunc(d.queue, func(q *ticket) bool { return q == t })
	if d.current != t || t.run != nil {
		return
	}
	d.current = nil
	if w := d.hasWorker(); w != nil && waited {
		w.Cancel()
	}
}

// announce tells the job's present state.
func (d *device) announce(t *ticket) {
	job := t.job
	job.Position, job.Growing = 0, 0
	if i := slices.Index(d.queue, t); i >= 0 {
		job.Position = i + 1
	}
	code := ""
	if waitsForOwner(job) {
		code = t.code
	}
	d.node.announceJob(job, t.owner, code)
}

// announceJob tells a job's state to those who may know, and its code to the owner.
func (n *Node) announceJob(job scan.Job, owner, code string) {
	n.hub.publish(notice{
		event: &scan.Event{Type: scan.EventJobState, Job: &job},
		owner: owner, code: code, job: job.ID, ends: job.State.Terminal(),
	})
}
