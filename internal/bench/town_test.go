//go:build scale

package bench

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// How many simulated nodes share an address, and how many a process.
const (
	perOffice  = 500
	perProcess = 2 * perOffice
)

// patience is how long all nodes may take to come.
const patience = 3 * time.Minute

// town is a gateway and the simulated nodes that are enrolled at it.
type town struct {
	*testenv.Office
	t         *testing.T
	token     string // an administrator's, which outlives the gateway's process
	read      *http.Client
	processes []int // of simulated nodes
	nodes     int   // enrolled
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{t: t, Office: testenv.NewGateway(t, "PLATEN_GATEWAY_PORT="+keptPort(t)), read: &http.Client{Timeout: 2 * time.Second}}
	out, err := w.Gateway.CLI("tokens", "make", "scale", "--role", "admin")
	if err != nil {
		t.Fatal(err)
	}
	w.token, _, _ = strings.Cut(strings.TrimSpace(out), "\n")
	pin, err := w.self()
	if err != nil {
		t.Fatal(err)
	}
	w.read.Transport = &http.Transport{TLSClientConfig: identity.TrustCA(pin.ca)}
	return w
}

// keptPort is a free port that no simulated node is given while the gateway is away: Linux
// hands out those above.
func keptPort(t *testing.T) string {
	t.Helper()
	for port := 20000; port < 32000; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err == nil {
			l.Close()
			return fmt.Sprint(port)
		}
	}
	t.Fatal("no port is free")
	return ""
}

// self is what a node knows of the gateway.
func (w *town) self() (at struct{ addr, pin, ca string }, err error) {
	id, err := identity.Load(filepath.Join(w.Gateway.Data, "keys"))
	if err != nil {
		return at, err
	}
	c := callerOf(w.t, w.Gateway)
	_, port, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(c.base, "https://"), "/api/v1"), ":")
	at.addr, at.pin, at.ca = "127.0.0.1:"+port, id.Pin(), c.ca
	return at, nil
}

// grow brings nodes until there are count. The gateway is away while they are enrolled.
func (w *town) grow(count int) {
	w.t.Helper()
	var starts []func()
	var keys []ed25519.PublicKey
	for w.nodes+len(keys) < count {
		more, start := w.simulator(min(perProcess, count-w.nodes-len(keys)))
		keys, starts = append(keys, more...), append(starts, start)
	}
	w.Gateway.Kill()
	w.enrol(keys)
	w.nodes = count
	w.StartGateway()
	// One process after the other: a town does not come at once but after a power cut.
	for there := count - len(keys); ; there = min(count, there+perProcess) {
		w.await(there)
		if len(starts) == 0 {
			return
		}
		starts[0]()
		starts = starts[1:]
	}
}

// simulator starts a process of nodes, which wait for start.
func (w *town) simulator(count int) (keys []ed25519.PublicKey, start func()) {
	w.t.Helper()
	cmd := exec.Command(os.Args[0])
	// The processors that they share with the gateway here are not its own: their garbage may
	// wait, and none of their nodes is helped by a second one.
	cmd.Env = append(os.Environ(), "GOGC=400", "GOMAXPROCS=1", fmt.Sprintf("%s=%d %d", simulatorEnv, count, 1+len(w.processes)*perProcess/perOffice))
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	p := testenv.Start(w.t, "simulated nodes", cmd)
	w.processes = append(w.processes, p.PID())
	p.Await("^made$", patience)
	for _, line := range p.Output() {
		if text, ok := strings.CutPrefix(line, "key "); ok {
			key, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				w.t.Fatal(err)
			}
			keys = append(keys, key)
		}
	}
	at, err := w.self()
	if err != nil {
		w.t.Fatal(err)
	}
	return keys, func() { fmt.Fprintln(in, at.addr, at.pin) }
}

// enrol writes the nodes into the state of the gateway, which is not running.
func (w *town) enrol(keys []ed25519.PublicKey) {
	w.t.Helper()
	s, err := state.Open(w.t.Context(), state.Config{Dir: filepath.Join(w.Gateway.Data, "storage", "nats")})
	if err != nil {
		w.t.Fatal(err)
	}
	group, ctx := errgroup.WithContext(w.t.Context())
	group.SetLimit(32)
	for _, key := range keys {
		group.Go(func() error {
			id, err := identity.NodeIDOf(key, nil)
			if err != nil {
				return err
			}
			_, err = s.Nodes().Create(ctx, state.Node{ID: id, Key: key, Name: "node " + id[:6], Joined: scan.At(time.Now())})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		w.t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// online is how many nodes the gateway says it has links of; -1: it does not answer.
func (w *town) online(ctx context.Context, base string) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/metrics", nil)
	if err != nil {
		return -1
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	answer, err := w.read.Do(r)
	if err != nil {
		return -1
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		io.Copy(io.Discard, answer.Body)
		return -1
	}
	there := 0
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), `platen_nodes{state="online"} `); ok {
			fmt.Sscan(text, &there)
		}
	}
	return there
}

// await waits until count nodes are online.
func (w *town) await(count int) {
	w.t.Helper()
	base := callerOf(w.t, w.Gateway).base
	testenv.Eventually(w.t, fmt.Sprintf("%d nodes are online", count), patience, func() bool {
		return w.online(w.t.Context(), base) >= count
	})
}

// overQUIC is how many nodes' links are over QUIC; the others' are over TCP.
func (w *town) overQUIC() (count int) {
	w.t.Helper()
	c := callerOf(w.t, w.Gateway)
	for n := range every[scan.Node](w.t, c, "/nodes") {
		if n.Road == string(relay.KindQUIC) {
			count++
		}
	}
	return count
}

// every lists what a list of the API has on all its pages.
func every[T any](t *testing.T, c *caller, path string) iter.Seq[T] {
	return func(yield func(T) bool) {
		for next := ""; ; {
			var list struct {
				Items []T
				Next  string
			}
			query := url.Values{"limit": {"200"}}
			if next != "" {
				query.Set("cursor", next)
			}
			c.json(t, http.MethodGet, path+"?"+query.Encode(), nil, &list)
			for _, item := range list.Items {
				if !yield(item) {
					return
				}
			}
			if next = list.Next; next == "" {
				return
			}
		}
	}
}
