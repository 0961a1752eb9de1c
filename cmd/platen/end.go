package main

import (
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/certs"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/proto/api"
)

// end says which parts of the configuration are a node's and which a gateway's.
type end struct {
	role api.ServiceRole
}

var (
	nodeEnd    = end{api.ServiceRoleNode}
	gatewayEnd = end{api.ServiceRoleGateway}
)

func (e end) gateway() bool { return e.role == api.ServiceRoleGateway }

func (e end) name(c *config.Config) string {
	if e.gateway() {
		return c.Gateway.Name
	}
	return c.Node.Name
}

// names are those beside its addresses.
func (e end) names(c *config.Config) []string {
	if e.gateway() {
		return c.Gateway.Names
	}
	return c.Node.Names
}

func (e end) origins(c *config.Config) config.Origins {
	if e.gateway() {
		return c.Gateway.AllowOrigin
	}
	return c.Node.AllowOrigin
}

// setupPage says whether there is one, and its ports.
func (e end) setupPage(c *config.Config) (on bool, http, https int) {
	if e.gateway() {
		return c.Gateway.EnableWebSetup, c.Gateway.SetupHTTPPort, c.Gateway.SetupHTTPSPort
	}
	return c.Node.EnableWebSetup, c.Node.SetupHTTPPort, c.Node.SetupHTTPSPort
}

// switches are what the guard follows without a restart.
func (e end) switches(c *config.Config) access.Switches {
	if e.gateway() {
		return access.Switches{AllowPlainHTTP: c.Gateway.AllowPlainHTTP}
	}
	return access.Switches{LoopbackTrust: c.Node.TrustLoopback, AllowPlainHTTP: c.Node.AllowPlainHTTP, MaxRole: c.Node.MaxRole}
}

// address is the one to which the ports for other devices are bound; "": all.
func (e end) address(c *config.Config) string {
	if e.gateway() {
		return ""
	}
	return c.Node.Address
}

// acme is nil where no names are to be certified.
func (e end) acme(c *config.Config) *certs.ACME {
	if len(c.ACME.Names) == 0 {
		return nil
	}
	a := &certs.ACME{
		Directory: c.ACME.Directory, Root: c.ACME.Root, Email: c.ACME.Email, Names: c.ACME.Names, TermsAgreed: c.ACME.Agree,
		Challenge: certs.Challenge(c.ACME.Challenge), DNSHook: c.ACME.DNSHook, HTTPPort: c.Node.HTTPPort, HTTPSPort: c.Node.HTTPSPort,
	}
	if e.gateway() {
		a.HTTPPort, a.HTTPSPort = c.Gateway.HTTPPort, c.Gateway.Port
	}
	return a
}
