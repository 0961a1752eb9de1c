package front

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSegment is what a packet of TCP carries that fits everywhere IPv6 does: 1280 bytes
// with both headers. Where a tunnel takes no more and the messages that would say so are
// lost, larger ones vanish, and the system does not try smaller ones by itself.
const maxSegment = 1280 - 40 - 20

// unsent is how many bytes the system takes of a body that is not yet on its way to a
// browser. By itself it takes megabytes: they would wait in the gateway's memory for one
// that is slow, who looked fast until they are full, and dead while a third of them is sent.
const unsent = 64 << 10

// tune is net.ListenConfig.Control: both ends of accepted connections then send
// segments of maxSegment bytes at most. Without it all but such networks work.
func tune(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, maxSegment)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent)
	})
}
