//go:build !linux

package relay

import "net"

func preferBBR(net.Conn) (algorithm string) { return "" }
