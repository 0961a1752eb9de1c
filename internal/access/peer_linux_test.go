package access

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// The kernel's own words, from a little-endian machine; kernelHex makes the same from
// addresses on any.
const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func TestSocketUser(t *testing.T) {
	peer, local := netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:18622")
	p4, l4 := spellings(peer)[0], spellings(local)[0]
	p6, l6 := spellings(peer)[1], spellings(local)[1]
	line := func(a, b, uid, inode string) string {
		return "   1: " + a + " " + b + " 01 00000000:00000000 00:00000000 00000000 " + uid + "        0 " + inode + " 1 x 20 4 30 10 -1\n"
	}
	tests := []struct {
		name, table string
		uid         int
		ok          bool
	}{
		{"IPv4", header + line(p4, l4, "1000", "77"), 1000, true},
		{"IPv4 in the table of IPv6", header + line(p6, l6, "1001", "77"), 1001, true},
		{"after others", header + line(l4, p4, "0", "76") + line(p4, l4, "1000", "77"), 1000, true},
		{"the server's end only", header + line(l4, p4, "1000", "77"), 0, false},
		{"another connection of the peer's port", header + line(p4, spellings(netip.MustParseAddrPort("127.0.0.1:1"))[0], "1000", "77"), 0, false},
		{"a socket that nobody holds any more", header + line(p4, l4, "0", "0"), 0, false},
		{"a dead socket beside a live one", header + line(p4, l4, "0", "0") + line(p4, l4, "1000", "77"), 1000, true},
		{"nothing", header, 0, false},
		{"cut off", header + "   1: " + p4 + " " + l4 + " 01\n", 0, false},
		{"no number", header + line(p4, l4, "root", "77"), 0, false},
	}
	for _, tt := range tests {
		if uid, ok := socketUser(strings.NewReader(tt.table), peer, local); uid != tt.uid || ok != tt.ok {
			t.Errorf("%s: user %d, %v, want %d, %v", tt.name, uid, ok, tt.uid, tt.ok)
		}
	}
}

func TestAllowedUser(t *testing.T) {
	records := claims{}
	tests := []struct {
		name       string
		self, peer int
		want       bool
	}{
		{"own user", 1000, 1000, true},
		{"root", 1000, 0, true},
		{"another person at a person's node", 1000, 1001, false},
		{"anybody at root's node", 0, 1000, false},
		{"a service at a service's node", 998, 997, false},
		{"the first person at a service's node", 998, 1001, true},
		{"the first again", 998, 1001, true},
		{"the second person", 998, 1002, false},
	}
	g := New(Config{Records: records})
	for _, tt := range tests {
		if got := g.allowedUser(t.Context(), tt.self, tt.peer); got != tt.want {
			t.Errorf("%s: allowed = %v, want %v", tt.name, got, tt.want)
		}
	}
	if New(Config{}).allowedUser(t.Context(), 998, 1001) {
		t.Error("a claim was taken that nobody can remember")
	}
}

func TestOwnsPeer(t *testing.T) {
	g := New(Config{})
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			if strings.HasPrefix(address, "[") {
				continue // this machine has no IPv6
			}
			t.Fatal(err)
		}
		defer l.Close()
		dial := func() (net.Conn, netip.AddrPort) {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			return c, c.LocalAddr().(*net.TCPAddr).AddrPort()
		}
		local := l.Addr().(*net.TCPAddr).AddrPort()
		own, peer := dial()
		defer own.Close()
		if !g.ownsPeer(t.Context(), peer, local) {
			t.Errorf("%s: our own socket is not ours", address)
		}
		if g.ownsPeer(t.Context(), netip.AddrPortFrom(peer.Addr(), 1), local) {
			t.Errorf("%s: a socket that does not exist is ours", address)
		}
		if os.Geteuid() == 0 { // only root can be somebody else
			other, peer := dialAs(t, 65534, dial)
			defer other.Close()
			if g.ownsPeer(t.Context(), peer, local) {
				t.Errorf("%s: the socket of another user is ours", address)
			}
		}
	}
}

// dialAs makes a socket that belongs to another user: the kernel notes the thread's
// file system user.
func dialAs(t *testing.T, uid uintptr, dial func() (net.Conn, netip.AddrPort)) (net.Conn, netip.AddrPort) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.RawSyscall(syscall.SYS_SETFSUID, uid, 0, 0)
	defer syscall.RawSyscall(syscall.SYS_SETFSUID, 0, 0, 0)
	return dial()
}

func FuzzSocketUser(f *testing.F) {
	peer, local := netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:18622")
	f.Add(header + "   1: " + spellings(peer)[0] + " " + spellings(local)[0] + " 01 0:0 0:0 0 1000 0 77 1 x")
	f.Fuzz(func(t *testing.T, table string) { socketUser(strings.NewReader(table), peer, local) })
}

func TestKernelHex(t *testing.T) {
	if got := kernelHex([]byte{127, 0, 0, 1}, 18622); got != "0100007F:48BE" && got != "7F000001:48BE" {
		t.Errorf("kernelHex = %s", got)
	}
}
