//go:build !linux

package mdns

import "context"

// watchInterfaces waits for ctx to end: here interfaces are looked at in intervals only.
func watchInterfaces(ctx context.Context, changed func()) error {
	<-ctx.Done()
	return nil
}
