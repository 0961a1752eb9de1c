package relay

import (
	"net"

	"golang.org/x/sys/unix"
)

func preferBBR(c net.Conn) (algorithm string) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return ""
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return ""
	}
	raw.Control(func(fd uintptr) {
		// It fails where the module is not there (ENOENT) or not for everybody (EPERM).
		_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "bbr")
		algorithm, _ = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	})
	return algorithm
}
