package relay

import "net"

// TuneSender prepares the end of a TCP connection that sends pages, as far as the kernel
// lets it.
//
// It sends by the BBR algorithm, where the kernel has that one and lets this process use
// it. The others take every lost packet for a full queue: with one lost in a hundred a
// page takes forty times as long. TuneSender answers which algorithm is in use; "" if the
// kernel does not tell.
//
// And it sends what is lost again at least each second (Linux 6.15). Otherwise the time
// between two tries doubles for as long as the network is away, so that a page goes on as
// long after its return as it was away.
//
// Connections around a TCP connection that name it (NetConn) are looked through; with any
// other it does nothing.
func TuneSender(c net.Conn) (algorithm string) { return tuneSender(inmost(c)) }

// inmost is the connection that others are around.
func inmost(c net.Conn) net.Conn {
	for {
		inner, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = inner.NetConn()
	}
}
