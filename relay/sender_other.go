//go:build !linux

package relay

import "net"

func tuneSender(net.Conn) (algorithm string) { return "" }

func acknowledged(net.Conn) uint64 { return 0 }
