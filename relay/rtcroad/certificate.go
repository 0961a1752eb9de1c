package rtcroad

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"path/filepath"
	"time"

	"github.com/platen-scan/platen/internal/identity"
)

// certificateFile holds the key and the certificate that belongs to it.
const certificateFile = "webrtc.key"

// loadCertificate reads the certificate in dir, or makes it if there is none.
func loadCertificate(dir string) (c tls.Certificate, err error) {
	path := filepath.Join(dir, certificateFile)
	text, err := identity.ReadSecret(path, maxMessage)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = makeCertificate(); err == nil {
			err = identity.WriteSecret(path, text)
		}
	}
	if err != nil {
		return c, err
	}
	if c, err = parseCertificate(text); err != nil {
		return c, fmt.Errorf("%s is damaged: %w. Deleting it makes a new one", path, err)
	}
	return c, nil
}

func parseCertificate(text []byte) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return pair, err
	}
	if _, ok := pair.PrivateKey.(*ecdsa.PrivateKey); !ok {
		return pair, errors.New("its key is no ECDSA key")
	}
	return pair, nil
}

// makeCertificate is a fresh key and its certificate. Browsers compare its hash and
// nothing else, so its dates must suit any clock that a node may have had.
func makeCertificate() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial := make([]byte, 16)
	rand.Read(serial)
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      pkix.Name{CommonName: "platen"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...), nil
}
