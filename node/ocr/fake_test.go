package ocr

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func need(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fake is a program in place of tesseract: what it answers about itself, and a script for
// reading a page.
func fake(t testing.TB, reads string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tesseract")
	need(t, os.WriteFile(path, []byte(`#!/bin/sh
case "$1" in
--version) echo "tesseract 9.9"; exit ;;
--list-langs) printf 'List of available languages (4):\neng\ndeu\nosd\nscript/Latin\n'; exit ;;
esac
`+reads), 0o700))
	return path
}

func engine(t testing.TB, c Config) *Engine {
	t.Helper()
	c.Dir = t.TempDir()
	t.Cleanup(func() {
		if left, err := os.ReadDir(c.Dir); err != nil || len(left) > 0 {
			t.Errorf("folders left behind: %v %v", left, err)
		}
	})
	return New(c)
}

// empty is a page for a fake.
func empty(t testing.TB) Page {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page")
	need(t, os.WriteFile(path, []byte("\xff\xd8\xff\xd9"), 0o600))
	f, err := os.Open(path)
	need(t, err)
	t.Cleanup(func() { f.Close() })
	return Page{File: f, Width: 1000, Height: 1000}
}
