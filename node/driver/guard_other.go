//go:build !linux && !darwin && !freebsd

package driver

// guardProcess has nothing to do: these systems write no core files.
func guardProcess() {}
