package relay_test

import (
	"crypto/tls"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/platen-scan/platen/relay"
)

// dialLoopback is a connection over the kernel's TCP.
func dialLoopback(t *testing.T) net.Conn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	c, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestTuneSender(t *testing.T) {
	c := dialLoopback(t)
	allowed, err := os.ReadFile("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
	if err != nil {
		t.Fatal(err)
	}
	may := slices.Contains(strings.Fields(string(allowed)), "bbr")
	for _, c := range []net.Conn{c, tls.Client(c, nil)} {
		got := relay.TuneSender(c)
		if got == "" || may && got != "bbr" {
			t.Errorf("TuneSender(%T) = %q, want what is in use, bbr where everybody may (%t)", c, got, may)
		}
	}
	one, two := net.Pipe()
	defer one.Close()
	defer two.Close()
	if got := relay.TuneSender(one); got != "" {
		t.Errorf("TuneSender of a pipe = %q, want none", got)
	}
}

func TestTuneSenderSendsAgainEachSecond(t *testing.T) {
	c := dialLoopback(t)
	option := func(name int) (value int, err error) {
		raw, failed := c.(*net.TCPConn).SyscallConn()
		if failed != nil {
			t.Fatal(failed)
		}
		raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, name) })
		return value, err
	}
	most, giveUp := 1000, 120_000
	if _, err := option(unix.TCP_RTO_MAX_MS); err != nil {
		most, giveUp = 0, 0 // before Linux 6.15: the kernel gives up by its own count
	}
	relay.TuneSender(c)
	if got, _ := option(unix.TCP_RTO_MAX_MS); got != most {
		t.Errorf("the kernel sends again after %d ms at most, want %d", got, most)
	}
	if got, err := option(unix.TCP_USER_TIMEOUT); got != giveUp || err != nil {
		t.Errorf("the kernel gives up after %d ms, %v; want %d", got, err, giveUp)
	}
}
