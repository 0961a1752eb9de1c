package identity_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/identity"
)

var bigOne = big.NewInt(1)

func newCA(t *testing.T, dir string) *identity.CA {
	t.Helper()
	ca, err := identity.LoadCA(dir, "scanbox")
	if err != nil {
		t.Fatalf("LoadCA: %v", err)
	}
	return ca
}

// leaf makes a leaf and returns its certificate.
func leaf(t *testing.T, ca *identity.CA, now time.Time, hosts ...string) *x509.Certificate {
	t.Helper()
	made, err := ca.Leaf(hosts, now)
	if err != nil {
		t.Fatalf("Leaf(%q): %v", hosts, err)
	}
	if key, ok := made.PrivateKey.(*ecdsa.PrivateKey); !ok || key.Curve != elliptic.P256() || !key.PublicKey.Equal(made.Leaf.PublicKey) {
		t.Errorf("the leaf's key is a %T, want its own P-256 key", made.PrivateKey)
	}
	return made.Leaf
}

func TestCA(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, dir)
	again := newCA(t, dir)
	if !bytes.Equal(ca.CertificatePEM(), again.CertificatePEM()) || ca.Pin() != again.Pin() || len(ca.Pin()) != 43 {
		t.Errorf("the second LoadCA has pin %q, the first %q", again.Pin(), ca.Pin())
	}
	if newCA(t, t.TempDir()).Pin() == ca.Pin() {
		t.Error("two installations have one CA")
	}
	block, rest := pem.Decode(ca.CertificatePEM())
	if block == nil || len(rest) != 0 {
		t.Fatalf("CertificatePEM = %q, want one block", ca.CertificatePEM())
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !certificate.IsCA || !certificate.MaxPathLenZero || !strings.Contains(certificate.Subject.CommonName, "scanbox") {
		t.Errorf("CA %q: IsCA %v, path length zero %v", certificate.Subject, certificate.IsCA, certificate.MaxPathLenZero)
	}
	if years := time.Until(certificate.NotAfter).Hours() / 24 / 365; years < 9.9 || years > 10 {
		t.Errorf("the CA is good for %.2f years, want 10", years)
	}
}

func TestLeafServesBrowsers(t *testing.T) {
	ca := newCA(t, t.TempDir())
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca.CertificatePEM()) {
		t.Fatal("CertificatePEM does not parse")
	}
	now := time.Now()
	got := leaf(t, ca, now, "192.168.1.20", "fd00::20", "scanbox.local")
	for _, host := range []string{"192.168.1.20", "fd00::20", "scanbox.local"} {
		_, err := got.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		if err != nil {
			t.Errorf("a browser at %s: %v", host, err)
		}
	}
	if got.VerifyHostname("192.168.1.21") == nil || got.IsCA {
		t.Error("the leaf is good for more than it should be")
	}
	if days := got.NotAfter.Sub(got.NotBefore).Hours() / 24; days != 397 {
		t.Errorf("the leaf's life is %v days, want 397", days)
	}
	if _, err := ca.Leaf(nil, now); err == nil {
		t.Error("Leaf without a host succeeded")
	}
}

func TestLeafIsKeptAndRenewed(t *testing.T) {
	const day = 24 * time.Hour
	dir := t.TempDir()
	now := time.Now()
	first := leaf(t, newCA(t, dir), now, "10.0.0.1", "scanbox.local")
	for _, row := range []struct {
		name  string
		after time.Duration
		hosts []string
		kept  bool
	}{
		{"the same", 0, []string{"10.0.0.1", "scanbox.local"}, true},
		{"fewer hosts", day, []string{"10.0.0.1"}, true},
		{"before two thirds", 263 * day, []string{"10.0.0.1"}, true},
		{"after two thirds", 265 * day, []string{"10.0.0.1"}, false},
		{"a clock before its time", -2 * day, []string{"10.0.0.1"}, false},
		{"another host", day, []string{"10.0.0.1", "10.0.0.2"}, false},
	} {
		path := filepath.Join(dir, "leaf.pem")
		stored, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got := leaf(t, newCA(t, dir), now.Add(row.after), row.hosts...)
		if kept := got.Equal(first); kept != row.kept {
			t.Errorf("%s: kept = %v, want %v", row.name, kept, row.kept)
		}
		for _, host := range row.hosts {
			if err := got.VerifyHostname(host); err != nil {
				t.Errorf("%s: %v", row.name, err)
			}
		}
		if err := os.WriteFile(path, stored, 0o600); err != nil { // each row begins with the first
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), caOf(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := leaf(t, newCA(t, dir), now, "10.0.0.1"); got.Equal(first) {
		t.Error("a leaf of another CA was kept")
	}
}

func caOf(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	newCA(t, dir)
	content, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestCARefusesLooseAndDamagedFiles(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, dir)
	leaf(t, ca, time.Now(), "10.0.0.1")
	leafPEM, err := os.ReadFile(filepath.Join(dir, "leaf.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		for _, file := range []string{"ca.pem", "leaf.pem"} {
			if err := os.Chmod(filepath.Join(dir, file), 0o644); err != nil {
				t.Fatal(err)
			}
			_, caErr := identity.LoadCA(dir, "scanbox")
			_, leafErr := ca.Leaf([]string{"10.0.0.1"}, time.Now())
			if caErr == nil && leafErr == nil {
				t.Errorf("%s may be read by all and is used", file)
			}
			if err := os.Chmod(filepath.Join(dir, file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, content := range map[string][]byte{"a leaf": leafPEM, "nothing": nil, "text": []byte("x")} {
		if err := os.WriteFile(filepath.Join(dir, "ca.pem"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.LoadCA(dir, "scanbox"); err == nil {
			t.Errorf("LoadCA took %s for a CA", name)
		}
	}
}
