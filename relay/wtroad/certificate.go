package wtroad

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/platen-scan/platen/relay"
)

const (
	keyBlock         = "PRIVATE KEY"
	certificateBlock = "CERTIFICATE"
	maxPair          = 16 << 10 // bytes; a real one has under 2 KiB
)

// certificate is one of a pair.
type certificate struct {
	tls  tls.Certificate
	leaf *x509.Certificate
	hash string
}

// turn is when it begins to serve.
func (c *certificate) turn() time.Time { return c.leaf.NotBefore.Add(early) }

// newCertificate makes one whose turn begins at from. Browsers want ECDSA.
func newCertificate(from time.Time) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key for browsers: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	notBefore := from.Add(-early).UTC().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Platen node"},
		DNSNames:              []string{relay.Host},
		NotBefore:             notBefore,
		NotAfter:              notBefore.Add(life),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate for browsers: %w", err)
	}
	return asCertificate(der, key)
}

// asCertificate checks that browsers would take it.
func asCertificate(der []byte, key any) (*certificate, error) {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(*ecdsa.PrivateKey)
	switch {
	case !ok || signer.Curve != elliptic.P256():
		return nil, errors.New("a key is not of the kind that browsers take")
	case !signer.PublicKey.Equal(leaf.PublicKey):
		return nil, errors.New("a key is not its certificate's")
	case leaf.NotAfter.Sub(leaf.NotBefore) != life:
		return nil, errors.New("a certificate is not valid for as long as ours are")
	}
	hash := sha256.Sum256(der)
	return &certificate{
		tls:  tls.Certificate{Certificate: [][]byte{der}, PrivateKey: signer, Leaf: leaf},
		leaf: leaf, hash: base64.RawURLEncoding.EncodeToString(hash[:]),
	}, nil
}

// marshalPair is the content of the one file: with two, a crash between them could
// leave two certificates that do not follow each other.
func marshalPair(pair ...*certificate) ([]byte, error) {
	var text []byte
	for _, c := range pair {
		key, err := x509.MarshalPKCS8PrivateKey(c.tls.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("encoding a key: %w", err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: key})...)
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.leaf.Raw})...)
	}
	return text, nil
}

func parsePair(text []byte) (current, next *certificate, err error) {
	var pair [2]*certificate
	for i := range pair {
		var key, cert []byte
		if key, text, err = takeBlock(text, keyBlock); err != nil {
			return nil, nil, err
		}
		if cert, text, err = takeBlock(text, certificateBlock); err != nil {
			return nil, nil, err
		}
		private, err := x509.ParsePKCS8PrivateKey(key)
		if err != nil {
			return nil, nil, err
		}
		if pair[i], err = asCertificate(cert, private); err != nil {
			return nil, nil, err
		}
	}
	if len(bytes.TrimSpace(text)) != 0 {
		return nil, nil, errors.New("there is more than two certificates")
	}
	if !pair[1].turn().Equal(pair[0].turn().Add(turn)) {
		return nil, nil, errors.New("the second certificate does not follow the first")
	}
	return pair[0], pair[1], nil
}

func takeBlock(text []byte, kind string) (der, rest []byte, err error) {
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN ")) {
		return nil, nil, fmt.Errorf("there is no %q where one should be", kind)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, nil, fmt.Errorf("there is no %q where one should be", kind)
	}
	return block.Bytes, rest, nil
}
