package license

import (
	"encoding/base64"
	"strings"
)

// builtInVendor is the pin of the one vendor whose keys this program takes, of those who
// sell Platen. It is set when the program is linked:
//
//	go build -ldflags "-X github.com/platen-scan/platen/internal/license.builtInVendor=<pin>"
var builtInVendor string

// BuiltInVendor is the pin of the vendor that this program was built for; "": the
// configuration says whose keys are taken.
func BuiltInVendor() string { return strings.TrimSpace(builtInVendor) }

// IsPin reports whether the text can be the pin of a key (identity.PinOf).
func IsPin(text string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(raw) == 32
}
