//go:build e2e

package e2e

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

// Stock Firefox that trusts the gateway's authority opens its page, and has there what a
// direct road to a node needs.
func TestFirefox(t *testing.T) {
	o := testenv.NewGateway(t)
	p := newPhone(t, nil, "").start("firefox-probe.mjs", "--url", o.Gateway.URL, "--ca", filepath.Join(o.Gateway.Data, "keys", "ca.pem"))
	type seen struct {
		Secure                                         bool
		WebTransport, PeerConnection, Ed25519, Product string
	}
	want := seen{Secure: true, WebTransport: "function", PeerConnection: "function", Ed25519: "Ed25519", Product: "platen"}
	if got := result[seen](t, p, 2*time.Minute); got != want {
		t.Errorf("Firefox sees %+v, want %+v", got, want)
	}
}
