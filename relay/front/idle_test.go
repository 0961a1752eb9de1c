package front_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/h2link"
	"github.com/platen-scan/platen/relay/h3link"
)

const idleLinks = 500

// nodesEnv makes this test binary the nodes of BenchmarkIdleLink: kind, address
// and pin of their gateway.
const nodesEnv = "PLATEN_TEST_NODES"

func TestMain(m *testing.M) {
	if to := strings.Fields(os.Getenv(nodesEnv)); len(to) == 3 {
		os.Exit(runNodes(to[0], to[1], to[2]))
	}
	if at := strings.Fields(os.Getenv(gatewayEnv)); len(at) == 2 {
		os.Exit(runGateway(at[0], at[1]))
	}
	os.Exit(m.Run())
}

// runNodes holds idle links, each with an event stream that beats, until standard
// input ends.
func runNodes(kind, address, pin string) int {
	var dialer relay.Dialer = &h3link.Dialer{}
	if kind == string(relay.KindTCP) {
		dialer = &h2link.Dialer{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var all sync.WaitGroup
	for range idleLinks {
		node, err := identity.New()
		if err != nil {
			return 1
		}
		dialCtx, cancel := context.WithTimeout(ctx, patience)
		conn, err := dialer.Dial(dialCtx, relay.Target{Addr: address, Pin: pin, Identity: node})
		cancel()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		all.Go(func() { conn.Serve(ctx, http.HandlerFunc(events)) })
	}
	fmt.Println("up")
	io.Copy(io.Discard, os.Stdin)
	cancel()
	all.Wait()
	return 0
}

// BenchmarkIdleLink measures what an idle link with its event stream costs the
// gateway, in memory and goroutines. The nodes are another process.
func BenchmarkIdleLink(b *testing.B) {
	for _, kind := range []relay.Kind{relay.KindQUIC, relay.KindTCP} {
		b.Run(string(kind), func(b *testing.B) {
			for b.Loop() {
				memory, goroutines := idle(b, kind)
				b.ReportMetric(memory/1024/idleLinks, "KiB/link")
				b.ReportMetric(goroutines/idleLinks, "goroutines/link")
			}
		})
	}
}

func idle(b *testing.B, kind relay.Kind) (memory, goroutines float64) {
	g := newGateway(b)
	memory, goroutines = -resident(b), -float64(runtime.NumGoroutine())
	nodes := exec.Command(os.Args[0])
	nodes.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s", nodesEnv, kind, g.Addr(), g.id.Pin()))
	nodes.Stderr = os.Stderr
	stop, err := nodes.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := nodes.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := nodes.Start(); err != nil {
		b.Fatal(err)
	}
	var readers sync.WaitGroup
	beats := make(chan struct{}, 4*idleLinks)
	for range idleLinks {
		l := <-g.links
		readers.Go(func() {
			r, _ := http.NewRequest("GET", "/api/v1/link/events", nil)
			answer, err := l.RoundTrip(r.WithContext(relay.WithControl(context.Background())))
			if err != nil {
				return
			}
			defer answer.Body.Close()
			lines := bufio.NewScanner(answer.Body)
			lines.Buffer(make([]byte, 1024), 64<<10)
			for lines.Scan() {
				select {
				case beats <- struct{}{}:
				default:
				}
			}
		})
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "up\n" {
		b.Fatalf("nodes said %q, %v", line, err)
	}
	for range 3 * idleLinks { // so that the handshakes are over and forgotten
		<-beats
	}
	memory, goroutines = memory+resident(b), goroutines+float64(runtime.NumGoroutine())
	stop.Close()
	if err := nodes.Wait(); err != nil {
		b.Error(err)
	}
	readers.Wait()
	return memory, goroutines
}

// resident is this process's memory in bytes, after a collection.
func resident(b *testing.B) float64 {
	runtime.GC()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		b.Skip("no /proc/self/smaps_rollup to measure with")
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "Pss: %f kB", &kib); n == 1 {
			return kib * 1024
		}
	}
	b.Fatal("no Pss line")
	return 0
}
