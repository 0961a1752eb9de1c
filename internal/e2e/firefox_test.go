//go:build e2e

package e2e

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
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

// TestFirefoxTakesTheRoad: in Firefox, too, the app shows a page that came straight from the node.
func TestFirefoxTakesTheRoad(t *testing.T) {
	o := testenv.NewRoom(t)
	o.StartNode(t, "PLATEN_NODE_DRIVERS=virtual")
	out, err := o.Node.CLI("scan", "-q", "--json", "--source", "platen", "-r", "300", "-o", filepath.Join(t.TempDir(), "page.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	var job scan.Job
	if err := json.Unmarshal([]byte(out), &job); err != nil {
		t.Fatal(err)
	}
	m := newMeter(o)
	seen := result[struct {
		Road, Direct string
		Shown        bool
	}](t, newPhone(t, o.PhoneHost, "").start("firefox-roads.mjs", "--url", pairingLink(t, o.Gateway, api.RoleOperator),
		"--ca", filepath.Join(o.Gateway.Data, "keys", "ca.pem"), "--path", "/documents/"+job.Document), 2*time.Minute)
	counts := m.bytes()
	t.Logf("%+v, bytes by road: %v", seen, counts)
	if !seen.Shown || counts["webtransport"] < 20_000 {
		t.Errorf("the page is shown: %v; by WebTransport came %d bytes", seen.Shown, counts["webtransport"])
	}
}
