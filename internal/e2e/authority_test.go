//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority is a certificate authority of the rest of the world, whom machines trust.
type authority struct {
	t    testing.TB
	file string // its certificate, PEM
	root *x509.Certificate
	key  *ecdsa.PrivateKey
	last int64 // serial number
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "authority.pem"), key: key, last: 1}
	a.root = &x509.Certificate{
		SerialNumber: big.NewInt(a.last), Subject: pkix.Name{CommonName: "The world's"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := a.sign(a.root)
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	return a
}

// server is a certificate for the name, with its key.
func (a *authority) server(name string) tls.Certificate {
	a.t.Helper()
	a.last++
	der := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(a.last), NotBefore: a.root.NotBefore, NotAfter: a.root.NotAfter, DNSNames: []string{name},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
}

func (a *authority) sign(c *x509.Certificate) []byte {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, a.root, a.key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}
