//go:build !linux || !(amd64 || arm64)

package turbo

import (
	"errors"
	"runtime"

	"github.com/platen-scan/platen/node/imaging"
)

// Codecs is for Linux on amd64 and arm64 only; elsewhere it always fails.
func Codecs() (imaging.Codecs, error) {
	return imaging.Codecs{}, errors.New("libjpeg-turbo is not used on " + runtime.GOOS + "/" + runtime.GOARCH)
}
