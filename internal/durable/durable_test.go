package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, step := range []struct {
		name    string
		write   func(string, []byte, fs.FileMode) error
		content string
		mode    fs.FileMode
		err     error
		want    string
	}{
		{"Create", Create, "1", 0o600, nil, "1"},
		{"Create of what is there", Create, "2", 0o600, fs.ErrExist, "1"},
		{"Replace", Replace, "3", 0o644, nil, "3"},
	} {
		if err := step.write(path, []byte(step.content), step.mode); !errors.Is(err, step.err) {
			t.Errorf("%s = %v, want %v", step.name, err, step.err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != step.want {
			t.Errorf("after %s the file is %q, %v, want %q", step.name, got, err, step.want)
		}
		if info, err := os.Stat(path); err != nil || step.err == nil && info.Mode().Perm() != step.mode {
			t.Errorf("after %s: %v, %v, want mode %v", step.name, info, err, step.mode)
		}
	}
	if err := Replace(filepath.Join(dir, "none", "a"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Replace in a folder that is not there = %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(filepath.Join(dir, "folder"), nil, 0o600); err == nil {
		t.Error("Replace took the place of a folder")
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.new-*")); err != nil || len(left) > 0 {
		t.Errorf("passing files stay: %v, %v", left, err)
	}
}
