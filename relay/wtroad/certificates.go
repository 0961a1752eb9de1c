package wtroad

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/identity"
)

// The life of a certificate. Browsers take none by its hash that is valid for more than
// 14 days in all. A certificate serves from its turn to the next one's, and is known
// for a whole turn before: a browser finds a match with hashes that are up to a turn old.
const (
	life   = 13 * 24 * time.Hour
	turn   = 6 * 24 * time.Hour
	early  = time.Hour   // of which it is valid before its turn, for browsers whose clocks are late
	tick   = time.Minute // between looks at the clock, which may have jumped while the machine slept
	pairIn = "browsers.pem"
)

// CertificatesConfig says where certificates are kept.
type CertificatesConfig struct {
	Dir string           // made if it is missing; its one file is nobody else's to read
	Now func() time.Time // nil: time.Now
	Log *slog.Logger
}

// Certificates are what browsers see of a node: self-signed, known by their hashes, and
// of keys that serve nothing else. There are always two: the one that serves, and the
// next. They outlast restarts, so that a browser's hashes stay good.
type Certificates struct {
	config CertificatesConfig
	path   string

	mu      sync.Mutex
	current *certificate
	next    *certificate
	unsaved bool
}

// OpenCertificates reads the certificates, or makes them. Serve keeps them fresh.
func OpenCertificates(c CertificatesConfig) (*Certificates, error) {
	if c.Dir == "" || c.Log == nil {
		return nil, errors.New("the certificates for browsers lack a part of their configuration")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	s := &Certificates{config: c, path: filepath.Join(c.Dir, pairIn)}
	switch text, err := identity.ReadSecret(s.path, maxPair); {
	case errors.Is(err, fs.ErrNotExist):
	case err == nil:
		s.current, s.next, err = parsePair(text)
		if err == nil {
			break
		}
		fallthrough
	default:
		// Browsers learn the hashes anew when they ask for the road.
		c.Log.Warn("the certificates for browsers are replaced: they cannot be used", "file", s.path, "error", err)
	}
	if err := s.renew(); s.current == nil {
		return nil, err
	} else if err != nil { // a full disk closes no road; Serve tries again
		c.Log.Error("the certificates for browsers cannot be kept", "file", s.path, "error", err)
	}
	return s, nil
}

// Serve renews the certificates when their turn has come, until ctx ends.
func (s *Certificates) Serve(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for failed := false; ; {
		err := s.renew()
		if err != nil && !failed { // once, not each minute
			s.config.Log.Error("the certificates for browsers cannot be renewed", "error", err)
		}
		failed = err != nil
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Hashes are base64url, without padding, of the SHA-256 of the certificates: of the one
// that serves, and of the next.
func (s *Certificates) Hashes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []string{s.current.hash, s.next.hash}
}

// GetCertificate is what a browser sees, whatever name it asks for.
func (s *Certificates) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.config.Now().Before(s.next.turn()) { // the machine slept, and Serve has yet to look
		return &s.next.tls, nil
	}
	return &s.current.tls, nil
}

// renew makes what is missing. What cannot be saved serves none the less, and is saved
// later.
func (s *Certificates) renew() error {
	now := s.config.Now()
	s.mu.Lock()
	current, next := s.current, s.next
	if next != nil && !now.Before(next.turn()) {
		current, next = next, nil
	}
	s.mu.Unlock()
	var err error
	if current == nil || now.Before(current.leaf.NotBefore) || !now.Before(current.turn().Add(turn)) {
		// There is none, or the clock was wrong when it was made, or nothing ran for long.
		next = nil
		if current, err = newCertificate(now); err != nil {
			return err
		}
	}
	made := next == nil
	if made {
		if next, err = newCertificate(current.turn().Add(turn)); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.current, s.next, s.unsaved = current, next, s.unsaved || made
	unsaved := s.unsaved
	s.mu.Unlock()
	if !unsaved {
		return nil
	}
	text, err := marshalPair(current, next)
	if err != nil {
		return err
	}
	if err := identity.WriteSecret(s.path, text); err != nil {
		return fmt.Errorf("keeping the certificates for browsers: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsaved = false
	return nil
}
