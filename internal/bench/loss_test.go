//go:build bench

package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

// roundTrip is the median time of TCP's handshake between two hosts.
func roundTrip(t *testing.T, from *testenv.Host, to string) string {
	t.Helper()
	times := make([]time.Duration, 41)
	for i := range times {
		begin := time.Now()
		c, err := from.Dial(t.Context(), "tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		times[i] = time.Since(begin)
		c.Close()
	}
	return ms(median(times))
}

// bad is a network with a delay in each direction, and so much loss.
func bad(loss float64) testenv.Weather {
	return testenv.Weather{Delay: 5 * time.Millisecond, Loss: loss}
}

// getUsed lets pages come until the network's last change no longer counts: BBR goes by the
// shortest round trip of the last ten seconds, and takes a while to find back.
func getUsed(t *testing.T, fetch ...func() error) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < 15*time.Second; {
		for _, f := range fetch {
			if err := f(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// losing measures the same page where the node's cable has a delay and loses frames.
func losing(t *testing.T, r *report) {
	quic, tcp, all := newLink(t, onlyQUIC, ""), newLink(t, onlyTCP, ""), newLink(t, both, "")
	reno := newLink(t, both, "reno")
	links := []link{quic, tcp, all, reno}
	wires := []*testenv.Wire{}
	for _, l := range links {
		wires = append(wires, l.NodeHost.Wire("eth0", testenv.Weather{}))
		testenv.Eventually(t, "the node is back behind its wire", time.Minute, func() bool { return l.relayed()() == nil })
	}
	rows := []string{}
	for _, loss := range []float64{0, 0.001, 0.01} {
		for _, w := range wires {
			w.Set(bad(loss))
		}
		getUsed(t, tcp.relayed(), all.relayed(), reno.relayed())
		rtt := roundTrip(t, all.NodeHost, all.GatewayForNode+":18602")
		rounds := 7
		if loss == 0.01 {
			rounds = 4 // some take a quarter of a minute
		}
		sides := interleave(t, rounds,
			side{"direct HTTP", all.direct()},
			side{"relayed, link over " + onlyQUIC, quic.relayed()},
			side{"relayed, link over " + onlyTCP, tcp.relayed()},
			side{"relayed, link over " + both, all.relayed()},
			side{"direct HTTP, hosts with Reno", reno.direct()},
			side{"relayed, link over both, hosts with Reno", reno.relayed()},
		)
		for _, s := range sides {
			rows = append(rows, fmt.Sprintf("%.1f %% | %s | %s | %s | %.1f | %.2f", loss*100, rtt, s.name, s, pageBytes/1e6/s.median().Seconds(), sides[0].over(s)))
		}
		if loss == 0.01 {
			for _, s := range sides[2:4] {
				r.goal("MB/s at 1 % loss and 10 ms, "+strings.TrimPrefix(s.name, "relayed, "), "≥ 60", "%.0f", pageBytes/1e6/s.median().Seconds())
			}
		}
	}
	r.section("Relaying over a bad network", "The same page where the node's cable delays by 5 ms each way and loses frames of both directions (a userland wire, so the round trip is "+
		"measured beside; it grows with the machine's load). Pages came for 15 s before each row. The kernel's default TCP is BBR here; most systems have Cubic, which falls as Reno does. Where the hosts have Reno the node still asks the "+
		"kernel for BBR on the TCP connection of its link (`relay.TuneSender`), which is allowed here: the direct row is what a link without that would have. QUIC is quic-go's Cubic.")
	r.table("loss | round trip | road | time | MB/s | of direct", rows...)
	r.WriteString("\nMeasured elsewhere and once, at 10 ms (0 and 1 % loss): direct 80 and 75 MB/s, frp over TLS/TCP 105 and 93 (both with BBR), frp over QUIC 35 and 2.0, chisel 91 and 62.\n")
}
