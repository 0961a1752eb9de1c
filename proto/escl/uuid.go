package escl

import (
	"crypto/sha256"
	"fmt"
)

// UUIDOf is the UUID of a scanner in eSCL and DNS-SD: always the same for the same ID,
// on whichever computer it is announced (RFC 9562, version 8).
func UUIDOf(scannerID string) string {
	sum := sha256.Sum256([]byte("platen-escl\x00" + scannerID))
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
