//go:build e2e

package e2e

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

// shop is a web site of somebody else, over HTTPS, on a loopback port. Its page is
// empty; the SDK is at /sdk/.
type shop struct {
	name string
	port int
}

func (s shop) origin() string { return "https://" + s.name + ":" + strconv.Itoa(s.port) }

// newShops opens sites whose certificates ca, a PEM file, vouches for.
func newShops(t *testing.T, names ...string) (sites []shop, ca string) {
	t.Helper()
	world := newAuthority(t)
	files := http.NewServeMux()
	files.Handle("GET /sdk/", http.StripPrefix("/sdk/", http.FileServer(http.Dir(filepath.Join(testenv.Root(), "web", "sdk", "dist")))))
	files.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><title>shop</title><body>")
	})
	for _, name := range names {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{world.server(name)}})
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: files}
		go server.Serve(l)
		t.Cleanup(func() { server.Close() })
		sites = append(sites, shop{name, l.Addr().(*net.TCPAddr).Port})
	}
	return sites, world.file
}

type visit struct {
	Page       string `json:"page"`
	Base       string `json:"base"`
	Permission string `json:"permission,omitempty"`
	Ask        bool   `json:"ask,omitempty"`
}

// What the SDK tells the page of another origin, for every place from which the page
// can come, every answer of the browser's user, and both of the node's.
func TestLocalNetworkAccess(t *testing.T) {
	sites, ca := newShops(t, "shop.example", "shop.example", "other.example")
	public, office, other := sites[0], sites[1], sites[2]
	https := testenv.FreePort(t)
	local := testenv.StartLocal(t, []string{
		"PLATEN_NODE_DRIVERS=virtual", "PLATEN_NODE_NAMES=scan.local", "PLATEN_NODE_HTTPSPORT=" + https,
		"PLATEN_NODE_ACCESS_CONTROL_ALLOW_ORIGIN=" + public.origin() + "," + office.origin(),
	})
	lan := "https://scan.local:" + https
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + strings.Replace(gone.Addr().String(), "127.0.0.1", "localhost", 1)
	gone.Close()

	table := []struct {
		visit
		want string
	}{
		{visit{Page: public.origin(), Base: local.URL}, "permission-needed"},
		{visit{Page: public.origin(), Base: local.URL, Ask: true}, "permission-denied"},
		{visit{Page: public.origin(), Base: local.URL, Permission: "denied"}, "permission-denied"},
		{visit{Page: public.origin(), Base: local.URL, Permission: "granted"}, "ready"},
		{visit{Page: public.origin(), Base: lan}, "permission-needed"},
		{visit{Page: public.origin(), Base: lan, Permission: "denied"}, "permission-denied"},
		{visit{Page: public.origin(), Base: lan, Permission: "granted"}, "sign-in-needed"}, // as from any other device
		{visit{Page: other.origin(), Base: local.URL, Permission: "granted"}, "origin-not-allowed"},
		{visit{Page: other.origin(), Base: lan, Permission: "granted"}, "origin-not-allowed"},
		{visit{Page: public.origin(), Base: closed, Permission: "granted"}, "not-reachable"},
		{visit{Page: office.origin(), Base: local.URL, Permission: "granted"}, "ready"},
		{visit{Page: office.origin(), Base: lan, Permission: "granted"}, "sign-in-needed"},
	}
	var rows []visit
	for _, row := range table {
		rows = append(rows, row.visit)
	}
	port := func(u string) string { return u[strings.LastIndexByte(u, ':')+1:] }
	spaces := []string{
		"127.0.0.1:" + port(public.origin()) + "=public", "127.0.0.1:" + port(other.origin()) + "=public",
		"127.0.0.1:" + port(office.origin()) + "=local", "127.0.0.1:" + port(lan) + "=local",
	}
	got := visitAll(t, ca, local, rows, "--spaces", strings.Join(spaces, ","))
	for i, row := range table {
		if got.Found[i] != row.want {
			t.Errorf("%s -> %s with permission %q: %s, want %s", row.Page, row.Base, row.Permission, got.Found[i], row.want)
		}
	}
}

type visited struct {
	Found   []string `json:"found"`
	Scanned struct {
		State  string `json:"state"`
		Role   string `json:"role"`
		Kind   string `json:"kind"`
		Job    string `json:"job"`
		Width  int    `json:"width"`  // of the page's image by a ticket
		Again  int    `json:"again"`  // status of the same ticket a second time
		Framed bool   `json:"framed"` // the consent page worked in a frame of the foreign page
		Stolen struct {
			Had    bool   `json:"had"`
			Status int    `json:"status"`
			Code   string `json:"code"`
		} `json:"stolen"`
	} `json:"scanned"`
}

// visitAll runs the browser with the certificates of the sites and of the node trusted.
func visitAll(t *testing.T, ca string, local *testenv.Service, rows []visit, args ...string) visited {
	t.Helper()
	p := newPhone(t, nil, ca)
	p.trust(certificateIn(t, filepath.Join(local.Data, "keys", "ca.pem")))
	text, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	names := "shop.example,other.example,scan.local"
	script := p.start("foreign.mjs", slices.Concat([]string{"--rows", string(text), "--names", names}, args)...)
	return result[visited](t, script, 3*time.Minute)
}

// certificateIn copies the certificate out of a file that holds its key too.
func certificateIn(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			file := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o644); err != nil {
				t.Fatal(err)
			}
			return file
		}
	}
	t.Fatalf("%s holds no certificate", name)
	return ""
}

// The page of another origin is refused until the person at the machine allows it on
// the node's own page, which no other page can frame; then it scans, and its token is
// of no use to anybody else.
func TestForeignPageIsAllowedOnce(t *testing.T) {
	sites, ca := newShops(t, "shop.example", "other.example")
	local := testenv.StartLocal(t, []string{"PLATEN_NODE_DRIVERS=virtual", "PLATEN_NODE_ACCESS_CONTROL_ALLOW_ORIGIN=" + sites[1].origin()})
	got := visitAll(t, ca, local, []visit{{Page: sites[0].origin(), Base: local.URL, Permission: "granted"}},
		"--consent", "--thief", sites[1].origin())
	s := got.Scanned
	if got.Found[0] != "origin-not-allowed" {
		t.Errorf("before consent: %s, want origin-not-allowed", got.Found[0])
	}
	if s.State != "ready" || s.Kind != "origin" || s.Role != "user" || s.Job != "completed" || s.Width == 0 {
		t.Errorf("after consent: %+v", s)
	}
	if s.Again != http.StatusForbidden {
		t.Errorf("a ticket's second use: %d, want %d", s.Again, http.StatusForbidden)
	}
	if s.Framed {
		t.Error("the consent page could be framed")
	}
	if !s.Stolen.Had || s.Stolen.Status != http.StatusUnauthorized {
		t.Errorf("the token, used by another allowed origin: %+v", s.Stolen)
	}
}
