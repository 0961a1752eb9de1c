//go:build !linux

package relay

import "net"

func tuneSender(net.Conn) (algorithm string) { return "" }
