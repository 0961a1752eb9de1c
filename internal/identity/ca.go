package identity

import (
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
	"io/fs"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	caFile   = "ca.pem"
	leafFile = "leaf.pem"

	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 397 * 24 * time.Hour // browsers refuse more than 398 days
	backdate = 24 * time.Hour       // phones' clocks are wrong
)

// CA is the certificate authority of one installation: users install its
// certificate on their devices, then those trust this machine over HTTPS. Its key
// is used for nothing else, and no other installation has it.
type CA struct {
	dir         string
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate

	mu sync.Mutex // one leaf is made at a time
}

// LoadCA reads dir/ca.pem and makes it at the first call, with Load's rules. The
// name tells people whose CA it is. A new one can vouch for nothing but machines of
// a local network (see constrain) and these hosts, so that whoever trusts it need
// not fear for other sites.
func LoadCA(dir, name string, hosts ...string) (*CA, error) {
	path := filepath.Join(dir, caFile)
	f, err := loadOrMake(path, func() (*pemFile, error) { return makeCA(name, hosts, time.Now()) })
	if err != nil {
		return nil, fmt.Errorf("loading the CA: %w", err)
	}
	key, ok := f.key.(*ecdsa.PrivateKey)
	if !ok || f.certificate == nil || !f.certificate.IsCA || !key.PublicKey.Equal(f.certificate.PublicKey) {
		return nil, fmt.Errorf("loading the CA: %s does not hold a CA's key and its certificate", path)
	}
	return &CA{dir: dir, key: key, certificate: f.certificate}, nil
}

func makeCA(name string, hosts []string, now time.Time) (*pemFile, error) {
	key, template, err := newCertificate("Platen CA of "+name, now, caLife)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	constrain(template, hosts)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return newPEMFile(key, der)
}

// newCertificate is what the CA's certificate and its leaves have in common.
func newCertificate(name string, now time.Time, life time.Duration) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	return key, &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Platen"}},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(life - backdate),
	}, nil
}

// CertificatePEM is what users install.
func (c *CA) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.certificate.Raw})
}

// Certificate is the same, parsed. It is shared and never to be changed.
func (c *CA) Certificate() *x509.Certificate { return c.certificate }

// Pin names the CA's key as PinOf names an identity's, for programs and QR codes.
func (c *CA) Pin() string {
	sum := sha256.Sum256(c.certificate.RawSubjectPublicKeyInfo)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Fingerprint names a certificate as the dialogs of phones and computers do: people
// compare it before they trust a CA.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// Leaf is a server certificate for those of the hosts (names and IP addresses) that
// the CA Permits; browsers would refuse it whole for one of the others. The one on
// disk serves until two thirds of its life are over or it lacks a host; then a new
// one takes its place. Call it again from time to time: it is cheap.
func (c *CA) Leaf(hosts []string, now time.Time) (tls.Certificate, error) {
	var permitted []string
	for _, host := range hosts {
		if c.Permits(host) {
			permitted = append(permitted, host)
		}
	}
	if hosts = permitted; len(hosts) == 0 {
		return tls.Certificate{}, errors.New("a server certificate needs a host that the CA may vouch for")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	path := filepath.Join(c.dir, leafFile)
	f, err := readKeyFile(path)
	switch {
	case err == nil && c.serves(f, hosts, now):
		return c.chain(f), nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return tls.Certificate{}, fmt.Errorf("reading the server certificate: %w", err)
	}
	if f, err = c.makeLeaf(hosts, now); err != nil {
		return tls.Certificate{}, fmt.Errorf("making a server certificate: %w", err)
	}
	if err := WriteSecret(path, f.pem); err != nil {
		return tls.Certificate{}, fmt.Errorf("storing the server certificate: %w", err)
	}
	return c.chain(f), nil
}

// serves reports whether a stored leaf is ours, fresh and good for all hosts.
func (c *CA) serves(f *pemFile, hosts []string, now time.Time) bool {
	key, ok := f.key.(*ecdsa.PrivateKey)
	leaf := f.certificate
	if !ok || leaf == nil || !key.PublicKey.Equal(leaf.PublicKey) || leaf.CheckSignatureFrom(c.certificate) != nil {
		return false
	}
	if now.Before(leaf.NotBefore) || !now.Before(leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore)*2/3)) {
		return false
	}
	for _, host := range hosts {
		if leaf.VerifyHostname(host) != nil {
			return false
		}
	}
	return true
}

func (c *CA) makeLeaf(hosts []string, now time.Time) (*pemFile, error) {
	// The blank keeps the name from being taken for a host by verifiers that hold
	// common names, too, against the CA's constraints.
	key, template, err := newCertificate("Platen server", now, leafLife)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.certificate, key.Public(), c.key)
	if err != nil {
		return nil, err
	}
	return newPEMFile(key, der)
}

// chain is what a server sends: the leaf, and the CA for programs that know its pin.
func (c *CA) chain(f *pemFile) tls.Certificate {
	return tls.Certificate{
		Certificate: [][]byte{f.certificate.Raw, c.certificate.Raw},
		PrivateKey:  f.key, Leaf: f.certificate,
	}
}
