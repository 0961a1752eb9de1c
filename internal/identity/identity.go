// Package identity holds the long-lived Ed25519 key of a node or gateway and what
// is made of it: node ID, pin, self-signed link certificates and their check, and
// the internal CA that serves HTTPS to browsers on the LAN.
//
// Nodes, gateways and the relay call it. It trusts no system root and no date on a
// link: there the pinned public key is all that counts. It never sends a private
// key anywhere and never overwrites one that it finds.
package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"path/filepath"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// keyFile is the identity's place in the keys folder.
const keyFile = "identity.key"

// Identity is the key of this node or gateway. It never leaves the data folder.
type Identity struct {
	private ed25519.PrivateKey
	nodeID  string
	pin     string
}

// Load reads dir/identity.key and makes folder and key at the first start. Of two
// processes that start at once both get the same key. A key that other users can
// read, or a file that holds something else, is refused: replacing it would make
// every peer refuse this machine.
func Load(dir string) (*Identity, error) {
	der, err := loadOrMake(filepath.Join(dir, keyFile), func() (*pemFile, error) {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return newPEMFile(private, nil)
	})
	if err != nil {
		return nil, fmt.Errorf("loading the identity: %w", err)
	}
	private, ok := der.key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("loading the identity: %s holds a %T, want an Ed25519 key", filepath.Join(dir, keyFile), der.key)
	}
	return fromKey(private)
}

// New makes an identity that lives in memory only.
func New() (*Identity, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making an identity: %w", err)
	}
	return fromKey(private)
}

func fromKey(private ed25519.PrivateKey) (*Identity, error) {
	public := private.Public().(ed25519.PublicKey)
	id, err := scan.NodeID(public)
	if err != nil {
		return nil, err
	}
	return &Identity{private: private, nodeID: id, pin: PinOf(public)}, nil
}

// Public is the key that peers pin.
func (i *Identity) Public() ed25519.PublicKey { return i.private.Public().(ed25519.PublicKey) }

// Pin is PinOf(Public()).
func (i *Identity) Pin() string { return i.pin }

// NodeID is the node ID that belongs to this key.
func (i *Identity) NodeID() string { return i.nodeID }

// Signer is the private key, for signing grants and receipts.
func (i *Identity) Signer() ed25519.PrivateKey { return i.private }

// PinOf names a public key: unpadded base64url of the SHA-256 of its
// SubjectPublicKeyInfo, as in RFC 7469 but for the alphabet. A value that is no
// Ed25519 key has the pin "", which no key has.
func PinOf(key ed25519.PublicKey) string {
	if len(key) != ed25519.PublicKeySize {
		return ""
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(spki)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Certificate is a certificate for links, signed by the identity's own key. It
// says nothing but the key; its dates are the widest there are, and ignored.
func (i *Identity) Certificate() (tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a link certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: i.nodeID},
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // "no end": RFC 5280 4.1.2.5
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, i.Public(), i.private)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a link certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: i.private}, nil
}
