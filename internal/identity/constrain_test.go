package identity_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/identity"
)

// given are the hosts that the tests' CA was made for beside the local ones.
var given = []string{"ScanBox", "scan.example.com", "203.0.113.7", "2001:db8::7", "not a name", "127.0.0.1"}

// constraintTable is asked of CA.Permits, of Go's verifier and of OpenSSL's.
var constraintTable = []struct {
	host string
	ok   bool
}{
	{"127.0.0.1", true}, {"127.9.9.9", true}, {"::1", true}, {"10.1.2.3", true}, {"172.31.0.1", true},
	{"192.168.178.20", true}, {"169.254.7.7", true}, {"fe80::1", true}, {"fd12::1", true}, {"100.64.0.1", true},
	{"203.0.113.7", true}, {"2001:db8::7", true},
	{"203.0.113.8", false}, {"2001:db8::8", false}, {"172.32.0.1", false}, {"192.169.0.1", false}, {"100.128.0.1", false},
	{"8.8.8.8", false}, {"0.0.0.0", false}, {"::2", false}, {"fec0::1", false},
	{"localhost", true}, {"a.localhost", true}, {"scanbox.local", true}, {"SCANBOX.LOCAL", true}, {"nas.lan", true},
	{"x.home.arpa", true}, {"x.internal", true}, {"scanbox", true}, {"scan.example.com", true}, {"deep.scan.example.com", true},
	{"example.com", false}, {"evilscan.example.com", false}, {"scan.example.com.evil.test", false}, {"notlocal", false},
	{"xlocalhost", false}, {"home.arpa.evil.test", false}, {"arpa", false}, {"com", false}, {"google.com", false},
}

func constrainedCA(t *testing.T) (*identity.CA, string) {
	t.Helper()
	dir := t.TempDir()
	ca, err := identity.LoadCA(dir, "scanbox", given...)
	if err != nil {
		t.Fatal(err)
	}
	return ca, dir
}

func TestPermits(t *testing.T) {
	ca, _ := constrainedCA(t)
	for _, tt := range constraintTable {
		if got := ca.Permits(tt.host); got != tt.ok {
			t.Errorf("Permits(%q) = %t, want %t", tt.host, got, tt.ok)
		}
	}
	for _, host := range []string{"", ".", "not a name", "-x.local", "a..local", "x.local.", strings.Repeat("a", 64) + ".local", "ü.local"} {
		if ca.Permits(host) {
			t.Errorf("Permits(%q), which no certificate can hold", host)
		}
	}
}

// TestVerifiersAgree signs what the CA's own code would not, and asks others.
func TestVerifiersAgree(t *testing.T) {
	ca, dir := constrainedCA(t)
	key, signer := caKey(t, dir)
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate())
	rootFile := pemFileOf(t, ca.CertificatePEM())
	now := time.Now()
	for _, tt := range constraintTable {
		leaf := sign(t, tt.host, signer, key)
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: tt.host, CurrentTime: now})
		if (err == nil) != tt.ok {
			t.Errorf("Go's verifier on %s: %v, want success %t", tt.host, err, tt.ok)
		}
		leafFile := pemFileOf(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}))
		out, err := exec.Command("openssl", "verify", "-purpose", "sslserver", "-x509_strict", "-CAfile", rootFile, leafFile).CombinedOutput()
		if (err == nil) != tt.ok {
			t.Errorf("openssl verify on %s: %v, want success %t\n%s", tt.host, err, tt.ok, out)
		}
	}
}

func TestLeafLeavesOutWhatIsNotPermitted(t *testing.T) {
	ca, _ := constrainedCA(t)
	now := time.Now()
	hosts := []string{"192.168.1.20", "8.8.8.8", "www.example.org", "scanbox.local", "not a name"}
	first := leaf(t, ca, now, hosts...)
	if got := strings.Join(first.DNSNames, " "); got != "scanbox.local" || len(first.IPAddresses) != 1 {
		t.Errorf("the leaf is for %v and %v, want the two that the CA permits", first.DNSNames, first.IPAddresses)
	}
	if again := leaf(t, ca, now, hosts...); !again.Equal(first) {
		t.Error("a host that is left out makes a new leaf each time")
	}
	if _, err := ca.Leaf([]string{"8.8.8.8"}, now); err == nil {
		t.Error("a leaf without any host was made")
	}
	onlyIP := leaf(t, ca, now, "192.168.1.21") // OpenSSL holds a common name against constraints where there is no DNS name
	file, root := pemFileOf(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: onlyIP.Raw})), pemFileOf(t, ca.CertificatePEM())
	if out, err := exec.Command("openssl", "verify", "-x509_strict", "-verify_ip", "192.168.1.21", "-CAfile", root, file).CombinedOutput(); err != nil {
		t.Errorf("openssl verify on a leaf for an address alone: %v\n%s", err, out)
	}
}

// TestUnconstrainedCAStays is a CA made by somebody else, without constraints.
func TestUnconstrainedCAStays(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var content bytes.Buffer
	pem.Encode(&content, &pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	pem.Encode(&content, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	ca, err := identity.LoadCA(dir, "scanbox", "new.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ca.Certificate().Raw, der) || !ca.Permits("8.8.8.8") || !ca.Permits("www.example.org") || ca.Permits("not a name") {
		t.Error("a CA without constraints does not vouch for every host")
	}
	leaf(t, ca, time.Now(), "8.8.8.8", "www.example.org")
}

// caKey is what ca.pem holds.
func caKey(t *testing.T, dir string) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	keyPEM, rest := pem.Decode(text)
	certPEM, _ := pem.Decode(rest)
	key, err := x509.ParsePKCS8PrivateKey(keyPEM.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(certPEM.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*ecdsa.PrivateKey), certificate
}

func sign(t *testing.T, host string, ca *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func pemFileOf(t *testing.T, content []byte) string {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "*.pem")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(content); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}
