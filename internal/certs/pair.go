package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/platen-scan/platen/proto/problem"
)

const (
	maxCertificate = 100_000 // bytes of PEM, as in the contract
	maxKey         = 20_000
	maxChain       = 10 // certificates

	minRSA, maxRSA = 2048, 8192 // bits: browsers' least, and what a handshake can bear
)

// parsePair reads a certificate with its chain and the key to it, and refuses what
// browsers would. Whether it is in time is not looked at; see inTime. Blocks of other
// kinds are passed over: one file may hold both.
func parsePair(certificate, key []byte) (*tls.Certificate, error) {
	chain, err := parseChain(certificate)
	if err != nil {
		return nil, err
	}
	private, err := parseKey(key)
	if err != nil {
		return nil, err
	}
	leaf := chain[0]
	public, ok := private.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		if i := slices.IndexFunc(chain, func(c *x509.Certificate) bool { return ok && public.Equal(c.PublicKey) }); i > 0 {
			return nil, certificateFault("The key belongs to certificate %d of the file. That one has to be the first, then the one that signed it, and so on.", i+1)
		}
		return nil, problem.New(problem.CertificateInvalid, "The key does not belong to the certificate.").At("key")
	}
	if err := judgeKey(private); err != nil {
		return nil, err
	}
	if len(hostsOf(leaf)) == 0 {
		return nil, certificateFault("The certificate names no host under “Subject Alternative Name”; browsers do not look at its common name.")
	}
	if len(leaf.ExtKeyUsage) > 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return nil, certificateFault("The certificate is not for servers.")
	}
	for i, c := range chain[:len(chain)-1] {
		if err := c.CheckSignatureFrom(chain[i+1]); err != nil {
			return nil, certificateFault("Certificate %d (%s) did not sign certificate %d (%s): yours comes first, then the one that signed it, and so on.",
				i+2, nameOf(chain[i+1]), i+1, nameOf(c))
		}
	}
	pair := &tls.Certificate{PrivateKey: private, Leaf: leaf}
	for _, c := range chain {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	return pair, nil
}

func certificateFault(format string, args ...any) error {
	return problem.New(problem.CertificateInvalid, format, args...).At("certificate")
}

func keyFault(format string, args ...any) error {
	return problem.New(problem.CertificateInvalid, format, args...).At("key")
}

func parseChain(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for block := range blocks(text) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, certificateFault("Certificate %d cannot be read: %v.", len(chain)+1, err)
		}
		if chain = append(chain, c); len(chain) > maxChain {
			return nil, certificateFault("There are more than %d certificates.", maxChain)
		}
	}
	if len(chain) == 0 {
		return nil, certificateFault("There is no certificate in PEM form: it begins with -----BEGIN CERTIFICATE-----.")
	}
	return chain, nil
}

// blocks yields the PEM blocks of a text.
func blocks(text []byte) func(yield func(*pem.Block) bool) {
	return func(yield func(*pem.Block) bool) {
		for {
			var block *pem.Block
			if block, text = pem.Decode(text); block == nil || !yield(block) {
				return
			}
		}
	}
}

func parseKey(text []byte) (crypto.Signer, error) {
	var found crypto.Signer
	for block := range blocks(text) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, keyFault("The key is protected by a passphrase. Take it away, for example with openssl pkey.")
		}
		key, err := decodeKey(block)
		if err != nil {
			return nil, keyFault("The key cannot be read: it has to be a key in PKCS #8, PKCS #1 or SEC 1 form.")
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, keyFault("The key cannot sign.")
		}
		if found != nil {
			return nil, keyFault("There is more than one key.")
		}
		found = signer
	}
	if found == nil {
		return nil, keyFault("There is no key in PEM form: it begins with -----BEGIN PRIVATE KEY-----.")
	}
	return found, nil
}

// decodeKey reads the three forms of a key. Its errors hold no part of it and are
// not shown all the same.
func decodeKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	}
	return x509.ParsePKCS8PrivateKey(block.Bytes)
}

// judgeKey refuses keys that browsers would not take.
func judgeKey(key crypto.Signer) error {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if bits := k.N.BitLen(); bits < minRSA || bits > maxRSA {
			return keyFault("The RSA key has %d bits; it takes %d to %d.", bits, minRSA, maxRSA)
		}
		return nil
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
			return keyFault("Browsers take no keys on %s; use P-256 or P-384.", k.Curve.Params().Name)
		}
		return nil
	case ed25519.PrivateKey:
		return keyFault("Browsers take no Ed25519 keys; use ECDSA or RSA.")
	}
	return keyFault("Keys of this kind are not known.")
}

// inTime refuses a chain that does not serve now.
func inTime(pair *tls.Certificate, now time.Time) error {
	for _, der := range pair.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		switch {
		case !now.Before(c.NotAfter):
			return certificateFault("The certificate of %s ended on %s.", nameOf(c), c.NotAfter.UTC().Format(time.DateOnly))
		case now.Before(c.NotBefore):
			return certificateFault("The certificate of %s begins only on %s.", nameOf(c), c.NotBefore.UTC().Format(time.DateOnly))
		}
	}
	return nil
}

// hostsOf are the names and addresses that a certificate vouches for.
func hostsOf(c *x509.Certificate) []string {
	hosts := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

// nameOf is what people call a certificate.
func nameOf(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return c.Subject.CommonName
	}
	if hosts := hostsOf(c); len(hosts) > 0 {
		return hosts[0]
	}
	return c.Subject.String()
}
