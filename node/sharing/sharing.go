// Package sharing lets computers nearby scan without Platen: every scanner that is
// shared has an eSCL server of its own (package airscan) on two ports that stay its own,
// and is announced to the local network. cmd/platen says which scanners those are, the
// node's own or others that the gateway lets it present.
//
// It does not decide who may connect: that is the Door.
package sharing

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/node/airscan"
	"github.com/platen-scan/platen/proto/api"
)

// Config is what a Sharing is made of.
type Config struct {
	FirstPort int            // of the first scanner; 0: any two free ones, not remembered
	Records   access.Records // where ports are remembered; needed unless FirstPort is 0
	// Address is the one to share at; nil or "": all. It may change.
	Address func() string
	// Listen opens a TCP port; its error says who has it.
	Listen func(address string) (net.Listener, error)
	// Answer serves HTTP on a listener until ctx ends; with a tls.Config HTTPS.
	Answer func(ctx context.Context, l net.Listener, h http.Handler, secure *tls.Config) error
	TLS    *tls.Config                     // certificates
	Door   func(http.Handler) http.Handler // lets those in who may connect
	// Announce makes these the records of all shared scanners. It must not block.
	Announce func([]discovery.Record)
	Host     string // under which they are announced, as "platen-k7x2.local"
	// Page is the page for people about a scanner; nil or "": the eSCL server's own.
	Page  func(scanner string) string
	Spool string // folder for files in the making
	Log   *slog.Logger
}

// Scanner is one to be shared.
type Scanner struct {
	ID       string
	Name     string // of a remote one: as it says itself
	Location string // for people; as Name
	Remote   bool   // of another node
	// API reaches it for a client at an address.
	API func(client netip.Addr) *api.Client
}

// Sharing shares scanners. New makes it, Serve runs it.
type Sharing struct {
	Config
	wake chan struct{}

	mu     sync.Mutex
	wanted []Scanner
	state  []api.SetupShared

	open map[string]*share // of Serve's goroutine
}

// New makes a Sharing that shares nothing yet.
func New(c Config) (*Sharing, error) {
	if c.Listen == nil || c.Answer == nil || c.Door == nil || c.Announce == nil || c.TLS == nil || c.FirstPort != 0 && c.Records == nil {
		return nil, errors.New("sharing scanners: something that is needed is missing")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	secure := c.TLS.Clone()
	secure.NextProtos = []string{"http/1.1"} // clients look for header names and reasons as HTTP/1.1 spells them
	c.TLS = secure
	return &Sharing{Config: c, wake: make(chan struct{}, 1), open: map[string]*share{}}, nil
}

// Share makes these the scanners that are shared. It may be called at any time and does
// not wait.
func (s *Sharing) Share(list []Scanner) {
	s.mu.Lock()
	s.wanted = slices.Clone(list)
	s.mu.Unlock()
	s.look()
}

// Shared tells how the scanners are shared, without the names that they got by Bonjour.
func (s *Sharing) Shared() []api.SetupShared {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.state)
}

// look has Serve look again.
func (s *Sharing) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// retry is the pause before ports that could not be opened are tried again.
const retry = 15 * time.Second

// Serve shares until ctx ends.
func (s *Sharing) Serve(ctx context.Context) error {
	again := time.NewTicker(retry)
	defer again.Stop()
	defer func() {
		for id := range s.open {
			s.stop(id)
		}
	}()
	for {
		s.bring(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-again.C:
		}
	}
}

// bring makes what is shared what is wanted.
func (s *Sharing) bring(ctx context.Context) {
	s.mu.Lock()
	wanted := slices.Clone(s.wanted)
	s.mu.Unlock()
	for id := range s.open {
		keep := func(w Scanner) bool { return w.ID == id && w.Remote == s.open[id].Remote }
		if s.open[id].address != s.address() || !slices.ContainsFunc(wanted, keep) {
			s.stop(id)
		}
	}
	var state []api.SetupShared
	var records []discovery.Record
	for _, w := range wanted {
		sh := s.open[w.ID]
		if sh == nil {
			var err error
			if sh, err = s.start(ctx, w); err != nil {
				s.Log.Error("a scanner is not shared", "scanner", w.ID, "error", err)
				state = append(state, api.SetupShared{Scanner: w.ID, Name: w.Name, Remote: w.Remote, Fault: err.Error()})
				continue
			}
		}
		sh.Scanner = w
		announced := sh.records(s.Host, s.page(w.ID))
		records = append(records, announced...)
		state = append(state, api.SetupShared{
			Scanner: w.ID, Name: w.Name, Remote: w.Remote, Port: sh.port, TlsPort: sh.tlsPort, Announced: len(announced) > 0,
		})
	}
	s.mu.Lock()
	s.state = state
	s.mu.Unlock()
	s.Announce(records)
}

func (s *Sharing) address() string {
	if s.Address == nil {
		return ""
	}
	return s.Address()
}

func (s *Sharing) page(scanner string) string {
	if s.Page == nil {
		return ""
	}
	return s.Page(scanner)
}

// share is a scanner that is shared.
type share struct {
	Scanner
	address       string
	port, tlsPort int
	server        *airscan.Server
	end           context.CancelFunc
	runs          sync.WaitGroup
}

// start opens a scanner's ports and serves it.
func (s *Sharing) start(ctx context.Context, w Scanner) (*share, error) {
	server, err := airscan.New(airscan.Config{
		Scanner: w.ID, API: w.API, Admin: func() string { return s.page(w.ID) }, Spool: s.Spool, Changed: s.look,
		Log: s.Log.With("scanner", w.ID),
	})
	if err != nil {
		return nil, err
	}
	plain, secure, err := s.openPair(ctx, w.ID)
	if err != nil {
		return nil, err
	}
	sh := &share{Scanner: w, address: s.address(), port: portOf(plain), tlsPort: portOf(secure), server: server}
	ctx, sh.end = context.WithCancel(ctx)
	handler := s.Door(server.Handler())
	run := func(f func() error) {
		sh.runs.Go(func() {
			if err := f(); err != nil && ctx.Err() == nil {
				s.Log.Error("sharing a scanner broke off", "scanner", w.ID, "error", err)
			}
		})
	}
	run(func() error { return server.Serve(ctx) })
	run(func() error { return s.Answer(ctx, plain, handler, nil) })
	run(func() error { return s.Answer(ctx, secure, handler, s.TLS) })
	s.open[w.ID] = sh
	s.Log.Info("a scanner is shared by eSCL", "scanner", w.ID, "port", sh.port, "remote", w.Remote)
	return sh, nil
}

// stop cuts a scanner's clients off and frees its ports for its next time.
func (s *Sharing) stop(id string) {
	sh := s.open[id]
	delete(s.open, id)
	sh.end()
	sh.runs.Wait()
	s.Log.Info("a scanner is shared no more", "scanner", id)
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
