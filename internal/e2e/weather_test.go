//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

const (
	portLink = 18603 // of the gateway, for all but TURN
	portTURN = 3478
)

// town is a room in a town: node and phone are behind a router each.
type town struct {
	*room
	nodeRouter, phoneRouter, mobile *testenv.Router
	counts                          tally
}

func newTown(t *testing.T) *town {
	t.Helper()
	o := testenv.NewTown(t, "PLATEN_TURN_ENABLE=TRUE")
	return &town{
		room: newRoomWith(t, o.Office, 300), counts: newTally(o.Office),
		nodeRouter: o.NodeRouter, phoneRouter: o.PhoneRouter, mobile: o.Mobile,
	}
}

// part runs a part of the test, at whose begin the page has forgotten all roads.
func (w *town) part(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		defer w.at(t)()
		began := time.Now()
		f(t)
		t.Logf("took %v", time.Since(began).Round(time.Millisecond))
	})
}

// tally counts what the phone gets past the gateway, through its TURN server, and from the
// gateway itself.
type tally struct{ *testenv.Host }

const (
	byNode    = "node"
	byTURN    = "turn"
	byGateway = "gateway"
)

func newTally(o *testenv.Office) tally {
	h := o.PhoneHost
	h.Run("iptables", "-w", "-N", "TALLY")
	h.Run("iptables", "-w", "-I", "INPUT", "-j", "TALLY")
	turn := strconv.Itoa(portTURN)
	for _, rule := range [][]string{
		{"-s", o.GatewayAddr, "-p", "udp", "--sport", turn, "-m", "comment", "--comment", byTURN},
		{"-s", o.GatewayAddr, "-p", "tcp", "--sport", turn, "-m", "comment", "--comment", byTURN},
		{"-s", o.GatewayAddr, "-p", "udp", "!", "--sport", turn, "-m", "comment", "--comment", byGateway},
		{"-s", o.GatewayAddr, "-p", "tcp", "!", "--sport", turn, "-m", "comment", "--comment", byGateway},
		{"!", "-s", o.GatewayAddr, "-p", "udp", "-m", "comment", "--comment", byNode},
	} {
		h.Run(append([]string{"iptables", "-w", "-A", "TALLY"}, rule...)...)
	}
	return tally{h}
}

var tallied = regexp.MustCompile(`(?m)^\s*\d+\s+(\d+)\s.*/\* (\w+) \*/`)

// bytes is what came by each way since the last look.
func (c tally) bytes() map[string]int64 {
	counts := map[string]int64{}
	for _, row := range tallied.FindAllStringSubmatch(c.Run("iptables", "-w", "-nvxL", "TALLY", "-Z"), -1) {
		n, _ := strconv.ParseInt(row[1], 10, 64)
		counts[row[2]] += n
	}
	return counts
}

// by fails the test unless the next page comes by a way.
func (w *town) by(t *testing.T, way string) {
	t.Helper()
	w.counts.bytes()
	got := w.must("by " + way)
	counts := w.counts.bytes()
	t.Logf("%s: %.0f ms; bytes: %v", got.Road, got.Ms, counts)
	if counts[way] < w.bytes {
		t.Errorf("%d bytes came by %s, the page has %d", counts[way], way, w.bytes)
	}
}

// control asks for the job again and again while a page comes, and counts the answers.
type control struct {
	fetched
	Asked int
	Most  float64 // ms of the slowest answer
	Error string
}

// fetchWithControl fetches the page and asks for its job meanwhile.
func (w *town) fetchWithControl(t *testing.T, within time.Duration) (got control, err error) {
	t.Helper()
	err = w.begin(`
		const began = performance.now();
		let done = false;
		const control = (async () => {
			const seen = { asked: 0, most: 0, error: '' };
			do {
				const at = performance.now();
				await platen.job(job.id).catch((error) => { seen.error = String(error); });
				seen.asked++;
				seen.most = Math.max(seen.most, performance.now() - at);
				await new Promise((r) => setTimeout(r, 50));
			} while (!done);
			return seen;
		})();
		const page = await platen.downloadPage(job.id, 1).finally(() => done = true);
		const ms = performance.now() - began;
		return { ...await control, digest: page.digest, bytes: page.bytes.length, ms, road: platen.roads.state(job.node).road };`)(within, &got)
	return got, err
}

// middle is a place in the page.
func (w *town) middle() int64 { return w.bytes/10 + rand.Int64N(w.bytes*6/10) }

// midPage does something while a page is under way on a cable of a modest rate, and wants
// the page whole.
func (w *town) midPage(t *testing.T, what string, do func()) fetched {
	t.Helper()
	w.wire.Set(testenv.Weather{Rate: 30})
	defer w.wire.Set(testenv.Weather{})
	at := w.middle()
	reached, result := w.fetch(at)
	reached()
	w.counts.bytes()
	do()
	since := time.Now()
	var got fetched
	err := result(time.Minute, &got)
	w.whole(got, err, fmt.Sprintf("%s at byte %d", what, at))
	t.Logf("%s at byte %d: whole %v after, in %.0f ms, by %s; bytes since: %v",
		what, at, time.Since(since).Round(time.Millisecond), got.Ms, got.Road, w.counts.bytes())
	return got
}

// TestWeather: the page comes whole through every network that lets it pass at all, by the
// shortest road that opens.
func TestWeather(t *testing.T) {
	w := newTown(t)
	node, phone := w.nodeRouter, w.phoneRouter
	const only, all = "{ kinds: ['webrtc'] }", "true"

	// Who is behind NAT.
	for _, row := range []struct {
		name                string
		nodeOpen, phoneOpen bool
		symmetric, blocked  bool
		noTURN              bool
		options             string
		road, way           string
	}{
		{name: "both behind NAT", options: all, road: "webrtc", way: byNode},
		{name: "both behind symmetric NAT", symmetric: true, options: all, road: "webrtc", way: byTURN},
		{name: "UDP blocked with TURN", blocked: true, options: all, road: "webrtc", way: byTURN},
		{name: "both behind symmetric NAT without TURN", symmetric: true, noTURN: true, options: all, road: "relay", way: byGateway},
		{name: "node behind NAT", phoneOpen: true, options: all, road: "webrtc", way: byNode},
		{name: "phone behind NAT", nodeOpen: true, options: all, road: "webtransport", way: byNode},
		{name: "phone behind NAT, WebRTC", nodeOpen: true, options: only, road: "webrtc", way: byNode},
	} {
		w.part(t, row.name, func(t *testing.T) {
			if row.nodeOpen {
				node.Open(portLink)
				defer node.Shut(portLink)
			}
			if row.phoneOpen {
				phone.Open(portLink)
				defer phone.Shut(portLink)
			}
			if row.symmetric {
				node.Symmetric()
				defer node.Cone()
				phone.Symmetric()
				defer phone.Cone()
			}
			if row.blocked {
				phone.BlockUDP()
				defer phone.UnblockUDP()
			}
			if row.noTURN {
				w.dropTURN("-I")
				defer w.dropTURN("-D")
			}
			w.client(row.options)
			began := time.Now()
			w.openRoad(row.road)
			t.Logf("settled on %s after %v", row.road, time.Since(began).Round(time.Millisecond))
			w.by(t, row.way)
		})
	}
}

// dropTURN loses what comes to the TURN server, or no longer.
func (w *town) dropTURN(what string) {
	for _, protocol := range []string{"udp", "tcp"} {
		w.GateHost.Run("iptables", "-w", what, "INPUT", "-p", protocol, "--dport", strconv.Itoa(portTURN), "-j", "DROP")
	}
}

// TestNetworks: the network changes, shrinks, or loses UDP, and pages come whole.
func TestNetworks(t *testing.T) {
	w := newTown(t)
	phone := w.phoneRouter
	w.nodeRouter.Open(portLink) // the phone is behind NAT
	roads := []struct{ road, options string }{{"webtransport", "true"}, {"webrtc", "{ kinds: ['webrtc'] }"}}

	w.part(t, "UDP blocked from the start", func(t *testing.T) {
		phone.BlockUDP()
		defer phone.UnblockUDP()
		w.dropTURN("-I")
		defer w.dropTURN("-D")
		w.client("{ kinds: [] }")
		plain := w.must("without roads")
		w.client("true")
		w.run("platen.roads.prepare(job.node);", nil)
		first := w.must("with roads")
		t.Logf("first page: %.0f ms; without roads %.0f ms", first.Ms, plain.Ms)
		if first.Ms > plain.Ms+1500 {
			t.Errorf("the first page took %.0f ms, without roads %.0f ms", first.Ms, plain.Ms)
		}
		w.openRoad("relay")
	})
	for range max(1, *rounds/3) {
		for _, row := range roads {
			w.part(t, "UDP blocked in mid-page of "+row.road, func(t *testing.T) {
				w.client(row.options)
				w.openRoad(row.road)
				w.midPage(t, "blocked", phone.BlockUDP)
				phone.UnblockUDP()
			})
			w.part(t, "rebound in mid-page of "+row.road, func(t *testing.T) {
				w.client(row.options)
				w.openRoad(row.road)
				w.midPage(t, "rebound", phone.Rebind)
			})
		}
	}
	there, here := w.mobile, phone
	move := func() {
		w.PhoneHost.Roam("eth0", there)
		there, here = here, there
	}
	for range max(1, *rounds/3) {
		for _, row := range roads {
			w.part(t, "moved in mid-page of "+row.road, func(t *testing.T) {
				w.client(row.options)
				w.openRoad(row.road)
				w.midPage(t, "moved", move)
				w.found(t, row.road)
			})
			// What the page sends next is the first that cannot leave.
			w.part(t, "moved between pages of "+row.road, func(t *testing.T) {
				w.client(row.options)
				w.openRoad(row.road)
				move()
				t.Logf("%+v", w.must("after the move"))
				w.found(t, row.road)
			})
		}
	}
}

// found fails the test unless a page that has moved has the road again after few tries, and is
// still signed in. Pages may come by the relay all the same, if that was the faster one.
func (w *town) found(t *testing.T, road string) {
	t.Helper()
	var got struct {
		Road, Direct string
		Tries        int // but for the one before the move
	}
	w.run(fmt.Sprintf(`
		const end = Date.now() + 15_000;
		for (;;) {
			platen.roads.prepare(job.node);
			const state = platen.roads.state(job.node);
			if (state.direct === 'open' && [%q, 'relay'].includes(state.road) || Date.now() > end) {
				await platen.job(job.id);
				return { ...state, tries: states.filter(({ direct }) => direct === 'trying').length - 1 };
			}
			await new Promise((r) => setTimeout(r, 50));
		}`, road), &got)
	if t.Logf("%+v", got); got.Direct != "open" || got.Road != road && got.Road != "relay" || got.Tries > 3 {
		t.Errorf("after the move: %+v, want %s after at most 3 tries", got, road)
	}
}

// TestMTU: packets of more than 1280 bytes vanish between the phone and both others, who
// are not told.
func TestMTU(t *testing.T) {
	w := newTown(t)
	w.nodeRouter.Open(portLink)
	for _, h := range []*testenv.Host{w.NodeHost, w.GateHost} {
		h.Run("ip", "link", "set", "eth0", "gso_max_segs", "1") // a card is to see the packets one by one
	}
	w.phoneRouter.MTU(1280)
	for _, row := range []struct{ road, options string }{{"webtransport", "true"}, {"webrtc", "{ kinds: ['webrtc'] }"}, {"relay", "{ kinds: [] }"}} {
		w.part(t, row.road, func(t *testing.T) {
			w.client(row.options)
			w.openRoad(row.road)
			t.Logf("%+v", w.must(row.road))
		})
	}
}

// TestBadWeather: on lines that lose, delay and reorder packets pages come whole, and
// what is asked meanwhile is answered.
func TestBadWeather(t *testing.T) {
	w := newTown(t)
	w.nodeRouter.Open(portLink)
	for _, row := range []struct {
		name    string
		dpi     int
		weather testenv.Weather
	}{
		{"2 % lost", 100, testenv.Weather{Loss: 0.02, Delay: 10 * time.Millisecond}},
		{"10 % lost", 75, testenv.Weather{Loss: 0.1, Delay: 10 * time.Millisecond}},
		{"30 % lost", 75, testenv.Weather{Loss: 0.3, Delay: 5 * time.Millisecond}},
		{"600 ms and reordering", 75, testenv.Weather{Delay: 300 * time.Millisecond, Jitter: 5 * time.Millisecond, Reorder: 0.02}},
	} {
		w.scan(t, row.dpi)
		for _, by := range []struct{ road, options string }{{"webtransport", "true"}, {"webrtc", "{ kinds: ['webrtc'] }"}, {"relay", "{ kinds: [] }"}} {
			if by.road == "webrtc" && *rounds <= 3 && row.weather.Loss > 0 && row.weather.Loss != 0.1 {
				continue // takes long: make roads
			}
			w.part(t, row.name+" by "+by.road, func(t *testing.T) {
				w.client(by.options)
				w.openRoad(by.road)
				w.wire.Set(row.weather)
				defer w.wire.Set(testenv.Weather{})
				w.counts.bytes()
				got, err := w.fetchWithControl(t, time.Minute)
				w.whole(got.fetched, err, row.name)
				t.Logf("%.0f ms for %d bytes, then on %s; %d questions, the slowest %.0f ms %s; bytes: %v",
					got.Ms, got.Bytes, got.Road, got.Asked, got.Most, got.Error, w.counts.bytes())
				if got.Error != "" || got.Most > 20_000 {
					t.Errorf("the job: %s, at most %.0f ms", got.Error, got.Most)
				}
			})
		}
	}
}
