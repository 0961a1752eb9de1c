package airscan

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/escl"
)

// Server is the eSCL server of one scanner. New makes it, Serve runs it.
type Server struct {
	cfg      Config
	log      *slog.Logger
	api      *api.Client // for the server's own questions
	ctx      context.Context
	end      context.CancelFunc
	look     chan struct{} // the scanner is to be asked again what it can do
	busy     chan struct{} // there is a job
	spooling chan struct{} // slots for files in the making
	tasks    sync.WaitGroup
	status   statusCache

	mu      sync.Mutex
	closed  bool   // no task begins any more
	known   *known // nil until the scanner was learned
	jobs    []*job // oldest first
	fault   escl.FeederState
	faultAt time.Time
}

// maxSpooling is how many files are made at a time.
const maxSpooling = 4

// New makes a server. It starts nothing.
func New(c Config) (*Server, error) {
	if c.Scanner == "" || c.API == nil {
		return nil, errors.New("making an eSCL server: it needs a scanner and an API")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: c, log: c.Log, api: c.API(netip.IPv4Unspecified()),
		look: make(chan struct{}, 1), busy: make(chan struct{}, 1), spooling: make(chan struct{}, maxSpooling),
	}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Handler answers everything on the scanner's port.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

// Serve learns what the scanner can do and looks after the jobs until ctx ends. Then it
// cancels those that have not ended and deletes their pages: nobody could fetch them any
// more. It may be called once.
func (s *Server) Serve(ctx context.Context) error {
	defer s.end()
	stop := context.AfterFunc(ctx, s.end)
	defer stop()
	var parts sync.WaitGroup
	parts.Go(func() { s.learn(s.ctx) })
	parts.Go(func() { s.sweep(s.ctx) })
	<-s.ctx.Done()
	parts.Wait()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.tasks.Wait()
	s.leave()
	return nil
}

// spawn runs f in a goroutine that Serve waits for; false once Serve ends.
func (s *Server) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spawnLocked(f)
}

func (s *Server) spawnLocked(f func()) bool {
	if s.closed {
		return false
	}
	s.tasks.Go(f)
	return true
}

// Description is what is announced of a scanner.
type Description struct {
	Name     string            // for people
	Location string            // for people; "": not said
	Text     map[string]string // of the DNS-SD records; without addresses
}

// Describe tells what to announce; ok is false until it was learned once. A scanner that
// is switched off later is announced all the same: its clients are told that it is.
func (s *Server) Describe() (d Description, ok bool) {
	k := s.learned()
	if k == nil {
		return Description{}, false
	}
	return k.describe(), true
}
