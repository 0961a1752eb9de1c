package setup

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/proto/api"
)

// pages are the addresses at which the setup page will be.
func (s *Setup) pages(c *config.Config) []string {
	if !s.enabled(c) {
		return nil
	}
	plain, secure, external := s.ports(c)
	list := []string{"http://" + net.JoinHostPort("localhost", strconv.Itoa(plain)) + "/setup"}
	if external {
		for _, base := range s.bases(c, secure) {
			list = append(list, base+"/setup")
		}
	}
	return list
}

// doors are the addresses that other devices open; none where a node lets none in.
func (s *Setup) doors(c *config.Config) []string {
	switch s.Role {
	case api.SetupRoleGateway:
		return s.bases(c, c.Gateway.Port)
	case api.SetupRoleTracking:
		return s.bases(c, c.Tracking.Port)
	}
	if !c.Node.External {
		return nil
	}
	return s.bases(c, c.Node.HTTPSPort)
}

// bases are the HTTPS addresses of a port.
func (s *Setup) bases(c *config.Config, port int) []string {
	address := ""
	if s.Role == api.SetupRoleNode {
		address = c.Node.Address
	}
	hosts := []string{address}
	if address == "" {
		hosts = nil
		for _, i := range s.Interfaces() {
			hosts = append(hosts, i.Addresses...)
		}
	}
	var list []string
	for _, host := range hosts {
		list = append(list, "https://"+net.JoinHostPort(host, strconv.Itoa(port)))
	}
	return list
}

// interfaces are those of this machine that are up, without loopback.
func interfaces() []api.SetupInterface {
	list := []api.SetupInterface{}
	all, err := net.Interfaces()
	if err != nil {
		return list // there is nothing to choose from then
	}
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 {
			continue
		}
		if a := lanAddresses(addrs); len(a) > 0 {
			list = append(list, api.SetupInterface{Name: i.Name, Addresses: a})
		}
	}
	return list
}

// lanAddresses are those that other devices can use, IPv4 first: it is what people know.
func lanAddresses(addrs []net.Addr) []string {
	var v4, v6 []string
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		switch {
		case err != nil || !prefix.Addr().IsGlobalUnicast():
		case prefix.Addr().Is4():
			v4 = append(v4, prefix.Addr().String())
		default:
			v6 = append(v6, prefix.Addr().String())
		}
	}
	return append(v4, v6...)
}
