//go:build unix

package pagestore

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openFlags keep an open from waiting for the other end of a planted FIFO.
const openFlags = unix.O_NONBLOCK

// room is what the file system of f can still take.
func room(f *os.File) (bytes int64, files bool, err error) {
	var st unix.Statfs_t
	if err := fstatfs(f, &st); err != nil {
		return 0, false, err
	}
	// File systems that make inodes as needed report none at all.
	return int64(st.Bavail) * int64(st.Bsize), st.Files == 0 || st.Ffree > 0, nil
}

func fstatfs(f *os.File, st *unix.Statfs_t) error {
	for {
		if err := unix.Fstatfs(int(f.Fd()), st); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// lock takes the folder for this process until f is closed.
func lock(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return errors.New("another Platen process uses this data folder; stop it first")
		}
		return fmt.Errorf("locking the data folder: %w", err)
	}
	return nil
}
