package lts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const (
	copyEvery = 10 * time.Second
	copyRest  = 20               // a copy that takes long is made the more seldom: so many times what it took
	copyMost  = 10 * time.Minute // at which it is made at least
	lookEvery = 5 * time.Second  // for a main server that is away
	lookFor   = 2 * time.Second
	fresh     = 3 * time.Second // for how long the main server is there once it has answered
	copyTime  = 5 * time.Minute
)

const standbyKey = "lts.standby"

// StandbyConfig is what a Standby is made of.
type StandbyConfig struct {
	// Tracking is a tracking.Server whose Records are the Journal, and whose ledger is Book.
	Tracking license.Tracking
	Journal  Journal
	Book     *ledger.Book
	Main     license.Address
	// Client makes the client for the main server, as license.RemoteConfig's.
	Client func(license.Address) (*http.Client, error)
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: discarded
}

// Standby stands in for a main server. It copies all that the main one has every few
// seconds. While that one cannot be reached it hands out what was free at the last copy,
// and counts pages; when that one is back it tells it all of that, before it copies
// again. While the main server is there a Standby refuses with TrackingOffline, so that
// nothing is handed out twice. Its methods are safe for concurrent use.
type Standby struct {
	cfg StandbyConfig

	// serving is held by requests that are answered, and by whoever finds the main server
	// back: nothing is told of while it changes.
	serving sync.RWMutex
	away    bool
	since   time.Time // of the last copy before it began to stand in

	looking chan struct{} // held by whoever speaks with the main server
	client  *http.Client  // under looking
	state   standbyState  // under looking

	mu   sync.Mutex
	last time.Time // when the main server answered last
	wake chan struct{}
}

// standbyState is what a standby knows of its copy.
type standbyState struct {
	Main int64     `json:"main"` // place in the main server's ledger up to which it was copied
	Own  int64     `json:"own"`  // place in the own one up to which the main server has all
	At   time.Time `json:"at"`   // of the last copy; zero: there is none
}

var _ license.Tracking = (*Standby)(nil)

// NewStandby makes a Standby. It asks nobody yet.
func NewStandby(ctx context.Context, cfg StandbyConfig) (*Standby, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Standby{cfg: cfg, looking: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	value, _, err := cfg.Journal.Get(ctx, standbyKey)
	if err == nil {
		err = json.Unmarshal(value, &s.state)
	}
	if err != nil && !errors.Is(err, access.ErrNoRecord) {
		return nil, fmt.Errorf("reading what the standby has copied: %w", err)
	}
	return s, nil
}

// Pin implements license.Tracking.
func (s *Standby) Pin() string { return s.cfg.Tracking.Pin() }

// Away is since when the main server for which this one stands in was not heard of, which
// is when it was copied last; zero: this one does not stand in.
func (s *Standby) Away() (since time.Time) {
	s.serving.RLock()
	defer s.serving.RUnlock()
	if !s.away {
		return time.Time{}
	}
	return s.since
}

// Fixed is Config.Fixed: why nothing can be changed here.
func (s *Standby) Fixed() string {
	return "This is the standby of the licence tracking server at " + s.cfg.Main.Host + ": change it there."
}

// Lease implements license.Tracking.
func (s *Standby) Lease(ctx context.Context, place license.Place, wish api.LeaseRequest) (api.LeaseAnswer, error) {
	leave, err := s.standIn(ctx)
	if err != nil {
		return api.LeaseAnswer{}, err
	}
	defer leave()
	return s.cfg.Tracking.Lease(ctx, place, wish)
}

// Report implements license.Tracking.
func (s *Standby) Report(ctx context.Context, by license.Place, pin string, batch api.ReceiptBatch) (api.ReceiptMark, error) {
	leave, err := s.standIn(ctx)
	if err != nil {
		return api.ReceiptMark{}, err
	}
	defer leave()
	return s.cfg.Tracking.Report(ctx, by, pin, batch)
}

// standIn is for one request, if the main server is away; leave ends it.
func (s *Standby) standIn(ctx context.Context) (leave func(), err error) {
	s.serving.RLock()
	if s.away {
		return s.serving.RUnlock, nil
	}
	s.serving.RUnlock()
	if err := s.look(ctx); err != nil {
		return nil, err
	}
	s.serving.RLock()
	if s.away {
		return s.serving.RUnlock, nil
	}
	s.serving.RUnlock()
	return nil, problem.New(problem.TrackingOffline, "The standby does not stand in: the main server at %s answers it.", s.cfg.Main.Host)
}

// look finds out whether the main server is there, unless it has answered a moment ago.
func (s *Standby) look(ctx context.Context) error {
	if s.answeredWithin(fresh) {
		return nil
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if s.answeredWithin(fresh) {
		return nil
	}
	if s.state.At.IsZero() {
		return problem.New(problem.TrackingOffline, "The standby has not copied the main server at %s yet.", s.cfg.Main.Host)
	}
	if err := s.reach(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.lost(err)
	}
	return nil
}

// enter waits for the turn to speak with the main server.
func (s *Standby) enter(ctx context.Context) (leave func(), err error) {
	select {
	case s.looking <- struct{}{}:
		return func() { <-s.looking }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Standby) answeredWithin(d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.last.IsZero() && s.cfg.Now().Sub(s.last) < d
}

// lost begins to stand in. The caller has the turn to speak with the main server.
func (s *Standby) lost(err error) {
	s.serving.Lock()
	defer s.serving.Unlock()
	if s.away {
		return
	}
	s.cfg.Log.Warn("the main licence tracking server does not answer; this one stands in", "main", s.cfg.Main.Host, "error", err)
	s.away, s.since = true, s.state.At
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// back ends standing in, once the requests that are answered have ended.
func (s *Standby) back() {
	s.serving.Lock()
	defer s.serving.Unlock()
	if s.away {
		s.cfg.Log.Info("the main licence tracking server is back", "main", s.cfg.Main.Host)
	}
	s.away = false
}

// Serve copies the main server, and looks for it while it is away, until ctx ends.
func (s *Standby) Serve(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-timer.C:
		}
		began := time.Now()
		err := s.Sync(ctx)
		wait := min(max(copyEvery, copyRest*time.Since(began)), copyMost)
		if err != nil {
			wait = lookEvery
		}
		timer.Reset(wait)
	}
}

// Sync tells the main server what was done while it was away, and copies it. An error means
// that it has to be done once more.
func (s *Standby) Sync(ctx context.Context) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := s.reach(ctx); err != nil {
		if ctx.Err() == nil && !s.state.At.IsZero() {
			s.lost(err)
		}
		return err
	}
	s.back()
	ctx, cancel := context.WithTimeout(ctx, copyTime)
	defer cancel()
	err = s.tell(ctx)
	if err == nil {
		err = s.copy(ctx)
	}
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.Error("the main licence tracking server cannot be copied", "main", s.cfg.Main.Host, "error", err)
	}
	return err
}
