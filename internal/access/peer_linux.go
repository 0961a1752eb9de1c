package access

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// ownsPeer asks the kernel whose socket is at the other end: a loopback port is
// shared by all users of a machine.
func (g *Guard) ownsPeer(ctx context.Context, peer, local netip.AddrPort) bool {
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue // no IPv6
		}
		uid, ok := socketUser(f, peer, local)
		f.Close()
		if ok {
			return g.allowedUser(ctx, os.Geteuid(), uid)
		}
	}
	return false
}

// socketUser looks for the socket whose own end is peer and whose other end is local
// in the kernel's table (proc_pid_net(5)). Sockets that no process holds any more are
// listed as root's and do not count.
func socketUser(table io.Reader, peer, local netip.AddrPort) (uid int, ok bool) {
	const address, remote, user, inode = 1, 2, 7, 9
	wantAddress, wantRemote := spellings(peer), spellings(local)
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) <= inode || f[inode] == "0" || !wantAddress.has(f[address]) || !wantRemote.has(f[remote]) {
			continue
		}
		uid, err := strconv.Atoi(f[user])
		return uid, err == nil
	}
	return 0, false
}

// spelling is an address in /proc/net/tcp and in /proc/net/tcp6.
type spelling [2]string

func (s spelling) has(field string) bool { return field == s[0] || field == s[1] }

func spellings(ap netip.AddrPort) spelling {
	ip := ap.Addr().Unmap()
	var s spelling
	if ip.Is4() {
		b := ip.As4()
		s[0] = kernelHex(b[:], ap.Port())
	}
	b := ip.As16()
	s[1] = kernelHex(b[:], ap.Port())
	return s
}

// kernelHex writes each word of an address as the machine reads it.
func kernelHex(ip []byte, port uint16) string {
	words := make([]byte, 0, len(ip))
	for i := 0; i < len(ip); i += 4 {
		words = binary.BigEndian.AppendUint32(words, binary.NativeEndian.Uint32(ip[i:]))
	}
	return fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString(words)), port)
}
