package airscan

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	statusFresh  = time.Second     // a storm of polls asks the node so often
	statusWithin = 8 * time.Second // clients wait 20 s
	faultShown   = 10 * time.Second
)

// statusCache is what the node last said of the scanner.
type statusCache struct {
	mu     sync.Mutex
	last   scan.Status
	at     time.Time
	asking chan struct{} // closed when there is an answer; nil: nobody asks
}

// scannerStatus is how the scanner is, as of a moment ago. One that cannot be reached is
// offline.
func (s *Server) scannerStatus(ctx context.Context) scan.Status {
	c := &s.status
	for {
		c.mu.Lock()
		if !c.at.IsZero() && time.Since(c.at) < statusFresh || ctx.Err() != nil {
			defer c.mu.Unlock()
			return c.last
		}
		asking := c.asking
		if asking == nil {
			c.asking = make(chan struct{})
		}
		c.mu.Unlock()
		if asking == nil {
			return s.askStatus()
		}
		select {
		case <-asking:
		case <-ctx.Done():
		}
	}
}

// askStatus asks for all that wait, whether or not the first of them still does.
func (s *Server) askStatus() scan.Status {
	ctx, cancel := context.WithTimeout(s.ctx, statusWithin)
	defer cancel()
	st, err := api.Decode[scan.Status](s.api.GetStatus(ctx, s.cfg.Scanner))
	if err != nil {
		s.log.Debug("the scanner's state is not known", "error", err)
		st = scan.Status{State: scan.ScannerOffline, Feeder: scan.FeederUnknown}
	}
	c := &s.status
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.at = st, time.Now()
	close(c.asking)
	c.asking = nil
	return st
}

// noticed keeps what a job has found of the feeder. Devices forget it as soon as their
// job is over, and clients ask after that.
func (s *Server) noticed(j *job) {
	j.mu.Lock()
	found, feeding := escl.FeederState(""), j.order.feeder() && j.ending == nil && j.told.State == scan.JobProcessing
	if j.ending != nil {
		found = j.ending.feeder
	}
	j.mu.Unlock()
	s.mu.Lock()
	switch {
	case feeding:
		s.fault = ""
	case found != "":
		s.fault, s.faultAt = found, time.Now()
	}
	s.mu.Unlock()
	s.status.mu.Lock()
	s.status.at = time.Time{} // the scanner is not as it was
	s.status.mu.Unlock()
}

func (s *Server) getStatus(w http.ResponseWriter, r *http.Request, _ target) error {
	st := s.scannerStatus(r.Context())
	own := s.jobsOf(clientOf(r))
	status := escl.Status{State: stateOf(st), Feeder: s.feederState(st)}
	if slices.ContainsFunc(own, (*job).handing) {
		// SANE's escl looks between two pages, and takes an empty feeder, or one of an idle
		// scanner, for the end.
		status.State, status.Feeder = escl.Processing, escl.FeederProcessing
	}
	now := time.Now()
	for _, j := range own {
		status.Jobs = append(status.Jobs, j.info(now))
	}
	return writeXML(w, http.StatusOK, status.XML())
}

// stateOf is a scanner's state. One that has nothing but an empty feeder is ready.
func stateOf(st scan.Status) escl.State {
	switch {
	case st.State == scan.ScannerOffline || st.State == "":
		return escl.Down
	case st.State == scan.ScannerProcessing, st.Waiting > 0, slices.Contains(st.Reasons, scan.ReasonBusyOther):
		return escl.Processing
	case st.State == scan.ScannerStopped && !slices.Contains(st.Reasons, scan.ReasonFeederEmpty):
		return escl.Stopped
	}
	return escl.Idle
}

// feederState is true: a feeder is empty only if it says so, as a client does not even
// try with an empty one, and jams are looked for by those who pull from one.
func (s *Server) feederState(st scan.Status) escl.FeederState {
	k := s.learned()
	if k == nil || k.offers.Simplex == nil && k.offers.Duplex == nil {
		return ""
	}
	s.mu.Lock()
	fault := s.fault
	if time.Since(s.faultAt) > faultShown || fault == escl.FeederEmpty && st.Feeder == scan.FeederLoaded {
		fault = ""
	}
	jobs := slices.Clone(s.jobs)
	s.mu.Unlock()
	switch {
	case slices.Contains(st.Reasons, scan.ReasonJam):
		return escl.FeederJam
	case slices.Contains(st.Reasons, scan.ReasonCoverOpen):
		return escl.FeederOpen
	case slices.ContainsFunc(jobs, (*job).feeding):
		return escl.FeederProcessing
	case fault != "":
		return fault
	case k.knowsEmpty(st):
		return escl.FeederEmpty
	}
	return escl.FeederLoaded
}

// knowsEmpty reports whether a sensor has said that there is no paper. A scanner at work is
// not asked: what it said before is of no use to a job that has to wait.
func (k *known) knowsEmpty(st scan.Status) bool {
	return st.Feeder == scan.FeederEmpty && st.State != scan.ScannerProcessing && k.offers.Feeder.DetectsLoad
}
