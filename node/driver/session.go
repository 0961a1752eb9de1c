package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

// Session is what a worker does with its device: it scans batches, encodes the pages
// and gives them to a Sink. A node has a Worker, which does the same from outside;
// only workers and conformance tests make a Session.
//
// Its methods are for one goroutine, the one that opened the device, but for
// FinishAfterPage and Cancel.
type Session struct {
	dev    Device
	codecs imaging.Codecs
	alive  func() // tells that a wait is no hang; never nil

	begun *scan.Settings // of the batch that a Stop left open, without Pages; nil: none

	mu  sync.Mutex
	cur *control // of the Scan under way
}

// control is how other goroutines reach a scan.
type control struct {
	cancel context.CancelFunc
	finish atomic.Bool
}

// NewSession makes a session of an open device.
func NewSession(dev Device, codecs imaging.Codecs) *Session {
	return &Session{dev: dev, codecs: codecs, alive: func() {}}
}

// Capabilities asks the device what it can do.
func (s *Session) Capabilities(ctx context.Context) (scan.Capabilities, error) {
	s.endBatch() // asking sets options
	return s.dev.Capabilities(ctx)
}

// Status asks the device how it is.
func (s *Session) Status(ctx context.Context) (scan.Status, error) { return s.dev.Status(ctx) }

// Scan is described at Worker.Scan.
func (s *Session) Scan(ctx context.Context, settings scan.Settings, sink Sink) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return s.scan(ctx, settings, sink, &control{cancel: cancel})
}

// FinishAfterPage ends the scan under way after its present sheet.
func (s *Session) FinishAfterPage() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cur != nil {
		s.cur.finish.Store(true)
	}
}

// Cancel ends the scan under way with context.Canceled.
func (s *Session) Cancel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cur != nil {
		s.cur.cancel()
	}
}

// Close ends what is open and closes the device.
func (s *Session) Close() error {
	s.endBatch()
	return s.dev.Close()
}

func (s *Session) scan(ctx context.Context, settings scan.Settings, sink Sink, c *control) error {
	s.mu.Lock()
	s.cur = c
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.cur = nil
		s.mu.Unlock()
	}()

	if err := s.begin(ctx, settings); err != nil {
		return err
	}
	canceled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { s.dev.Cancel(); close(canceled) })
	err := s.pages(ctx, settings, sink, c)
	if !stop() {
		<-canceled // a late Cancel must not hit the next batch
	}
	if ctx.Err() != nil && err != nil {
		err = context.Canceled
	}
	if !leavesOpen(err) {
		s.endBatch()
	}
	return err
}

// begin sets the device up, unless settings continue what a Stop left open.
func (s *Session) begin(ctx context.Context, settings scan.Settings) error {
	if ctx.Err() != nil {
		return context.Canceled
	}
	settings.Pages = 0
	if s.begun != nil && reflect.DeepEqual(*s.begun, settings) {
		return nil
	}
	s.endBatch()
	if err := s.dev.Begin(ctx, settings); err != nil {
		return err
	}
	s.begun = &settings
	return nil
}

// endBatch ends the batch that is open, if any. What the device says to that changes
// nothing: the pages are what they are.
func (s *Session) endBatch() {
	if s.begun != nil {
		s.begun = nil
		s.dev.End()
	}
}

// leavesOpen reports whether the batch goes on when the sheet or the device is put right.
func leavesOpen(err error) bool {
	var stop *Stop
	if !errors.As(err, &stop) {
		return false
	}
	switch stop.Reason {
	case scan.ReasonFeederEmpty, scan.ReasonJam, scan.ReasonCoverOpen, scan.ReasonOffline:
		return true
	}
	return false
}

func (s *Session) pages(ctx context.Context, settings scan.Settings, sink Sink, c *control) error {
	sheetDone := true
	for n := 0; ; n++ {
		switch {
		case n > 0 && !settings.Source.Feeder():
			if settings.Pages > n {
				return &Stop{Reason: scan.ReasonNextSheet, Detail: "one sheet at a time lies on the glass"}
			}
			return nil
		case n > 0 && settings.Pages == n, n > 0 && sheetDone && c.finish.Load():
			return nil
		}
		info, err := s.nextPage(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.page(ctx, info, settings, sink); err != nil {
			return err
		}
		sheetDone = settings.Source != scan.SourceADFDuplex || info.Side != scan.SideFront
	}
}

// The patience with a device that says that it is warming up.
const (
	warmUpPause = time.Second
	warmUpTries = 180
)

func (s *Session) nextPage(ctx context.Context) (PageInfo, error) {
	for try := 0; ; try++ {
		if ctx.Err() != nil {
			return PageInfo{}, context.Canceled
		}
		info, err := s.dev.NextPage(ctx)
		var stop *Stop
		if !errors.As(err, &stop) || stop.Reason != scan.ReasonWarmingUp || try == warmUpTries {
			return info, err
		}
		s.alive()
		select {
		case <-time.After(warmUpPause):
		case <-ctx.Done():
		}
	}
}

// page takes one page from the device to the sink.
func (s *Session) page(ctx context.Context, info PageInfo, settings scan.Settings, sink Sink) error {
	info.Format = settings.Format
	if info.Depth != 8 || !info.Format.Master() {
		info.Format = scan.FormatPNG // the device had the last word on the depth
	}
	img := info.Image()
	if err := img.Validate(); err != nil {
		return &Stop{Reason: scan.ReasonUnsupported, Detail: err.Error()}
	}
	out, err := sink.PageStarted(info)
	if err != nil {
		return fmt.Errorf("starting a page: %w", err)
	}
	p := &pump{dev: s.dev, img: img, out: chunker{sink: out}, alive: s.alive}
	rows, patches, err := p.run(ctx, info.Format, settings.Quality, s.codecs)
	if ctx.Err() != nil {
		err = context.Canceled
	}
	if err != nil {
		out.Abort(err)
		return err
	}
	if err := out.Commit(rows, patches...); err != nil {
		return fmt.Errorf("committing a page: %w", err)
	}
	return nil
}
