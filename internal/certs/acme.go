package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"go.uber.org/zap"
)

// Challenge is how the ACME server sees that a name is ours.
type Challenge string

const (
	ChallengeHTTP    Challenge = "http"     // it fetches a file from port 80 of the name
	ChallengeTLSALPN Challenge = "tls-alpn" // it looks at port 443 of the name
	ChallengeDNS     Challenge = "dns"      // it looks up a record that DNSHook made
)

// ACME says where certificates come from without anybody's help (RFC 8555).
type ACME struct {
	Directory   string    // URL of the server's directory; "": Let's Encrypt
	Root        string    // file (PEM) of the CA of the server's own certificate; "": the system's
	Email       string    // where the server writes to when something is wrong; "": nowhere
	Names       []string  // each gets a certificate of its own
	TermsAgreed bool      // the administrator has agreed to the server's terms; else nothing is asked for
	Challenge   Challenge // "": http
	HTTPPort    int       // of ours, where Challenges answers; port 80 of the names has to lead there
	HTTPSPort   int       // of ours, where GetCertificate answers with ALPNChallenge; port 443 has to lead there
	DNSHook     string    // absolute path of the program for ChallengeDNS; see hook

	check time.Duration // between two looks at what is due; 0: certmagic's 10 minutes
}

// ALPNChallenge has to be among the protocols of the HTTPS port for ChallengeTLSALPN.
const ALPNChallenge = acmez.ACMETLS1Protocol

// Challenges answers the ACME server on the plain HTTP port, and hands everything
// else to next.
func (s *Store) Challenges(next http.Handler) http.Handler {
	if s.acme == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.acme.answer(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// isChallenge tells the ACME server's look (RFC 8737) from a browser's.
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == ALPNChallenge
}

// manager is certmagic, as far as it is needed: it gets and renews, with its storage
// and its back-off. Nothing of it starts before serve.
type manager struct {
	ACME
	storage *certmagic.FileStorage
	log     *slog.Logger

	mu     sync.RWMutex
	magic  *certmagic.Config // nil while serve does not run; so are the next two
	cache  *certmagic.Cache
	issuer *certmagic.ACMEIssuer
	faults map[string]string // by name
}

func newManager(a ACME, dir string, log *slog.Logger) *manager {
	if a.Challenge == "" {
		a.Challenge = ChallengeHTTP
	}
	a.Names = slices.Clone(a.Names)
	for i, name := range a.Names {
		a.Names[i] = strings.ToLower(name)
	}
	return &manager{ACME: a, log: log, faults: map[string]string{}, storage: &certmagic.FileStorage{Path: filepath.Join(dir, "acme")}}
}

// serve gets what is missing and renews what is due until ctx ends. Renewals run on
// certmagic's own goroutines; they end with the cache.
func (m *manager) serve(ctx context.Context) {
	if err := m.start(ctx); err != nil {
		m.log.Error("no certificates are asked for", slog.Any("error", err))
		for _, name := range m.Names {
			m.setFault(name, err.Error())
		}
		return
	}
	defer m.stop()
	var names sync.WaitGroup
	for _, name := range m.Names {
		names.Go(func() {
			if err := m.obtain(ctx, name); err != nil && ctx.Err() == nil {
				m.setFault(name, err.Error())
				m.log.Error("a certificate cannot be had", slog.String("host", name), slog.Any("error", err))
			}
		})
	}
	names.Wait()
	<-ctx.Done()
}

// start checks the configuration and makes certmagic's parts. Only those of its own
// are used, none of the package's defaults.
func (m *manager) start(ctx context.Context) error {
	roots, err := m.valid()
	if err != nil {
		return err
	}
	log := zap.New(zapCore{m.log})
	var magic *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
		RenewCheckInterval: m.check, Logger: log,
	})
	magic = certmagic.New(cache, certmagic.Config{
		Storage: m.storage, Logger: log, OnEvent: m.onEvent(ctx),
		OCSP: certmagic.OCSPConfig{DisableStapling: true}, // no server is told who visits; browsers do not ask for it any more
	})
	directory := m.Directory
	if directory == "" {
		directory = certmagic.LetsEncryptProductionCA
	}
	issuer := certmagic.NewACMEIssuer(magic, certmagic.ACMEIssuer{
		CA: directory, TestCA: directory, Email: m.Email, Agreed: true, TrustedRoots: roots, Logger: log,
		// certmagic opens a port of its own unless it finds this one taken: it is, by us.
		ListenHost: "127.0.0.1", AltHTTPPort: m.HTTPPort, AltTLSALPNPort: m.HTTPSPort,
		DisableHTTPChallenge: m.Challenge != ChallengeHTTP, DisableTLSALPNChallenge: m.Challenge != ChallengeTLSALPN,
	})
	if m.Challenge == ChallengeDNS {
		issuer.DNS01Solver = hook{program: m.DNSHook}
	}
	magic.Issuers = []certmagic.Issuer{issuer}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.magic, m.cache, m.issuer = magic, cache, issuer
	return nil
}

// valid finds what no server could make good.
func (m *manager) valid() (*x509.CertPool, error) {
	switch {
	case !m.TermsAgreed:
		return nil, errors.New("the terms of the ACME server are not agreed to")
	case m.Challenge == ChallengeHTTP && m.HTTPPort == 0:
		return nil, errors.New("the http challenge needs the plain HTTP port")
	case m.Challenge == ChallengeTLSALPN && m.HTTPSPort == 0:
		return nil, errors.New("the tls-alpn challenge needs the HTTPS port")
	case m.Challenge == ChallengeDNS && !filepath.IsAbs(m.DNSHook):
		return nil, errors.New("the dns challenge needs a program with its whole path")
	case !slices.Contains([]Challenge{ChallengeHTTP, ChallengeTLSALPN, ChallengeDNS}, m.Challenge):
		return nil, fmt.Errorf("there is no challenge %q", m.Challenge)
	}
	if m.Root == "" {
		return nil, nil
	}
	text, err := readFile(m.Root, maxCertificate)
	if err != nil {
		return nil, fmt.Errorf("reading the CA of the ACME server: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", m.Root)
	}
	return roots, nil
}

func (m *manager) stop() {
	m.mu.Lock()
	cache := m.cache
	m.magic, m.cache, m.issuer = nil, nil, nil
	m.mu.Unlock()
	cache.Stop()
}

// obtain loads a name's certificate, or asks for it until it comes.
func (m *manager) obtain(ctx context.Context, name string) error {
	m.mu.RLock()
	magic, cache := m.magic, m.cache
	m.mu.RUnlock()
	_, err := magic.CacheManagedCertificate(ctx, name)
	if err == nil {
		return cache.RenewManagedCertificates(ctx) // it may be due since long
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := magic.ObtainCertAsync(ctx, name); err != nil {
		return err
	}
	_, err = magic.CacheManagedCertificate(ctx, name)
	return err
}

// onEvent keeps what became of each attempt.
func (m *manager) onEvent(serving context.Context) func(context.Context, string, map[string]any) error {
	return func(_ context.Context, event string, data map[string]any) error {
		name, _ := data["identifier"].(string)
		switch event {
		case "cert_obtained":
			m.setFault(name, "")
			m.log.Info("certificate obtained by ACME", slog.String("host", name))
		case "cert_failed":
			if err, ok := data["error"].(error); ok && serving.Err() == nil {
				m.setFault(name, err.Error())
			}
		}
		return nil
	}
}

func (m *manager) setFault(name, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults[name] = text
}

// fault is why a name's certificate could not be had or renewed; "" if nothing is wrong.
func (m *manager) fault(name string) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.faults[name]
}

// certificate is the one for host that serves longest; nil if there is none.
func (m *manager) certificate(host string) *tls.Certificate {
	m.mu.RLock()
	cache := m.cache
	m.mu.RUnlock()
	if cache == nil {
		return nil
	}
	var best *tls.Certificate
	for _, c := range cache.AllMatchingCertificates(host) {
		if c.Leaf != nil && (best == nil || c.Leaf.NotAfter.After(best.Leaf.NotAfter)) {
			best = &c.Certificate
		}
	}
	return best
}

// answer solves an http challenge, and reports whether the request was one.
func (m *manager) answer(w http.ResponseWriter, r *http.Request) bool {
	m.mu.RLock()
	issuer := m.issuer
	m.mu.RUnlock()
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return issuer != nil && slices.Contains(m.Names, strings.ToLower(host)) && issuer.HandleHTTPChallenge(w, r)
}

// challengeCertificate solves a tls-alpn challenge.
func (m *manager) challengeCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	m.mu.RLock()
	magic := m.magic
	m.mu.RUnlock()
	if magic == nil || m.Challenge != ChallengeTLSALPN || !slices.Contains(m.Names, strings.ToLower(hello.ServerName)) {
		return nil, fmt.Errorf("no challenge for %q is under way", hello.ServerName)
	}
	return magic.GetCertificate(hello)
}
