// Package setup is what stands behind the setup page of a node, gateway or licence
// tracking server: what it shows, and how settings are changed so that nobody locks himself out.
//
// platen.ini stays the one place of settings: a change edits its lines, and the command
// applies the result (Config.Apply), without a restart where that is possible. Each
// change is said in plain words before it is made, one that lets more people in has to
// be confirmed, and one that could cut the caller off is on trial: it goes back by
// itself unless somebody who reaches the page keeps it. A crash ends a trial too
// (Recover). Every change is in the audit log and can be undone.
//
// The commands of cmd/platen make a Setup and serve its Routes on access.RoadSetup.
// No secret is ever answered.
package setup

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/audit"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/proto/api"
)

// trialTime is how long a change stays that nobody keeps.
const trialTime = 30 * time.Second

// Config is what a Setup needs.
type Config struct {
	Role api.SetupRole
	Path string   // of platen.ini; it is made by the first change
	Env  []string // variables over it, as from os.Environ
	Dir  string   // a folder of its own, for the changes that were made

	// Apply makes the running service as the configuration says: it applies hot keys, opens
	// and closes ports. Called again with the same it does nothing. An error, which is
	// shown to people and says who holds a taken port, means that everything is as before.
	// It must not wait for requests to end: it is called by one.
	Apply func(context.Context, *config.Config) error
	// State is what the command knows of its service.
	State        func(context.Context) State
	Certificates Certificates
	Audit        Auditor
	Level        *Level

	// Join, Ask and Leave are a node's: joining by a token, asking the gateway at an
	// address for approval, leaving the gateway. nil elsewhere.
	Join  func(ctx context.Context, token string) error
	Ask   func(ctx context.Context, address string) error
	Leave func(ctx context.Context) error

	Interfaces func() []api.SetupInterface                   // by which other devices may come; nil: the machine's
	LookPath   func(program string) (path string, err error) // nil: exec.LookPath

	Log *slog.Logger // nil: discarded
}

// State is the part of the page that only the command knows.
type State struct {
	Name, Version   string
	Started         time.Time
	Running         bool // false: it is starting
	Scanners, Queue int  // of a node
	Nodes           int  // of a gateway
	Disk            int64
	Fault           string             // the log's last error
	Warnings        []api.SetupWarning // beside those that Setup finds
	Paths           []api.SetupPath
	Ports           []api.SetupPort // that are open, or should be
	Gateway         api.SetupGateway
	Shared          []api.SetupShared // by eSCL
	Licence         api.LicenseMode
}

// Certificates are those of this end: *certs.Store.
type Certificates interface {
	List() []api.Certificate
	Put(slot string, u api.CertificateUpload) (api.Certificate, error)
	Remove(slot string) error
}

// Auditor is the audit log: *audit.Log. The guard writes what requests do; Setup what
// happens by itself.
type Auditor interface {
	Ready() error
	Append(ctx context.Context, e audit.Entry) error
}

// Setup keeps the settings of one end. It is safe for concurrent use.
type Setup struct {
	Config
	wake chan struct{} // a trial began or ended

	changing sync.Mutex // one change at a time; held over files and Apply

	mu      sync.Mutex
	history []change // newest first
	trial   *trial   // nil: none
	good    *config.File
}

// New reads the changes that were made. Recover must have been called before the
// configuration was loaded.
func New(c Config) (*Setup, error) {
	if c.Interfaces == nil {
		c.Interfaces = interfaces
	}
	if c.LookPath == nil {
		c.LookPath = exec.LookPath
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Setup{Config: c, wake: make(chan struct{}, 1)}
	left, err := s.readTrial()
	if err != nil {
		return nil, err
	}
	if left != nil {
		return nil, errors.New("a change of settings is still on trial: it has to be put back before the configuration is loaded")
	}
	if s.history, err = s.readHistory(); err != nil {
		return nil, err
	}
	s.good, err = config.Read(c.Path, c.Env)
	return s, err
}

// Serve puts trials back when their time is up. At its end one that is on trial stays
// as it is: the next start puts it back.
func (s *Setup) Serve(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s.mu.Lock()
		wait := time.Hour
		if s.trial != nil {
			wait = max(time.Until(s.trial.Until), time.Millisecond)
		}
		s.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-timer.C:
			s.expire(ctx)
		}
	}
}

func (s *Setup) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// read is the file as it is, or as it was when it had no faults, with the fault.
func (s *Setup) read() (*config.File, error) {
	file, err := config.Read(s.Path, s.Env)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		return s.good, err
	}
	s.good = file
	return file, nil
}
