package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// words are what a command printed.
type words struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(b)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// ltsFolder is a data folder with a configuration and a key; the pin is that of the key.
func ltsFolder(t *testing.T, ini string) (dir, pin string) {
	t.Helper()
	dir = t.TempDir()
	self, err := identity.Load(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "platen.ini"), []byte(ini), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, self.Pin()
}

// platen runs a command, which must end well.
func platen(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs words
	if code := run(t.Context(), args, &out, &errs); code != exitOK {
		t.Fatalf("platen %s: exit %d: %s", strings.Join(args, " "), code, errs.String())
	}
	return out.String()
}

// startLTS runs a licence tracking server until stop is called. address is where it is.
func startLTS(t *testing.T, dir string) (address string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs words
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"--data", dir, "lts"}, &out, &errs) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if code := <-ended; code != exitOK {
				t.Errorf("platen lts: exit %d: %s", code, errs.String())
			}
		})
	}
	t.Cleanup(stop)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, rest, ok := strings.Cut(out.String(), "[license] Servers="); ok {
			host, _, _ := strings.Cut(rest, "#")
			_, port, err := net.SplitHostPort(host)
			if err != nil {
				t.Fatal(err)
			}
			return net.JoinHostPort("127.0.0.1", port), stop
		}
		select {
		case code := <-ended:
			ended <- code
			t.Fatalf("platen lts ended with %d: %s", code, errs.String())
		default:
		}
	}
	return "", stop
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return portOf(l)
}

// A main server and its standby are two processes' worth of platen lts: the main one goes
// and comes, and has in the end what the standby counted.
func TestLTS(t *testing.T) {
	vendor, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	ini := "[bonjour]\nEnable=FALSE\n[license]\nVendors=" + vendor.Pin() + "\n[tracking]\n"
	mainDir, mainPin := ltsFolder(t, "")
	mainPort := freePort(t)
	standbyDir, standbyPin := ltsFolder(t, fmt.Sprintf("%sPort=%d\nMain=127.0.0.1:%d#%s\n", ini, freePort(t), mainPort, mainPin))
	if err := os.WriteFile(filepath.Join(mainDir, "platen.ini"), fmt.Appendf(nil, "%sPort=%d\nStandby=%s\n", ini, mainPort, standbyPin), 0o600); err != nil {
		t.Fatal(err)
	}
	mainAddress, stopMain := startLTS(t, mainDir)
	now := time.Now()
	key, err := license.Issue(vendor, license.Key{
		ID: license.NewID(), Revision: 1, Kind: license.Browser, Organisation: "ACME", Quantity: 2, Origins: []string{"https://app.example.com"},
		Gateways: []string{mainPin, standbyPin}, NotBefore: now.Add(-time.Hour), Expires: now.AddDate(1, 0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	if out := platen(t, "--data", mainDir, "lts", "add", key); !strings.Contains(out, "browser of ACME") {
		t.Errorf("lts add: %s", out)
	}
	if out := platen(t, "--data", mainDir, "lts", "project", "ACME-main"); out != "HandshakeCode=ACME-main\n" {
		t.Errorf("lts project: %s", out)
	}
	standbyAddress, _ := startLTS(t, standbyDir)

	gateway, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	remote, err := license.NewRemote(license.RemoteConfig{
		Servers:  []license.Address{{Host: mainAddress, Pin: mainPin}, {Host: standbyAddress, Pin: standbyPin}},
		Identity: gateway, Client: func(a license.Address) (*http.Client, error) {
			return relay.NodeClient(relay.Target{Addr: a.Host, Pin: a.Pin, Identity: gateway})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	lease := func(client, by string) {
		t.Helper()
		answer, err := eventually(t, func() (api.LeaseAnswer, error) {
			return remote.Lease(t.Context(), license.Place{Pin: gateway.Pin()}, api.LeaseRequest{
				HandshakeCode: "ACME-main", Origin: "https://app.example.com", Client: license.ClientHash("https://app.example.com", client),
			})
		})
		if l, parseErr := license.ParseLease(answer.Lease); err != nil || parseErr != nil || l.Signer != by {
			t.Fatalf("lease: %v, %v, by %s, want %s", err, parseErr, l.Signer, by)
		}
	}
	lease("0123456789abcdef-one", mainPin) // once the standby has asked for a copy
	eventually(t, func() (string, error) {
		if out := platen(t, "--data", standbyDir, "lts", "items"); !strings.Contains(out, "ACME") {
			return "", problem.TrackingOffline.Error()
		}
		return "", nil
	})
	stopMain()
	lease("0123456789abcdef-two", standbyPin)

	node, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	batch := onePage(t, node)
	if _, err := remote.Report(t.Context(), license.Place{}, node.Pin(), batch); err != nil {
		t.Fatalf("reporting to the standby: %v", err)
	}
	mainAddress2, _ := startLTS(t, mainDir)
	if mainAddress2 != mainAddress {
		t.Fatalf("the main server is at %s, was at %s", mainAddress2, mainAddress)
	}
	eventually(t, func() (string, error) {
		if out := platen(t, "--data", mainDir, "lts", "usage", "--csv", "--by", "year"); !strings.Contains(out, ",1,") {
			return "", problem.TrackingOffline.Error()
		}
		return "", nil
	})
	if out := platen(t, "--data", mainDir, "lts", "items"); !strings.Contains(out, " 2 ") {
		t.Errorf("of two seats, one of them given by the standby: %s", out)
	}
	platen(t, "--data", mainDir, "check", "--role", "lts")
}

// eventually asks until there is an answer.
func eventually[T any](t *testing.T, ask func() (T, error)) (v T, err error) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 600 {
		if v, err = ask(); !errors.Is(err, problem.TrackingOffline.Error()) {
			return v, err
		}
		<-tick.C
	}
	t.Fatal(err)
	return v, err
}

// onePage is what a node reports of its first page.
func onePage(t *testing.T, node *identity.Identity) api.ReceiptBatch {
	t.Helper()
	id := node.NodeID()
	r := api.Receipt{
		Node: id, Seq: 1, Job: scan.NewID(id, scan.KindJob), N: 1, Page: scan.NewID(id, scan.KindPage),
		Digest: strings.Repeat("0f", 32), Bytes: 1000, At: time.Now().UnixMilli(),
	}
	chain, err := license.Chain(nil, r)
	if err != nil {
		t.Fatal(err)
	}
	return api.ReceiptBatch{Node: id, Receipts: []api.Receipt{r}, Head: license.SignHead(node, license.Head{Seq: 1, Chain: hex.EncodeToString(chain)})}
}
