package node

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
)

// gatewayPort is the node side of a gateway: mutual TLS, and what it answers to a join.
func gatewayPort(t *testing.T, id *identity.Identity, h http.HandlerFunc) string {
	t.Helper()
	config, err := id.AcceptTLS(relay.ALPNNode)
	need(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	need(t, err)
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		if secure, ok := c.(plainConn).Conn.(*tls.Conn); ok && secure.HandshakeContext(ctx) == nil {
			if key, err := identity.PeerKey(secure.ConnectionState()); err == nil {
				ctx = relay.WithPeerKey(ctx, key)
			}
		}
		return ctx
	}}
	ended := make(chan struct{})
	go func() { defer close(ended); server.Serve(plainListener{tls.NewListener(l, config)}) }()
	t.Cleanup(func() { server.Close(); <-ended })
	return l.Addr().String()
}

// plainListener keeps net/http from judging the protocol that TLS has negotiated.
type plainListener struct{ net.Listener }

type plainConn struct{ net.Conn }

func (l plainListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return plainConn{c}, err
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	need(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestJoin(t *testing.T) {
	gateway, err := identity.New()
	need(t, err)
	g := newRig(t, &fakeWorkers{})
	var asked api.JoinRequest
	var key []byte
	address := gatewayPort(t, gateway, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/node/join" || r.Method != http.MethodPost {
			t.Errorf("asked for %s %s", r.Method, r.URL.Path)
		}
		key = relay.PeerKeyOf(r.Context())
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		access.WriteJSON(w, http.StatusCreated, scan.Node{ID: g.self.NodeID()})
	})
	token := access.JoinToken{
		Addresses: []string{closedPort(t), address}, Pin: gateway.Pin(),
		ID: scan.RandomText(20), Secret: scan.RandomText(32),
	}
	links := make(chan relay.Link, 8)
	gate := &memlink.Gateway{Key: gateway.Public(), OnLink: func(l relay.Link) { links <- l }}
	g.config = func(c *Config) { c.Dialers = []relay.Dialer{gate.Dialer()} }
	g.start()
	need(t, g.node.Join(t.Context(), token.String()))
	<-links // a running node links at once
	if asked.Token != token.Credential() || asked.Name != "Reception" || asked.Version != "1.2.3" || string(key) != string(g.self.Public()) {
		t.Errorf("asked %+v with key %x", asked, key)
	}
	if got, _ := g.node.Gateway(); got != address {
		t.Errorf("Gateway() = %s, want the address that answered, %s", got, address)
	}
	info, err := os.Stat(filepath.Join(g.dir, joinedFile))
	need(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %v", joinedFile, info.Mode())
	}
	g.stop()
	g.start()
	<-links
	if got, _ := g.node.Gateway(); got != address {
		t.Errorf("after a restart Gateway() = %q, want %q", got, address)
	}
}

func TestJoinRefused(t *testing.T) {
	gateway, err := identity.New()
	need(t, err)
	address := gatewayPort(t, gateway, func(w http.ResponseWriter, _ *http.Request) {
		problem.Write(w, problem.JoinTokenUsed.Error())
	})
	g := newRig(t, &fakeWorkers{}).start()
	token := access.JoinToken{Addresses: []string{address}, Pin: gateway.Pin(), ID: scan.RandomText(20), Secret: scan.RandomText(32)}
	if err := g.node.Join(t.Context(), token.String()); problem.From(err).Code != problem.JoinTokenUsed {
		t.Errorf("Join = %v, want join-token-used", err)
	}
	other, err := identity.New()
	need(t, err)
	token.Pin = other.Pin()
	if err := g.node.Join(t.Context(), token.String()); err == nil {
		t.Error("Join took a gateway with another key than the token's")
	}
	if address, _ := g.node.Gateway(); address != "" {
		t.Error("a gateway that refused is remembered")
	}
}

func TestDamagedGatewayFile(t *testing.T) {
	for name, content := range map[string]string{"no JSON": "{", "no address": `{"pin":"x"}`, "no pin": `{"addresses":["a:1"]}`} {
		dir := t.TempDir()
		need(t, os.WriteFile(filepath.Join(dir, joinedFile), []byte(content), 0o600))
		if _, err := readJoined(dir); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}
