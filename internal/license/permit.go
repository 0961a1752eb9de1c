package license

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/platen-scan/platen/internal/token"
)

// HeaderPermit carries a permit over a link, beside the grant that names its digest.
const HeaderPermit = "Platen-License"

// Permit is what covers one session or request: the tokens of a key and of what a
// tracking server handed out for it.
type Permit struct {
	Key    string
	Lease  string   // "": the kind needs no seat
	Blocks []string // of the node that is to scan; none: the kind does not count pages
}

const (
	maxBlocks = 16
	maxPermit = (2 + maxBlocks) * (token.Max + 1)
)

// String is the permit for HeaderPermit; "" for none.
func (p Permit) String() string {
	if p.Key == "" {
		return ""
	}
	return strings.Join(append([]string{p.Key, p.Lease}, p.Blocks...), ";")
}

// ParsePermit reads HeaderPermit. It judges nothing.
func ParsePermit(text string) (Permit, error) {
	if len(text) > maxPermit {
		return Permit{}, invalid("The permit is too long.")
	}
	parts := strings.Split(text, ";")
	if len(parts) < 2 || len(parts) > 2+maxBlocks || parts[0] == "" {
		return Permit{}, invalid("The permit is damaged.")
	}
	return Permit{Key: parts[0], Lease: parts[1], Blocks: parts[2:]}, nil
}

// Digest is what the grant says of the permit beside it; "" for none.
func Digest(permit string) string {
	if permit == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(permit))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ClientHash is the name of a browser client in leases and receipts: what the browser
// calls itself is told to nobody else, and is another for each origin.
func ClientHash(origin, client string) string {
	sum := sha256.Sum256([]byte("platen-client/1\x00" + origin + "\x00" + client))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
