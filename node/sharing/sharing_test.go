package sharing

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

const first = 18630

// scanner is the ID of the nth scanner.
func scanner(n int) string { return "aaaaaaaaaaaaaaaa-s" + strings.Repeat(string(rune('a'+n)), 20) }

// fakeAPI answers what an eSCL server asks about a scanner.
func fakeAPI(t *testing.T) func(netip.Addr) *api.Client {
	mux := http.NewServeMux()
	answer := func(path string, v any) {
		mux.HandleFunc("GET /api/v1"+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(v)
		})
	}
	caps := scan.Capabilities{
		Sources: []scan.SourceCapabilities{{
			Source: scan.SourcePlaten, Modes: []scan.ModeDepths{{Mode: scan.ModeColor, Depths: []int{8}}},
			Resolutions: scan.Resolutions{Values: []int{300}}, Area: scan.Area{MaxWidth: 210, MaxHeight: 297},
		}},
		Formats: scan.Formats,
	}
	status := scan.Status{State: scan.ScannerIdle, Feeder: scan.FeederNone, Since: scan.At(time.Now())}
	answer("/scanners/{id}", scan.Scanner{ID: scanner(0), Name: "Fake", Make: "Maker", Model: "Model", Status: status})
	answer("/scanners/{id}/capabilities", caps)
	answer("/scanners/{id}/status", status)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	client, err := api.NewClient(server.URL + "/api/v1")
	if err != nil {
		t.Fatal(err)
	}
	return func(netip.Addr) *api.Client { return client }
}

// network has ports that are where a test can know them, in place of the machine's.
type network struct {
	mu     sync.Mutex
	taken  map[string]bool
	opened map[string]net.Listener
}

var errTaken = errors.New("the port is taken")

func (n *network) listen(address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.taken[address] {
		return nil, errTaken
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	n.taken[address], n.opened[address] = true, l
	return &listener{Listener: l, network: n, address: address, at: at}, nil
}

// dial connects to a port of the network.
func (n *network) dial(address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.opened[address]
	n.mu.Unlock()
	if l == nil {
		return nil, errors.New("nobody listens at " + address)
	}
	return net.Dial("tcp", l.Addr().String())
}

func (n *network) set(address string, taken bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.taken[address] = taken
}

type listener struct {
	net.Listener
	network *network
	address string
	at      net.Addr
	once    sync.Once
}

func (l *listener) Addr() net.Addr { return l.at }

func (l *listener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		defer l.network.mu.Unlock()
		l.network.taken[l.address] = false
		delete(l.network.opened, l.address)
	})
	return l.Listener.Close()
}

// house is a Sharing that serves, and what it announced last.
type house struct {
	*Sharing
	net     *network
	address string

	mu        sync.Mutex
	announced []discovery.Record
}

func newHouse(t *testing.T, n *network, records access.Records) *house {
	t.Helper()
	h := &house{net: n}
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	t.Cleanup(server.Close)
	var err error
	h.Sharing, err = New(Config{
		FirstPort: first, Records: records, Listen: n.listen, TLS: server.TLS, Host: "platen-test.local",
		Address: func() string { h.mu.Lock(); defer h.mu.Unlock(); return h.address },
		Answer: func(ctx context.Context, l net.Listener, handler http.Handler, secure *tls.Config) error {
			if secure != nil {
				l = tls.NewListener(l, secure)
			}
			server := http.Server{Handler: handler}
			defer context.AfterFunc(ctx, func() { server.Close() })()
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
		Door: func(h http.Handler) http.Handler { return h },
		Announce: func(list []discovery.Record) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.announced = list
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	return h
}

func (h *house) records() []discovery.Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.announced)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

func (h *house) ports() map[string]int {
	ports := map[string]int{}
	for _, s := range h.Shared() {
		if s.Fault == "" {
			ports[s.Scanner] = s.Port
		}
	}
	return ports
}

func newNetwork() *network {
	return &network{taken: map[string]bool{}, opened: map[string]net.Listener{}}
}

// A scanner keeps its ports over restarts and over the absence of others.
func TestPorts(t *testing.T) {
	n, records, client := newNetwork(), accesstest.NewRecords(), fakeAPI(t)
	share := func(t *testing.T, h *house, want map[string]int, list ...int) {
		t.Helper()
		var scanners []Scanner
		for _, i := range list {
			scanners = append(scanners, Scanner{ID: scanner(i), Name: "S", API: client})
		}
		h.Share(scanners)
		eventually(t, "ports", func() bool {
			got := h.ports()
			if len(got) != len(want) {
				return false
			}
			for id, port := range want {
				if got[id] != port {
					return false
				}
			}
			return true
		})
	}
	t.Run("first start", func(t *testing.T) {
		n.set(":18633", true) // another program's: the second scanner's HTTPS port would be there
		h := newHouse(t, n, records)
		share(t, h, map[string]int{scanner(0): 18630, scanner(1): 18634}, 0, 1)
		share(t, h, map[string]int{scanner(1): 18634}, 1)
		n.set(":18633", false)
		share(t, h, map[string]int{scanner(1): 18634, scanner(2): 18632}, 1, 2)
	})
	t.Run("second start", func(t *testing.T) {
		h := newHouse(t, n, records)
		share(t, h, map[string]int{scanner(3): 18636, scanner(1): 18634, scanner(0): 18630}, 3, 1, 0)
	})
	t.Run("another program has one of them", func(t *testing.T) {
		n.set(":18635", true)
		h := newHouse(t, n, records)
		share(t, h, map[string]int{scanner(0): 18630}, 0, 1)
		shared := h.Shared()
		if i := slices.IndexFunc(shared, func(s api.SetupShared) bool { return s.Scanner == scanner(1) }); i < 0 || shared[i].Fault != errTaken.Error() {
			t.Errorf("Shared = %+v, want the fault of the second", shared)
		}
		n.set(":18635", false)
		h.look()
		eventually(t, "the port is free again", func() bool { return h.ports()[scanner(1)] == 18634 })
	})
}

func TestRecords(t *testing.T) {
	h := newHouse(t, newNetwork(), accesstest.NewRecords())
	h.Share([]Scanner{{ID: scanner(0), Name: strings.Repeat("Büro ", 20), Location: "2nd floor", API: fakeAPI(t)}})
	eventually(t, "announced", func() bool { return len(h.records()) == 2 })
	for i, want := range []struct {
		kind, base string
		port       uint16
	}{{discovery.TypeScanner, "http://platen-test.local:18630", 18630}, {discovery.TypeSecureScanner, "https://platen-test.local:18631", 18631}} {
		r := h.records()[i]
		if r.Type != want.kind || r.Port != want.port || len(r.Name) > discovery.MaxName || !strings.HasPrefix(r.Name, "Büro Büro") {
			t.Errorf("record %+v, want %+v", r, want)
		}
		for key, value := range map[string]string{
			"rs": "eSCL", "txtvers": "1", "note": "2nd floor", "is": "platen", "duplex": "F", "adminurl": want.base + "/",
		} {
			if r.Text[key] != value {
				t.Errorf("%s: %s=%q, want %q", want.kind, key, r.Text[key], value)
			}
		}
		if !strings.HasPrefix(r.Text["representation"], want.base+"/") || r.Text["uuid"] == "" {
			t.Errorf("%s: text %v", want.kind, r.Text)
		}
	}
	h.Share(nil)
	eventually(t, "nothing announced", func() bool { return len(h.records()) == 0 })
	if _, err := h.net.dial(":18630"); err == nil {
		t.Error("the port is open after the scanner is shared no more")
	}
}

// Old clients understand HTTP/1.1 only, however new their TLS library is.
func TestHTTP1(t *testing.T) {
	h := newHouse(t, newNetwork(), accesstest.NewRecords())
	h.Share([]Scanner{{ID: scanner(0), API: fakeAPI(t)}})
	eventually(t, "shared", func() bool { return len(h.ports()) == 1 })
	raw, err := h.net.dial(":18631")
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}) // a test's own certificate
	defer c.Close()
	io.WriteString(c, "GET /eSCL/ScannerStatus HTTP/1.1\r\nHost: platen-test.local\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK\r\n") {
		t.Errorf("answer %q, %v", answer, err)
	}
	if p := c.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
		t.Errorf("the protocol is %q", p)
	}
}

// Ports move to another address when the configuration says so, with their numbers.
func TestAddress(t *testing.T) {
	h := newHouse(t, newNetwork(), accesstest.NewRecords())
	list := []Scanner{{ID: scanner(0), API: fakeAPI(t)}}
	h.Share(list)
	eventually(t, "shared", func() bool { return len(h.ports()) == 1 })
	h.mu.Lock()
	h.address = "192.0.2.7"
	h.mu.Unlock()
	h.Share(list)
	eventually(t, "at the address", func() bool {
		c, err := h.net.dial("192.0.2.7:18630")
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if _, err := h.net.dial(":18630"); err == nil {
		t.Error("the port is open at other addresses too")
	}
}
