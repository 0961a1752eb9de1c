//go:build bench

package bench

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/scan"
)

// pageBytes is the size of the page that is relayed: that of a raw A4 page.
const pageBytes = 26_092_080

// incompressiblePage is a PNG file of exactly pageBytes; no one decodes it.
func incompressiblePage() []byte {
	page := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, data []byte) {
		page = binary.BigEndian.AppendUint32(page, uint32(len(data)))
		body := append([]byte(kind), data...)
		page = append(page, body...)
		page = binary.BigEndian.AppendUint32(page, crc32.ChecksumIEEE(body))
	}
	header := make([]byte, 13)
	binary.BigEndian.PutUint32(header, 2480)
	binary.BigEndian.PutUint32(header[4:], 3508)
	header[8], header[9] = 8, 2
	chunk("IHDR", header)
	noise := make([]byte, pageBytes-len(page)-12-12)
	rand.New(rand.NewSource(1)).Read(noise)
	chunk("IDAT", noise)
	chunk("IEND", nil)
	return page
}

// nodeWithPage makes a node's data folder that holds one committed page.
func nodeWithPage(t *testing.T) (data, path string) {
	t.Helper()
	ctx, data := context.Background(), t.TempDir()
	self, err := identity.Load(filepath.Join(data, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	store, _, err := pagestore.Open(ctx, pagestore.Config{Dir: data, NodeID: self.NodeID()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	job, _, err := store.CreateJob(ctx, pagestore.NewJob{Scanner: scan.NewID(self.NodeID(), scan.KindScanner), Owner: "local"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := store.BeginPage(ctx, pagestore.PageStart{Job: job.ID, Format: scan.FormatPNG, Mode: scan.ModeColor, Depth: 8,
		Resolution: 300, Width: 2480, Height: 3508})
	if err != nil {
		t.Fatal(err)
	}
	page := incompressiblePage()
	if len(page) != pageBytes {
		t.Fatalf("the page has %d bytes", len(page))
	}
	if _, err := w.Write(page); err != nil {
		t.Fatal(err)
	}
	w.SetLines(3508)
	if _, err := w.Commit(ctx, 3508); err != nil {
		t.Fatal(err)
	}
	if _, err := store.UpdateJob(ctx, job.ID, func(j *scan.Job) error { j.State = scan.JobCompleted; return nil }); err != nil {
		t.Fatal(err)
	}
	return data, "/api/v1/jobs/" + job.ID + "/pages/1"
}

// download is one curl process on a host that fetches the page.
func download(host *testenv.Host, url, token string) func() error {
	return func() error {
		out, err := host.Command(context.Background(), "curl", "-gskS", "-m", "60", "-o", "/dev/null",
			"-H", "Authorization: Bearer "+token, "-w", "%{http_code} %{size_download}", url).Output()
		if want := fmt.Sprintf("200 %d", pageBytes); err != nil || string(out) != want {
			return fmt.Errorf("curl %s: %v, %q", url, err, out)
		}
		return nil
	}
}

// link is an office whose link is of one kind, with a page on its node.
type link struct {
	*testenv.Office
	path, token, nodeToken string
}

func newLink(t *testing.T, udp bool) link {
	t.Helper()
	o := testenv.NewOffice(t, "PLATEN_GATEWAY_ALLOWPLAINHTTP=TRUE")
	if !udp {
		o.GateHost.DropUDP()
	}
	data, path := nodeWithPage(t)
	o.StartNodeOn(t, data, "PLATEN_NODE_DRIVERS=")
	return link{Office: o, path: path, token: tokenOf(t, o.Gateway), nodeToken: tokenOf(t, o.Node)}
}

func tokenOf(t *testing.T, s *testenv.Service) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Data, "keys", "local.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e struct{ Token string }
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	return e.Token
}

// relayed is the download through the gateway, by an entry of the gateway.
func (l link) relayed(entry string) func() error { return download(l.GateHost, entry+l.path, l.token) }

// The gateway's entries for browsers, on its own host, where its token is valid.
const (
	plainEntry = "http://127.0.0.1:18602"
	httpsEntry = "https://127.0.0.1:18603"
)

// cpuPerGB is what gateway and node spend on relaying, each in seconds.
func (l link) cpuPerGB(t *testing.T) (ofGateway, ofNode float64) {
	t.Helper()
	const rounds = 20
	gateway, node := family(l.Gateway.PID()), family(l.Node.PID())
	g, n := cpu(gateway), cpu(node)
	fetch := l.relayed(plainEntry)
	for range rounds {
		if err := fetch(); err != nil {
			t.Fatal(err)
		}
	}
	gb := float64(rounds) * pageBytes / 1e9
	return (cpu(gateway) - g).Seconds() / gb, (cpu(node) - n).Seconds() / gb
}

func relaying(t *testing.T, r *report) {
	tcp, quic := newLink(t, false), newLink(t, true)
	sides := interleave(t, 11,
		side{"direct HTTP from the node, loopback", download(tcp.NodeHost, "http://localhost:18622"+tcp.path, tcp.nodeToken)},
		side{"link over TLS/TCP", tcp.relayed(plainEntry)},
		side{"link over QUIC", quic.relayed(plainEntry)},
		side{"link over TLS/TCP, HTTPS to the gateway", tcp.relayed(httpsEntry)},
		side{"link over QUIC, HTTPS to the gateway", quic.relayed(httpsEntry)},
	)
	r.section("Relaying", strings.TrimSpace(fmt.Sprintf(`
A stored page of %d bytes, fetched by one curl process, its start included. Node and gateway are hosts of their own
(network namespaces, veth); curl runs on the gateway's host. The link is always encrypted; over HTTPS (HTTP/2) the page is encrypted twice. CPU is
that of gateway + node over plain HTTP.`, pageBytes)))
	cpus := make([]string, len(sides))
	for i, l := range []link{tcp, quic} {
		kind, reach, most := "TLS/TCP", "≥ 0.5", "≤ 2.5"
		if l == quic {
			kind, reach, most = "QUIC", "≥ 0.25", "≤ 4"
		}
		g, n := l.cpuPerGB(t)
		cpus[1+i] = fmt.Sprintf("%.1f + %.1f", g, n)
		r.goal("relayed page, link over "+kind+", of direct HTTP", reach, "%.2f", sides[0].over(sides[1+i]))
		r.goal("CPU seconds a relayed GB, link over "+kind, most, "%.1f", g+n)
	}
	rows := []string{}
	for i, s := range sides {
		rows = append(rows, fmt.Sprintf("%s | %s | %.0f | %.2f | %s", s.name, s, pageBytes/1e6/s.median().Seconds(), sides[0].over(s), cpus[i]))
	}
	r.table("road | time | MB/s | of direct | CPU s/GB", rows...)
}
