package access

import (
	"net"
	"net/netip"
	"slices"
)

// Link is one network interface: its addresses, each with the length of its network.
type Link []netip.Prefix

// has reports whether the interface has the address.
func (l Link) has(a netip.Addr) bool {
	return slices.ContainsFunc(l, func(p netip.Prefix) bool { return p.Addr() == a })
}

// reaches reports whether an address is on a network of the interface, and so is reached
// without a router. A network of all addresses is none.
func (l Link) reaches(a netip.Addr) bool {
	return slices.ContainsFunc(l, func(p netip.Prefix) bool { return p.Bits() > 0 && p.Contains(a) })
}

// machineLinks are this machine's interfaces that are up. One that goes away meanwhile
// is left out.
func machineLinks() []Link {
	interfaces, _ := net.Interfaces() // without them nobody but the machine itself gets in
	var links []Link
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 {
			continue
		}
		var l Link
		for _, a := range addresses {
			n, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			ip, _ := netip.AddrFromSlice(n.IP)
			bits, _ := n.Mask.Size()
			if p := netip.PrefixFrom(ip.Unmap(), bits); p.IsValid() {
				l = append(l, p)
			}
		}
		links = append(links, l)
	}
	return links
}
