package identity

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

func TestTrustCA(t *testing.T) {
	ours, err := LoadCA(t.TempDir(), "ours")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := LoadCA(t.TempDir(), "theirs")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name       string
		server     *CA
		hosts      []string
		serverName string
		ok         bool
	}{
		{"our CA, by address", ours, []string{"127.0.0.1"}, "127.0.0.1", true},
		{"our CA, by name", ours, []string{"gateway.local"}, "gateway.local", true},
		{"our CA, for another name", ours, []string{"gateway.local"}, "other.local", false},
		{"another CA", theirs, []string{"127.0.0.1"}, "127.0.0.1", false},
	} {
		leaf, err := tt.server.Leaf(tt.hosts, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		fingerprint := Fingerprint(ours.Certificate())
		for _, pin := range []string{ours.Pin(), fingerprint, strings.ToLower(strings.ReplaceAll(fingerprint, ":", ""))} {
			config := TrustCA(pin)
			config.ServerName = tt.serverName
			err = handshake(t, &tls.Config{Certificates: []tls.Certificate{leaf}}, config)
			if (err == nil) != tt.ok || (!tt.ok && !errors.Is(err, ErrWrongCA)) {
				t.Errorf("%s, known by %s: %v, want success %t", tt.name, pin, err, tt.ok)
			}
		}
	}
}

// handshake is the client's view of a TLS handshake in memory.
func handshake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		tls.Server(a, server).Handshake() // the client judges
		a.Close()
	}()
	err := tls.Client(b, client).Handshake()
	b.Close()
	<-done
	return err
}
