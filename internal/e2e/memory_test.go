//go:build e2e

package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const windowSize = 32

// windows are pieces of a secret that are looked for where it must not be.
type windows struct {
	bytes []byte           // the secret
	at    map[uint64][]int // places in it, by the first eight bytes there
	hint  [1 << 16]bool    // by the first two
	count int
}

// newWindows picks count pieces at random, none of which may be somewhere by chance.
func newWindows(t testing.TB, secret []byte, count int) *windows {
	t.Helper()
	w := &windows{bytes: secret, at: map[uint64][]int{}}
	taken := map[int]bool{}
	for range 100 * count {
		if w.count == count {
			return w
		}
		at := rand.IntN(len(secret) - windowSize)
		different := map[byte]bool{}
		for _, b := range secret[at : at+windowSize] {
			different[b] = true
		}
		if len(different) < windowSize/2 || taken[at] {
			continue // a white area, perhaps
		}
		taken[at] = true
		head := secret[at : at+8]
		w.at[binary.LittleEndian.Uint64(head)] = append(w.at[binary.LittleEndian.Uint64(head)], at)
		w.hint[binary.LittleEndian.Uint16(head)] = true
		w.count++
	}
	t.Fatalf("%d of %d random windows in %d bytes", w.count, count, len(secret))
	return nil
}

// look adds the places in the secret that it finds pieces of in b.
func (w *windows) look(b []byte, found map[int]bool) {
	if len(b) < windowSize {
		return
	}
	next := uint16(b[0])
	for i, second := range b[1 : len(b)-windowSize+2] {
		if next |= uint16(second) << 8; !w.hint[next] {
			next >>= 8
			continue
		}
		next >>= 8
		for _, at := range w.at[binary.LittleEndian.Uint64(b[i:])] {
			if bytes.Equal(b[i:i+windowSize], w.bytes[at:at+windowSize]) {
				found[at] = true
			}
		}
	}
}

// lookStream is look for what is too large to be held.
func (w *windows) lookStream(r io.Reader, buf []byte, found map[int]bool) (total int64, err error) {
	kept := 0
	for err == nil {
		var n int
		n, err = io.ReadFull(r, buf[kept:])
		total += int64(n)
		w.look(buf[:kept+n], found)
		from := max(0, kept+n-windowSize+1)
		kept = copy(buf, buf[from:kept+n])
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return total, err
}

// inMemory looks through all that a process can read of itself, and counts the bytes.
func (w *windows) inMemory(pid int, found map[int]bool) (total int64, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return 0, err
	}
	defer mem.Close()
	buf := make([]byte, 4<<20)
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		first, last, ok := strings.Cut(fields[0], "-")
		from, err1 := strconv.ParseUint(first, 16, 63)
		to, err2 := strconv.ParseUint(last, 16, 63)
		if !ok || err1 != nil || err2 != nil || fields[1][0] != 'r' || strings.HasPrefix(fields[len(fields)-1], "[v") { // vvar, vdso: the kernel's
			continue
		}
		// What was unmapped meanwhile cannot be read, and is nobody's memory any more.
		n, _ := w.lookStream(io.NewSectionReader(mem, int64(from), int64(to-from)), buf, found)
		total += n
	}
	return total, nil
}

// inFolder looks through all files below a folder.
func (w *windows) inFolder(dir string, found map[int]bool) (total int64, err error) {
	buf := make([]byte, 1<<20)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		n, err := w.lookStream(f, buf, found)
		total += n
		return err
	})
	return total, err
}
