//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/discovery/mdns"
	"github.com/platen-scan/platen/internal/testenv"
)

// asPeer makes the test binary a peer with this host name.
const asPeer = "PLATEN_TEST_PEER"

func TestMain(m *testing.M) {
	if host := os.Getenv(asPeer); host != "" {
		os.Exit(runPeer(host))
	}
	os.Exit(m.Run())
}

var everyType = []string{discovery.TypeNode, discovery.TypeGateway, discovery.TypeScanner, discovery.TypeSecureScanner}

// peer is a process with our Advertiser and our Browser, as a node is, on a host of a lab.
type peer struct {
	*testenv.Process
	t     testing.TB
	stdin io.Writer
}

func startPeer(t testing.TB, on *testenv.Host, host string) *peer {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := on.Command(context.Background(), exe)
	cmd.Env = append(os.Environ(), asPeer+"="+host)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	cmd.Stdin = r
	p := &peer{testenv.Start(t, on.Name+" peer", cmd), t, w}
	r.Close()
	return p
}

// announce makes these the records of the peer.
func (p *peer) announce(records ...discovery.Record) {
	p.t.Helper()
	if err := json.NewEncoder(p.stdin).Encode(records); err != nil {
		p.t.Fatal(err)
	}
}

// announced are the peer's records as it announces them; seen are those that it sees.
func (p *peer) announced() []discovery.Record { return p.last("announced ") }
func (p *peer) seen() []discovery.Record      { return p.last("seen ") }

func (p *peer) last(prefix string) (records []discovery.Record) {
	p.t.Helper()
	lines := p.Output()
	for i := len(lines) - 1; i >= 0; i-- {
		if text, ok := strings.CutPrefix(lines[i], prefix); ok {
			if err := json.Unmarshal([]byte(text), &records); err != nil {
				p.t.Fatal(err)
			}
			break
		}
	}
	return records
}

// settles waits until what the peer announces fits.
func (p *peer) settles(what string, fits func([]discovery.Record) bool) {
	p.t.Helper()
	testenv.Eventually(p.t, what, 15*time.Second, func() bool { return fits(p.announced()) })
}

// sees waits until what the peer sees fits.
func (p *peer) sees(what string, fits func([]discovery.Record) bool) {
	p.t.Helper()
	testenv.Eventually(p.t, what, 15*time.Second, func() bool { return fits(p.seen()) })
}

// cpu is the processor time that the peer has used.
func (p *peer) cpu() time.Duration {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		p.t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(f)
		if err != nil {
			p.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ
}

// runPeer is the process: it reads what to announce and prints what it announces and sees.
func runPeer(host string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var mu sync.Mutex // of stdout
	show := func(what string, records []discovery.Record) {
		text, err := json.Marshal(records)
		if err != nil {
			panic(err)
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, string(text))
	}
	config := mdns.Config{Host: host, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	a, err := mdns.NewAdvertiser(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var work sync.WaitGroup
	work.Go(func() {
		if err := a.Serve(ctx); err != nil {
			panic(err)
		}
	})
	work.Go(func() {
		err := mdns.NewBrowser(config).Browse(ctx, everyType, func(records []discovery.Record) { show("seen", records) })
		if err != nil {
			panic(err)
		}
	})
	work.Go(func() {
		last := ""
		for ctx.Err() == nil {
			if now := fmt.Sprint(a.Announced()); now != last {
				show("announced", a.Announced())
				last = now
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	go func() { // ends with the process
		in := bufio.NewScanner(os.Stdin)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			var records []discovery.Record
			if err := json.Unmarshal(in.Bytes(), &records); err != nil {
				panic(err)
			}
			a.Announce(records)
		}
	}()
	work.Wait()
	return 0
}
