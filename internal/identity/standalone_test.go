package identity_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/platen-scan/platen/internal/identity"
)

func TestMakeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vendor.key")
	made, err := identity.MakeFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	if _, err := identity.MakeFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("MakeFile over a file: %v, want that it exists", err)
	}
	read, err := identity.ReadFile(path)
	if err != nil || read.Pin() != made.Pin() || read.NodeID() != made.NodeID() {
		t.Errorf("ReadFile = %v, %v", read, err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("the file was changed")
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v, want 0600", err, info.Mode())
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files are there, want the key alone", len(entries))
	}
	if err := os.WriteFile(path, before[:len(before)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := identity.ReadFile(path); err == nil {
		t.Error("half a key is read")
	}
}
