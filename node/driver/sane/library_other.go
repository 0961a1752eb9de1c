//go:build !linux && !darwin

package sane

import (
	"runtime"

	"github.com/platen-scan/platen/node/driver"
)

// library does not exist on this system.
type library struct{}

func load() (*library, error) {
	return nil, &driver.Missing{Driver: name, Hint: "SANE is not used on " + runtime.GOOS}
}

func (*library) list() ([]found, error)             { return nil, nil }
func (*library) openDevice(string) (backend, error) { return nil, nil }
