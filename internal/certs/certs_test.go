package certs

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
)

// authority is the administrator's CA in the tests.
type authority struct {
	key         crypto.Signer
	certificate *x509.Certificate
}

// order is what a test wants a certificate to be; zero fields mean the usual.
type order struct {
	hosts         []string
	key           crypto.Signer
	before, after time.Time
	usage         x509.ExtKeyUsage
	name          string
	ca            bool
}

var serial int64

// sign makes a certificate; a nil authority makes one that signed itself.
func (a *authority) sign(t *testing.T, o order) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	if o.key == nil {
		o.key = newKey(t, elliptic.P256())
	}
	if o.before.IsZero() {
		o.before = time.Now().Add(-time.Hour)
	}
	if o.after.IsZero() {
		o.after = time.Now().Add(90 * day)
	}
	serial++
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: o.name}, NotBefore: o.before, NotAfter: o.after,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if o.usage != 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{o.usage}
	}
	if o.ca {
		template.IsCA, template.BasicConstraintsValid, template.ExtKeyUsage = true, true, nil
		template.KeyUsage = x509.KeyUsageCertSign
	}
	for _, host := range o.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	parent, signer := template, o.key
	if a != nil {
		parent, signer = a.certificate, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, o.key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, o.key
}

func newAuthority(t *testing.T, parent *authority, name string) *authority {
	t.Helper()
	c, key := parent.sign(t, order{name: name, ca: true, before: time.Now().Add(-400 * day), after: time.Now().Add(4000 * day)})
	return &authority{key, c}
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certPEM(chain ...*x509.Certificate) string {
	var text strings.Builder
	for _, c := range chain {
		pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return text.String()
}

func keyPEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// upload is a certificate of a passing authority.
func upload(t *testing.T, o order) api.CertificateUpload {
	t.Helper()
	root := newAuthority(t, nil, "Office Root")
	leaf, key := root.sign(t, o)
	return api.CertificateUpload{Certificate: certPEM(leaf, root.certificate), Key: keyPEM(t, key)}
}

// logged is a log that tests read.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// take is what was logged since it was called last.
func (l *logged) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text.String()
	l.text.Reset()
	return text
}

// newStore is a Store with hosts that the CA permits, beside one that it does not.
func newStore(t *testing.T, change func(*Config)) (*Store, *logged) {
	t.Helper()
	dir := t.TempDir()
	ca, err := identity.LoadCA(dir, "scanbox")
	if err != nil {
		t.Fatal(err)
	}
	log := &logged{}
	c := Config{
		Dir: dir, CA: ca, Hosts: func() []string { return []string{"scanbox.local", "127.0.0.1", "192.168.1.20"} },
		Log: slog.New(slog.NewTextHandler(log, nil)),
	}
	if change != nil {
		change(&c)
	}
	return New(c), log
}

// ask is the certificate that a handshake for a name gets.
func ask(t *testing.T, s *Store, host string, protocols ...string) *x509.Certificate {
	t.Helper()
	c, err := s.GetCertificate(&tls.ClientHelloInfo{ServerName: host, SupportedProtos: protocols})
	if err != nil {
		t.Fatalf("GetCertificate(%q): %v", host, err)
	}
	return c.Leaf
}

// find is the listed certificate of a name and source; nil if there is none.
func (s *Store) listed(name api.CertificateName, source api.CertificateSource) *api.Certificate {
	for _, c := range s.List() {
		if c.Name == name && c.Source == source {
			return &c
		}
	}
	return nil
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// files are a certificate and key beside each other.
func files(t *testing.T) File {
	dir := t.TempDir()
	return File{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
}

func (f File) write(t *testing.T, u api.CertificateUpload) {
	t.Helper()
	writeFile(t, f.Certificate, u.Certificate)
	writeFile(t, f.Key, u.Key)
}

// serve runs the Store for the time of the test and returns how to end it.
func serve(t *testing.T, s *Store) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}
