//go:build !linux

package driver

import "runtime/debug"

// limitProcess asks for thrift. These systems hold no process to what its data takes;
// time is bounded by whoever waits.
func limitProcess() { debug.SetMemoryLimit(384 << 20) }
