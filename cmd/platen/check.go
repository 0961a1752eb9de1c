package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/relay"
)

type checkCmd struct {
	Role string `help:"Whose ports are looked at: node, gateway or lts." enum:"node,gateway,lts" default:"node"`
}

// Run looks at everything that a start depends on and reports all of it.
func (cmd checkCmd) Run(s *session) error {
	c := &checks{session: s}
	cfg := c.configuration()
	c.folder()
	if _, err := s.running(); err == nil {
		c.good("service", "one runs on this data folder")
	} else {
		c.ports(cmd.portsOf(cfg))
	}
	if cmd.Role == "node" {
		c.drivers(cfg)
	}
	c.trackers(cfg)
	if c.faults > 0 {
		return fmt.Errorf("%d of the checks failed", c.faults)
	}
	return nil
}

// checks prints a line for each thing that was looked at.
type checks struct {
	*session
	faults int
}

func (c *checks) good(what, text string) { fmt.Fprintf(c.stdout, "ok     %-14s %s\n", what, text) }

func (c *checks) bad(what string, err error) {
	c.faults++
	fmt.Fprintf(c.stdout, "FAULT  %-14s %v\n", what, err)
}

// configuration returns the defaults where the file is wrong, so that the other
// checks can go on.
func (c *checks) configuration() *config.Config {
	cfg, err := c.loadConfig()
	var faults config.Faults
	switch {
	case errors.As(err, &faults):
		for _, f := range faults {
			c.bad("configuration", errors.New(f.String()))
		}
	case err != nil:
		c.bad("configuration", err)
	default:
		c.good("configuration", "no faults")
		return cfg
	}
	return config.Default()
}

func (c *checks) folder() {
	if err := os.MkdirAll(c.data, 0o700); err != nil {
		c.bad("data folder", err)
		return
	}
	f, err := os.CreateTemp(c.data, ".check-*")
	if err == nil {
		err = errors.Join(f.Sync(), f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		c.bad("data folder", err)
		return
	}
	c.good("data folder", c.data)
}

// portsOf are those that the role opens for browsers and other ends.
func (cmd checkCmd) portsOf(cfg *config.Config) map[string]int {
	switch cmd.Role {
	case "gateway":
		return map[string]int{"gateway": cfg.Gateway.Port, "gateway HTTP": cfg.Gateway.HTTPPort}
	case "lts":
		return map[string]int{"lts": cfg.Tracking.Port}
	}
	return map[string]int{"node HTTP": cfg.Node.HTTPPort, "node HTTPS": cfg.Node.HTTPSPort}
}

// trackers looks for the licence tracking servers that are set, and that they have the
// keys which are set.
func (c *checks) trackers(cfg *config.Config) {
	servers := cfg.License.Tracking()
	if main := cfg.Tracking.StandsInFor(); main.Pin != "" {
		servers = append(servers, main)
	}
	if len(servers) == 0 {
		return
	}
	nobody, err := identity.New() // anybody may ask who is there
	if err != nil {
		c.bad("licences", err)
		return
	}
	for _, s := range servers {
		switch pin, err := relay.Meet(c.ctx, s.Address, nobody); {
		case err != nil:
			c.bad("licences", err)
		case pin != s.Pin:
			c.bad("licences", fmt.Errorf("%s has another key than is set, %s", s.Address, pin))
		default:
			c.good("licences", s.Address)
		}
	}
}

func (c *checks) ports(ports map[string]int) {
	for what, port := range ports {
		l, err := listen(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			c.bad(what, err)
			continue
		}
		l.Close()
		c.good(what, fmt.Sprintf("port %d is free", port))
	}
}

// driverTimeout bounds the search for devices: some back ends take many seconds.
const driverTimeout = 30 * time.Second

func (c *checks) drivers(cfg *config.Config) {
	self, err := os.Executable()
	if err != nil {
		c.bad("drivers", err)
		return
	}
	workers := driver.FindWorkers(self, "")
	c.good("worker", filepath.Base(workers.Path))
	for _, name := range cfg.Node.Drivers {
		ctx, cancel := context.WithTimeout(c.ctx, driverTimeout)
		devices, err := workers.Devices(ctx, name)
		cancel()
		var missing *driver.Missing
		switch {
		case errors.As(err, &missing):
			c.bad("driver "+name, errors.New(missing.Hint))
		case err != nil:
			c.bad("driver "+name, err)
		default:
			c.good("driver "+name, fmt.Sprintf("devices: %d", len(devices)))
		}
	}
}
