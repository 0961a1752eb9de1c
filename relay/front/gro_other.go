//go:build !linux

package front

import "net"

// receiveJoined is Linux's.
func receiveJoined(c net.PacketConn) net.PacketConn { return c }
