// Package identity holds the long-lived Ed25519 key of a node or gateway and what
// is made of it: node ID, pin, self-signed link certificates and their check, the
// change to another key, and the internal CA that serves HTTPS to browsers on the LAN.
//
// Nodes, gateways and the relay call it. It trusts no system root and no date on a
// link: there the pinned public key is all that counts. It never sends a private
// key anywhere and never overwrites one that it finds, but for the change of key that
// it was asked for.
package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// Files in the keys folder.
const (
	keyFile   = "identity.key"
	nextFile  = "identity.next"  // the key that is to follow
	chainFile = "identity.chain" // how the key follows from the first one
)

// Identity is the key of this node or gateway. It never leaves the data folder. Its
// methods are safe for concurrent use; each sees the key as it is at that moment.
type Identity struct {
	dir    string // "": in memory only
	nodeID string // of the first key
	now    atomic.Pointer[ownKey]

	changing sync.Mutex // held while files and keys change
	next     *ownKey
	chain    []Rotation
}

// ownKey is one key of an identity. It does not change.
type ownKey struct {
	private ed25519.PrivateKey
	pin     string

	certify     sync.Once
	certificate tls.Certificate
	err         error
}

// Load reads dir/identity.key and makes folder and key at the first start. Of two
// processes that start at once both get the same key. A key that other users can
// read, or a file that holds something else, is refused: replacing it would make
// every peer refuse this machine. A change of key that was cut short after the point
// of no return is finished.
func Load(dir string) (*Identity, error) {
	i := &Identity{dir: dir}
	if err := i.load(); err != nil {
		return nil, fmt.Errorf("loading the identity: %w", err)
	}
	return i, nil
}

// New makes an identity that lives in memory only.
func New() (*Identity, error) {
	key, err := newOwnKey()
	if err != nil {
		return nil, fmt.Errorf("making an identity: %w", err)
	}
	i := &Identity{}
	i.now.Store(key)
	i.nodeID, err = scan.NodeID(key.public())
	return i, err
}

func (i *Identity) load() error {
	path := filepath.Join(i.dir, keyFile)
	file, err := loadOrMake(path, func() (*pemFile, error) {
		key, err := newOwnKey()
		if err != nil {
			return nil, err
		}
		return newPEMFile(key.private, nil)
	})
	if err != nil {
		return err
	}
	key, err := keyIn(file, path)
	if err != nil {
		return err
	}
	i.now.Store(key)
	return i.loadChange()
}

func newOwnKey() (*ownKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return ownKeyOf(private), nil
}

func ownKeyOf(private ed25519.PrivateKey) *ownKey {
	k := &ownKey{private: private}
	k.pin = PinOf(k.public())
	return k
}

func keyIn(file *pemFile, path string) (*ownKey, error) {
	private, ok := file.key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a %T, want an Ed25519 key", path, file.key)
	}
	return ownKeyOf(private), nil
}

func (k *ownKey) public() ed25519.PublicKey { return k.private.Public().(ed25519.PublicKey) }

// Public is the key that peers pin.
func (i *Identity) Public() ed25519.PublicKey { return i.now.Load().public() }

// Pin is PinOf(Public()).
func (i *Identity) Pin() string { return i.now.Load().pin }

// NodeID is the node ID that belongs to the first key. It stays when the key changes.
func (i *Identity) NodeID() string { return i.nodeID }

// Signer is the private key, for signing grants and receipts.
func (i *Identity) Signer() ed25519.PrivateKey { return i.now.Load().private }

// Frozen is the identity with the key that it has now, whatever follows: for what was
// begun with this key and must end with it.
func (i *Identity) Frozen() *Identity {
	i.changing.Lock()
	defer i.changing.Unlock()
	f := &Identity{nodeID: i.nodeID, chain: i.chain}
	f.now.Store(i.now.Load())
	return f
}

// beforeKey is the SubjectPublicKeyInfo of an Ed25519 key but for the key (RFC 8410 4).
const beforeKey = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"

// PinOf names a public key: unpadded base64url of the SHA-256 of its
// SubjectPublicKeyInfo, as in RFC 7469 but for the alphabet. A value that is no
// Ed25519 key has the pin "", which no key has.
func PinOf(key ed25519.PublicKey) string {
	if len(key) != ed25519.PublicKeySize {
		return ""
	}
	sum := sha256.Sum256(append([]byte(beforeKey), key...))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// shortFingerprint is how many bytes ShortFingerprint shows.
const shortFingerprint = 4

// ShortFingerprint is the beginning of the fingerprint that a pin holds, in lower case
// hexadecimal: for people, and for what is announced to the local network. It is no
// proof: keys with the same one can be made. Of what is no pin it is "".
func ShortFingerprint(pin string) string {
	sum, err := base64.RawURLEncoding.Strict().DecodeString(pin)
	if err != nil || len(sum) != sha256.Size {
		return ""
	}
	return hex.EncodeToString(sum[:shortFingerprint])
}

// IsShortFingerprint reports whether text has the form of one.
func IsShortFingerprint(text string) bool {
	return len(text) == 2*shortFingerprint && strings.Trim(text, "0123456789abcdef") == ""
}

// Certificate is a certificate for links, signed by the identity's own key. It
// says nothing but the key; its dates are the widest there are, and ignored.
func (i *Identity) Certificate() (tls.Certificate, error) {
	k := i.now.Load()
	k.certify.Do(func() { k.certificate, k.err = k.newCertificate(i.nodeID) })
	return k.certificate, k.err
}

func (k *ownKey) newCertificate(name string) (tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a link certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // "no end": RFC 5280 4.1.2.5
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.public(), k.private)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a link certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k.private}, nil
}
