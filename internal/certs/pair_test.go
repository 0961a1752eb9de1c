package certs

import (
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/problem"
)

func TestPutRefuses(t *testing.T) {
	root := newAuthority(t, nil, "Office Root")
	issuing := newAuthority(t, root, "Office Issuing")
	old := &authority{}
	old.certificate, old.key = root.sign(t, order{name: "Office Old", ca: true, before: time.Now().Add(-20 * day), after: time.Now().Add(-day)})
	hosts := []string{"scan.example.com"}
	leaf, key := issuing.sign(t, order{hosts: hosts})
	_, otherKey := issuing.sign(t, order{hosts: hosts})
	ended, endedKey := issuing.sign(t, order{hosts: hosts, before: time.Now().Add(-20 * day), after: time.Now().Add(-time.Second)})
	future, futureKey := issuing.sign(t, order{hosts: hosts, before: time.Now().Add(time.Hour)})
	ofOld, ofOldKey := old.sign(t, order{hosts: hosts})
	nameless, namelessKey := issuing.sign(t, order{name: "scan.example.com"})
	client, clientKey := issuing.sign(t, order{hosts: hosts, usage: x509.ExtKeyUsageClientAuth})
	small, smallKey := issuing.sign(t, order{hosts: hosts, key: rsaKey(t, 1024)})
	rsa2048, rsa2048Key := issuing.sign(t, order{hosts: hosts, key: rsaKey(t, 2048)})
	p384, p384Key := issuing.sign(t, order{hosts: hosts, key: newKey(t, elliptic.P384())})
	p521, p521Key := issuing.sign(t, order{hosts: hosts, key: newKey(t, elliptic.P521())})
	_, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, edKey := issuing.sign(t, order{hosts: hosts, key: edPrivate})
	self, selfKey := (*authority)(nil).sign(t, order{hosts: hosts})
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsa2048Key.(*rsa.PrivateKey))}))
	locked := string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}))
	parameters := string(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 0}}))

	for _, tt := range []struct {
		name, certificate, key string
		field, says            string // says "": accepted
	}{
		{"leaf alone", certPEM(leaf), keyPEM(t, key), "", ""},
		{"leaf and chain", certPEM(leaf, issuing.certificate), keyPEM(t, key), "", ""},
		{"leaf, chain and root", certPEM(leaf, issuing.certificate, root.certificate), keyPEM(t, key), "", ""},
		{"signed by itself", certPEM(self), keyPEM(t, selfKey), "", ""},
		{"RSA, PKCS #1", certPEM(rsa2048, issuing.certificate), pkcs1, "", ""},
		{"P-384", certPEM(p384, issuing.certificate), keyPEM(t, p384Key), "", ""},
		{"words between the blocks", "subject=x\r\n" + certPEM(leaf) + "issuer\n" + certPEM(issuing.certificate), parameters + keyPEM(t, key), "", ""},
		{"both in both", certPEM(leaf) + keyPEM(t, key), certPEM(leaf) + keyPEM(t, key), "", ""},

		{"nothing", "", "", "certificate", "no certificate in PEM"},
		{"DER", string(leaf.Raw), keyPEM(t, key), "certificate", "no certificate in PEM"},
		{"no key", certPEM(leaf), certPEM(leaf), "key", "no key in PEM"},
		{"two keys", certPEM(leaf), keyPEM(t, key) + keyPEM(t, otherKey), "key", "more than one"},
		{"another's key", certPEM(leaf), keyPEM(t, otherKey), "key", "does not belong"},
		{"passphrase", certPEM(leaf), locked, "key", "passphrase"},
		{"damaged certificate", strings.Replace(certPEM(leaf), "MII", "AAA", 1), keyPEM(t, key), "certificate", "cannot be read"},
		{"damaged key", certPEM(leaf), strings.Replace(keyPEM(t, key), "MIG", "AAA", 1), "key", "cannot be read"},
		{"chain upside down", certPEM(issuing.certificate, leaf), keyPEM(t, key), "certificate", "belongs to certificate 2"},
		{"chain out of order", certPEM(leaf, root.certificate, issuing.certificate), keyPEM(t, key), "certificate", "Certificate 2 (Office Root) did not sign certificate 1 (scan.example.com)"},
		{"a stranger in the chain", certPEM(leaf, issuing.certificate, self), keyPEM(t, key), "certificate", "Certificate 3"},
		{"an endless chain", certPEM(leaf) + strings.Repeat(certPEM(root.certificate), maxChain), keyPEM(t, key), "certificate", "more than 10"},
		{"ended", certPEM(ended), keyPEM(t, endedKey), "certificate", "ended on"},
		{"not begun", certPEM(future), keyPEM(t, futureKey), "certificate", "begins only on"},
		{"chain ended", certPEM(ofOld, old.certificate), keyPEM(t, ofOldKey), "certificate", "Office Old ended"},
		{"common name only", certPEM(nameless), keyPEM(t, namelessKey), "certificate", "Subject Alternative Name"},
		{"for clients", certPEM(client), keyPEM(t, clientKey), "certificate", "not for servers"},
		{"RSA 1024", certPEM(small), keyPEM(t, smallKey), "key", "1024 bits"},
		{"P-521", certPEM(p521), keyPEM(t, p521Key), "key", "P-521"},
		{"Ed25519", certPEM(ed), keyPEM(t, edKey), "key", "Ed25519"},
	} {
		s, _ := newStore(t, nil)
		made, err := s.Put("external", apiUpload(tt.certificate, tt.key))
		if tt.says == "" {
			if err != nil || made.State != "good" || made.Source != "own" || made.Hosts[0] != "scan.example.com" {
				t.Errorf("%s: Put = %+v, %v, want a good certificate", tt.name, made, err)
			}
			if again, _ := newStore(t, func(c *Config) { c.Dir = s.Dir }); !ask(t, again, "scan.example.com").Equal(ask(t, s, "scan.example.com")) {
				t.Errorf("%s: another certificate serves after a restart", tt.name)
			}
			continue
		}
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != problem.CertificateInvalid || p.Field != tt.field || !strings.Contains(p.Detail, tt.says) {
			t.Errorf("%s: Put = %v (field %q), want %q of %q", tt.name, err, p.Field, tt.says, tt.field)
		}
		if s.listed("external", "own") != nil {
			t.Errorf("%s: it was refused and is listed", tt.name)
		}
	}
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func FuzzParsePair(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n")
	f.Add("", "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAA==\n-----END EC PRIVATE KEY-----\n")
	f.Fuzz(func(t *testing.T, certificate, key string) {
		pair, err := parsePair([]byte(certificate), []byte(key))
		var p *problem.Error
		if err != nil && (!errors.As(err, &p) || p.Code != problem.CertificateInvalid || p.Detail == "") {
			t.Errorf("parsePair: %v, want certificate-invalid with a detail", err)
		}
		if err == nil && (pair.Leaf == nil || pair.PrivateKey == nil) {
			t.Error("parsePair accepted half a pair")
		}
	})
}
