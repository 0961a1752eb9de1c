package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay/front"
	"github.com/platen-scan/platen/web/landing"
)

// base is what every service has: configuration, data folder, log, identity.
type base struct {
	*session
	cfg   *config.Config
	name  string
	log   *slog.Logger
	self  *identity.Identity
	token string // of this machine's commands
}

// newBase logs from the configured level on, but nothing below least.
func (s *session) newBase(least slog.Level) (*base, error) {
	cfg, err := s.loadConfig()
	if err != nil {
		return nil, err
	}
	self, err := identity.Load(s.keys())
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(s.stderr, &slog.HandlerOptions{Level: max(cfg.Log.Level, least)}))
	if o := cfg.Node.AllowOrigin; o.Any || len(o.List) > 0 {
		log.Warn("Access-Control-Allow-Origin is set, but this version lets no foreign web page in")
	}
	if cfg.Node.EnableWebSetup {
		log.Warn("EnableWebSetup is set, but this version has no web setup page")
	}
	return &base{session: s, cfg: cfg, self: self, token: scan.RandomText(52), log: log}, nil
}

// nameOr is the configured name, or the computer's.
func nameOr(name string) string {
	if name == "" {
		name, _ = os.Hostname()
	}
	if name == "" {
		name = "Platen"
	}
	return name
}

func (s *session) loadConfig() (*config.Config, error) {
	file := s.config
	if file == "" {
		if own := filepath.Join(s.data, "platen.ini"); exists(own) {
			file = own
		}
	}
	return config.Load(file, os.Environ())
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func (s *session) keys() string    { return filepath.Join(s.data, "keys") }
func (s *session) storage() string { return filepath.Join(s.data, "storage") }

// The times of every HTTP server; bodies have their own deadlines.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10
	stopGrace     = 3 * time.Second
)

// listen opens a TCP port; the error names who has it.
func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, front.Explain(err, "tcp", addr)
	}
	return l, nil
}

// serveHTTP answers on l until ctx ends. A tls.Config makes it HTTPS. The handler
// itself cuts off readers that stall.
func (b *base) serveHTTP(ctx context.Context, l net.Listener, h http.Handler, secure *tls.Config) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
	}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(l); err != http.ErrServerClosed {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		if server.Shutdown(grace) != nil { // event streams do not end by themselves
			server.Close()
		}
		return nil
	})
	return group.Wait()
}

// browserTLS is HTTPS by this installation's CA, for the addresses that the
// machine has at the moment of each handshake.
func (b *base) browserTLS(ca *identity.CA, names []string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := ca.Leaf(ownHosts(names), time.Now())
			return &cert, err
		},
	}
}

// ownHosts are the names and addresses by which this machine is reached.
func ownHosts(names []string) []string {
	hosts := append(ownNames(names), "127.0.0.1", "::1")
	for _, ip := range lanAddresses() {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

// ownNames are the configured names and the machine's own.
func ownNames(names []string) []string {
	own := append(slices.Clone(names), "localhost")
	if host, err := os.Hostname(); err == nil && host != "" {
		own = append(own, host, host+".local")
	}
	return slices.Compact(slices.Sorted(slices.Values(own)))
}

// lanAddresses are the machine's addresses that other devices can use, IPv4 first.
func lanAddresses() []net.IP {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var v4, v6 []net.IP
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		switch {
		case !ok || !n.IP.IsGlobalUnicast():
		case n.IP.To4() != nil:
			v4 = append(v4, n.IP)
		default:
			v6 = append(v6, n.IP)
		}
	}
	return append(v4, v6...)
}

// landingPage is what other devices see over plain HTTP.
func (b *base) landingPage(ca *identity.CA, httpsPort int) http.Handler {
	return landing.Handler(landing.Config{Name: b.name, HTTPSPort: httpsPort, CA: ca.CertificatePEM(), CAPin: ca.Pin()})
}

// portOf is the port that a listener has got.
func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// announce prints one line of where the service is.
func (b *base) announce(what, where string) { fmt.Fprintf(b.stdout, "  %-15s %s\n", what, where) }
