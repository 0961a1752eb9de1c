//go:build !unix

package mdns

import "net"

// listenGroup opens a socket for a link. Package net makes it share its port.
func listenGroup(at link) (net.PacketConn, error) {
	network := "udp4"
	if at.six {
		network = "udp6"
	}
	return net.ListenPacket(network, at.group().String())
}
