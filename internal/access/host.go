package access

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// linkHost is the Host of every request over a link or on a direct road: relay.Host, which this package
// may not import. A test compares them.
const linkHost = "node.platen.internal"

const maxHostLength = 253

var errHost = errors.New("not a host name")

// Authority is a host with its port as clients name it: lower case, IPv6 without
// brackets, no trailing dot.
type Authority struct {
	Host string
	Port uint16
}

// ParseAuthority reads "host", "host:port" or "[ipv6]:port". Without a port the
// answer has defaultPort. Addresses are taken in their one usual spelling only, so
// that 0x7f.1 is refused and not understood.
func ParseAuthority(s string, defaultPort uint16) (Authority, error) {
	a := Authority{Port: defaultPort}
	host, port, literal := s, "", false
	if rest, ok := strings.CutPrefix(s, "["); ok {
		end := strings.IndexByte(rest, ']')
		if end < 0 {
			return Authority{}, fmt.Errorf("%w: missing ]", errHost)
		}
		host, port, literal = rest[:end], rest[end+1:], true
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i:]
	}
	if port != "" {
		p, err := parsePort(port)
		if err != nil {
			return Authority{}, err
		}
		a.Port = p
	}
	host, err := canonicalHost(host, literal)
	if err != nil {
		return Authority{}, err
	}
	a.Host = host
	return a, nil
}

// parsePort reads ":18622".
func parsePort(s string) (uint16, error) {
	digits, ok := strings.CutPrefix(s, ":")
	if !ok || digits == "" || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("%w: bad port", errHost)
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%w: bad port", errHost)
	}
	return uint16(n), nil
}

func canonicalHost(host string, literal bool) (string, error) {
	if host == "" || len(host) > maxHostLength+1 {
		return "", fmt.Errorf("%w: bad length", errHost)
	}
	if literal {
		ip, err := netip.ParseAddr(host)
		if err != nil || !ip.Is6() || ip.Is4In6() || ip.Zone() != "" {
			return "", fmt.Errorf("%w: bad IPv6 address", errHost)
		}
		return ip.String(), nil
	}
	name := strings.ToLower(host)
	dotless := strings.TrimSuffix(name, ".")
	for label := range strings.SplitSeq(dotless, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", fmt.Errorf("%w: bad label", errHost)
		}
	}
	if last := dotless[strings.LastIndexByte(dotless, '.')+1:]; isNumber(last) {
		// The web platform reads such a name as an IPv4 address, in any of its spellings.
		ip, err := netip.ParseAddr(name)
		if err != nil || !ip.Is4() {
			return "", fmt.Errorf("%w: bad IPv4 address", errHost)
		}
		return ip.String(), nil
	}
	return dotless, nil
}

// isNumber reports whether a URL parser takes a host that ends in label for an IPv4 address.
func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// String is the form of a Host header, the port always with it.
func (a Authority) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))) }

// Hosts are the names, beside its addresses, by which browsers reach an end. They may
// change at any time. The nil Hosts has none.
type Hosts struct {
	names atomic.Pointer[[]Authority] // Port 0: the listener's
}

// NewHosts takes "name" (at the listener's port) or "name:port" (where something
// forwards another port to the listener); an IPv6 address without a port needs no
// brackets. All faults are reported.
func NewHosts(names ...string) (*Hosts, error) {
	h := &Hosts{}
	return h, h.Set(names...)
}

// Set puts other names, written as for NewHosts, in place of those before. If one is
// faulty nothing changes.
func (h *Hosts) Set(names ...string) error {
	var list []Authority
	var faults []error
	for _, name := range names {
		text := name
		if strings.Count(name, ":") > 1 && !strings.HasPrefix(name, "[") {
			text = "[" + name + "]"
		}
		a, err := ParseAuthority(text, 0)
		if err != nil {
			faults = append(faults, fmt.Errorf("host name %q: %w", name, err))
			continue
		}
		list = append(list, a)
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	h.names.Store(&list)
	return nil
}

func (h *Hosts) has(a Authority, listener uint16) bool {
	if h == nil || h.names.Load() == nil {
		return false
	}
	return slices.ContainsFunc(*h.names.Load(), func(n Authority) bool {
		return n.Host == a.Host && (n.Port == a.Port || n.Port == 0 && listener == a.Port)
	})
}

// authority judges the Host of a request. This is the check that stops DNS
// rebinding: a foreign name that was made to resolve to this machine is still
// foreign here. Addresses are allowed if the connection came in by them.
func (g *Guard) authority(r *http.Request, road Road) (Authority, bool) {
	if len(r.Header["Host"]) > 0 { // HTTP/2 and 3: beside :authority
		return Authority{}, false
	}
	switch road {
	case RoadLink, RoadDirect:
		return Authority{Host: linkHost}, r.Host == linkHost
	case RoadESCL:
		return Authority{}, true // the request never was outside of this process; its client's Host was judged by Neighbours
	}
	a, err := ParseAuthority(r.Host, defaultPort(scheme(r)))
	if err != nil {
		return Authority{}, false
	}
	if road == RoadNode {
		return a, true // no browser has a node's key; nodes know the gateway by any address
	}
	local, ok := localAddr(r)
	if !ok {
		return Authority{}, false
	}
	onLoopback := local.Addr().Unmap().IsLoopback()
	if !(road == RoadSetup && onLoopback) && g.Hosts.has(a, local.Port()) {
		return a, true
	}
	return a, (onLoopback || road != RoadLoopback) && a.reaches(local)
}

// reaches reports whether a is the address at which a connection arrived.
func (a Authority) reaches(local netip.AddrPort) bool {
	ip := local.Addr().Unmap()
	if ip.IsLoopback() {
		return a.Port == local.Port() && isLoopbackName(a.Host)
	}
	return a.Port == local.Port() && a.Host == ip.WithZone("").String()
}

func isLoopbackName(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// localAddr is the address at which the connection arrived, which net/http knows.
func localAddr(r *http.Request) (netip.AddrPort, bool) {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return netip.AddrPort{}, false
	}
	ap, err := netip.ParseAddrPort(addr.String())
	return ap, err == nil
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

func defaultPort(scheme string) uint16 {
	if scheme == "https" {
		return 443
	}
	return 80
}
