package node

import (
	"context"
	"errors"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// How often a device is asked how it is, and how long its process is kept.
const (
	askAgain   = time.Second     // not again for the next client within this
	askStopped = 2 * time.Second // while its job waits for a person
	askPatient = 5 * time.Second // then a client gets what is known
	learnTime  = 2 * time.Minute // then a client is told that the scanner does not answer
	keepWorker = time.Minute     // without work
)

// learn returns the device's capabilities, asking it where they are not known.
func (d *device) learn(ctx context.Context) (*scan.Capabilities, error) {
	if c := d.capabilities(); c != nil {
		return c, nil
	}
	patience := time.NewTimer(learnTime)
	defer patience.Stop()
	answer := make(chan error, 1)
	if err := d.do(ctx, func() {
		if err := d.usable(); err != nil {
			answer <- err
			return
		}
		d.wantsCaps = append(d.wantsCaps, answer)
	}); err != nil {
		return nil, err
	}
	select {
	case err := <-answer:
		return d.capabilities(), err
	case <-patience.C:
		return nil, problem.ScannerOffline.Error()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask has the device say how it is, unless it scans or just said so. Its answer is in
// the view afterwards; a device that does not answer soon leaves the view as it was.
func (d *device) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askPatient)
	defer cancel()
	answered := make(chan struct{})
	err := d.do(ctx, func() {
		if d.scanning() || d.usable() != nil || len(d.retries) > 0 || time.Since(d.toldAt) < askAgain {
			close(answered)
			return
		}
		d.wantsTold = append(d.wantsTold, answered)
	})
	if err != nil {
		return err
	}
	select {
	case <-answered:
	case <-ctx.Done():
	}
	return nil
}

func (d *device) scanning() bool { return d.current != nil && d.current.run != nil }

// usable says why the device cannot be used now, or nil.
func (d *device) usable() error {
	switch {
	case d.stopping:
		return problem.Unavailable.Error()
	case len(d.crashes) >= crashLimit:
		return problem.New(problem.DriverFailed, "The scanner's driver stopped %d times in %d minutes and is left alone for a while.",
			len(d.crashes), int(crashWindow.Minutes())).After(time.Until(d.crashes[0].Add(crashWindow)))
	case !d.seen:
		return problem.New(problem.ScannerOffline, "The scanner was not found since %s.", d.since.UTC().Format(time.RFC3339))
	}
	return nil
}

// askCapabilities and askStatus are operations.

func (d *device) askCapabilities() {
	info := d.info
	d.operate(d.node.ctx, func(ctx context.Context) func() {
		var caps scan.Capabilities
		w, err := d.openWorker(ctx, info)
		if err == nil {
			caps, err = w.Capabilities(ctx)
		}
		return func() {
			if err == nil {
				d.setCapabilities(&caps)
			}
			d.answerCaps(d.refused(err))
		}
	})
}

func (d *device) askStatus() {
	info, t := d.info, d.current
	d.operate(d.node.ctx, func(ctx context.Context) func() {
		var st scan.Status
		w, err := d.openWorker(ctx, info)
		if err == nil {
			st, err = w.Status(ctx)
		}
		return func() { d.onTold(t, st, err) }
	})
}

// onTold takes the answer of a device that was asked while t held it.
func (d *device) onTold(t *ticket, st scan.Status, err error) {
	d.toldAt = time.Now()
	var stop *driver.Stop
	switch {
	case err == nil:
		d.told = plausible(st)
	case errors.As(err, &stop) && stop.Reason == scan.ReasonBusyOther:
		d.told.State, d.told.Reasons = scan.ScannerStopped, []scan.Reason{scan.ReasonBusyOther}
	case errors.As(err, &stop):
		d.told.State, d.told.Reasons = scan.ScannerOffline, []scan.Reason{stop.Reason}
	default:
		d.refused(err)
	}
	if t != nil && t == d.current {
		t.asked = true
		d.tryAgain(t)
	}
	d.answerTold()
}

// plausible is what a device said, within the vocabulary: a driver is not to be trusted.
func plausible(st scan.Status) scan.Status {
	switch st.State {
	case scan.ScannerIdle, scan.ScannerProcessing, scan.ScannerStopped, scan.ScannerOffline:
	default:
		st.State = scan.ScannerIdle
	}
	switch st.Feeder {
	case scan.FeederNone, scan.FeederUnknown, scan.FeederEmpty, scan.FeederLoaded:
	default:
		st.Feeder = scan.FeederUnknown
	}
	const most = 8
	st.Reasons = st.Reasons[:min(len(st.Reasons), most)]
	return st
}

func (d *device) setCapabilities(c *scan.Capabilities) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.caps = c
}

func (d *device) answerCaps(err error) {
	for _, answer := range d.wantsCaps {
		answer <- err
	}
	d.wantsCaps = nil
}

func (d *device) answerTold() {
	d.refresh() // what they wait for is in the view
	for _, answered := range d.wantsTold {
		close(answered)
	}
	d.wantsTold = nil
}

func (d *device) answerAll(err error) {
	d.answerCaps(err)
	d.answerTold()
}

// refused turns a worker's error into what a client is told. A dead worker is taken
// off the device and counted.
func (d *device) refused(err error) error {
	var stop *driver.Stop
	var missing *driver.Missing
	switch {
	case err == nil:
		return nil
	case errors.Is(err, driver.ErrWorker):
		d.crashed(err)
		d.retire()
		return problem.DriverFailed.Error()
	case errors.As(err, &missing):
		return problem.New(problem.DriverMissing, "%s", missing.Hint)
	case errors.As(err, &stop):
		d.log.Info("device did not answer", "reason", stop.Reason, "detail", stop.Detail)
		return problem.New(problem.ScannerOffline, "%s", offlineWords(stop.Reason))
	}
	return err
}

func offlineWords(reason scan.Reason) string {
	switch reason {
	case scan.ReasonBusyOther:
		return "Another program uses the scanner."
	case scan.ReasonAccessDenied:
		return "The system does not let Platen use the scanner. Its user may have to join the group scanner."
	}
	return "The scanner does not answer. Check that it is switched on and connected."
}
