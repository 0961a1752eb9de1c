// Package certs chooses the certificate that a browser sees at each handshake. It
// takes the first of these that vouches for the name or address that was asked for:
//
//  1. an own certificate of the administrator, as a file named in platen.ini or
//     uploaded on the setup page, in the slots external (for other devices) and local
//     (for names that are bound to 127.0.0.1);
//  2. a certificate that it has got, and renews, from an ACME server;
//  3. the leaf of this installation's CA, made for the names and addresses that the
//     machine has at that moment.
//
// The next handshake sees a change; established connections stay. What cannot be had
// is said by List, in the log and never by a failed handshake, because 3 is always
// there. The commands of cmd/platen make a Store; nodes and gateways know each other
// by their keys (internal/identity) and never look at these certificates.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
)

// Config is what a Store needs.
type Config struct {
	Dir   string          // of keys: uploaded certificates and those of ACME are kept there
	CA    *identity.CA    // signs what nobody else vouches for
	Hosts func() []string // own names and addresses at this moment, for the CA's leaf

	External, Local File // as platen.ini names them; zero: what was uploaded, if anything

	ACME *ACME // nil: none

	Log *slog.Logger
	Now func() time.Time // nil: time.Now
}

// File names a certificate of the administrator's. It is read again when it changes.
type File struct {
	Certificate string // PEM; the chain below it may follow
	Key         string // PEM; not readable by everybody
}

// Store holds the certificates of one end. It is safe for concurrent use.
type Store struct {
	Config
	acme *manager // nil without ACME

	saving sync.Mutex // one upload at a time

	mu      sync.RWMutex
	slots   map[api.CertificateName]*slot
	leaf    *tls.Certificate // of the CA
	leafAge time.Time
	leftOut []string // hosts that the leaf is not for
}

// leafKept is for how long handshakes share one look at the machine's addresses.
const leafKept = 5 * time.Second

// New reads the certificates that are there. What is wrong with one is logged and
// listed; it never keeps a service from starting.
func New(c Config) *Store {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Store{Config: c, slots: map[api.CertificateName]*slot{
		api.CertificateNameExternal: newSlot(c, api.CertificateNameExternal, c.External),
		api.CertificateNameLocal:    newSlot(c, api.CertificateNameLocal, c.Local),
	}}
	if c.ACME != nil {
		s.acme = newManager(*c.ACME, c.Dir, c.Log)
	}
	s.reload()
	return s
}

// GetCertificate is for tls.Config.
func (s *Store) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.acme != nil && isChallenge(hello) {
		return s.acme.challengeCertificate(hello)
	}
	leaf, err := s.caLeaf()
	if slices.Contains(hello.SupportedProtos, identity.ALPNPinned) {
		return leaf, err
	}
	host := hostOf(hello)
	better := s.find(host)
	if better == nil || expired(better, s.Now()) && err == nil && leaf.Leaf.VerifyHostname(host) == nil {
		return leaf, err
	}
	return better, nil
}

// Trusted reports whether others than this installation's CA vouch for the name that
// a browser asked for, so that it may be told to insist on HTTPS there. Browsers
// heed that only over connections whose certificate they trust.
func (s *Store) Trusted(state *tls.ConnectionState) bool {
	if state == nil || state.ServerName == "" {
		return false
	}
	found := s.find(strings.ToLower(state.ServerName))
	return found != nil && !expired(found, s.Now())
}

// find is the best certificate for host beside the CA's: one that has not ended, if
// there is one; nil if none is for host.
func (s *Store) find(host string) *tls.Certificate {
	var candidates []*tls.Certificate
	s.mu.RLock()
	for _, name := range slotNames {
		if pair := s.slots[name].pair; pair != nil && pair.Leaf.VerifyHostname(host) == nil {
			candidates = append(candidates, pair)
		}
	}
	s.mu.RUnlock()
	if s.acme != nil {
		if c := s.acme.certificate(host); c != nil {
			candidates = append(candidates, c)
		}
	}
	now := s.Now()
	if i := slices.IndexFunc(candidates, func(c *tls.Certificate) bool { return !expired(c, now) }); i >= 0 {
		return candidates[i]
	}
	if len(candidates) > 0 {
		return candidates[0]
	}
	return nil
}

// caLeaf is the CA's certificate for this machine as it is now.
func (s *Store) caLeaf() (*tls.Certificate, error) {
	now := s.Now()
	s.mu.RLock()
	leaf, age := s.leaf, now.Sub(s.leafAge)
	s.mu.RUnlock()
	if leaf != nil && age >= 0 && age < leafKept {
		return leaf, nil
	}
	hosts := s.Hosts()
	made, err := s.CA.Leaf(hosts, now)
	if err != nil {
		return nil, err
	}
	var leftOut []string
	for _, host := range hosts {
		if !s.CA.Permits(host) {
			leftOut = append(leftOut, host)
		}
	}
	s.mu.Lock()
	before := s.leftOut
	s.leaf, s.leafAge, s.leftOut = &made, now, leftOut
	s.mu.Unlock()
	for _, host := range leftOut {
		if !slices.Contains(before, host) && s.find(host) == nil {
			s.Log.Warn("no certificate vouches for a host of this machine: it is outside of what the CA was made for", slog.String("host", host))
		}
	}
	return &made, nil
}

// Serve watches the files, gets and renews what ACME is configured for, and warns of
// certificates that end, until ctx ends.
func (s *Store) Serve(ctx context.Context) error {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	if s.acme != nil {
		tasks.Go(func() { s.acme.serve(ctx) })
	}
	poll, remind := time.NewTicker(pollEvery), time.NewTicker(remindEvery)
	defer poll.Stop()
	defer remind.Stop()
	warned := s.warn(nil)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
			s.reload()
		case <-remind.C:
			warned = s.warn(warned)
		}
	}
}

// hostOf is the name that the browser asks for. Of an address TLS tells nothing; then
// it is the address at which it arrived.
func hostOf(hello *tls.ClientHelloInfo) string {
	if hello.ServerName != "" || hello.Conn == nil {
		return strings.ToLower(hello.ServerName)
	}
	host, _, err := net.SplitHostPort(hello.Conn.LocalAddr().String())
	if err != nil {
		return ""
	}
	return host
}

func expired(c *tls.Certificate, now time.Time) bool { return !validAt(c.Leaf, now) }

func validAt(c *x509.Certificate, now time.Time) bool {
	return !now.Before(c.NotBefore) && now.Before(c.NotAfter)
}
