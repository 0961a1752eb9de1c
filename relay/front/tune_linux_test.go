package front

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// What a slow browser has not taken must not wait in the kernel: the limit has to reach
// accepted connections.
func TestAcceptedConnectionsAreTuned(t *testing.T) {
	l, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	browser, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer browser.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for option, most := range map[int]int{unix.TCP_NOTSENT_LOWAT: unsent, unix.TCP_MAXSEG: maxSegment} {
		var got int
		var failed error
		raw.Control(func(fd uintptr) { got, failed = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option) })
		if failed != nil || got < 1 || got > most {
			t.Errorf("option %d of an accepted connection: %d, %v, want at most %d", option, got, failed, most)
		}
	}
}
