package audit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var errFull = errors.New("no space left on device")

// A disk that fails at any step leaves a whole chain, and the log heals by itself.
func TestFailingDisk(t *testing.T) {
	for _, tt := range []struct {
		name    string
		spoil   func(*Log)
		rotates bool
	}{
		{"write", func(l *Log) { l.write = func(*os.File, []byte) (int, error) { return 0, errFull } }, false},
		{"half a write", func(l *Log) {
			l.write = func(f *os.File, b []byte) (int, error) { n, _ := f.Write(b[:len(b)/2]); return n, errFull }
		}, false},
		{"fsync", func(l *Log) { l.sync = func(*os.File) error { return errFull } }, false},
		{"write of the next file", func(l *Log) {
			l.write = func(f *os.File, b []byte) (int, error) { n, _ := f.Write(b[:len(b)/2]); return n, errFull }
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{Dir: t.TempDir(), Signer: newSigner(t)}
			l := open(t, c)
			fill(t, l, 3)
			write, sync := l.write, l.sync
			if tt.rotates {
				l.segment = 1
			}
			tt.spoil(l)
			for range 2 {
				if err := l.Append(t.Context(), Entry{Action: "lost", Result: OK}); !errors.Is(err, errFull) {
					t.Errorf("Append = %v, want the disk's error", err)
				}
				if err := l.Ready(); !errors.Is(err, errFull) {
					t.Errorf("Ready = %v, want the disk's error", err)
				}
			}
			l.write, l.sync, l.segment = write, sync, segmentSize
			if err := l.Ready(); err != nil {
				t.Errorf("Ready on a disk that works again = %v", err)
			}
			fill(t, l, 1)
			text := export(t, l)
			if n, err := Verify(strings.NewReader(text), c.Signer.Pin()); err != nil || n != 4 || strings.Contains(text, "lost") {
				t.Errorf("Verify = %d, %v in\n%s", n, err, text)
			}
			l.Close()
			open(t, c)
		})
	}
}

func TestRepairRefusesAShorterFile(t *testing.T) {
	c := Config{Dir: t.TempDir(), Signer: newSigner(t)}
	l := open(t, c)
	fill(t, l, 3)
	sync := l.sync
	l.sync = func(*os.File) error { return errFull }
	l.Append(t.Context(), Entry{Action: "lost"})
	l.sync = sync
	if err := os.Truncate(filepath.Join(c.Dir, l.at.name), 100); err != nil {
		t.Fatal(err)
	}
	if err := l.Ready(); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("Ready = %v, want a refusal", err)
	}
}

func TestFullDisk(t *testing.T) {
	room, fault := leastFree, error(nil)
	l := open(t, Config{Dir: t.TempDir(), Signer: newSigner(t), Free: func(string) (int64, error) { return room, fault }})
	if err := l.Ready(); err != nil {
		t.Error(err)
	}
	room--
	if l.Ready() == nil {
		t.Error("the log is ready on a full disk")
	}
	fill(t, l, 1) // what runs may still finish
	room++
	fault = errFull
	if l.Ready() == nil {
		t.Error("the log is ready on a disk that answers nothing")
	}
}

func TestFreeAsksTheSystem(t *testing.T) {
	if n, err := free(t.TempDir()); err != nil || n <= 0 {
		t.Errorf("free = %d, %v", n, err)
	}
	if _, err := free(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a folder that is not there has room")
	}
}
