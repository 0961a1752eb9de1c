//go:build linux || darwin

package sane

import (
	"errors"
	"strings"
	"testing"

	"github.com/platen-scan/platen/node/driver"
)

func TestMissingLibrary(t *testing.T) {
	_, err := loadOneOf([]string{"libsane-that-nobody-has.so.1"})
	var missing *driver.Missing
	if !errors.As(err, &missing) || missing.Driver != "sane" || !strings.Contains(missing.Hint, "install") {
		t.Errorf("loading a library that is not there = %v, want a *Missing that says what to install", err)
	}
}

// TestWrongLibrary loads a library that is there and is not libsane.
func TestWrongLibrary(t *testing.T) {
	_, err := loadOneOf([]string{"libc.so.6", "/usr/lib/libSystem.B.dylib"})
	var missing *driver.Missing
	if !errors.As(err, &missing) {
		t.Errorf("loading another library = %v, want a *Missing", err)
	}
}
