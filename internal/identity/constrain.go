package identity

import (
	"crypto/x509"
	"net"
	"slices"
	"strings"
)

// localNetworks are the addresses that no two installations on the internet share
// knowingly: a certificate for one is worth nothing outside its own network.
var localNetworks = networks("127.0.0.0/8", "::1/128", // loopback
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", // private: RFC 1918, RFC 4193
	"169.254.0.0/16", "fe80::/10", // link-local
	"100.64.0.0/10", // RFC 6598; overlay networks use it
)

// localDomains are the names without an owner on the internet. A constraint on a
// name covers the names below it.
var localDomains = []string{"localhost", "local", "home.arpa", "internal", "lan"}

func networks(cidrs ...string) []*net.IPNet {
	var all []*net.IPNet
	for _, cidr := range cidrs {
		_, network, err := net.ParseCIDR(cidr)
		if err != nil {
			panic(err)
		}
		all = append(all, network)
	}
	return all
}

// constrain limits what a CA can vouch for (RFC 5280, 4.2.1.10) to local networks,
// local names and the hosts. Mail addresses and URIs are not spoken of: no certificate
// with a server's usage is asked for them.
func constrain(template *x509.Certificate, hosts []string) {
	template.PermittedDNSDomainsCritical = true
	template.PermittedIPRanges = slices.Clone(localNetworks)
	template.PermittedDNSDomains = slices.Clone(localDomains)
	for _, host := range hosts {
		switch ip := net.ParseIP(host); {
		case ip != nil && !inside(ip, template.PermittedIPRanges):
			if v4 := ip.To4(); v4 != nil {
				ip = v4
			}
			template.PermittedIPRanges = append(template.PermittedIPRanges, &net.IPNet{IP: ip, Mask: net.CIDRMask(len(ip)*8, len(ip)*8)})
		case ip == nil && isName(host) && !below(host, template.PermittedDNSDomains):
			template.PermittedDNSDomains = append(template.PermittedDNSDomains, strings.ToLower(strings.TrimPrefix(host, "*.")))
		}
	}
}

// Permits reports whether the CA may vouch for a host: a name or an IP address.
func (c *CA) Permits(host string) bool {
	free := len(c.certificate.PermittedDNSDomains)+len(c.certificate.PermittedIPRanges) == 0
	if ip := net.ParseIP(host); ip != nil {
		return free || inside(ip, c.certificate.PermittedIPRanges)
	}
	return isName(host) && (free || below(host, c.certificate.PermittedDNSDomains))
}

func inside(ip net.IP, ranges []*net.IPNet) bool {
	return slices.ContainsFunc(ranges, func(n *net.IPNet) bool { return n.Contains(ip) })
}

// below reports whether a name is one of the domains or below one.
func below(name string, domains []string) bool {
	name = strings.ToLower(strings.TrimPrefix(name, "*."))
	return slices.ContainsFunc(domains, func(d string) bool { return name == d || strings.HasSuffix(name, "."+d) })
}

// isName reports whether a certificate can hold the name: computers may be called
// anything, host names may not (RFC 1123; the underscore is common all the same).
func isName(name string) bool {
	name = strings.TrimPrefix(name, "*.")
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, notOfName) {
			return false
		}
	}
	return true
}

func notOfName(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
		return false
	}
	return true
}
