package airscan

import (
	"context"
	"reflect"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/scan"
)

// known is what was learned of the scanner. It is never changed, only replaced.
type known struct {
	scanner scan.Scanner
	caps    scan.Capabilities
	offers  escl.Capabilities
	knobs   []knob
}

// How often the scanner is asked what it can do. The node answers from memory unless the
// device was plugged in again.
const (
	learnFirst  = time.Second // after the first failure, doubled with each
	learnLast   = 30 * time.Second
	learnAgain  = time.Minute
	learnPause  = 5 * time.Second // at least, also when a job was refused
	learnWithin = 2 * time.Minute // the device may have to wake up
)

// learn asks until there is an answer, and then now and then.
func (s *Server) learn(ctx context.Context) {
	failed := learnFirst
	for {
		pause := learnAgain
		if err := s.ask(ctx); err != nil && ctx.Err() == nil {
			s.log.Debug("the scanner does not say what it can do", "error", err)
			if s.learned() == nil {
				pause, failed = failed, min(2*failed, learnLast)
			}
		}
		if !sleep(ctx, min(pause, learnPause)) || pause > learnPause && !s.wait(ctx, pause-learnPause) {
			return
		}
	}
}

// wait is a pause that ends early when somebody wants the scanner asked.
func (s *Server) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.look:
	case <-ctx.Done():
		return false
	}
	return true
}

// askAgain has the scanner asked soon: it refused what it was believed to be able to do.
func (s *Server) askAgain() {
	select {
	case s.look <- struct{}{}:
	default:
	}
}

func (s *Server) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, learnWithin)
	defer cancel()
	scanner, err := api.Decode[scan.Scanner](s.api.GetScanner(ctx, s.cfg.Scanner))
	if err != nil {
		return err
	}
	caps, err := api.Decode[scan.Capabilities](s.api.GetCapabilities(ctx, s.cfg.Scanner))
	if err != nil {
		return err
	}
	k := newKnown(scanner, caps)
	s.mu.Lock()
	was := s.known
	s.known = k
	s.mu.Unlock()
	if s.cfg.Changed != nil && (was == nil || !reflect.DeepEqual(was.describe(), k.describe())) {
		s.cfg.Changed()
	}
	return nil
}

func newKnown(scanner scan.Scanner, caps scan.Capabilities) *known {
	k := &known{scanner: scanner, caps: caps, knobs: knobsOf(caps.Options)}
	k.offers = k.translate()
	return k
}

func (s *Server) learned() *known {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known
}

func (k *known) describe() Description {
	d := Description{Name: k.scanner.Name, Location: k.scanner.Location, Text: k.offers.Text()}
	if d.Location != "" {
		d.Text["note"] = d.Location
	}
	return d
}

// sleep reports whether it slept to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
