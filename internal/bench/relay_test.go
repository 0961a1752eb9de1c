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
	"testing"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/scan"
)

// pageBytes is the size of the page that is relayed: that of a raw A4 page.
const pageBytes = 26_092_080

// smallBytes is the size of the page whose first byte is timed.
const smallBytes = 20_000

// incompressiblePage is a PNG file of exactly size bytes; no one decodes it.
func incompressiblePage(size int) []byte {
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
	noise := make([]byte, size-len(page)-12-12)
	rand.New(rand.NewSource(1)).Read(noise)
	chunk("IDAT", noise)
	chunk("IEND", nil)
	return page
}

// nodeWithPages makes a node's data folder that holds two committed pages, of pageBytes
// and of smallBytes, and answers the first one's job.
func nodeWithPages(t *testing.T) (data, job string) {
	t.Helper()
	ctx, data := t.Context(), t.TempDir()
	self, err := identity.Load(filepath.Join(data, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	store, _, err := pagestore.Open(ctx, pagestore.Config{Dir: data, NodeID: self.NodeID()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	made, _, err := store.CreateJob(ctx, pagestore.NewJob{Scanner: scan.NewID(self.NodeID(), scan.KindScanner), Owner: "local"})
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{pageBytes, smallBytes} {
		w, err := store.BeginPage(ctx, pagestore.PageStart{Job: made.ID, Format: scan.FormatPNG, Mode: scan.ModeColor, Depth: 8,
			Resolution: 300, Width: 2480, Height: 3508})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(incompressiblePage(size)); err != nil {
			t.Fatal(err)
		}
		w.SetLines(3508)
		if _, err := w.Commit(ctx, 3508); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.UpdateJob(ctx, made.ID, func(j *scan.Job) error { j.State = scan.JobCompleted; return nil }); err != nil {
		t.Fatal(err)
	}
	return data, made.ID
}

// download is one curl process on a host that fetches the page.
func download(host *testenv.Host, url, token string, args ...string) func() error {
	return func() error {
		args := append([]string{"curl", "-gskS", "-m", "120", "-o", "/dev/null",
			"-H", "Authorization: Bearer " + token, "-w", "%{http_code} %{size_download}", url}, args...)
		out, err := host.Command(context.Background(), args...).Output()
		if want := fmt.Sprintf("200 %d", pageBytes); err != nil || string(out) != want {
			return fmt.Errorf("curl %s: %v, %q", url, err, out)
		}
		return nil
	}
}

// The protocols that the network between a node and its gateway lets pass.
const (
	onlyQUIC = "QUIC only"
	onlyTCP  = "TLS/TCP only"
	both     = "both (the default)"
)

// link is a room whose link is of one kind, with pages on its node. The phone reaches
// node and gateway, over plain HTTP too.
type link struct {
	*testenv.Office
	t                *testing.T
	job              string
	token, nodeToken string // of the gateway and of the node, valid on the phone
}

// newLink makes a room; congestion is the algorithm of its hosts' TCP, "" the kernel's default.
func newLink(t *testing.T, protocols, congestion string) link {
	t.Helper()
	o := testenv.PlanRoom(t)
	for _, host := range []*testenv.Host{o.NodeHost, o.GateHost, o.PhoneHost} {
		if congestion != "" { // listeners keep what was set when they were opened
			host.Run("sysctl", "-qw", "net.ipv4.tcp_congestion_control="+congestion)
		}
	}
	o.Open(t, "PLATEN_GATEWAY_ALLOWPLAINHTTP=TRUE")
	if protocols == onlyTCP {
		o.GateHost.DropUDP()
	}
	l := link{Office: o, t: t}
	data, job := nodeWithPages(t)
	l.job = job
	o.StartNodeOn(t, data, "PLATEN_NODE_DRIVERS=", "PLATEN_NODE_EXTERNAL=TRUE", "PLATEN_NODE_ALLOWPLAINHTTP=TRUE")
	if protocols == onlyQUIC { // the node has joined, which it does over TCP
		o.GateHost.Run("iptables", "-w", "-I", "INPUT", "-p", "tcp", "-s", o.NodeAddr, "--dport", "18603", "-j", "REJECT", "--reject-with", "tcp-reset")
	}
	l.token = newToken(t, o.Gateway, "http://localhost:18602")
	l.nodeToken = newToken(t, o.Node, "http://localhost:18622")
	if protocols == both {
		if err := l.relayed()(); err != nil { // it is dialed when the first large body has begun
			t.Fatal(err)
		}
		o.Node.Await("second link to the gateway stands", testenv.StartTimeout)
	}
	return l
}

// newToken makes a token that is valid on other hosts.
func newToken(t *testing.T, s *testenv.Service, base string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Data, "keys", "local.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e struct{ Token string }
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	out := s.Host.Run("curl", "-sS", "-H", "Authorization: Bearer "+e.Token, "-H", "Content-Type: application/json", "-H", "Idempotency-Key: "+scan.RandomText(32),
		"-d", `{"label":"benchmark","role":"admin"}`, base+"/api/v1/tokens")
	if err := json.Unmarshal([]byte(out), &e); err != nil || e.Token == "" {
		t.Fatalf("POST /tokens: %s", out)
	}
	return e.Token
}

func (l link) path(page int) string { return fmt.Sprintf("/api/v1/jobs/%s/pages/%d", l.job, page) }

// The services' entries, as the phone knows them.
func (l link) nodeEntry() string  { return "http://" + l.NodeAddr + ":18622" }
func (l link) plainEntry() string { return "http://" + l.GatewayAddr + ":18602" }
func (l link) httpsEntry() string { return "https://" + l.GatewayAddr + ":18603" }

// direct is the page from the node, relayed through the gateway.
func (l link) direct() func() error {
	return download(l.PhoneHost, l.nodeEntry()+l.path(1), l.nodeToken)
}
func (l link) relayed() func() error {
	return download(l.PhoneHost, l.plainEntry()+l.path(1), l.token)
}

// cpuPerGB is what gateway and node spend on the page, each in seconds for 10^9 bytes.
func (l link) cpuPerGB(fetch func() error) (ofGateway, ofNode float64) {
	l.t.Helper()
	const rounds = 20
	gateway, node := family(l.Gateway.PID()), family(l.Node.PID())
	g, n := cpu(gateway), cpu(node)
	for range rounds {
		if err := fetch(); err != nil {
			l.t.Fatal(err)
		}
	}
	gb := float64(rounds) * pageBytes / 1e9
	return (cpu(gateway) - g).Seconds() / gb, (cpu(node) - n).Seconds() / gb
}

func megabytes(s series) string { return fmt.Sprintf("%.0f", pageBytes/1e6/s.median().Seconds()) }

func relaying(t *testing.T, r *report) {
	quic, tcp, all := newLink(t, onlyQUIC, ""), newLink(t, onlyTCP, ""), newLink(t, both, "")
	overTLS := func(version string) func() error {
		return download(all.PhoneHost, all.httpsEntry()+all.path(1), all.token, version)
	}
	sides := interleave(t, 11,
		side{"direct HTTP from the node", all.direct()},
		side{"relayed, link over QUIC only", quic.relayed()},
		side{"relayed, link over TLS/TCP only", tcp.relayed()},
		side{"relayed, link over both (the default)", all.relayed()},
		side{"relayed, link over both, HTTPS (HTTP/1.1) to the gateway", overTLS("--http1.1")},
		side{"relayed, link over both, HTTPS (HTTP/2) to the gateway", overTLS("--http2")},
	)
	rows := []string{}
	for i, s := range sides {
		on := []link{all, quic, tcp, all, all, all}[i]
		g, n := on.cpuPerGB([]func() error{all.direct(), quic.relayed(), tcp.relayed(), all.relayed(), overTLS("--http1.1"), overTLS("--http2")}[i])
		rows = append(rows, fmt.Sprintf("%s | %s | %s | %.2f | %.1f + %.1f", s.name, s, megabytes(s), sides[0].over(s), g, n))
		switch i {
		case 1:
			r.goal("relayed page, link over QUIC only, of direct HTTP", "≥ 0.25", "%.2f", sides[0].over(s))
			r.goal("CPU seconds a relayed GB, link over QUIC only", "≤ 4", "%.1f", g+n)
		case 2, 3:
			kind := []string{2: "TLS/TCP only", 3: both}[i]
			r.goal("relayed page, link over "+kind+", of direct HTTP", "≥ 0.5", "%.2f", sides[0].over(s))
			r.goal("CPU seconds a relayed GB, link over "+kind, "≤ 2.5", "%.1f", g+n)
		}
	}
	r.section("Relaying", fmt.Sprintf(`A stored page of %d bytes, fetched by one curl process on a phone, its start included. Phone, node and gateway are hosts of their own on
one network (network namespaces, veth). The link is always encrypted; over HTTPS the page is encrypted twice. Both: the link is QUIC, and a
second one over TLS/TCP carries large bodies. CPU is that of gateway + node.`, pageBytes))
	r.table("road | time | MB/s | of direct | CPU s/GB", rows...)
	r.WriteString(`
Measured elsewhere and once, not in this run, in the same way (frp 40274d8, chisel 1.11.5; direct HTTP had 873 MB/s there): frp over TLS/TCP 272 MB/s (0.31 of direct,
2.0 + 1.6 CPU s/GB), frp over QUIC 142 MB/s (0.16, 4.1 + 3.9), chisel 162 MB/s (0.19, 4.9 + 2.0), frp over a WebSocket 136 MB/s (0.16, 5.1 + 4.5).
`)
	firstBytes(t, r, all, quic, tcp)
}
