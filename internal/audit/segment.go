package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/platen-scan/platen/internal/durable"
	"github.com/platen-scan/platen/internal/identity"
)

// The log's files are called by the number of their first record, so that the order of
// names is that of the chain. Each begins with a head, from which it can be checked
// without the files before it.
const (
	segmentPrefix = "audit-"
	segmentEnding = ".jsonl"
)

func segmentName(first int64) string {
	return fmt.Sprintf("%s%012d%s", segmentPrefix, first, segmentEnding)
}

func segmentFirst(name string) (int64, bool) {
	digits, ok := strings.CutPrefix(name, segmentPrefix)
	digits, ok2 := strings.CutSuffix(digits, segmentEnding)
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, ok && ok2 && err == nil && n > 0
}

// segments lists the log's files, oldest first.
func segments(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, ok := segmentFirst(e.Name()); ok {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// rotate begins the next file; writing is held. One of that name can hold no record:
// it was begun before a crash or a failure.
func (l *Log) rotate() error {
	at := l.at
	at.name = segmentName(at.n + 1)
	at.head = sign(l.Signer, at.n, at.hash, l.Now())
	text := []byte(at.head.String() + "\n")
	at.size = int64(len(text))
	file, err := os.OpenFile(filepath.Join(l.Dir, at.name), os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = l.write(file, text)
	if err == nil {
		err = l.sync(file)
	}
	if err == nil {
		err = durable.SyncDir(l.Dir)
	}
	if err != nil {
		return errors.Join(err, file.Close(), os.Remove(file.Name()))
	}
	if l.file != nil {
		l.file.Close() // all of it is durable
	}
	l.file = file
	l.mu.Lock()
	l.at = at
	l.mu.Unlock()
	return nil
}

// resume finds the end of the chain. cut is how many bytes of an unfinished line it
// took away.
func (l *Log) resume() (cut int64, err error) {
	names, err := segments(l.Dir)
	if err != nil {
		return 0, err
	}
	for i := len(names) - 1; i >= 0; i-- {
		path := filepath.Join(l.Dir, names[i])
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		first, _ := segmentFirst(names[i])
		at, err := l.replay(text, first)
		if err != nil {
			return 0, fmt.Errorf("%s %w. The log must not go on with a broken chain: find out who changed it, set the folder %s aside and start again, which begins a new chain", path, err, l.Dir)
		}
		cut += int64(len(text)) - at.size
		if at.size == 0 { // a crash came before its head was written
			if err := os.Remove(path); err != nil {
				return 0, err
			}
			continue
		}
		at.name = names[i]
		l.at = at
		if l.file, err = os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0); err != nil {
			return 0, err
		}
		if at.size < int64(len(text)) {
			if err := errors.Join(l.file.Truncate(at.size), l.file.Sync()); err != nil {
				return 0, errors.Join(err, l.file.Close())
			}
		}
		return cut, nil
	}
	l.at = place{hash: noHash}
	return cut, l.rotate()
}

// replay goes through a file whose first record has the number first. What follows
// at.size was cut off in the middle by a crash.
func (l *Log) replay(text []byte, first int64) (at place, err error) {
	at.n = first - 1
	for number := 1; ; number++ {
		rest := text[at.size:]
		line, _, whole := bytes.Cut(rest, []byte("\n"))
		if !whole {
			return at, nil
		}
		if err := l.take(&at, line, number == 1); err != nil {
			if bytes.IndexByte(rest, 0) >= 0 {
				return at, nil // a hole: the power went before all blocks of the last write were there
			}
			return at, fmt.Errorf("line %d: %w", number, err)
		}
		at.size += int64(len(line)) + 1
	}
}

func (l *Log) take(at *place, line []byte, begin bool) error {
	if !isHead(line) {
		if begin {
			return errors.New("the file does not begin with a head")
		}
		hash, err := step(line, at.n+1, at.hash)
		if err == nil {
			at.n, at.hash = at.n+1, hash
		}
		return err
	}
	h, err := ParseHead(string(line))
	if err != nil {
		return err
	}
	if begin {
		at.hash = h.Hash
	}
	if h.N != at.n || h.Hash != at.hash {
		return fmt.Errorf("its head is of record %d and stands behind record %d: records were taken out or changed", h.N, at.n)
	}
	at.head = h
	if slices.Contains(formerPins(l.Signer), h.Pin()) {
		return h.Verify("")
	}
	return h.Verify(l.Signer.Pin())
}

// formerPins are those of the keys that an identity had before.
func formerPins(id *identity.Identity) []string {
	var pins []string
	for _, text := range id.Chain() {
		if r, err := identity.ParseRotation(text); err == nil {
			pins = append(pins, identity.PinOf(r.Old))
		}
	}
	return pins
}
