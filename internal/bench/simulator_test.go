//go:build scale

package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/h2link"
	"github.com/platen-scan/platen/relay/h3link"
)

// simulatorEnv makes this test binary a process of simulated nodes: their number, and
// the number of the first of their offices, each of which is an address of this machine.
const simulatorEnv = "PLATEN_SCALE_NODES"

// apart is how much later than the one before a node dials first. How soon all come that
// come at once is another question: see restarts.
const apart = 10 * time.Millisecond

func TestMain(m *testing.M) {
	if how := strings.Fields(os.Getenv(simulatorEnv)); len(how) == 2 {
		if err := simulate(how[0], how[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// simulate makes nodes, prints their keys, reads where the gateway is, and keeps the
// nodes' links until standard input ends.
func simulate(count, first string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	office, err := strconv.ParseUint(first, 10, 8)
	if err != nil {
		return err
	}
	nodes := make([]*simulated, n)
	for i := range nodes {
		id, err := identity.New()
		if err != nil {
			return err
		}
		nodes[i] = newSimulated(id)
		fmt.Println("key", base64.StdEncoding.EncodeToString(id.Public()))
	}
	fmt.Println("made")
	in := bufio.NewScanner(os.Stdin)
	if !in.Scan() {
		return in.Err()
	}
	addr, pin, _ := strings.Cut(in.Text(), " ")

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for i, node := range nodes {
		keeper, err := node.keeper(addr, pin, netip.AddrFrom4([4]byte{127, 0, 1, byte(int(office) + i/perOffice)}))
		if err != nil {
			return err
		}
		running.Go(func() {
			select {
			case <-time.After(time.Duration(i) * apart):
				keeper.Serve(ctx)
			case <-ctx.Done():
			}
		})
	}
	for in.Scan() { // until its end
	}
	return in.Err()
}

// simulated is a node as a gateway sees it: the real keeper and the real dialers, with
// just enough behind them to stay linked.
type simulated struct {
	id     *identity.Identity
	name   string
	events []byte // the first lines of its event stream

	mu       sync.Mutex
	sequence int64
	link     *relay.Keeper
}

func newSimulated(id *identity.Identity) *simulated {
	n := &simulated{id: id, name: "node " + id.NodeID()[:6]}
	line, err := json.Marshal(scan.Event{Type: scan.EventDeviceState, Scanner: &scan.Scanner{
		ID: scan.DerivedID(id.NodeID(), scan.KindScanner, "flatbed"), Node: id.NodeID(), NodeName: n.name,
		Name: "Office scanner", Make: "Platen", Model: "Simulated", Driver: "virtual",
		Sources: []scan.Source{scan.SourcePlaten, scan.SourceADF, scan.SourceADFDuplex},
		Status:  scan.Status{State: scan.ScannerIdle, Feeder: scan.FeederNone, Since: scan.At(time.Now())},
	}})
	if err != nil {
		panic(err) // a scanner can always be encoded
	}
	n.events = append(append(line, '\n'), heartbeat...)
	return n
}

// heartbeat is the line that a node sends every two seconds.
var heartbeat = append(bytes.Repeat([]byte(" "), 64), '\n')

// keeper is the node's link, dialed from an address of this machine as from an office.
func (n *simulated) keeper(addr, pin string, from netip.Addr) (*relay.Keeper, error) {
	tcp := &net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
	keeper, err := relay.NewKeeper(relay.Config{
		Dialers: []relay.Dialer{
			&h3link.Dialer{Listen: func(netip.AddrPort) (net.PacketConn, error) {
				return net.ListenUDP("udp4", &net.UDPAddr{IP: from.AsSlice()})
			}},
			&h2link.Dialer{DialContext: tcp.DialContext},
		},
		Target: func(context.Context) (relay.Target, error) {
			return relay.Target{Addr: addr, Pin: pin, Identity: n.id}, nil
		},
		Handler: n.handler(), Log: slog.New(slog.DiscardHandler),
	})
	n.link = keeper
	return keeper, err
}

func (n *simulated) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]access.Handler{
		"POST /api/v1/link/hello": n.hello, "POST /api/v1/link/drain": n.drain, "GET /api/v1/link/events": n.stream,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := handle(w, r); err != nil {
				http.Error(w, err.Error(), problem.From(err).Code.Status())
			}
		})
	}
	return mux
}

// hello checks what a node checks. It keeps in memory what a node writes to its disk,
// which is another machine's.
func (n *simulated) hello(w http.ResponseWriter, r *http.Request) error {
	var h api.LinkHello
	if err := access.ReadPeerJSON(r, &h); err != nil {
		return err
	}
	pin := identity.PinOf(relay.PeerKeyOf(r.Context()))
	if _, err := access.TimeIn(h.Time, pin, n.id.NodeID()); err != nil {
		return err
	}
	number, err := access.SequenceIn(h.Sequence, pin, n.id.NodeID())
	if err != nil {
		return err
	}
	n.mu.Lock()
	before := n.sequence
	n.sequence = max(n.sequence, number)
	n.mu.Unlock()
	return access.WriteJSON(w, http.StatusOK, api.LinkWelcome{Api: "1", Link: 1, Name: n.name, Version: "simulated", Sequence: before})
}

func (n *simulated) drain(w http.ResponseWriter, r *http.Request) error {
	var d api.LinkDrain
	if err := access.ReadPeerJSON(r, &d); err != nil {
		return err
	}
	n.link.Redial(time.Duration(d.AfterMs) * time.Millisecond)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// stream is the node's scanner and its heartbeats.
func (n *simulated) stream(w http.ResponseWriter, r *http.Request) error {
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for lines := n.events; ; lines = heartbeat {
		if _, err := w.Write(lines); err != nil {
			return err
		}
		if err := control.Flush(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-relay.Draining(r.Context()):
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}
