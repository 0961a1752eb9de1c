//go:build unix

package mdns

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// listenGroup opens a socket at the group's address of a link. Other programs of the
// machine may have theirs at the same port. Package net would open it at every address,
// and then it would take packets away that another program is sent alone (RFC 6762,
// section 15.1).
func listenGroup(at link) (net.PacketConn, error) {
	family := unix.AF_INET
	var to unix.Sockaddr = &unix.SockaddrInet4{Port: int(groupV4.Port()), Addr: groupV4.Addr().As4()}
	if at.six {
		family = unix.AF_INET6
		to = &unix.SockaddrInet6{Port: int(groupV6.Port()), Addr: groupV6.Addr().As16(), ZoneId: uint32(at.index)}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a multicast socket: %w", err)
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "mdns")
	defer f.Close() // FilePacketConn has its own copy
	if err := prepare(fd, at.six); err != nil {
		return nil, fmt.Errorf("preparing a multicast socket: %w", err)
	}
	if err := unix.Bind(fd, to); err != nil {
		return nil, fmt.Errorf("listening for multicast: %w", err)
	}
	return net.FilePacketConn(f)
}
