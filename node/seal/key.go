package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	label    = "platen-sealed/1"
	keySize  = 32
	markSize = 8
	// SecretSize is how many bytes a Secret has.
	SecretSize = 32
)

// ErrOpen says that something does not open: it was changed on its way, cut, is sealed for
// another recipient, or is not what was asked for.
var ErrOpen = errors.New("it was damaged, or is not what was asked for")

// Name says what is sealed; see the package's description. No part has a zero byte.
type Name struct {
	Node    string // the node's ID
	Object  string // ID of the job or document
	Part    string // number of the page; "" for a document
	Version string // ID of the page, or tag of the document's content
	Form    string // rendition; "" for the stored bytes of a page
}

// info is the info parameter of HPKE.
func (n Name) info() []byte {
	return []byte(strings.Join([]string{label, n.Node, n.Object, n.Part, n.Version, n.Form}, "\x00"))
}

// Key is a content key.
type Key struct {
	raw  [keySize]byte
	aead cipher.AEAD
	// Mark is 16 hexadecimal digits that stand for the key in an ETag. They tell nothing of it.
	Mark string
}

func newKey(b []byte) *Key {
	k := &Key{Mark: hex.EncodeToString(b[keySize:])}
	copy(k.raw[:], b)
	block, err := aes.NewCipher(k.raw[:])
	if err == nil {
		k.aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		panic(err) // 32 bytes are an AES key
	}
	return k
}

// NewKey makes a key for one answer.
func NewKey() *Key {
	b := make([]byte, keySize+markSize)
	rand.Read(b)
	return newKey(b)
}

// Secret is what a node makes content keys from.
type Secret [SecretSize]byte

// NewSecret makes a secret.
func NewSecret() *Secret {
	var s Secret
	rand.Read(s[:])
	return &s
}

// Key is the content key of name for a recipient, the same each time. digest is the SHA-256
// of the plaintext; nil for the stored bytes of a page, whose ID is never that of others.
func (s *Secret) Key(to *Recipient, name Name, digest []byte) *Key {
	info := fmt.Sprintf("%s content key\x00%s\x00%s\x00%x", label, encoding.EncodeToString(to.point[:]), name.info(), digest)
	b, err := hkdf.Key(sha256.New, s[:], nil, info, keySize+markSize)
	if err != nil {
		panic(err) // the length is small enough
	}
	return newKey(b)
}

// Wrap seals the key itself: the header that goes before what the key seals.
func (k *Key) Wrap(to *Recipient, name Name, mediaType string) (Header, error) {
	enc, sender, err := hpke.NewSender(to.key, hpke.HKDFSHA256(), hpke.AES256GCM(), name.info())
	if err != nil {
		return Header{}, fmt.Errorf("sealing a key: %w", err)
	}
	ct, err := sender.Seal([]byte(mediaType), k.raw[:])
	if err != nil {
		return Header{}, fmt.Errorf("sealing a key: %w", err)
	}
	return Header{Type: mediaType, For: hint(to.point[:]), Key: append(enc, ct...)}, nil
}

// Unwrap opens the key of a header: the one that name was sealed with for the holder of
// private. Its error is ErrOpen. The key has no Mark.
func Unwrap(private *ecdh.PrivateKey, name Name, h Header) (*Key, error) {
	own, err := hpke.NewDHKEMPrivateKey(private)
	if err != nil || len(h.Key) != wrapSize {
		return nil, ErrOpen
	}
	r, err := hpke.NewRecipient(h.Key[:pointSize], own, hpke.HKDFSHA256(), hpke.AES256GCM(), name.info())
	if err != nil {
		return nil, ErrOpen
	}
	raw, err := r.Open([]byte(h.Type), h.Key[pointSize:])
	if err != nil || len(raw) != keySize {
		return nil, ErrOpen
	}
	return newKey(raw), nil
}
