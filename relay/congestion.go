package relay

import "net"

// PreferBBR has the kernel send over a TCP connection by the BBR algorithm, where it
// has that one and lets this process use it, and answers which algorithm is in use; ""
// if it does not tell. The others take every lost packet for a full queue: with one
// lost in a hundred a page takes forty times as long. It is for the end that sends
// pages. Connections around a TCP connection that name it (NetConn) are looked
// through; with any other it does nothing.
func PreferBBR(c net.Conn) (algorithm string) {
	for {
		inner, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return preferBBR(c)
		}
		c = inner.NetConn()
	}
}
