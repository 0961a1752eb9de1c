package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// joined is the gateway that a node has joined, as the file gateway.json keeps it.
type joined struct {
	Addresses []string `json:"addresses"` // host:port, the best first
	Pin       string   `json:"pin"`       // of its key
}

const (
	joinedFile  = "gateway.json"
	maxJoinFile = 64 << 10 // bytes
)

// readJoined reads the file in the folder; nil where there is none.
func readJoined(dir string) (*joined, error) {
	path := filepath.Join(dir, joinedFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the joined gateway: %w", err)
	}
	if info.Size() > maxJoinFile {
		return nil, fmt.Errorf("reading the joined gateway: %s is too large", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the joined gateway: %w", err)
	}
	var j joined
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, fmt.Errorf("reading the joined gateway: %s: %w", path, err)
	}
	if len(j.Addresses) == 0 || j.Pin == "" {
		return nil, fmt.Errorf("reading the joined gateway: %s names no address or no key: join the gateway again", path)
	}
	return &j, nil
}

// write replaces the file as a whole: after a crash it is the old or the new one.
func (j *joined) write(dir string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("storing the joined gateway: %w", err)
		}
	}()
	b, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, joinedFile+".*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already if all went well
	if _, err := f.Write(append(b, '\n')); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, joinedFile)); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
