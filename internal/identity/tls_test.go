package identity_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/identity"
)

const alpn = "platen-link/1"

func newIdentity(t *testing.T) *identity.Identity {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// shake connects two ends; each error is that end's.
func shake(t *testing.T, dial, accept *tls.Config) (client, server *tls.Conn, dialed, accepted error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan error, 1)
	go func() {
		raw, err := listener.Accept()
		if err != nil {
			done <- err
			return
		}
		raw.SetDeadline(time.Now().Add(30 * time.Second))
		server = tls.Server(raw, accept)
		if err = server.Handshake(); err == nil {
			_, err = server.Write([]byte("x"))
		}
		if err != nil {
			raw.Close()
		}
		done <- err
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	raw.SetDeadline(time.Now().Add(30 * time.Second))
	client = tls.Client(raw, dial)
	dialed = client.Handshake()
	if dialed == nil {
		_, dialed = client.Read(make([]byte, 1)) // the server's judgement comes after the handshake
	} else {
		raw.Close()
	}
	accepted = <-done
	t.Cleanup(func() {
		raw.Close()
		server.NetConn().Close()
	})
	return client, server, dialed, accepted
}

func configs(t *testing.T, node, gateway *identity.Identity, pin string) (dial, accept *tls.Config) {
	t.Helper()
	dial, err := node.DialTLS([]string{pin}, alpn)
	if err != nil {
		t.Fatal(err)
	}
	if accept, err = gateway.AcceptTLS(alpn); err != nil {
		t.Fatal(err)
	}
	return dial, accept
}

func TestBothEndsProveTheirKeys(t *testing.T) {
	node, gateway := newIdentity(t), newIdentity(t)
	dial, accept := configs(t, node, gateway, gateway.Pin())
	dial.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for range 2 { // the second would resume if there were tickets
		client, server, dialed, accepted := shake(t, dial, accept)
		if dialed != nil || accepted != nil {
			t.Fatalf("handshake: %v, %v", dialed, accepted)
		}
		if key, err := identity.PeerKey(client.ConnectionState()); err != nil || !key.Equal(gateway.Public()) {
			t.Errorf("the node sees %x, %v, want the gateway's key", key, err)
		}
		if key, err := identity.PeerKey(server.ConnectionState()); err != nil || !key.Equal(node.Public()) {
			t.Errorf("the gateway sees %x, %v, want the node's key", key, err)
		}
		state := client.ConnectionState()
		if state.Version != tls.VersionTLS13 || state.DidResume || state.NegotiatedProtocol != alpn {
			t.Errorf("version %x, resumed %v, protocol %q", state.Version, state.DidResume, state.NegotiatedProtocol)
		}
	}
}

func TestRefusedHandshakes(t *testing.T) {
	ecKey, _, _ := elliptic256(t)
	template := &x509.Certificate{SerialNumber: bigOne, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, ecKey.Public(), ecKey)
	if err != nil {
		t.Fatal(err)
	}
	ecdsaCertificate := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: ecKey}}
	for _, row := range []struct {
		name             string
		pin              string // "": the gateway's
		change           func(dial, accept *tls.Config)
		dialer, acceptor bool // which end must see identity.ErrWrongPeer
	}{
		{name: "another pin", pin: newIdentity(t).Pin(), change: func(_, _ *tls.Config) {}, dialer: true},
		{name: "a gateway with an ECDSA key", change: func(_, a *tls.Config) { a.Certificates = ecdsaCertificate }, dialer: true},
		{name: "a node with an ECDSA key", change: func(d, _ *tls.Config) { d.Certificates = ecdsaCertificate }, acceptor: true},
		{name: "a node without a certificate", change: func(d, _ *tls.Config) { d.Certificates = nil }},
		{name: "TLS 1.2 dialing", change: func(d, _ *tls.Config) { d.MinVersion, d.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }},
		{name: "TLS 1.2 accepting", change: func(_, a *tls.Config) { a.MinVersion, a.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }},
		{name: "another protocol", change: func(d, _ *tls.Config) { d.NextProtos = []string{"h2"} }},
		{name: "no protocol offered", change: func(d, _ *tls.Config) { d.NextProtos = nil }},
		{name: "no protocol spoken", change: func(_, a *tls.Config) { a.NextProtos = nil }},
	} {
		t.Run(row.name, func(t *testing.T) {
			node, gateway := newIdentity(t), newIdentity(t)
			pin := row.pin
			if pin == "" {
				pin = gateway.Pin()
			}
			dial, accept := configs(t, node, gateway, pin)
			row.change(dial, accept)
			_, _, dialed, accepted := shake(t, dial, accept)
			if dialed == nil {
				t.Errorf("the dialing end took it (accepting: %v)", accepted)
			}
			if errors.Is(dialed, identity.ErrWrongPeer) != row.dialer || errors.Is(accepted, identity.ErrWrongPeer) != row.acceptor {
				t.Errorf("dialing: %v; accepting: %v", dialed, accepted)
			}
		})
	}
}

// An end that accepts proves the key that it has at that moment; one that dials takes
// the key that was announced too.
func TestHandshakeAfterChange(t *testing.T) {
	node, gateway := newIdentity(t), newIdentity(t)
	first := gateway.Pin()
	next := prepare(t, gateway)
	accept, err := gateway.AcceptTLS(alpn)
	if err != nil {
		t.Fatal(err)
	}
	try := func(pins ...string) (*tls.Conn, error) {
		dial, err := node.DialTLS(pins, alpn)
		if err != nil {
			t.Fatal(err)
		}
		client, _, dialed, _ := shake(t, dial, accept)
		return client, dialed
	}
	announced := identity.PinOf(next.New)
	if _, err := try(first, announced); err != nil {
		t.Errorf("before the change: %v", err)
	}
	if err := gateway.Change(); err != nil {
		t.Fatal(err)
	}
	if client, err := try(first, announced); err != nil {
		t.Errorf("after the change: %v", err)
	} else if key, err := identity.PeerKey(client.ConnectionState()); err != nil || !key.Equal(next.New) {
		t.Errorf("after the change it proves %x, %v, want the new key", key, err)
	}
	if _, err := try(first); !errors.Is(err, identity.ErrWrongPeer) {
		t.Errorf("a node that has not heard of the new key: %v, want it refused", err)
	}
	var met ed25519.PublicKey
	meet, err := node.MeetTLS(func(key ed25519.PublicKey) { met = key }, alpn)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, dialed, _ := shake(t, meet, accept); dialed != nil || !met.Equal(next.New) {
		t.Errorf("meeting: %v, key %x, want the gateway's", dialed, met)
	}
}

func TestConfigsNeedTheirParts(t *testing.T) {
	id := newIdentity(t)
	if _, err := id.DialTLS([]string{""}, alpn); err == nil {
		t.Error("DialTLS without a pin succeeded")
	}
	if _, err := id.DialTLS([]string{id.Pin()}); err == nil {
		t.Error("DialTLS without a protocol succeeded")
	}
	if _, err := id.AcceptTLS(); err == nil {
		t.Error("AcceptTLS without a protocol succeeded")
	}
	if _, err := identity.PeerKey(tls.ConnectionState{}); !errors.Is(err, identity.ErrWrongPeer) {
		t.Errorf("PeerKey of nobody = %v, want %v", err, identity.ErrWrongPeer)
	}
}
