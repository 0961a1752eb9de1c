//go:build unix

package audit

import (
	"errors"

	"golang.org/x/sys/unix"
)

// free is how many bytes the file system of dir can still take.
func free(dir string) (int64, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(dir, &st)
		if !errors.Is(err, unix.EINTR) {
			return int64(st.Bavail) * int64(st.Bsize), err
		}
	}
}
