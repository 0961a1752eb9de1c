package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/internal/setup"
	"github.com/platen-scan/platen/internal/version"
	"github.com/platen-scan/platen/proto/api"
)

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

// setupURL is the setup page on this machine; "" if there is none.
func (b *base) setupURL() string {
	if port := b.ports.number(portSetup); port != 0 {
		return "http://localhost:" + strconv.Itoa(port) + "/setup"
	}
	return ""
}

// announceSetup prints where the setup page is, if there is one.
func (b *base) announceSetup() {
	if page := b.setupURL(); page != "" {
		b.announce("setup page", page+" (a link that signs in: platen setup)")
	}
}
