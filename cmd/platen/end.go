package main

import (
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/certs"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/proto/api"
)

// end says which parts of the configuration are a node's, which a gateway's and which a
// licence tracking server's.
type end struct {
	role api.ServiceRole
}

var (
	nodeEnd     = end{api.ServiceRoleNode}
	gatewayEnd  = end{api.ServiceRoleGateway}
	trackingEnd = end{api.ServiceRoleTracking}
)

func (e end) name(c *config.Config) string {
	switch e.role {
	case api.ServiceRoleGateway:
		return c.Gateway.Name
	case api.ServiceRoleTracking:
		return c.Tracking.Name
	}
	return c.Node.Name
}

// names are those beside its addresses.
func (e end) names(c *config.Config) []string {
	switch e.role {
	case api.ServiceRoleGateway:
		return c.Gateway.Names
	case api.ServiceRoleTracking:
		return c.Tracking.Names
	}
	return c.Node.Names
}

// origins are the foreign pages that may ask: nobody's at a licence tracking server.
func (e end) origins(c *config.Config) config.Origins {
	switch e.role {
	case api.ServiceRoleGateway:
		return c.Gateway.AllowOrigin
	case api.ServiceRoleTracking:
		return config.Origins{}
	}
	return c.Node.AllowOrigin
}

// setupPage says whether there is one, and its ports.
func (e end) setupPage(c *config.Config) (on bool, http, https int) {
	switch e.role {
	case api.ServiceRoleGateway:
		return c.Gateway.EnableWebSetup, c.Gateway.SetupHTTPPort, c.Gateway.SetupHTTPSPort
	case api.ServiceRoleTracking:
		return c.Tracking.EnableWebSetup, c.Tracking.SetupHTTPPort, c.Tracking.SetupHTTPSPort
	}
	return c.Node.EnableWebSetup, c.Node.SetupHTTPPort, c.Node.SetupHTTPSPort
}

// switches are what the guard follows without a restart.
func (e end) switches(c *config.Config) access.Switches {
	switch e.role {
	case api.ServiceRoleGateway:
		return access.Switches{AllowPlainHTTP: c.Gateway.AllowPlainHTTP}
	case api.ServiceRoleTracking:
		return access.Switches{}
	}
	return access.Switches{LoopbackTrust: c.Node.TrustLoopback, AllowPlainHTTP: c.Node.AllowPlainHTTP, MaxRole: c.Node.MaxRole}
}

// address is the one to which the ports for other devices are bound; "": all.
func (e end) address(c *config.Config) string {
	if e.role == api.ServiceRoleNode {
		return c.Node.Address
	}
	return ""
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
	switch e.role {
	case api.ServiceRoleGateway:
		a.HTTPPort, a.HTTPSPort = c.Gateway.HTTPPort, c.Gateway.Port
	case api.ServiceRoleTracking:
		a.HTTPPort, a.HTTPSPort = 0, c.Tracking.Port // the challenge is tls-alpn or dns: there is no plain HTTP
	}
	return a
}
