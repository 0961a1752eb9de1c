//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

var rounds = flag.Int("rounds", 3, "how often each road is cut in mid-page; make roads: 50")

// The node's UDP ports for browsers.
const (
	portWebTransport = 18623
	portWebRTC       = 18624
)

// room is a phone that scans by a gateway, with a page on the node to fetch.
type room struct {
	*testenv.Office
	*page
	wire    *testenv.Wire // of the phone
	job     string
	digest  string // of the page's bytes
	bytes   int64
	fetches int // so far
}

// newRoom scans a page and opens Platen on the phone.
func newRoom(t *testing.T, o *testenv.Office, env ...string) *room {
	t.Helper()
	return newRoomWith(t, o, 600, env...)
}

// newRoomWith is newRoom with a page of so many dots per inch.
func newRoomWith(t *testing.T, o *testenv.Office, dpi int, env ...string) *room {
	t.Helper()
	o.StartNode(t, append([]string{"PLATEN_NODE_DRIVERS=virtual"}, env...)...)
	// First of all, for it makes the phone's card another one, which the browser would take for another network.
	r := &room{Office: o, wire: o.PhoneHost.Wire("eth0", testenv.Weather{})}
	r.scan(t, dpi)
	p := newPhone(t, o.PhoneHost, filepath.Join(o.Gateway.Data, "keys", "ca.pem"))
	r.page = p.openPage(pairingLink(t, o.Gateway, api.RoleOperator))
	return r
}

// scan scans a page, which is the one to fetch by the clients that are made next.
func (r *room) scan(t testing.TB, dpi int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.png")
	out, err := r.Node.CLI("scan", "-q", "--json", "--source", "platen", "--mode", "color", "-r", strconv.Itoa(dpi), "-o", file)
	if err != nil {
		t.Fatal(err)
	}
	var job scan.Job
	if err := json.Unmarshal([]byte(out), &job); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	r.job, r.digest, r.bytes = job.ID, hex.EncodeToString(sum[:]), int64(len(text))
	t.Logf("the page has %d bytes", r.bytes)
}

// pairingLink signs a phone in at a service.
func pairingLink(t testing.TB, s *testenv.Service, role api.Role) string {
	t.Helper()
	out, err := s.CLI("pair", "--json", "--role", string(role))
	if err != nil {
		t.Fatal(err)
	}
	var p api.Pairing
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	return p.Url
}

// at makes failures those of a part of the test.
func (r *room) at(t testing.TB) (back func()) {
	before := r.t
	r.t = t
	return func() { r.t = before }
}

// client makes the page's client anew, which knows of no road.
func (r *room) client(options string) {
	r.t.Helper()
	r.run(fmt.Sprintf(`
		globalThis.platen?.roads?.close();
		sessionStorage.clear();
		globalThis.platen = new Platen.PlatenClient({ roads: %s });
		globalThis.job = await platen.job(%q);
		globalThis.states = [];
		platen.roads.onChange((node, state) => states.push(state));`, options, r.job), nil)
}

// openRoad fetches small bodies until the pages come by the road.
func (r *room) openRoad(road string) {
	r.t.Helper()
	var state struct{ Road, Direct string }
	r.run(fmt.Sprintf(`
		const end = Date.now() + 15_000;
		for (;;) {
			platen.roads.prepare(job.node);
			const state = platen.roads.state(job.node);
			if (state.road === %q && state.direct !== 'trying' && state.direct !== 'idle' || Date.now() > end) return { ...state, states };
			await new Promise((r) => setTimeout(r, 50));
		}`, road), &state)
	if state.Road != road {
		r.t.Fatalf("pages come by %+v, want %s", state, road)
	}
}

// fetched is what the page says of a page that it has fetched.
type fetched struct {
	Digest  string
	Bytes   int64
	Ms      float64
	Resumed int64 // when the longest silence ended: milliseconds since 1970
	Road    string
}

// fetch begins to fetch the page of the job. reached waits until so much of it is there.
func (r *room) fetch(mark int64) (reached func(), result func(within time.Duration, v any) error) {
	r.t.Helper()
	r.fetches++
	result = r.begin(fmt.Sprintf(`
		const began = performance.now();
		let last = 0, reached = false, at = Date.now(), gap = 0, resumed = 0;
		const page = await platen.downloadPage(job.id, 1, {
			onProgress: (bytes) => {
				if (bytes < last) tell('went back');
				last = bytes;
				const now = Date.now();
				if (now - at > gap) [gap, resumed] = [now - at, now];
				at = now;
				if (!reached && bytes >= %d) { reached = true; tell('reached %d'); }
			},
		});
		return { digest: page.digest, bytes: page.bytes.length, resumed, ms: performance.now() - began, road: platen.roads.state(job.node).road };`,
		mark, r.fetches))
	fetch := r.fetches
	return func() { r.t.Helper(); r.Await(fmt.Sprintf(`^told "reached %d"`, fetch), time.Minute) }, result
}

// whole fails the test unless the page came whole.
func (r *room) whole(got fetched, err error, what string) {
	r.t.Helper()
	if err != nil || got.Digest != r.digest || got.Bytes != r.bytes {
		r.t.Fatalf("%s: %+v, %v; want %d bytes with %s", what, got, err, r.bytes, r.digest)
	}
}

func (r *room) must(what string) fetched {
	r.t.Helper()
	var got fetched
	_, result := r.fetch(0)
	err := result(2*time.Minute, &got)
	r.whole(got, err, what)
	return got
}

// drop loses what comes to a UDP port of a host.
func drop(h *testenv.Host, port int) {
	h.Run("iptables", "-w", "-I", "INPUT", "-p", "udp", "--dport", strconv.Itoa(port), "-j", "DROP")
}

func undrop(h *testenv.Host, port int) {
	h.Run("iptables", "-w", "-D", "INPUT", "-p", "udp", "--dport", strconv.Itoa(port), "-j", "DROP")
}

// meter counts what a phone gets by each road.
type meter struct{ *testenv.Host }

func newMeter(o *testenv.Office) meter {
	o.PhoneHost.Run("iptables", "-w", "-N", "METER")
	o.PhoneHost.Run("iptables", "-w", "-I", "INPUT", "-j", "METER")
	for _, rule := range [][]string{
		{"-s", o.NodeAddr, "-p", "udp", "--sport", strconv.Itoa(portWebTransport), "-m", "comment", "--comment", "webtransport"},
		{"-s", o.NodeAddr, "-p", "udp", "--sport", strconv.Itoa(portWebRTC), "-m", "comment", "--comment", "webrtc"},
		{"-s", o.GatewayAddr, "-m", "comment", "--comment", "relay"},
	} {
		o.PhoneHost.Run(append([]string{"iptables", "-w", "-A", "METER"}, rule...)...)
	}
	return meter{o.PhoneHost}
}

var metered = regexp.MustCompile(`(?m)^\s*\d+\s+(\d+)\s.*/\* (\w+) \*/`)

// bytes is what came by each road since the last look.
func (m meter) bytes() map[string]int64 {
	counts := map[string]int64{}
	for _, row := range metered.FindAllStringSubmatch(m.Run("iptables", "-w", "-nvxL", "METER", "-Z"), -1) {
		n, _ := strconv.ParseInt(row[1], 10, 64)
		counts[row[2]] += n
	}
	return counts
}

// TestRoads: a phone in the same room gets its pages straight from the node, by what the network
// lets pass, and loses none when it is cut off in mid-page.
func TestRoads(t *testing.T) {
	r := newRoom(t, testenv.NewRoom(t))
	m := newMeter(r.Office)
	for _, row := range []struct {
		road    string
		blocked []int
	}{
		{"webtransport", nil},
		{"webrtc", []int{portWebTransport}},
		{"relay", []int{portWebTransport, portWebRTC}},
	} {
		t.Run(row.road, func(t *testing.T) {
			defer r.at(t)()
			for _, port := range row.blocked {
				drop(r.NodeHost, port)
				defer undrop(r.NodeHost, port)
			}
			r.client("true")
			r.openRoad(row.road)
			m.bytes()
			got := r.must(row.road)
			counts := m.bytes()
			t.Logf("%s: %.0f ms, bytes by road: %v", row.road, got.Ms, counts)
			for road, n := range counts {
				if by := road == row.road; by != (n > r.bytes/2) || by && n < r.bytes {
					t.Errorf("%d bytes came by %s, while pages were to come by %s", n, road, row.road)
				}
			}
			cutInMidPage(t, r, row.road)
		})
	}
}

// resumeLimit is generous: the machine of a test may be busy. One second is what users are promised.
const resumeLimit = 5 * time.Second

// cutInMidPage pulls the phone's cable at a random moment of a page, again and again.
func cutInMidPage(t *testing.T, r *room, road string) {
	r.wire.Set(testenv.Weather{Rate: 100})
	defer r.wire.Set(testenv.Weather{})
	var slowest time.Duration
	for i := range *rounds {
		if road != "relay" { // the round before may have lost it
			r.client("true")
			r.openRoad(road)
		}
		at := r.bytes/10 + rand.Int64N(r.bytes*7/10)
		off := 200*time.Millisecond + rand.N(2*time.Second)
		reached, result := r.fetch(at)
		reached()
		r.wire.Cut()
		time.Sleep(off) // that long the cable is out
		r.wire.Mend()
		back := time.Now()
		var got fetched
		err := result(time.Minute, &got)
		r.whole(got, err, fmt.Sprintf("%s cut at byte %d for %v", road, at, off))
		resumed := time.UnixMilli(got.Resumed).Sub(back).Round(time.Millisecond)
		slowest = max(slowest, resumed)
		t.Logf("round %d: %s cut at byte %d for %v: goes on %v after, whole %v after, by %s", i+1, road, at, off.Round(time.Millisecond), resumed, time.Since(back).Round(time.Millisecond), got.Road)
	}
	if t.Logf("%s: after %d cuts the page went on within %v", road, *rounds, slowest); slowest > resumeLimit {
		t.Errorf("a page went on %v after the network was back, want at most %v", slowest, resumeLimit)
	}
	if strings.Contains(strings.Join(r.Output(), "\n"), `told "went back"`) {
		t.Error("the page went back in mid-way")
	}
}
