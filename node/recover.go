package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/scan"
)

// recover puts the jobs that the last process left unfinished where they wait for a
// person: whoever put paper in may have taken it out again, so none goes on by itself.
// Those of who does not come back end.
func (n *Node) recover(ctx context.Context) error {
	var left []scan.Job
	for _, state := range []scan.JobState{scan.JobProcessing, scan.JobStopped, scan.JobPending, scan.JobHeld} {
		for cursor := ""; ; {
			jobs, next, err := n.store.Jobs(ctx, pagestore.JobFilter{State: state}, cursor, 0)
			if err != nil {
				return fmt.Errorf("finding unfinished jobs: %w", err)
			}
			left = append(left, jobs...)
			if cursor = next; next == "" {
				break
			}
		}
	}
	for _, j := range left {
		_, owner, err := n.store.Job(ctx, j.ID)
		if err != nil {
			return fmt.Errorf("finding unfinished jobs: %w", err)
		}
		code, err := n.store.ReleaseCode(ctx, j.ID)
		if err != nil {
			return fmt.Errorf("finding unfinished jobs: %w", err)
		}
		d := n.ensureDevice(j.Scanner)
		t := &ticket{owner: owner, code: code}
		t.take(j)
		if err := d.do(ctx, func() { d.park(t) }); err != nil {
			return fmt.Errorf("parking job %s: %w", j.ID, err)
		}
	}
	return nil
}

// park takes in a job of before the start. It does not hold the device.
func (d *device) park(t *ticket) {
	d.parked[t.job.ID] = t
	if !pagestore.ComesBack(t.owner) {
		d.settle(t, step{event: scan.EventCancel, why: scan.ReasonInterrupted})
		return
	}
	switch t.job.State {
	case scan.JobPending:
		again := step{event: scan.EventHold, why: scan.ReasonInterrupted}
		if t.code != "" { // its owner stood at the scanner, and may have left
			again = holdForOwner(time.Now())
		}
		d.settle(t, again)
	case scan.JobProcessing:
		d.settle(t, step{event: scan.EventInterrupt, why: scan.ReasonInterrupted})
	case scan.JobStopped:
		if !slices.Contains(t.job.Reasons, scan.ReasonInterrupted) { // else its time goes on
			d.settle(t, step{event: scan.EventInterrupt, why: scan.ReasonInterrupted})
		}
	case scan.JobHeld, scan.JobCanceled, scan.JobAborted, scan.JobCompleted:
	}
}
