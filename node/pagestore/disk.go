package pagestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// op names a file operation for faults.
type op string

const (
	opMkdir   op = "mkdir"
	opCreate  op = "create"
	opWrite   op = "write"
	opSync    op = "fsync"
	opRename  op = "rename"
	opSyncDir op = "fsync-dir"
	opOpen    op = "open"
	opRemove  op = "remove"
)

// faults is asked before every file operation; an error it returns is the
// operation's. Nil outside tests, which make disks fail and processes die with it.
type faults func(o op, name string) error

// disk is the spool folder. All access goes through one os.Root, so no name and no
// planted link leads out of it. Names are made by this package, never by clients.
type disk struct {
	root  *os.Root
	fault faults
}

func (d *disk) try(o op, name string) error {
	if d.fault == nil {
		return nil
	}
	return d.fault(o, name)
}

// mkdir makes a folder durably; made is false if it was there.
func (d *disk) mkdir(name string) (made bool, err error) {
	if err := d.try(opMkdir, name); err != nil {
		return false, err
	}
	if err := d.root.Mkdir(name, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return false, nil
		}
		return false, err
	}
	return true, d.syncDir(".")
}

// create makes a new file for reading and writing.
func (d *disk) create(name string) (*os.File, error) {
	if err := d.try(opCreate, name); err != nil {
		return nil, err
	}
	return d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

func (d *disk) write(f *os.File, name string, p []byte) (int, error) {
	if err := d.try(opWrite, name); err != nil {
		return 0, err
	}
	return f.Write(p)
}

func (d *disk) sync(f *os.File, name string) error {
	if err := d.try(opSync, name); err != nil {
		return err
	}
	return f.Sync()
}

func (d *disk) rename(from, to string) error {
	if err := d.try(opRename, to); err != nil {
		return err
	}
	return d.root.Rename(from, to)
}

// syncDir makes the names in a folder durable.
func (d *disk) syncDir(name string) error {
	if err := d.try(opSyncDir, name); err != nil {
		return err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

var errNotRegular = errors.New("not a regular file")

// open opens a file for reading. What is no regular file under its own name was
// put there by somebody else and is refused.
func (d *disk) open(name string) (*os.File, os.FileInfo, error) {
	if err := d.try(opOpen, name); err != nil {
		return nil, nil, err
	}
	named, err := d.root.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !named.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("opening %s: %w", name, errNotRegular)
	}
	f, err := d.root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, nil, err
	}
	opened, err := f.Stat()
	if err == nil && !os.SameFile(named, opened) {
		err = fmt.Errorf("opening %s: %w", name, errNotRegular)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, opened, nil
}

// remove is silent where there is nothing.
func (d *disk) remove(name string) error {
	if err := d.try(opRemove, name); err != nil {
		return err
	}
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeAll removes a folder and what is in it.
func (d *disk) removeAll(name string) error {
	if err := d.try(opRemove, name); err != nil {
		return err
	}
	return d.root.RemoveAll(name)
}
