package node

import (
	"context"
	"errors"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

// A driver that fails so often within the window is left alone until the first of
// these failures is that old.
const (
	crashLimit  = 3
	crashWindow = 10 * time.Minute
	crashPause  = 2 * time.Second // before the next start, times the failures so far
)

// crashed takes a dead worker off the device and counts its end.
func (d *device) crashed(err error) {
	now := time.Now()
	d.crashes = append(d.crashes, now)
	d.openFrom = now.Add(time.Duration(len(d.crashes)-1) * crashPause)
	var worker *driver.WorkerError
	attrs := []any{"error", err, "failures", len(d.crashes)}
	if errors.As(err, &worker) && worker.Stderr != "" {
		attrs = append(attrs, "stderr", worker.Stderr)
	}
	d.log.Error("driver failed", attrs...)
	if len(d.crashes) < crashLimit {
		return
	}
	d.answerAll(d.usable())
	for len(d.queue) > 0 {
		t := d.queue[0]
		d.queue = d.queue[1:]
		d.settle(t, step{event: scan.EventFail, why: scan.ReasonDriverFailed})
	}
}

// retire gives up the worker, dead or not; the next operation starts another one.
func (d *device) retire() {
	if d.busy || d.stopping || d.hasWorker() == nil {
		return
	}
	d.operate(d.node.ctx, func(context.Context) func() {
		d.dropWorker()
		return func() {}
	})
}

// forgetCrashes drops the failures that are too old to count.
func (d *device) forgetCrashes(now time.Time) {
	for len(d.crashes) > 0 && now.Sub(d.crashes[0]) >= crashWindow {
		d.crashes = d.crashes[1:]
	}
}
