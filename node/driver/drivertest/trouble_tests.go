package drivertest

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

// cancelLimit is how long a scan may go on after it was canceled.
const cancelLimit = 2 * time.Second

func wantStop(t *testing.T, err error, want scan.Reason) {
	t.Helper()
	var stop *driver.Stop
	if !errors.As(err, &stop) || stop.Reason != want {
		t.Fatalf("Scan() = %v, want a stop for %s", err, want)
	}
}

// usable scans a page, to show that the device has got over what came before.
func (b *bench) usable(t *testing.T, s Scanner, caps scan.Capabilities) {
	t.Helper()
	settings := b.settings(t, caps, caps.Sources[0].Source, b.Fast)
	settings.Pages = 1
	must(t, s, settings, new(Recorder))
}

func testCancel(t *testing.T, b *bench) {
	s, caps := b.open(t)
	var canceled time.Time
	sink := Recorder{OnWrite: func(_, bytes int) error {
		if canceled.IsZero() {
			canceled = time.Now()
			s.Cancel()
		}
		return nil
	}}
	settings := b.settings(t, caps, caps.Sources[0].Source, b.Slow)
	settings.Format = scan.FormatJPEG // its first bytes come soonest
	err := s.Scan(t.Context(), settings, &sink)
	checkCanceled(t, err, canceled, &sink)
	b.usable(t, s, caps)
}

func testCancelByContext(t *testing.T, b *bench) {
	s, caps := b.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var canceled time.Time
	sink := Recorder{OnPage: func(int, driver.PageInfo) error {
		canceled = time.Now()
		cancel()
		return nil
	}}
	err := s.Scan(ctx, b.settings(t, caps, caps.Sources[0].Source, b.Slow), &sink)
	checkCanceled(t, err, canceled, &sink)
	if err := s.Scan(ctx, b.settings(t, caps, caps.Sources[0].Source, b.Fast), &sink); !errors.Is(err, context.Canceled) {
		t.Errorf("Scan with a canceled context = %v", err)
	}
	b.usable(t, s, caps)
}

func checkCanceled(t *testing.T, err error, at time.Time, sink *Recorder) {
	t.Helper()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Scan() = %v, want context.Canceled", err)
	}
	if took := time.Since(at); took > cancelLimit {
		t.Errorf("the scan went on for %v after it was canceled, want at most %v", took, cancelLimit)
	}
	sink.check(t)
	if n := len(sink.Committed()); n > 0 {
		t.Errorf("%d pages were committed of a scan that was canceled in its first", n)
	}
}

// testCancelAnywhere cancels at random moments: every page is whole or aborted, and the
// device goes on.
func testCancelAnywhere(t *testing.T, b *bench) {
	const rounds = 200
	s, caps := b.open(t)
	source := b.source(caps)
	settings := b.settings(t, caps, source, b.Fast)
	if source.Feeder() {
		settings.Pages = 3
	}
	var whole Recorder
	start := time.Now()
	must(t, s, settings, &whole)
	batch := time.Since(start)
	for range rounds {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.Int64N(int64(batch))))
		var sink Recorder
		err := s.Scan(ctx, settings, &sink)
		cancel()
		sink.check(t)
		switch n := len(sink.Committed()); {
		case err == nil && n != len(whole.Committed()):
			t.Fatalf("a whole batch has %d pages, want %d", n, len(whole.Committed()))
		case err != nil && !errors.Is(err, context.Canceled):
			t.Fatalf("Scan() = %v, want nil or context.Canceled", err)
		}
		for i, p := range sink.Committed() {
			if !bytes.Equal(p.Data, whole.Committed()[i].Data) {
				t.Fatalf("page %d of a canceled batch differs from that of a whole one", i+1)
			}
		}
	}
	b.usable(t, s, caps)
}

// testSinkErrors lets the sink fail at each of its steps.
func testSinkErrors(t *testing.T, b *bench) {
	s, caps := b.open(t)
	full := errors.New("the disk is full")
	for name, sink := range map[string]*Recorder{
		"PageStarted": {OnPage: func(int, driver.PageInfo) error { return full }},
		"Write":       {OnWrite: func(_, n int) error { return full }},
		"Commit":      {OnCommit: func(int) error { return full }},
	} {
		t.Run(name, func(t *testing.T) {
			settings := b.settings(t, caps, caps.Sources[0].Source, b.Fast)
			if err := s.Scan(t.Context(), settings, sink); !errors.Is(err, full) {
				t.Errorf("Scan() = %v, want the sink's error", err)
			}
			sink.check(t)
			if n := len(sink.Committed()); n > 0 {
				t.Errorf("%d pages were committed", n)
			}
			b.usable(t, s, caps)
		})
	}
}

// testSlowSink expects the same bytes whether or not the sink keeps up.
func testSlowSink(t *testing.T, b *bench) {
	s, caps := b.open(t)
	source := b.source(caps)
	settings := b.settings(t, caps, source, b.Fast)
	settings.Pages = 2
	if !source.Feeder() {
		settings.Pages = 1
	}
	var quick Recorder
	must(t, s, settings, &quick)
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	slow := Recorder{OnWrite: func(int, int) error { <-pause.C; return nil }}
	must(t, s, settings, &slow)
	for i, p := range slow.Committed() {
		if !bytes.Equal(p.Data, quick.Committed()[i].Data) {
			t.Errorf("page %d differs when the sink is slow", i+1)
		}
	}
}

func testFaults(t *testing.T, b *bench) {
	for _, f := range b.Faults {
		t.Run(f.Name, func(t *testing.T) {
			s, caps := b.open(t)
			source := feeder(caps)
			settings := b.settings(t, caps, source, f.Options)
			var sink Recorder
			wantStop(t, s.Scan(t.Context(), settings, &sink), f.Want)
			sink.check(t)
			if !f.Clears {
				b.usable(t, s, caps)
				return
			}
			must(t, s, settings, &sink)
			checkSides(t, source, sink.Committed())
			var undisturbed Recorder
			must(t, s, b.settings(t, caps, source, b.Fast), &undisturbed)
			if got, want := len(sink.Committed()), len(undisturbed.Committed()); got != want {
				t.Errorf("%d pages with a stop, %d without", got, want)
			}
		})
	}
}

// testHang cancels a device that is deaf, once nothing has come from it for a while.
func testHang(t *testing.T, b *bench) {
	if b.Hang == nil {
		return
	}
	s, caps := b.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const quiet = 300 * time.Millisecond
	canceled := make(chan time.Time, 1)
	hung := time.AfterFunc(time.Hour, func() {
		canceled <- time.Now()
		cancel()
	})
	defer hung.Stop()
	sink := Recorder{
		OnPage:  func(int, driver.PageInfo) error { hung.Reset(quiet); return nil },
		OnWrite: func(int, int) error { hung.Reset(quiet); return nil },
	}
	err := s.Scan(ctx, b.settings(t, caps, caps.Sources[0].Source, b.Hang), &sink)
	checkCanceled(t, err, <-canceled, &sink)
	again, caps := b.open(t)
	b.usable(t, again, caps)
}
