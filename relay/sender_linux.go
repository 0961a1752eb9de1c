package relay

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	resendAfter = time.Second // at most: less the kernel does not take

	// giveUpAfter is how long the kernel sends again what nobody acknowledges. It counts
	// tries otherwise, which are over in 15 seconds when there is one each second.
	giveUpAfter = 2 * time.Minute
)

func tuneSender(c net.Conn) (algorithm string) {
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
		if unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_RTO_MAX_MS, int(resendAfter.Milliseconds())) == nil {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(giveUpAfter.Milliseconds()))
		}
	})
	return algorithm
}

// acknowledged is how many bytes the other end's system has taken; 0 where that is not told.
func acknowledged(c net.Conn) (bytes uint64) {
	tcp, ok := inmost(c).(*net.TCPConn)
	if !ok {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			bytes = info.Bytes_acked
		}
	})
	return bytes
}
