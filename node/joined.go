package node

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
)

// joined is the gateway that a node has joined, as the file gateway.json keeps it. It
// does not change: what is new is a copy.
type joined struct {
	Addresses []string        `json:"addresses"`          // host:port, the best first
	Pin       string          `json:"pin"`                // of its key
	First     string          `json:"first,omitempty"`    // pin that it had when the node joined; "": Pin
	Earlier   []string        `json:"earlier,omitempty"`  // pins of all keys that it had before, as it has shown them
	Next      *access.NextKey `json:"next,omitempty"`     // the key that it will have; nil: none was announced
	Sequence  int64           `json:"sequence,omitempty"` // number of the last link
	Ahead     time.Duration   `json:"ahead,omitempty"`    // of this computer's clock is the gateway's
}

// first is the pin by which the node knows the gateway's users.
func (j *joined) first() string { return cmp.Or(j.First, j.Pin) }

// earlier are the pins of the keys that the gateway had before. One that shows none has at
// least the one that the node has joined.
func (j *joined) earlier() []string { return append(slices.Clip(j.Earlier), j.first()) }

// next is the pin of the key that the gateway may have by now; "" if it has announced
// none for this time. The gateway's clock tells: this computer's may be wrong.
func (j *joined) next(now time.Time) string {
	if j.Next == nil || now.Add(j.Ahead).Before(j.Next.From) {
		return ""
	}
	return j.Next.Pin
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
func (j *joined) write(dir string) error {
	b, err := json.MarshalIndent(j, "", "  ")
	if err == nil {
		err = identity.WriteSecret(filepath.Join(dir, joinedFile), append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("storing the joined gateway: %w", err)
	}
	return nil
}

// forgetJoined deletes the file. It is silent where there is none.
func forgetJoined(dir string) error {
	if err := os.Remove(filepath.Join(dir, joinedFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting the joined gateway: %w", err)
	}
	return nil
}
