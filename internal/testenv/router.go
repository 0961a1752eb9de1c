package testenv

import (
	"context"
	"fmt"
	"strings"
)

// Router is a host between a network of its own, in which it gives addresses out, and
// the networks that it is put into afterwards. To those all its hosts have its address
// (NAT), and nobody there can begin to talk to them.
//
// It maps as most routers in homes do: a port keeps its number, and is the same to all
// whom a host sends to (RFC 4787's endpoint-independent mapping); what was not sent to
// first may not answer (address- and port-dependent filtering).
type Router struct {
	*Host
	Addr  string   // the router's own, inside
	Hosts []string // addresses of the hosts inside, in order

	symmetric bool
	rebinds   int
}

// insideCard is the router's card in its own network: it is the first.
const insideCard = "eth0"

// Router makes a router and the network behind it, whose hosts send through it what is
// for others. Its way out is the Network that it is put into next. A router may stand
// behind a router.
func (l *Lab) Router(name string, inside ...*Host) *Router {
	l.t.Helper()
	r := &Router{Host: l.Host(name)}
	addrs := l.Network(append([]*Host{r.Host}, inside...)...)
	r.Addr, r.Hosts = addrs[0], addrs[1:]
	for _, h := range inside {
		h.Default(r.Addr)
	}
	r.Run("sysctl", "-qw", "net.ipv4.ip_forward=1")
	// Silence, not a refusal, meets whom nobody asked: a refusal would be a mapping that
	// is in the way when a host inside begins to talk to the same stranger.
	for _, chain := range []string{"INPUT", "FORWARD"} {
		r.rule("filter", "-A", chain, "-i", insideCard, "-j", "ACCEPT")
		r.rule("filter", "-A", chain, "-i", "lo", "-j", "ACCEPT")
		r.rule("filter", "-A", chain, "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT")
		r.rule("filter", "-P", chain, "DROP")
	}
	r.masquerade()
	return r
}

// Symmetric makes the router give every pair of host and stranger a port of its own, as
// the routers of companies and mobile networks do. What is mapped stays.
func (r *Router) Symmetric() {
	r.lab.t.Helper()
	r.symmetric = true
	r.masquerade()
}

// Cone ends Symmetric for what is not mapped yet.
func (r *Router) Cone() {
	r.lab.t.Helper()
	r.symmetric = false
	r.masquerade()
}

// Open lets all UDP through as it is, both ways, as a router does that translates nothing,
// but for what is for this port outside, whose flows stay as they are.
func (r *Router) Open(but int) { r.open(but, "-I") }

// Shut ends Open.
func (r *Router) Shut(but int) { r.open(but, "-D") }

func (r *Router) open(but int, what string) {
	r.lab.t.Helper()
	r.rule("filter", what, "FORWARD", "-p", "udp", "-j", "ACCEPT")
	r.rule("nat", what, "POSTROUTING", "!", "-o", insideCard, "-p", "udp", "!", "--dport", fmt.Sprint(but), "-j", "ACCEPT")
}

// masquerade sets the rules of address translation anew.
func (r *Router) masquerade() {
	r.lab.t.Helper()
	r.rule("nat", "-F", "POSTROUTING")
	for _, protocol := range []string{"udp", "tcp"} {
		args := []string{"-A", "POSTROUTING", "!", "-o", insideCard, "-p", protocol, "-j", "MASQUERADE"}
		if r.rebinds > 0 { // another range each time: otherwise a port would get its old number again
			low := 20000 + 10000*(r.rebinds%4)
			args = append(args, "--to-ports", fmt.Sprintf("%d-%d", low, low+9999))
		}
		if r.symmetric {
			args = append(args, "--random-fully")
		}
		r.rule("nat", args...)
	}
	r.rule("nat", "-A", "POSTROUTING", "!", "-o", insideCard, "-j", "MASQUERADE")
}

// Rebind forgets what UDP ports are mapped to, as a router does that was started anew:
// what hosts send next comes from other ports, and what is sent to the old ones is lost.
func (r *Router) Rebind() {
	r.lab.t.Helper()
	r.rebinds++
	r.masquerade()
	r.forget("udp")
}

// forget drops the state of a protocol's flows.
func (r *Router) forget(protocol string) {
	r.lab.t.Helper()
	out, err := r.Command(context.Background(), "conntrack", "-D", "-p", protocol).CombinedOutput()
	if err != nil && !strings.Contains(string(out), " 0 flow entries") {
		r.lab.t.Fatalf("conntrack -D: %v\n%s", err, out)
	}
}

// MTU makes the way out take packets of at most so many bytes, and tell nobody: the
// messages that would say so are lost (a black hole).
func (r *Router) MTU(bytes int) {
	r.lab.t.Helper()
	for card := range r.ports {
		if card != insideCard {
			r.Run("ip", "link", "set", card, "mtu", fmt.Sprint(bytes))
		}
	}
	r.rule("filter", "-A", "OUTPUT", "-p", "icmp", "--icmp-type", "fragmentation-needed", "-j", "DROP")
}

// BlockUDP lets no UDP through any more, silently.
func (r *Router) BlockUDP() { r.rule("filter", "-I", "FORWARD", "-p", "udp", "-j", "DROP") }

// UnblockUDP ends BlockUDP.
func (r *Router) UnblockUDP() { r.rule("filter", "-D", "FORWARD", "-p", "udp", "-j", "DROP") }

// BlockTCP lets nothing through to and from a TCP port outside, silently.
func (r *Router) BlockTCP(port int) { r.tcp("-I", port) }

// UnblockTCP ends BlockTCP.
func (r *Router) UnblockTCP(port int) { r.tcp("-D", port) }

func (r *Router) tcp(what string, port int) {
	r.lab.t.Helper()
	for _, side := range []string{"--dport", "--sport"} {
		r.rule("filter", what, "FORWARD", "-p", "tcp", side, fmt.Sprint(port), "-j", "DROP")
	}
}

func (r *Router) rule(table string, args ...string) {
	r.lab.t.Helper()
	r.Run(append([]string{"iptables", "-w", "-t", table}, args...)...)
}
