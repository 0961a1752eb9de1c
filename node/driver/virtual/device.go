package virtual

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

// device is the open scanner.
type device struct {
	settings scan.Settings
	options  options
	faulted  bool          // the batch's fault has happened
	stopped  []scan.Reason // what a person must put right
	glass    int           // sheets that lay on the glass so far
	total    int           // pages that are in the feeder for this batch
	done     int           // pages of the batch that came out whole
	page     *page         // the one that is read, or nil

	mu       sync.Mutex
	canceled chan struct{} // closed by Cancel, for this batch
}

func newDevice() *device { return &device{canceled: make(chan struct{})} }

// Begin fills the feeder.
func (d *device) Begin(_ context.Context, s scan.Settings) error {
	options, err := parseOptions(s.Options)
	if err != nil {
		return &driver.Stop{Reason: scan.ReasonUnsupported, Detail: err.Error()}
	}
	d.settings, d.options = s, options
	d.faulted, d.stopped, d.done, d.page = false, nil, 0, nil
	d.total = options.sheets
	if s.Source == scan.SourceADFDuplex {
		d.total *= 2
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.canceled = make(chan struct{})
	return nil
}

func (d *device) NextPage(context.Context) (driver.PageInfo, error) {
	d.stopped, d.page = nil, nil
	n, side := d.done+1, scan.Side("")
	var subject subject
	if d.settings.Source.Feeder() {
		if d.total == 0 || d.strikes(faultFeederEmpty, n) {
			return driver.PageInfo{}, d.stop(scan.ReasonFeederEmpty, "no sheet in the feeder")
		}
		if d.done == d.total {
			return driver.PageInfo{}, io.EOF
		}
		side = scan.SideFront
		if d.settings.Source == scan.SourceADFDuplex && n%2 == 0 {
			side = scan.SideBack
		}
		subject = feederSubject(n, d.total, side, d.settings.Source)
	} else {
		d.glass++
		subject = glassSubject(d.glass)
	}
	if d.strikes(faultOffline, n) {
		return driver.PageInfo{}, d.stop(scan.ReasonOffline, "the cable was pulled out")
	}
	if err := d.wait(d.options.feedTime(side)); err != nil {
		return driver.PageInfo{}, err
	}
	d.page = newPage(subject, d.settings)
	d.page.n = n
	d.page.clock = newClock(d.page.height, d.options.pageTime(d.settings.Resolution, side, n))
	return driver.PageInfo{
		Mode: d.settings.Mode, Depth: d.settings.Depth, Width: d.page.width, Height: d.page.height,
		Resolution: d.settings.Resolution, Side: side,
	}, nil
}

// Read gives rows as the clock lets them come.
func (d *device) Read(p []byte) (int, error) {
	if d.page == nil {
		return 0, io.EOF
	}
	select {
	case <-d.cancellation():
		return 0, context.Canceled
	default:
	}
	if d.page.remaining() == 0 {
		d.page = nil
		d.done++
		return 0, io.EOF
	}
	if err := d.happen(); err != nil {
		d.page = nil
		return 0, err
	}
	rows, wait := d.page.clock.ready(d.page.row)
	if where := d.page.height / 3; d.page.row < where {
		rows = min(rows, where-d.page.row) // where faults happen
	}
	if err := d.wait(wait); err != nil {
		return 0, err
	}
	return d.page.read(p, rows), nil
}

// happen lets the fault happen that is due in the middle of this page.
func (d *device) happen() error {
	if d.page.row < d.page.height/3 {
		return nil
	}
	switch n := d.page.n; {
	case d.strikes(faultJam, n):
		return d.stop(scan.ReasonJam, "a sheet is stuck")
	case d.strikes(faultCoverOpen, n):
		return d.stop(scan.ReasonCoverOpen, "the cover was opened")
	case d.strikes(faultIOError, n):
		return d.stop(scan.ReasonDeviceError, "the device reported an I/O error")
	case d.strikes(faultShortPage, n):
		return io.EOF
	case d.strikes(faultHang, n):
		select {} // the point of this fault: nothing but a signal ends it
	case d.strikes(faultCrash, n):
		panic("the virtual scanner was asked to crash")
	}
	return nil
}

// strikes reports whether fault f happens now, and makes it the only time.
func (d *device) strikes(f fault, n int) bool {
	at := d.options.faultPage
	if f == faultFeederEmpty {
		at = 1 // later it would be the ordinary end of a batch
	}
	if d.options.fault != f || d.faulted || n != at {
		return false
	}
	d.faulted = true
	return true
}

func (d *device) stop(reason scan.Reason, detail string) error {
	d.stopped = []scan.Reason{reason}
	return &driver.Stop{Reason: reason, Detail: detail}
}

// wait waits for t or Cancel.
func (d *device) wait(t time.Duration) error {
	if t <= 0 {
		return nil
	}
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-d.cancellation():
		return context.Canceled
	}
}

func (d *device) cancellation() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.canceled
}

// Cancel ends the batch.
func (d *device) Cancel() {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.canceled:
	default:
		close(d.canceled)
	}
}

// End forgets the batch.
func (d *device) End() error {
	d.page, d.stopped = nil, nil
	return nil
}

// Close has nothing to let go.
func (d *device) Close() error { return nil }

// Status is true: the device knows its feeder.
func (d *device) Status(context.Context) (scan.Status, error) {
	s := scan.Status{State: scan.ScannerIdle, Feeder: scan.FeederLoaded}
	if len(d.stopped) > 0 {
		s.State, s.Reasons = scan.ScannerStopped, d.stopped
		if d.stopped[0] == scan.ReasonFeederEmpty {
			s.Feeder = scan.FeederEmpty
		}
	}
	return s, nil
}
