package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/audit"
	"github.com/platen-scan/platen/internal/certs"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/metrics"
	"github.com/platen-scan/platen/internal/setup"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/front"
	"github.com/platen-scan/platen/web/landing"
)

// base is what every service has: configuration, data folder, log, identity, and what
// judges its callers and records what they did.
type base struct {
	*session
	end       end
	name      string
	log       *slog.Logger
	level     *setup.Level
	faults    *setup.Faults // behind log
	self      *identity.Identity
	token     string // of this machine's commands
	audit     *audit.Log
	ca        *identity.CA
	certs     *certs.Store
	origins   *access.Origins
	hosts     *access.Hosts
	ports     ports
	setup     *setup.Setup
	announcer *announcer
	guard     *access.Guard // of the node or gateway
	started   time.Time

	cfg atomic.Pointer[config.Config] // in force
}

// service is what base needs of the node or gateway that stands on it.
type service interface {
	wanted(*config.Config) []port
	// tell adds what only this service knows of itself.
	tell(*setup.State)
	measure(*metrics.Config)
	// endpoint is how this machine's commands reach the service.
	endpoint() endpoint
	// announces is what the local network is told of the service now.
	announces() []discovery.Record
	// applied is told of a configuration that is in force.
	applied(*config.Config)
}

// newBase opens what a service of the role stands on. It logs from the configured
// level on, but nothing below least.
func (s *session) newBase(e end, least slog.Level) (*base, error) {
	if _, err := s.running(); err == nil { // its settings are not to be put back
		return nil, errors.New("another Platen process uses this data folder; stop it first")
	}
	b := &base{session: s, end: e, level: setup.NewLevel(slog.LevelInfo, least), token: scan.RandomText(52), started: time.Now(), origins: access.NewOrigins()}
	b.ports.base = b
	b.faults = setup.NewFaults(slog.NewTextHandler(s.stderr, &slog.HandlerOptions{Level: b.level}))
	b.log = slog.New(b.faults)
	if err := b.open(); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *base) open() (err error) {
	if b.self, err = identity.Load(b.keys()); err != nil {
		return err
	}
	b.audit, err = audit.Open(audit.Config{Dir: filepath.Join(b.data, "log", "audit"), Signer: b.self, Log: b.log})
	if err != nil {
		return err
	}
	repair := b.setupConfig()
	repair.Audit, repair.Log = b.audit, b.log
	if err := setup.Recover(b.ctx, repair); err != nil {
		return fmt.Errorf("putting back a change of settings that nobody kept: %w", err)
	}
	cfg, err := b.loadConfig()
	if err != nil {
		return err
	}
	b.cfg.Store(cfg)
	b.level.Configure(cfg.Log.Level)
	b.name = nameOr(b.end.name(cfg))
	names := b.end.names(cfg)
	b.announcer = newAnnouncer(b.self.NodeID(), b.log)
	if b.hosts, err = access.NewHosts(b.ownNames(names)...); err != nil {
		return err
	}
	if b.ca, err = identity.LoadCA(b.keys(), b.name, b.ownHosts(names)...); err != nil {
		return err
	}
	b.certs = certs.New(certs.Config{
		Dir: b.keys(), CA: b.ca, Hosts: func() []string { return b.ownHosts(b.end.names(b.cfg.Load())) },
		External: certs.File{Certificate: cfg.TLS.ExternalCertificate, Key: cfg.TLS.ExternalKey},
		Local:    certs.File{Certificate: cfg.TLS.LocalCertificate, Key: cfg.TLS.LocalKey},
		ACME:     b.end.acme(cfg), Log: b.log,
	})
	b.allow(b.end.origins(cfg))
	return nil
}

// allow takes the configuration's word on foreign pages.
func (b *base) allow(o config.Origins) {
	b.origins.Configure(o.Any, o.List)
	if o.Any {
		b.log.Warn("EVERY web site may ask for scans here: Access-Control-Allow-Origin=*. Name the sites that you know instead")
	}
}

// serve runs what every service runs beside its own parts.
func (b *base) serve(ctx context.Context, group *errgroup.Group, of service) {
	group.Go(func() error { return b.ports.Serve(ctx) })
	group.Go(func() error { return b.certs.Serve(ctx) })
	group.Go(func() error { return b.audit.Serve(ctx) })
	group.Go(func() error { return b.setup.Serve(ctx) })
	b.announcer.configure(b.cfg.Load().Bonjour, b.end.address(b.cfg.Load()))
	group.Go(func() error { return b.announcer.Serve(ctx) })
	group.Go(func() error { b.keepAnnounced(ctx, of); return nil })
	b.watch(ctx, group, of)
}

func (b *base) close() {
	b.ports.Close()
	if b.audit != nil {
		if err := b.audit.Close(); err != nil {
			b.log.Error("closing the audit log failed", "error", err)
		}
	}
}

// routes are those that the command adds to every end.
func (b *base) routes(of service) func(*access.Guard) []access.Route {
	return func(g *access.Guard) []access.Route {
		b.guard = g
		m := metrics.Config{Role: string(b.end.role), Certificates: b.certs.List, AuditRecords: b.audit.Records}
		of.measure(&m)
		list := append(b.setup.Routes(), setup.AuditRoutes(b.audit)...)
		return append(append(list, b.certs.Routes()...), metrics.Routes(m)...)
	}
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

// configFile is the file that counts, whether it exists or not.
func (s *session) configFile() string {
	if s.config != "" {
		return s.config
	}
	return filepath.Join(s.data, "platen.ini")
}

func (s *session) loadConfig() (*config.Config, error) {
	file := s.configFile()
	if s.config == "" && !exists(file) {
		file = ""
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
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			relay.TuneSender(c)
			return ctx
		},
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

// browserTLS is HTTPS with the certificate that is right for each handshake.
func (b *base) browserTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1", certs.ALPNChallenge}, GetCertificate: b.certs.GetCertificate}
}

// ownHosts are the names and addresses by which this machine is reached.
func (b *base) ownHosts(names []string) []string {
	hosts := append(b.ownNames(names), "127.0.0.1", "::1")
	for _, ip := range lanAddresses() {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

// ownNames are the configured names, the machine's own and the one that is announced.
func (b *base) ownNames(names []string) []string {
	own := append(slices.Clone(names), "localhost", b.announcer.name())
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
func (b *base) landingPage(httpsPort func() int) http.Handler {
	return landing.Handler(landing.Config{Name: b.name, HTTPSPort: httpsPort, CA: b.ca.CertificatePEM()})
}

// portOf is the port that a listener, or who has one, has got.
func portOf(l interface{ Addr() net.Addr }) int { return l.Addr().(*net.TCPAddr).Port }

// announceCA prints what people compare before they install the CA's certificate.
func (b *base) announceCA() { b.announce("certificate", identity.Fingerprint(b.ca.Certificate())) }

// announce prints one line of where the service is.
func (b *base) announce(what, where string) { fmt.Fprintf(b.stdout, "  %-15s %s\n", what, where) }
