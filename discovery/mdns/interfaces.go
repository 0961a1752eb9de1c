package mdns

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	// pollEvery is how often interfaces are looked at for changes.
	pollEvery = 2 * time.Second
	// maxInterfaces is how many are used at once.
	maxInterfaces = 32
)

// network is an interface of this machine as it is now.
type network struct {
	Index int
	Name  string
	// Prefixes are its addresses with the length of their subnets, sorted; never empty.
	Prefixes []netip.Prefix
}

// onLink reports whether addr is of one of the subnets of n, or link-local.
func (n network) onLink(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return addr.IsLinkLocalUnicast() || slices.ContainsFunc(n.Prefixes, func(p netip.Prefix) bool { return p.Masked().Contains(addr) })
}

// has reports whether n has addresses of IPv4 (v4), or of IPv6 (else).
func (n network) has(v4 bool) bool {
	return slices.ContainsFunc(n.Prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() == v4 })
}

// equal reports whether nothing has changed between a and b.
func (n network) equal(other network) bool {
	return n.Index == other.Index && n.Name == other.Name && slices.Equal(n.Prefixes, other.Prefixes)
}

// networks lists the interfaces to use, in order of their names: those that are up, have a
// carrier, multicast and an address, and are not loopback.
func networks() ([]network, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	const need = net.FlagUp | net.FlagRunning | net.FlagMulticast
	var list []network
	for _, i := range all {
		if i.Flags&need != need || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it has just gone
		}
		if n := (network{Index: i.Index, Name: i.Name, Prefixes: prefixes(addrs)}); len(n.Prefixes) > 0 {
			list = append(list, n)
		}
	}
	slices.SortFunc(list, func(a, b network) int { return strings.Compare(a.Name, b.Name) })
	return list[:min(len(list), maxInterfaces)], nil
}

func prefixes(addrs []net.Addr) []netip.Prefix {
	var list []netip.Prefix
	for _, a := range addrs {
		ipnet, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, ok := netip.AddrFromSlice(ipnet.IP)
		if !ok {
			continue
		}
		ones, bits := ipnet.Mask.Size()
		addr = addr.Unmap()
		if addr.Is4() && bits == 128 {
			ones -= 96
		}
		if p := netip.PrefixFrom(addr, ones); p.IsValid() {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return slices.Compact(list)
}
