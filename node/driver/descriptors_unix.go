//go:build linux || darwin || freebsd

package driver

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// saveDescriptors takes standard input and output for frames and leaves in their
// places what a printing driver may have: nothing to read, and standard error.
func saveDescriptors() (in, out *os.File, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDONLY, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("opening nothing: %w", err)
	}
	defer null.Close()
	if in, err = keep(0, "requests"); err != nil {
		return nil, nil, err
	}
	if out, err = keep(1, "frames"); err != nil {
		return nil, nil, err
	}
	if err := redirect(int(null.Fd()), 0); err != nil {
		return nil, nil, fmt.Errorf("redirecting standard input: %w", err)
	}
	if err := redirect(2, 1); err != nil {
		return nil, nil, fmt.Errorf("redirecting standard output: %w", err)
	}
	return in, out, nil
}

// keep moves a descriptor out of the way of native code and of its children.
func keep(fd int, name string) (*os.File, error) {
	const away = 10
	saved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, away)
	if err != nil {
		return nil, fmt.Errorf("saving descriptor %d: %w", fd, err)
	}
	return os.NewFile(uintptr(saved), name), nil
}
