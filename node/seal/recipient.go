package seal

import (
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"errors"
)

const (
	recipientLength = 87 // characters
	pointSize       = 65 // bytes of an uncompressed point
	hintSize        = 8
)

// ErrRecipient says that a text is no public key on P-256.
var ErrRecipient = errors.New("it is no public key on P-256 in base64url")

// encoding is the only one that is accepted, so that one key has one text.
var encoding = base64.RawURLEncoding.Strict()

// Recipient is whom something is sealed for.
type Recipient struct {
	point [pointSize]byte
	key   hpke.PublicKey
}

// ParseRecipient reads a public key as job requests name it. Its only error is ErrRecipient.
func ParseRecipient(text string) (*Recipient, error) {
	if len(text) != recipientLength {
		return nil, ErrRecipient
	}
	point, err := encoding.DecodeString(text)
	if err != nil {
		return nil, ErrRecipient
	}
	public, err := ecdh.P256().NewPublicKey(point) // the point is on the curve, and is not infinity
	if err != nil {
		return nil, ErrRecipient
	}
	key, err := hpke.NewDHKEMPublicKey(public)
	if err != nil {
		return nil, ErrRecipient
	}
	r := &Recipient{key: key}
	copy(r.point[:], point)
	return r, nil
}

// FormatRecipient is a public key as job requests name it.
func FormatRecipient(key *ecdh.PublicKey) string { return encoding.EncodeToString(key.Bytes()) }

// hint is the parameter for of the header.
func hint(point []byte) string {
	sum := sha256.Sum256(point)
	return encoding.EncodeToString(sum[:hintSize])
}
