package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/node/reporting"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// A main licence tracking server and its standby, each a process, are killed in turn while a
// node scans and reports:
//
//	go test ./cmd/platen -run TestKilledServers -timeout 2h -lts.kills 200
var ltsKills = flag.Int("lts.kills", 2, "how often TestKilledServers kills a server")

// patient is how long is waited for what comes sooner or later.
const patient = 2 * time.Minute

const ltsChildEnv = "PLATEN_TEST_LTS"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ltsChildEnv); dir != "" {
		os.Exit(run(context.Background(), []string{"--data", dir, "lts"}, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// serverProcess is a platen lts that is killed and started again.
type serverProcess struct {
	t   *testing.T
	dir string
	pin string
	cmd *exec.Cmd
}

// start returns when it can be asked.
func (p *serverProcess) start() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0], "-test.run=^$")
	p.cmd.Env = append(os.Environ(), ltsChildEnv+"="+p.dir)
	var errs bytes.Buffer
	p.cmd.Stderr = &errs
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "[license] Servers=") {
			return
		}
	}
	_ = p.cmd.Wait()
	p.t.Fatalf("platen lts on %s ended: %s", p.dir, errs.String())
}

func (p *serverProcess) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was killed
}

// scanningNode is a node that scans under a licence of pages, and reports.
type scanningNode struct {
	t        *testing.T
	id       *identity.Identity
	store    *pagestore.Store
	remote   *license.Remote
	reporter *reporting.Reporter
	code     string
	pages    atomic.Int64
}

func newScanningNode(t *testing.T, code string, servers ...license.Address) *scanningNode {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	n := &scanningNode{t: t, id: id, code: code}
	if n.store, _, err = pagestore.Open(context.Background(), pagestore.Config{Dir: t.TempDir(), NodeID: id.NodeID(), Reserve: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.store.Close() })
	n.remote, err = license.NewRemote(license.RemoteConfig{Servers: servers, Identity: id, Client: func(a license.Address) (*http.Client, error) {
		return relay.NodeClient(relay.Target{Addr: a.Host, Pin: a.Pin, Identity: id})
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.remote.Close)
	n.reporter = reporting.New(reporting.Config{Identity: id, Store: n.store, Tracking: n.remote, Place: n.place, Granted: func(ctx context.Context, blocks []string) {
		_ = n.store.AddBlocks(ctx, n.blocks(blocks))
	}})
	return n
}

func (n *scanningNode) place() license.Place {
	return license.Place{Node: n.id.NodeID(), Pin: n.id.Pin()}
}

func (n *scanningNode) blocks(tokens []string) (list []pagestore.Block) {
	for _, text := range tokens {
		if b, err := license.ParseBlock(text, n.id.NodeID()); err == nil {
			list = append(list, pagestore.Block{ID: b.ID, Item: b.Item, Project: b.Project, Pages: b.Pages, Over: b.Over, Until: b.Until})
		}
	}
	return list
}

// job scans ten pages under what is leased.
func (n *scanningNode) job(ctx context.Context) error {
	const app = "https://app.example.com"
	answer, err := n.remote.Lease(ctx, n.place(), api.LeaseRequest{HandshakeCode: n.code, Origin: app, Node: n.id.NodeID(), Pages: 10})
	if err != nil {
		return err
	}
	blocks := n.blocks(answer.Blocks)
	job, _, err := n.store.CreateJob(ctx, pagestore.NewJob{
		Scanner: scan.DerivedID(n.id.NodeID(), scan.KindScanner, "test"), Owner: "somebody", Name: "test", Blocks: blocks,
		License: &pagestore.License{Item: blocks[0].Item, Project: n.code, Origin: app, Paged: true},
	})
	if err != nil {
		return err
	}
	for left, pages := int64(1), 0; left > 0 && pages < 10; pages++ {
		w, err := n.store.BeginPage(ctx, pagestore.PageStart{
			Job: job.ID, Format: scan.FormatJPEG, Mode: scan.ModeGray, Depth: 8, Resolution: 75, Width: 100, Height: 100, Side: scan.SideFront,
		})
		if err != nil {
			return err
		}
		image := binary.BigEndian.AppendUint64([]byte{0xff, 0xd8, 0xff}, uint64(n.pages.Load()))
		if _, err := w.Write(append(image, 0xff, 0xd9)); err != nil {
			return err
		}
		if _, err := w.Commit(ctx, 0); err != nil {
			return err
		}
		n.pages.Add(1)
		left, _ = w.Left()
		n.reporter.Committed()
	}
	return nil
}

// scan scans until ctx ends. Between servers that die nothing is to be had for a while.
func (n *scanningNode) scan(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		err := n.job(n.t.Context()) // which is not cut short: each page is counted here too
		if err != nil && !errors.Is(err, problem.TrackingOffline.Error()) && !errors.Is(err, problem.LicensePages.Error()) {
			n.t.Errorf("scanning: %v", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// counted waits until more pages are counted than now, by the server with the pin, or any ("").
func (n *scanningNode) counted(pin string) {
	n.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for begin := int64(-1); ; <-tick.C {
		head, _, err := n.store.MeterHead(n.t.Context())
		if err != nil {
			n.t.Fatal(err)
		}
		left, err := n.reporter.Unreported(n.t.Context())
		if err != nil {
			n.t.Fatal(err)
		}
		switch at := head.Seq - left; {
		case pin != "" && n.remote.Pin() != pin:
			begin = -1
		case begin < 0:
			begin = at
		case at > begin:
			return
		}
	}
}

func TestKilledServers(t *testing.T) {
	vendor, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	ini := "[bonjour]\nEnable=FALSE\n[license]\nVendors=" + vendor.Pin() + "\n[tracking]\n"
	mainPort, standbyPort := quietPort(t), quietPort(t)
	for mainPort == standbyPort {
		standbyPort = quietPort(t)
	}
	mainDir, mainPin := ltsFolder(t, "")
	standbyDir, standbyPin := ltsFolder(t, fmt.Sprintf("%sPort=%d\nMain=127.0.0.1:%d#%s\n", ini, standbyPort, mainPort, mainPin))
	if err := os.WriteFile(filepath.Join(mainDir, "platen.ini"), fmt.Appendf(nil, "%sPort=%d\nStandby=%s\n", ini, mainPort, standbyPin), 0o600); err != nil {
		t.Fatal(err)
	}
	main, standby := &serverProcess{t: t, dir: mainDir, pin: mainPin}, &serverProcess{t: t, dir: standbyDir, pin: standbyPin}
	main.start()
	t.Cleanup(main.kill)
	now := time.Now()
	key, err := license.Issue(vendor, license.Key{
		ID: license.NewID(), Revision: 1, Kind: license.Page, Organisation: "ACME", Quantity: 10_000_000, Origins: []string{"https://app.example.com"},
		Gateways: []string{mainPin, standbyPin}, NotBefore: now.Add(-time.Hour), Expires: now.AddDate(1, 0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	platen(t, "--data", mainDir, "lts", "add", key)
	platen(t, "--data", mainDir, "lts", "project", "ACME-scan")
	standby.start()
	t.Cleanup(standby.kill)
	n := newScanningNode(t, "ACME-scan", license.Address{Host: fmt.Sprintf("127.0.0.1:%d", mainPort), Pin: mainPin},
		license.Address{Host: fmt.Sprintf("127.0.0.1:%d", standbyPort), Pin: standbyPin})
	testenv.Eventually(t, "the standby knows the licence", patient, func() bool { return strings.Contains(platen(t, "--data", standbyDir, "lts", "items"), "ACME") })

	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { n.reporter.Serve(t.Context()) })
	scanning := make(chan struct{})
	go func() { defer close(scanning); n.scan(ctx) }()
	defer func() { stop(); <-scanning }()
	for kill := range *ltsKills {
		victim, other := main, standby
		if kill%2 == 1 {
			victim, other = standby, main
		}
		if kill < 2 || rand.IntN(2) == 0 { // else anywhere in what they tell each other
			n.counted(main.pin)
		}
		<-time.After(rand.N(200 * time.Millisecond))
		victim.kill()
		n.counted(other.pin)
		victim.start()
	}
	stop()
	<-scanning

	// Both have in the end what the node committed, and the licence says so.
	total := n.pages.Load()
	testenv.Eventually(t, "all pages are reported", patient, func() bool { left, err := n.reporter.Unreported(t.Context()); return err == nil && left == 0 })
	standby.kill()
	standby.start() // which copies at once
	for _, p := range []*serverProcess{main, standby} {
		var items []api.Item
		testenv.Eventually(t, "the licence has all pages", patient, func() bool {
			if err := json.Unmarshal([]byte(platen(t, "--data", p.dir, "lts", "items", "--json")), &items); err != nil {
				t.Fatal(err)
			}
			return len(items) == 1 && items[0].Used >= total
		})
		if items[0].Used != total {
			t.Errorf("%d pages of the licence are used, want %d", items[0].Used, total)
		}
	}
	for _, p := range []*serverProcess{main, standby} {
		p.kill()
		verifyKilled(t, p, n, total)
	}
	t.Logf("%d pages, %d kills: difference 0", total, *ltsKills)
}

// verifyKilled compares the ledger of a server that was killed with what the node committed.
func verifyKilled(t *testing.T, p *serverProcess, n *scanningNode, total int64) {
	t.Helper()
	self, err := identity.Load(filepath.Join(p.dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := state.Open(t.Context(), state.Config{Dir: filepath.Join(p.dir, "storage", "nats")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	book, err := ledger.Open(t.Context(), ledger.Config{Records: s.Ledger(), Server: self, Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := book.Verify(t.Context()); err != nil || v.Pages != total {
		t.Errorf("the ledger on %s has %d pages, %v, want %d", p.dir, v.Pages, err, total)
	}
	head, _, err := n.store.MeterHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := book.Head(n.id.NodeID()); got != head || head.Seq != total {
		t.Errorf("the ledger on %s is at %+v, the node at %+v, with %d pages", p.dir, got, head, total)
	}
}

// quietPort is free, and none that the system gives to connections: a server that was killed
// has to get it again.
func quietPort(t *testing.T) int {
	t.Helper()
	for {
		port := 20_000 + rand.IntN(12_000)
		if l, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			l.Close()
			return port
		}
	}
}
