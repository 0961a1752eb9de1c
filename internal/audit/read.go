package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxLook bounds how many records one List looks at.
const maxLook = 20_000

// ErrCursor is for a cursor that List has not given out.
var ErrCursor = fmt.Errorf("no such place in the audit log")

// List is up to limit records, newest first, whose action begins with prefix. cursor is
// "" or what an earlier call returned as next; next is "" at the end. Where few records
// match, a list may hold fewer than limit and still have a next.
func (l *Log) List(limit int, cursor, prefix string) (list []Record, next string, err error) {
	l.mu.Lock()
	at := l.at
	l.mu.Unlock()
	below := at.n + 1
	if cursor != "" {
		if below, err = strconv.ParseInt(cursor, 10, 64); err != nil || below < 1 || below > at.n+1 {
			return nil, "", ErrCursor
		}
	}
	names, err := l.files(at)
	if err != nil {
		return nil, "", err
	}
	look := maxLook
	for _, name := range slices.Backward(names) {
		if first, _ := segmentFirst(name); first >= below {
			continue
		}
		lines, err := l.lines(name, at)
		if err != nil {
			return nil, "", err
		}
		for _, line := range slices.Backward(lines) {
			n, ok := number(line)
			if !ok || n >= below {
				continue
			}
			if len(list) == limit || look == 0 {
				return list, strconv.FormatInt(n+1, 10), nil
			}
			look--
			var r Record
			if err := json.Unmarshal(line, &r); err != nil {
				return nil, "", fmt.Errorf("reading record %d of the audit log: %w", n, err)
			}
			if strings.HasPrefix(r.Action, prefix) {
				list = append(list, r)
			}
		}
	}
	return list, "", nil
}

// Export writes the whole chain as it is stored, from the first record to a signed head.
// While nothing can be written the last records are under no head.
func (l *Log) Export(w io.Writer) error {
	if err := l.signHead(); err != nil {
		l.Log.Warn("the exported audit log does not end with a signed head", "error", err)
	}
	l.mu.Lock()
	at := l.at
	l.mu.Unlock()
	names, err := l.files(at)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := l.copy(w, name, at); err != nil {
			return fmt.Errorf("exporting the audit log: %w", err)
		}
	}
	return nil
}

// files are the files of the log up to a place.
func (l *Log) files(at place) ([]string, error) {
	names, err := segments(l.Dir)
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name > at.name }), nil
}

func (l *Log) copy(w io.Writer, name string, at place) error {
	f, err := os.Open(filepath.Join(l.Dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	if name == at.name {
		_, err = io.CopyN(w, f, at.size)
	} else {
		_, err = io.Copy(w, f)
	}
	return err
}

// lines are those of one file, up to a place.
func (l *Log) lines(name string, at place) ([][]byte, error) {
	var text bytes.Buffer
	if err := l.copy(&text, name, at); err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	return bytes.Split(bytes.TrimSuffix(text.Bytes(), []byte("\n")), []byte("\n")), nil
}
