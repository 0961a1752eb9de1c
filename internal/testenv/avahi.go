package testenv

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Avahi gives the host an Avahi of its own: a D-Bus and an avahi-daemon that nobody on
// other hosts sees. From then on programs of the host run beside them: they have the
// host's name, and an empty /run.
func (h *Host) Avahi(t testing.TB) {
	t.Helper()
	const box = `hostname "$1"; mount -t tmpfs tmpfs /run; mkdir -p /run/dbus /run/avahi-daemon
exec dbus-daemon --system --nofork --nopidfile --print-address`
	bus := Start(t, h.Name+" dbus-daemon", h.Command(context.Background(), "unshare", "-m", "-u", "--propagation", "private", "sh", "-ec", box, "sh", h.Name))
	bus.Await(`^unix:`, StartTimeout)
	h.avahi = bus
	h.StartAvahi(t)
}

// StartAvahi starts the host's avahi-daemon, again if it was ended, and waits until it serves.
func (h *Host) StartAvahi(t testing.TB) *Process {
	t.Helper()
	p := Start(t, h.Name+" avahi-daemon", h.Command(context.Background(), "avahi-daemon", "--no-drop-root", "--no-rlimits"))
	p.Await(`Server startup complete`, StartTimeout)
	return p
}

// Found is a line of avahi-browse: a service that was resolved.
type Found struct {
	Interface string
	V6        bool // found by IPv6
	Name      string
	Type      string
	Host      string
	Addr      string
	Port      int
	Text      []string // sorted
}

// AvahiBrowse lists what the host's Avahi finds of a type now.
func (h *Host) AvahiBrowse(t testing.TB, typ string) []Found {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := h.Command(ctx, "avahi-browse", "-rpt", typ).Output()
	if err != nil {
		t.Fatalf("avahi-browse %s: %v", typ, err)
	}
	var list []Found
	for line := range strings.Lines(string(out)) {
		if f, ok := readFound(strings.TrimSpace(line)); ok {
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(a, b Found) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Interface, b.Interface), strings.Compare(strconv.FormatBool(a.V6), strconv.FormatBool(b.V6)))
	})
	return list
}

// readFound reads "=;eth0;IPv4;name;type;domain;host;address;port;text".
func readFound(line string) (Found, bool) {
	p := strings.SplitN(line, ";", 10)
	if len(p) != 10 || p[0] != "=" {
		return Found{}, false
	}
	port, err := strconv.Atoi(p[8])
	f := Found{Interface: p[1], V6: p[2] == "IPv6", Name: unescape(p[3]), Type: p[4], Host: p[6], Addr: p[7], Port: port}
	for _, s := range strings.Split(p[9], `" "`) {
		f.Text = append(f.Text, strings.Trim(s, `"`))
	}
	slices.Sort(f.Text)
	return f, err == nil
}

// unescape reads a name as avahi-browse -p writes it: \032 is a blank, \. a dot.
func unescape(s string) string {
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.Atoi(s[i+1 : i+4]); err == nil && n < 256 {
				b = append(b, byte(n))
				i += 3
				continue
			}
		}
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// AvahiPublish announces a service by the host's Avahi until the process is ended, and
// returns the name that it got.
func (h *Host) AvahiPublish(t testing.TB, name, typ string, port int, text ...string) (p *Process, got string) {
	t.Helper()
	args := append([]string{"avahi-publish", "-s", name, typ, strconv.Itoa(port)}, text...)
	p = Start(t, h.Name+" avahi-publish", h.Command(context.Background(), args...))
	return p, p.Await(`^Established under name '(.*)'`, StartTimeout)[1]
}

// zeroconf announces by python3-zeroconf until it gets a signal, and says goodbye then.
const zeroconf = `
import signal, socket, sys, zeroconf
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
name, typ, port, addr, *text = sys.argv[1:]
typ += ".local."
z = zeroconf.Zeroconf(interfaces=[addr])
info = zeroconf.ServiceInfo(typ, name + "." + typ, int(port), addresses=[socket.inet_aton(addr)],
    properties=dict(s.split("=", 1) for s in text), server="python-zeroconf.local.")
z.register_service(info, allow_name_change=True)
print("registered", info.name, flush=True)
signal.sigwait([signal.SIGTERM])
z.unregister_service(info)
z.close()
`

// Zeroconf announces a service at an address of the host by python3-zeroconf, as Home
// Assistant and many others do, until the process gets SIGTERM.
func (h *Host) Zeroconf(t testing.TB, name, typ, addr string, port int, text ...string) *Process {
	t.Helper()
	args := append([]string{"-c", zeroconf, name, typ, strconv.Itoa(port), addr}, text...)
	cmd := h.Command(context.Background(), append([]string{"/usr/bin/python3"}, args...)...) // Debian's, which has the package
	p := Start(t, h.Name+" python3-zeroconf", cmd)
	p.Await(`^registered `, StartTimeout)
	return p
}
