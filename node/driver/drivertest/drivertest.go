// Package drivertest is the conformance suite of drivers. Every driver passes it
// through a worker process, which is how nodes use it; a driver that is safe to run in
// the test's own process passes it there too.
package drivertest

import (
	"context"
	"testing"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

// Scanner is an open device: a *driver.Worker or a *driver.Session.
type Scanner interface {
	Capabilities(ctx context.Context) (scan.Capabilities, error)
	Status(ctx context.Context) (scan.Status, error)
	Scan(ctx context.Context, s scan.Settings, sink driver.Sink) error
	FinishAfterPage()
	Cancel()
	Close() error
}

// Subject is a driver under test.
type Subject struct {
	Devices func(ctx context.Context) ([]driver.DeviceInfo, error)
	Open    func(ctx context.Context, d driver.DeviceInfo) (Scanner, error)

	// Refills says that the feeder is full at the start of each batch, whatever came before.
	Refills bool
	// Fast are device options that make it as fast as it can be.
	Fast map[string]string
	// Slow are device options with which a page takes seconds while its rows come.
	Slow map[string]string
	// Hang are device options with which a page stops in its middle and the device heeds
	// nothing; nil: it cannot be made to, or not in this process.
	Hang map[string]string
	// Faults are what the device can be made to stop for.
	Faults []Fault
}

// Fault is a way to stop a batch.
type Fault struct {
	Name    string
	Options map[string]string
	Want    scan.Reason
	Clears  bool // the same settings go on when Scan is called again
}

// InProcess is a driver in the test's process.
func InProcess(d driver.Driver) Subject {
	return Subject{
		Devices: d.Devices,
		Open: func(ctx context.Context, info driver.DeviceInfo) (Scanner, error) {
			dev, err := d.Open(ctx, info.Name)
			if err != nil {
				return nil, err
			}
			return driver.NewSession(dev, imaging.Codecs{}), nil
		},
	}
}

// Through is a driver in worker processes.
func Through(w *driver.Workers, name string) Subject {
	return Subject{
		Devices: func(ctx context.Context) ([]driver.DeviceInfo, error) { return w.Devices(ctx, name) },
		Open: func(ctx context.Context, info driver.DeviceInfo) (Scanner, error) {
			worker, err := w.Open(ctx, info)
			if err != nil {
				return nil, err
			}
			return worker, nil
		},
	}
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"Devices", testDevices},
		{"OpenUnknown", testOpenUnknown},
		{"Capabilities", testCapabilities},
		{"Status", testStatus},
		{"Modes", testModes},
		{"Region", testRegion},
		{"SamePixels", testSamePixels},
		{"Feeder", testFeeder},
		{"Pages", testPages},
		{"Glass", testGlass},
		{"Finish", testFinish},
		{"Cancel", testCancel},
		{"CancelByContext", testCancelByContext},
		{"CancelAnywhere", testCancelAnywhere},
		{"SinkErrors", testSinkErrors},
		{"SlowSink", testSlowSink},
		{"Faults", testFaults},
		{"Hang", testHang},
		{"Close", testClose},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, &bench{Subject: s}) })
	}
}

// bench is what one test works with.
type bench struct{ Subject }

// device is the first one listed.
func (b *bench) device(t *testing.T) driver.DeviceInfo {
	t.Helper()
	devices, err := b.Devices(t.Context())
	if err != nil || len(devices) == 0 {
		t.Fatalf("Devices() = %v, %v; want at least one", devices, err)
	}
	return devices[0]
}

// open opens the first device and asks what it can do.
func (b *bench) open(t *testing.T) (Scanner, scan.Capabilities) {
	t.Helper()
	s, err := b.Open(t.Context(), b.device(t))
	if err != nil {
		t.Fatalf("Open() = %v", err)
	}
	t.Cleanup(func() { s.Close() })
	caps, err := s.Capabilities(t.Context())
	if err != nil {
		t.Fatalf("Capabilities() = %v", err)
	}
	return s, caps
}

// settings are quick ones to build on: gray, coarse, and small unless area says otherwise.
func (b *bench) settings(t *testing.T, caps scan.Capabilities, source scan.Source, options map[string]string) scan.Settings {
	t.Helper()
	src, ok := caps.Source(source)
	if !ok {
		t.Fatalf("no source %s among %v", source, caps.Sources)
	}
	s, err := caps.Resolve(scan.Settings{
		Source: source, Mode: scan.ModeGray, Depth: 8, Resolution: src.Resolutions.Nearest(75), Format: scan.FormatPNG,
		Region: &scan.Region{Width: min(60, src.Area.MaxWidth), Height: min(80, src.Area.MaxHeight)}, Options: options,
	})
	if err != nil {
		t.Fatalf("Resolve() = %v", err)
	}
	return s
}

// source is a feeder where it can be relied on, else the first source.
func (b *bench) source(caps scan.Capabilities) scan.Source {
	if f := feeder(caps); f != "" && b.Refills {
		return f
	}
	return caps.Sources[0].Source
}

// feeder is a source that takes sheets by itself; "" when the device has none.
func feeder(caps scan.Capabilities) scan.Source {
	for _, s := range caps.Sources {
		if s.Source.Feeder() {
			return s.Source
		}
	}
	return ""
}

// must scans and expects a whole batch.
func must(t *testing.T, s Scanner, settings scan.Settings, sink *Recorder) {
	t.Helper()
	if err := s.Scan(t.Context(), settings, sink); err != nil {
		t.Fatalf("Scan() = %v", err)
	}
	sink.check(t)
}
