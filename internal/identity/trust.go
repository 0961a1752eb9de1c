package identity

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
)

// ErrWrongCA is the error of a server whose certificate is not of the pinned CA.
var ErrWrongCA = errors.New("the server's certificate is not of the installation that was paired with")

// ALPNPinned is offered, and never chosen, by programs that know the CA's pin: they
// want a certificate of that CA where browsers get another one.
const ALPNPinned = "platen-ca/1"

// TrustCA is how a program that knows the pin of an installation's CA (CA.Pin), or
// what people read of its certificate (Fingerprint, with or without colons), connects
// to it: that CA vouches for the server's name, and nobody else does. Of a
// server that is called by its address TLS tells no name; the CA's word is enough
// then, because it signs for its own installation only.
func TrustCA(pin string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{ALPNPinned, "http/1.1"},
		InsecureSkipVerify: true, // the system's roots are not asked: VerifyConnection decides
		VerifyConnection:   func(state tls.ConnectionState) error { return verifyCA(state, pin) },
	}
}

func verifyCA(state tls.ConnectionState, pin string) error {
	roots := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
		read := strings.EqualFold(strings.ReplaceAll(pin, ":", ""), strings.ReplaceAll(Fingerprint(c), ":", ""))
		if c.IsCA && (read || base64.RawURLEncoding.EncodeToString(sum[:]) == pin) {
			roots.AddCert(c)
		}
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: state.ServerName})
	if err != nil {
		return errors.Join(ErrWrongCA, err)
	}
	return nil
}
