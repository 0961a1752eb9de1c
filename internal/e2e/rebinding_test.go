//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// A web page whose name is made to point at the node, by the attacker's own name
// server, gets 421 for everything and changes nothing: on loopback, where the machine's
// user needs no sign-in, and on the LAN.
func TestDNSRebinding(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		port string
		to   func(victim string) string
	}{
		{"loopback", nil, "18622", func(string) string { return "127.0.0.1" }},
		{"LAN", []string{"local", "--lan"}, "18622", func(victim string) string { return victim }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lab := testenv.NewLab(t)
			victim, attacker := lab.Host("victim"), lab.Host("attacker")
			addrs := lab.Network(victim, attacker)
			victim.Resolver(addrs[1])

			data := t.TempDir()
			node := testenv.Start(t, "platen", testenv.Command(victim, []string{"PLATEN_NODE_DRIVERS=virtual", "PLATEN_NODE_ALLOWPLAINHTTP=TRUE"},
				append([]string{"--data", data}, tt.args...)...))
			node.Await(testenv.ReadyLine, testenv.StartTimeout)
			cli := &testenv.Service{Host: victim, Data: data}
			before := dump(t, cli)

			points := serveName(t, attacker.ListenPacket(addrs[1]+":53"), addrs[1])
			page := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				w.Header().Set("Connection", "close")
				io.WriteString(w, "<!doctype html><title>attacker</title>attacker")
			})}
			go page.Serve(attacker.Listen(addrs[1] + ":" + tt.port))

			stdin, tell := io.Pipe()
			script := newPhone(t, victim, "").startWith("rebind.mjs", stdin, "--url", "http://rebind.test:"+tt.port+"/", "--scanner", scannerOf(t, cli))
			script.Await(`^loaded`, time.Minute)
			points.Store(tt.to(addrs[0]))
			page.Close()
			victim.Run("ip", "addr", "add", "10.78.99.1/24", "dev", "eth0") // a changed network makes the browser ask again
			fmt.Fprintln(tell, "rebound")
			tell.Close()
			got := result[struct {
				Error string `json:"error"`
				List  []struct {
					Path   string       `json:"path"`
					Status int          `json:"status"`
					Code   problem.Code `json:"code"`
				} `json:"list"`
				Socket string `json:"socket"`
			}](t, script, 3*time.Minute)
			if got.Error != "" || len(got.List) == 0 {
				t.Fatalf("the browser never reached the node: %+v", got)
			}
			for _, a := range got.List {
				if a.Status != http.StatusMisdirectedRequest || a.Code != problem.HostNotAllowed {
					t.Errorf("%s: %d %s, want 421 host-not-allowed", a.Path, a.Status, a.Code)
				}
			}
			if got.Socket != "refused" {
				t.Errorf("WebSocket: %s", got.Socket)
			}
			if after := dump(t, cli); after != before {
				t.Errorf("the page changed something:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// dump is what the commands of the machine see.
func dump(t *testing.T, s *testenv.Service) string {
	t.Helper()
	text := ""
	for _, args := range [][]string{{"jobs", "--json"}, {"origins", "list", "--json"}, {"tokens", "list", "--json"}} {
		out, err := s.CLI(args...)
		if err != nil {
			t.Fatal(err)
		}
		text += out
	}
	return text
}

// scannerOf is the first scanner of a service.
func scannerOf(t *testing.T, s *testenv.Service) string {
	t.Helper()
	var id string
	testenv.Eventually(t, "a scanner is found", 30*time.Second, func() bool {
		out, err := s.CLI("devices", "--json")
		if err != nil {
			t.Fatal(err)
		}
		var list api.ScannerList
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatalf("devices --json: %v\n%s", err, out)
		}
		if len(list.Items) > 0 {
			id = list.Items[0].ID
		}
		return id != ""
	})
	return id
}

// serveName answers every name with one address, which can be changed, for no longer
// than the question.
func serveName(t *testing.T, c net.PacketConn, first string) (points *atomic.Value) {
	points = &atomic.Value{}
	points.Store(first)
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return // closed by the test's end
			}
			if answer, err := answerName(buf[:n], points.Load().(string)); err == nil {
				c.WriteTo(answer, from)
			}
		}
	}()
	return points
}

func answerName(question []byte, addr string) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, err
	}
	m.Response, m.Authoritative, m.RecursionAvailable = true, true, true
	m.Additionals = nil
	for _, q := range m.Questions {
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr(addr).As4()},
			})
		}
	}
	return m.Pack()
}
