//go:build e2e

package e2e

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/scan"
)

// Whoever stands between a node and its gateway has another key, however valid the
// certificate: the node says so and tells it nothing.
func TestManInTheMiddle(t *testing.T) {
	world := newAuthority(t)
	o := testenv.NewPair(t, "PLATEN_NODE_DRIVERS=virtual", "SSL_CERT_FILE="+world.file)
	for _, tt := range []struct {
		name  string
		stand func(t *testing.T) (addr string, told func() int64)
	}{
		{"valid certificate", func(t *testing.T) (string, func() int64) { return listenBetween(t, world.server("localhost")) }},
		{"another gateway", func(t *testing.T) (string, func() int64) {
			return strings.TrimPrefix(testenv.NewGateway(t).Gateway.URL, "https://"), nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o.Node.Kill()
			addr, told := tt.stand(t)
			moveGateway(t, o.Node.Data, addr)
			o.Node.Start()
			said := o.Node.Await(`gateway-key-changed|`+testenv.LinkedLine, testenv.StartTimeout)[0]
			if said != "gateway-key-changed" {
				t.Errorf("the node says %q", said)
			}
			if told != nil && told() != 0 {
				t.Errorf("the node sent %d bytes after the handshake", told())
			}
			if n := nodes(t, o); n[0].State != scan.NodeOffline {
				t.Errorf("for its gateway the node is %s", n[0].State)
			}
		})
	}
	o.Node.Kill()
	moveGateway(t, o.Node.Data, strings.TrimPrefix(o.Gateway.URL, "https://"))
	o.Node.Start()
	o.Node.Await(testenv.LinkedLine, testenv.StartTimeout) // it had gone nowhere else
}

// moveGateway makes a node look for its gateway at another address, as a forged DNS
// answer would.
func moveGateway(t *testing.T, data, addr string) {
	t.Helper()
	name := filepath.Join(data, "keys", "gateway.json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	file["addresses"] = []string{addr}
	if text, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// listenBetween takes every TLS connection, whatever it is to be for, and counts the
// bytes that it is told.
func listenBetween(t *testing.T, certificate tls.Certificate) (addr string, told func() int64) {
	t.Helper()
	l, err := tls.Listen("tcp", "localhost:0", &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequestClientCert, NextProtos: slices.Clone(hello.SupportedProtos)}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var bytes atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed by the test's end
			}
			go func(c net.Conn) {
				defer c.Close()
				buf := make([]byte, 1<<10)
				for n, err := c.Read(buf); err == nil; n, err = c.Read(buf) {
					bytes.Add(int64(n))
				}
			}(c)
		}
	}()
	return "localhost:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port), bytes.Load
}
