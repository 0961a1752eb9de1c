// Package identity holds the long-lived Ed25519 key of a node or gateway and what
// is made of it: node ID, pin, self-signed link certificates and their check, and
// the internal CA that serves HTTPS to browsers on the LAN.
package identity

import "crypto/ed25519"

// Identity is the key of this node or gateway. It never leaves the data folder.
type Identity struct {
	private ed25519.PrivateKey
}
