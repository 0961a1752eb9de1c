// Package testenv is the project's test rig: hosts on networks made of Linux
// network namespaces, a SANE test scanner, and processes that are watched and
// ended. Only tests and benchmarks use it. It needs root and iproute2, touches no
// interface of the machine, and removes what it made.
package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var labs atomic.Int32

// Lab is a set of hosts and networks that live as long as a test.
type Lab struct {
	t      testing.TB
	prefix string // of namespace names
	nets   int
}

// NewLab makes an empty lab; the test's clean-up removes its hosts and their processes.
func NewLab(t testing.TB) *Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root: run make e2e")
	}
	return &Lab{t: t, prefix: fmt.Sprintf("pl%d-%d-", os.Getpid()%100000, labs.Add(1))}
}

// Host is a machine of the lab: a network namespace.
type Host struct {
	Name  string
	ns    string
	lab   *Lab
	cards int
	ports map[string]port  // of switches, by the card that is plugged into them
	wires map[string]*Wire // by card
	avahi *Process         // with mounts of its own that programs of the host share; nil: none
}

// port is a place for a cable.
type port struct {
	net  *network
	name string
	addr string // of the card that is plugged in
}

// network is a switch and what is plugged into it.
type network struct {
	sw      *Host
	number  int
	members int // so far: the next one's address
}

// Host makes a machine without a network card.
func (l *Lab) Host(name string) *Host {
	l.t.Helper()
	h := &Host{Name: name, ns: l.prefix + name, lab: l, ports: map[string]port{}, wires: map[string]*Wire{}}
	l.run("ip", "netns", "add", h.ns)
	l.t.Cleanup(h.remove)
	l.run("ip", "-n", h.ns, "link", "set", "lo", "up")
	// An IPv6 address that is tried out first comes up seconds later, and browsers drop
	// their connections when the network changes.
	h.Run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
	return h
}

func (h *Host) remove() {
	os.RemoveAll(filepath.Join("/etc/netns", h.ns))
	pids, _ := exec.Command("ip", "netns", "pids", h.ns).Output()
	for _, pid := range strings.Fields(string(pids)) {
		exec.Command("kill", "-9", pid).Run() // whoever still is in a namespace of ours
	}
	exec.Command("ip", "netns", "del", h.ns).Run()
}

// Network joins hosts by a switch. It returns the hosts' IPv4 addresses in order.
// Hosts on different networks cannot reach each other but through a Router.
func (l *Lab) Network(hosts ...*Host) []string {
	l.t.Helper()
	l.nets++
	n := &network{sw: l.Host(fmt.Sprintf("sw%d", l.nets)), number: l.nets}
	l.run("ip", "-n", n.sw.ns, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
	l.run("ip", "-n", n.sw.ns, "link", "set", "br0", "up")
	addrs := make([]string, len(hosts))
	for i, h := range hosts {
		addrs[i] = h.join(n)
	}
	return addrs
}

// join gives the host a card in a network, and answers its address.
func (h *Host) join(n *network) string {
	h.lab.t.Helper()
	card := fmt.Sprintf("eth%d", h.cards)
	h.cards++
	p := port{net: n, name: fmt.Sprintf("p%d", n.members), addr: fmt.Sprintf("10.78.%d.%d", n.number, 11+n.members)}
	n.members++
	h.ports[card] = p
	l := h.lab
	l.run("ip", "link", "add", p.name, "netns", n.sw.ns, "type", "veth", "peer", "name", card, "netns", h.ns)
	l.run("ip", "-n", n.sw.ns, "link", "set", p.name, "master", "br0", "up")
	l.run("ip", "-n", h.ns, "addr", "add", p.addr+"/24", "brd", "+", "dev", card)
	l.run("ip", "-n", h.ns, "link", "set", card, "up")
	return p.addr
}

// Card is the host's card with an address.
func (h *Host) Card(addr string) string {
	h.lab.t.Helper()
	for card, p := range h.ports {
		if p.addr == addr {
			return card
		}
	}
	h.lab.t.Fatalf("host %s has no card with the address %s", h.Name, addr)
	return ""
}

// Move takes the host out of the network of a card and into that of another host's card,
// as a phone that leaves the Wi-Fi: the old card is gone with its address and routes. It
// answers the new address; the new card is the one with the next number.
func (h *Host) Move(card string, to *Host, its string) (addr string) {
	h.lab.t.Helper()
	if w := h.wires[card]; w != nil {
		w.remove()
	} else {
		h.Run("ip", "link", "del", card)
	}
	delete(h.ports, card)
	return h.join(to.ports[its].net)
}

// Roam takes the host's card, which has a Wire, behind another router, as a phone that
// comes into another Wi-Fi. It stays the same card. The new address is there before the old
// one is gone.
func (h *Host) Roam(card string, to *Router) (addr string) {
	h.lab.t.Helper()
	p, n := h.ports[card], to.ports[insideCard].net
	moved := port{net: n, name: fmt.Sprintf("p%d", n.members), addr: fmt.Sprintf("10.78.%d.%d", n.number, 11+n.members)}
	n.members++
	h.Run("ip", "addr", "add", moved.addr+"/24", "brd", "+", "dev", card)
	p.net.sw.Run("ip", "link", "set", p.name, "netns", n.sw.ns, "name", moved.name)
	n.sw.Run("ip", "link", "set", moved.name, "master", "br0", "txqueuelen", "5000", "up")
	h.Default(to.Addr)
	h.Run("ip", "addr", "del", p.addr+"/24", "dev", card)
	h.ports[card] = moved
	return moved.addr
}

// Default sends what is for other networks to the router with this address.
func (h *Host) Default(router string) {
	h.lab.t.Helper()
	h.Run("ip", "route", "replace", "default", "via", router)
}

// NetworkV6 is Network for hosts that have IPv6 addresses too. It returns both, in the
// hosts' order.
func (l *Lab) NetworkV6(hosts ...*Host) (v4, v6 []string) {
	l.t.Helper()
	v4 = l.Network(hosts...)
	for i, h := range hosts {
		v6 = append(v6, fmt.Sprintf("fd78:%x::%x", l.nets, 11+i))
		l.run("ip", "-n", h.ns, "addr", "add", v6[i]+"/64", "dev", fmt.Sprintf("eth%d", h.cards-1), "nodad")
	}
	return v4, v6
}

// Unplug pulls the cable out of a card.
func (h *Host) Unplug(card string) {
	h.lab.t.Helper()
	h.cable(card, "down")
}

// Plug puts the cable in again.
func (h *Host) Plug(card string) {
	h.lab.t.Helper()
	h.cable(card, "up")
}

func (h *Host) cable(card, state string) {
	h.lab.t.Helper()
	p := h.ports[card]
	h.lab.run("ip", "-n", p.net.sw.ns, "link", "set", p.name, state)
	if w := h.wires[card]; w != nil {
		w.carrier(state == "up")
	}
}

// Run runs a command on the host to its end and returns what it printed.
func (h *Host) Run(args ...string) string {
	h.lab.t.Helper()
	return h.lab.run(h.enter(args)...)
}

// Command prepares a command on the host.
func (h *Host) Command(ctx context.Context, args ...string) *exec.Cmd {
	args = h.enter(args)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// enter is what runs a command line on the host. It becomes the program, with the same PID.
func (h *Host) enter(args []string) []string {
	if h.avahi == nil {
		return append([]string{"ip", "netns", "exec", h.ns}, args...)
	}
	dir, err := os.Getwd()
	if err != nil {
		h.lab.t.Fatal(err)
	}
	return append([]string{"nsenter", "-t", strconv.Itoa(h.avahi.PID()), "-m", "-n", "-u", "-W" + dir, "--"}, args...)
}

// Resolver makes programs of the host ask the name server at addr, which is on port 53.
func (h *Host) Resolver(addr string) {
	h.lab.t.Helper()
	dir := filepath.Join("/etc/netns", h.ns) // ip-netns(8) binds it over /etc
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte("nameserver "+addr+"\n"), 0o644)); err != nil {
		h.lab.t.Fatal(err)
	}
}

// Listen opens a TCP port on the host for a server in the test's own process.
func (h *Host) Listen(addr string) net.Listener {
	h.lab.t.Helper()
	var l net.Listener
	h.inside(func() (err error) { l, err = net.Listen("tcp", addr); return err })
	h.lab.t.Cleanup(func() { l.Close() })
	return l
}

// Dial connects from the host to an IP address, for a client in the test's own process.
func (h *Host) Dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	h.inside(func() error {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, addr)
		return nil
	})
	return conn, err
}

// ListenPacket opens a UDP port on the host for a server in the test's own process.
func (h *Host) ListenPacket(addr string) net.PacketConn {
	h.lab.t.Helper()
	var c net.PacketConn
	h.inside(func() (err error) { c, err = net.ListenPacket("udp", addr); return err })
	h.lab.t.Cleanup(func() { c.Close() })
	return c
}

// ListenMulticast opens a socket on a card of the host that hears what is sent to a group,
// and sends to it there.
func (h *Host) ListenMulticast(card, group string) *net.UDPConn {
	h.lab.t.Helper()
	var c *net.UDPConn
	h.inside(func() error {
		ifi, err := net.InterfaceByName(card)
		if err != nil {
			return err
		}
		addr, err := net.ResolveUDPAddr("udp", group)
		if err != nil {
			return err
		}
		c, err = net.ListenMulticastUDP("udp", ifi, addr)
		return err
	})
	h.lab.t.Cleanup(func() { c.Close() })
	return c
}

// inside runs f on a thread that is on the host meanwhile. What it opens stays there.
// The thread comes back: if it ended, it would take along the programs that it once
// started (see Pdeathsig), and the first thread never ends.
func (h *Host) inside(f func() error) {
	h.lab.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		h.lab.t.Fatal(err)
	}
	defer own.Close()
	there, err := os.Open(filepath.Join("/run/netns", h.ns))
	if err != nil {
		h.lab.t.Fatal(err)
	}
	defer there.Close()
	if err = unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err == nil {
		err = f()
		if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
			panic(back) // everything else would go on in the wrong network
		}
	}
	if err != nil {
		h.lab.t.Fatalf("on host %s: %v", h.Name, err)
	}
}

// DropUDP makes the host lose every UDP packet that it is sent, silently.
func (h *Host) DropUDP() {
	h.lab.t.Helper()
	h.Run("iptables", "-w", "-I", "INPUT", "-p", "udp", "-j", "DROP")
}

func (l *Lab) run(args ...string) string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
