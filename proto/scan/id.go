package scan

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
)

// Identifiers are lower-case base32 (RFC 4648, no padding), so that they survive
// host names, URLs and being read aloud.
//
// A node ID is 26 characters of the SHA-256 of the node's first public key (its
// SubjectPublicKeyInfo), then two check characters. Every object that a node owns
// has an ID that begins with the node's first 16 characters, the routing prefix:
//
//	<prefix>-<kind><20 random characters>
//
// so a gateway knows where a request belongs without a table. Clients treat IDs
// as opaque.

const (
	nodeIDBody   = 26
	nodeIDLength = nodeIDBody + 2
	prefixLength = 16
	randomLength = 20
)

// Kind is the letter that tells what an ID names.
type Kind byte

// The kinds.
const (
	KindScanner  Kind = 's'
	KindJob      Kind = 'j'
	KindDocument Kind = 'd'
	KindPage     Kind = 'p'
)

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ErrBadID is returned for text that is no identifier.
var ErrBadID = errors.New("malformed identifier")

// NodeID is the ID of the node whose first public key is key.
func NodeID(key ed25519.PublicKey) (string, error) {
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("encoding a node's public key: %w", err)
	}
	sum := sha256.Sum256(spki)
	body := base32Lower.EncodeToString(sum[:])[:nodeIDBody]
	return body + checkCharacters(body), nil
}

// ParseNodeID checks length, alphabet and check characters.
func ParseNodeID(s string) error {
	if len(s) != nodeIDLength || !isBase32(s) || checkCharacters(s[:nodeIDBody]) != s[nodeIDBody:] {
		return fmt.Errorf("node ID: %w", ErrBadID)
	}
	return nil
}

// checkCharacters finds every single wrong character and every swap of neighbours:
// a weighted sum modulo 1021, the largest prime that fits two characters.
func checkCharacters(body string) string {
	const modulus = 1021
	sum := 0
	for i := range len(body) {
		sum = (sum + (i+1)*(strings.IndexByte(base32Alphabet, body[i])+1)) % modulus
	}
	return string([]byte{base32Alphabet[sum/32], base32Alphabet[sum%32]})
}

const base32Alphabet = "abcdefghijklmnopqrstuvwxyz234567"

// Prefix is the routing prefix of a node's ID.
func Prefix(nodeID string) string { return nodeID[:prefixLength] }

// NewID makes an ID for an object of the node.
func NewID(nodeID string, kind Kind) string {
	return Prefix(nodeID) + "-" + string(kind) + RandomText(randomLength)
}

// DerivedID is an ID that stays the same for the same node, kind and name: it is
// how a scanner keeps its ID over restarts.
func DerivedID(nodeID string, kind Kind, name string) string {
	sum := sha256.Sum256([]byte(nodeID + "\x00" + string(kind) + "\x00" + name))
	return Prefix(nodeID) + "-" + string(kind) + base32Lower.EncodeToString(sum[:])[:randomLength]
}

// ParseID splits an object's ID into routing prefix and kind.
func ParseID(s string) (prefix string, kind Kind, err error) {
	if len(s) != prefixLength+2+randomLength || s[prefixLength] != '-' ||
		!isBase32(s[:prefixLength]) || !isBase32(s[prefixLength+1:]) {
		return "", 0, ErrBadID
	}
	switch k := Kind(s[prefixLength+1]); k {
	case KindScanner, KindJob, KindDocument, KindPage:
		return s[:prefixLength], k, nil
	}
	return "", 0, ErrBadID
}

// RandomText is n random base32 characters, five bits each.
func RandomText(n int) string {
	b := make([]byte, (n*5+7)/8)
	rand.Read(b) // never fails: crypto/rand
	return base32Lower.EncodeToString(b)[:n]
}

func isBase32(s string) bool {
	return s != "" && strings.Trim(s, base32Alphabet) == ""
}
