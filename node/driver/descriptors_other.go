//go:build !linux && !darwin && !freebsd

package driver

import "os"

// saveDescriptors keeps Go code from printing into the frames; the native drivers of
// such systems do not print.
func saveDescriptors() (in, out *os.File, err error) {
	in, out = os.Stdin, os.Stdout
	os.Stdin, os.Stdout = nil, os.Stderr
	return in, out, nil
}
