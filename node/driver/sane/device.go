package sane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

// device is an open scanner.
type device struct {
	b       backend
	options *options

	settings   scan.Settings
	resolution int  // what the device made of the one asked for
	threshold  bool // the device gives gray where lineart was asked for
	pages      int  // read whole since Begin
	back       bool // the next page is the back of the sheet whose front came last
	started    bool // sane_start succeeded and sane_cancel has not followed
	page       reader

	mu       sync.Mutex
	canceled bool
	calling  bool          // a call that may block is under way
	settled  chan struct{} // closed when the canceler has done its work; nil: there is none
}

// reader gives the rows of one page.
type reader interface {
	// read is as driver.Device.Read.
	read(p []byte) (int, error)
	// close gives up what the reader holds.
	close()
}

func newDevice(b backend) (*device, error) {
	if _, ok := b.option(0); !ok {
		return nil, &driver.Stop{Reason: scan.ReasonOffline, Detail: "the device has no options, not even their number"}
	}
	return &device{b: b, options: newOptions(b)}, nil
}

// Begin sets the options: source, mode, depth, resolution, the device's own, geometry.
// Each may change what the later ones can be.
func (d *device) Begin(_ context.Context, s scan.Settings) error {
	d.mu.Lock()
	d.canceled = false
	d.mu.Unlock()
	d.settings, d.pages, d.back = s, 0, false
	err := d.setUp(s)
	var stop *driver.Stop
	if err != nil && !errors.As(err, &stop) {
		err = &driver.Stop{Reason: scan.ReasonUnsupported, Detail: err.Error()}
	}
	return err
}

func (d *device) setUp(s scan.Settings) error {
	o := d.options
	o.restore()
	plans := o.sourcePlans()
	i := slices.IndexFunc(plans, func(p sourcePlan) bool { return p.source == s.Source })
	if i < 0 {
		return fmt.Errorf("the device has no source %s", s.Source)
	}
	if err := o.choose(plans[i]); err != nil {
		return err
	}
	modes, err := o.modePlans()
	if err != nil {
		return err
	}
	i = slices.IndexFunc(modes, func(m modePlan) bool { return m.mode == s.Mode && m.depth == s.Depth })
	if i < 0 {
		return fmt.Errorf("the device has no mode %s with %d bits", s.Mode, s.Depth)
	}
	if err := o.chooseMode(modes[i]); err != nil {
		return err
	}
	d.threshold = modes[i].threshold
	if d.resolution, err = o.setResolution(s.Resolution); err != nil {
		return err
	}
	if err := o.setOptions(s.Options); err != nil {
		return err
	}
	return o.setRegion(s.Source, s.Region)
}

// NextPage starts a page and waits for its first bytes: many back ends notice only
// then that something is wrong, and a page that never was needs no announcement.
func (d *device) NextPage(context.Context) (driver.PageInfo, error) {
	d.dropPage()
	if st := d.start(); st != statusGood {
		if st == statusNoDocs && d.pages > 0 {
			return driver.PageInfo{}, io.EOF
		}
		return driver.PageInfo{}, d.stopped(st, "starting a page")
	}
	p, st := d.b.parameters()
	if st != statusGood {
		return driver.PageInfo{}, d.stopped(st, "asking for parameters")
	}
	info, page, err := d.newPage(p)
	if err != nil {
		d.cancelNow()
		return info, err
	}
	d.page = page
	if d.settings.Source == scan.SourceADFDuplex && d.back {
		info.Side = scan.SideBack
	} else if d.settings.Source.Feeder() {
		info.Side = scan.SideFront
	}
	return info, nil
}

// Read gives rows in the form that driver.Device asks for.
func (d *device) Read(p []byte) (int, error) {
	if d.page == nil {
		return 0, io.EOF
	}
	n, err := d.page.read(p)
	switch {
	case err == io.EOF:
		d.dropPage()
		d.pages++
		d.back = !d.back
	case err != nil:
		d.dropPage()
	}
	return n, err
}

func (d *device) dropPage() {
	if d.page != nil {
		d.page.close()
		d.page = nil
	}
}

// stopped ends the frame after a status that is no success. What comes next begins with
// the front of a sheet.
func (d *device) stopped(st status, doing string) error {
	d.cancelNow()
	d.back = false
	if d.isCanceled() {
		return context.Canceled
	}
	return stopFor(st, doing)
}

func (d *device) start() status {
	st := statusCancelled
	d.call(func() { st = d.b.start() })
	d.started = d.started || st == statusGood
	return st
}

func (d *device) readBytes(p []byte) (n int, st status) {
	st = statusCancelled
	d.call(func() { n, st = d.b.read(p) })
	return n, st
}

// call makes a call that may block, and none after Cancel.
func (d *device) call(f func()) {
	d.mu.Lock()
	d.calling = !d.canceled
	calling := d.calling
	d.mu.Unlock()
	if !calling {
		return
	}
	f()
	d.mu.Lock()
	d.calling = false
	d.mu.Unlock()
}

// cancelGrace is how long a call may go on by itself after Cancel: back ends like
// sane_cancel best between calls.
const cancelGrace = 250 * time.Millisecond

// Cancel makes the goroutine that uses the device notice; where it is stuck in a call,
// sane_cancel comes from here.
func (d *device) Cancel() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.canceled {
		return
	}
	d.canceled = true
	if !d.calling {
		return
	}
	settled := make(chan struct{})
	d.settled = settled
	time.AfterFunc(cancelGrace, func() {
		defer close(settled)
		d.mu.Lock()
		stuck := d.calling
		d.mu.Unlock()
		if stuck {
			d.b.cancel()
		}
	})
}

func (d *device) isCanceled() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.canceled
}

// cancelNow is sane_cancel, which also ends a batch that went well. It waits until the
// one of Cancel, if there is one, is over.
func (d *device) cancelNow() {
	d.mu.Lock()
	settled := d.settled
	d.settled = nil
	d.mu.Unlock()
	if settled != nil {
		<-settled
	}
	d.b.cancel()
	d.started = false
}

// End ends the batch.
func (d *device) End() error {
	d.dropPage()
	if d.started {
		d.cancelNow()
	}
	return nil
}

// Close closes the device. The library stays as it is.
func (d *device) Close() error {
	d.End()
	d.b.close()
	return nil
}

// Status reads the device's sensors, where it has them.
func (d *device) Status(context.Context) (scan.Status, error) {
	s := scan.Status{State: scan.ScannerIdle, Feeder: scan.FeederNone}
	if slices.ContainsFunc(d.options.sourcePlans(), func(p sourcePlan) bool { return p.source.Feeder() }) {
		s.Feeder = scan.FeederUnknown
		switch d.options.text(optPageLoaded) {
		case "yes":
			s.Feeder = scan.FeederLoaded
		case "no":
			s.Feeder = scan.FeederEmpty
		}
	}
	if d.options.text(optCoverOpen) == "yes" {
		s.State, s.Reasons = scan.ScannerStopped, []scan.Reason{scan.ReasonCoverOpen}
	}
	return s, nil
}
