// Package durable writes files that appear whole or not at all, and outlast a power failure.
package durable

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Replace writes a file in the place of one of that name, if there is one.
func Replace(path string, content []byte, mode fs.FileMode) error {
	return write(path, content, mode, os.Rename)
}

// Create writes a file that is not there yet; fs.ErrExist if somebody else made it first.
func Create(path string, content []byte, mode fs.FileMode) error {
	return write(path, content, mode, os.Link) // a rename would replace the other
}

// write makes the content durable under a passing name, then publishes it.
func write(path string, content []byte, mode fs.FileMode, publish func(old, new string) error) error {
	suffix := make([]byte, 8)
	rand.Read(suffix)
	passing := path + ".new-" + hex.EncodeToString(suffix)
	file, err := os.OpenFile(passing, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(passing) // after a rename there is nothing to remove
	_, err = file.Write(content)
	if err == nil {
		err = file.Chmod(mode)
	}
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", passing, err)
	}
	if err := publish(passing, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a folder durable.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" { // has no such call; its metadata is journaled
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("making %s durable: %w", dir, err)
	}
	return nil
}
