package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/internal/metrics"
	"github.com/platen-scan/platen/internal/setup"
	"github.com/platen-scan/platen/internal/version"
	"github.com/platen-scan/platen/proto/api"
)

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

// setupConfig is what both the setup page and the repair at a start need.
func (s *session) setupConfig() setup.Config {
	return setup.Config{Path: s.configFile(), Env: os.Environ(), Dir: filepath.Join(s.storage(), "setup")}
}

// openSetup makes the setup page's other half, for the service that is being made. n
// is nil at a gateway; its node is not there yet.
func (b *base) openSetup(of service, n *nodeService) (err error) {
	c := b.setupConfig()
	c.Role, c.Certificates, c.Audit, c.Level, c.Log = api.SetupRole(b.end.role), b.certs, b.audit, b.level, b.log
	c.Apply = func(_ context.Context, cfg *config.Config) error { return b.apply(of, cfg) }
	c.State = func(ctx context.Context) setup.State { return b.describe(ctx, of) }
	if n != nil {
		c.Join = func(ctx context.Context, token string) error { return n.node.Join(ctx, token) }
		c.Ask = func(ctx context.Context, address string) error { return n.node.Ask(ctx, address) }
		c.Leave = func(ctx context.Context) error { return n.node.Leave(ctx) }
	}
	b.setup, err = setup.New(c)
	return err
}

// apply makes the running service as the configuration says, as far as that needs no
// restart. If a port cannot be had everything stays as it was.
func (b *base) apply(of service, cfg *config.Config) error {
	before := b.cfg.Load()
	b.cfg.Store(cfg)
	if err := b.ports.Set(of.wanted(cfg)); err != nil {
		b.cfg.Store(before)
		return err
	}
	b.level.Configure(cfg.Log.Level)
	b.allow(b.end.origins(cfg))
	b.guard.Switch(b.end.switches(cfg))
	b.announcer.configure(cfg.Bonjour, b.end.address(cfg))
	b.announcer.service(of.announces())
	of.applied(cfg)
	if err := writeEndpoint(b.data, of.endpoint()); err != nil {
		return err
	}
	return b.hosts.Set(b.ownNames(b.end.names(cfg))...)
}

// setupURL is the setup page on this machine; "" if there is none.
func (b *base) setupURL() string {
	if port := b.ports.number(portSetup); port != 0 {
		return "http://localhost:" + strconv.Itoa(port) + "/setup"
	}
	return ""
}

// watch applies what is changed in platen.ini by hand.
func (b *base) watch(ctx context.Context, group *errgroup.Group, of service) {
	w := config.Watcher{Path: b.configFile(), Env: os.Environ(), Config: b.cfg.Load(), Log: b.log}
	group.Go(func() error {
		return w.Serve(ctx, func(cfg *config.Config, changes []config.Change) {
			for _, c := range changes {
				b.log.Info("the configuration changed", "key", c.Name(), "restart", !c.Hot)
			}
			if err := b.apply(of, cfg); err != nil {
				b.log.Error("a change of the configuration cannot be applied", "error", err)
			}
		})
	})
}

// announceSetup prints where the setup page is, if there is one.
func (b *base) announceSetup() {
	if page := b.setupURL(); page != "" {
		b.announce("setup page", page+" (a link that signs in: platen setup)")
	}
}

// describe is what the setup page shows.
func (b *base) describe(ctx context.Context, of service) setup.State {
	paths := config.PathsIn(b.data)
	st := setup.State{
		Name: b.name, Version: version.String(), Started: b.started, Running: true,
		Licence: api.LicenseModeOpen, Fault: b.faults.Last(),
		Paths: []api.SetupPath{
			{Name: api.SetupPathNameConfiguration, Path: b.configFile()}, {Name: api.SetupPathNameData, Path: b.data},
			{Name: api.SetupPathNameStorage, Path: paths.Storage}, {Name: api.SetupPathNameSpool, Path: paths.Spool},
			{Name: api.SetupPathNameLog, Path: paths.Log}, {Name: api.SetupPathNameKeys, Path: paths.Keys},
		},
		Ports: b.ports.describe(),
	}
	of.tell(&st)
	letsIn := slices.ContainsFunc(st.Ports, func(p api.SetupPort) bool { return p.Address != loopback })
	if known, err := b.guard.HasUsers(ctx); err == nil && !known && letsIn && b.cfg.Load().OIDC.Issuer == "" {
		st.Warnings = append(st.Warnings, api.SetupWarning{Code: api.SetupWarningCodeNoUsers,
			Text: "Other devices are let in, but no person has an account here: the audit log knows only devices."})
	}
	return st
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
