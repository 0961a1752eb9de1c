package relay_test

import (
	"crypto/tls"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/platen-scan/platen/relay"
)

func TestPreferBBR(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	allowed, err := os.ReadFile("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
	if err != nil {
		t.Fatal(err)
	}
	may := slices.Contains(strings.Fields(string(allowed)), "bbr")
	for _, c := range []net.Conn{c, tls.Client(c, nil)} {
		got := relay.PreferBBR(c)
		if got == "" || may && got != "bbr" {
			t.Errorf("PreferBBR(%T) = %q, want what is in use, bbr where everybody may (%t)", c, got, may)
		}
	}
	one, two := net.Pipe()
	defer one.Close()
	defer two.Close()
	if got := relay.PreferBBR(one); got != "" {
		t.Errorf("PreferBBR of a pipe = %q, want none", got)
	}
}
