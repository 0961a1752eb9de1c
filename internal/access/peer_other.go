//go:build !linux

package access

import (
	"context"
	"net/netip"
)

// ownsPeer trusts every local process where the system does not tell whose it is.
func (g *Guard) ownsPeer(context.Context, netip.AddrPort, netip.AddrPort) bool { return true }
