package main

import (
	"context"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/internal/config"
)

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
