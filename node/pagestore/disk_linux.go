package pagestore

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// checkLocal refuses file systems on which neither SQLite's log nor fsync keep
// their promises.
func checkLocal(f *os.File) error {
	var st unix.Statfs_t
	if err := fstatfs(f, &st); err != nil {
		return err
	}
	switch uint32(st.Type) {
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		return errors.New("the data folder is on a network file system; put it on a local disk")
	}
	return nil
}
