package identity

import (
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrWrongPeer is the cause of a handshake that failed because the other end has
// not the pinned key.
var ErrWrongPeer = errors.New("the other end has not the expected key")

// DialTLS is the configuration of the end that dials: TLS 1.3, this identity's
// certificate, and a peer that must prove the key of one of the pins and choose one of
// alpn.
func (i *Identity) DialTLS(pins []string, alpn ...string) (*tls.Config, error) {
	if len(pins) == 0 || slices.Contains(pins, "") {
		return nil, errors.New("dialing without a pin is not allowed")
	}
	return i.dialTLS(func(key ed25519.PublicKey) error {
		if got := PinOf(key); !slices.Contains(pins, got) {
			return fmt.Errorf("%w: it has %s, pinned is %s", ErrWrongPeer, got, strings.Join(pins, " or "))
		}
		return nil
	}, alpn)
}

// MeetTLS is DialTLS for a first contact: the peer may have any key, and seen is called
// with it. Nothing that the peer says counts until a person has compared that key.
func (i *Identity) MeetTLS(seen func(ed25519.PublicKey), alpn ...string) (*tls.Config, error) {
	return i.dialTLS(func(key ed25519.PublicKey) error { seen(key); return nil }, alpn)
}

func (i *Identity) dialTLS(judge func(ed25519.PublicKey) error, alpn []string) (*tls.Config, error) {
	config, err := i.linkTLS(alpn)
	if err != nil {
		return nil, err
	}
	certificate, err := i.Certificate()
	if err != nil {
		return nil, err
	}
	config.Certificates = []tls.Certificate{certificate}
	// Chain, name and dates mean nothing between our own ends. The handshake proves
	// that the peer holds the certificate's key and VerifyConnection compares it.
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		key, err := checkPeer(state, alpn)
		if err != nil {
			return err
		}
		return judge(key)
	}
	return config, nil
}

// AcceptTLS is the configuration of the end that accepts: TLS 1.3, and a peer that
// must prove an Ed25519 key. Which keys are welcome is the caller's business: see
// PeerKey.
func (i *Identity) AcceptTLS(alpn ...string) (*tls.Config, error) {
	config, err := i.linkTLS(alpn)
	if err != nil {
		return nil, err
	}
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		certificate, err := i.Certificate() // of the key at this moment
		return &certificate, err
	}
	config.ClientAuth = tls.RequireAnyClientCert
	config.VerifyConnection = func(state tls.ConnectionState) error {
		_, err := checkPeer(state, alpn)
		return err
	}
	return config, nil
}

// linkTLS is what both ends have in common. There are no tickets and no 0-RTT: a
// revoked key must not come back on an old secret.
func (i *Identity) linkTLS(alpn []string) (*tls.Config, error) {
	if len(alpn) == 0 {
		return nil, errors.New("a link needs an ALPN protocol")
	}
	return &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		NextProtos:                  slices.Clone(alpn),
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true, // links carry pages: full records from the start
	}, nil
}

func checkPeer(state tls.ConnectionState, alpn []string) (ed25519.PublicKey, error) {
	if !slices.Contains(alpn, state.NegotiatedProtocol) {
		return nil, fmt.Errorf("the other end speaks %q, want one of %q", state.NegotiatedProtocol, alpn)
	}
	return PeerKey(state)
}

// PeerKey is the Ed25519 key that the other end proved in its handshake.
func PeerKey(state tls.ConnectionState) (ed25519.PublicKey, error) {
	if len(state.PeerCertificates) == 0 {
		return nil, fmt.Errorf("%w: it sent no certificate", ErrWrongPeer)
	}
	key, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: its key is a %s key, want Ed25519", ErrWrongPeer, state.PeerCertificates[0].PublicKeyAlgorithm)
	}
	return key, nil
}
