package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// rates sets what the two links carry.
func rates(quic, tcp *wire, ofQUIC, ofTCP int) {
	quic.set(func(w *wire) { w.rate = ofQUIC })
	tcp.set(func(w *wire) { w.rate = ofTCP })
}

// spent counts the bytes that came over the links since the last call.
func spent(links ...*wire) (each []int) {
	for _, w := range links {
		w.set(func(w *wire) { each = append(each, w.taken); w.taken = 0 })
	}
	return each
}

func TestCompanionOfABody(t *testing.T) {
	newDesk(t, 30*mega, func(d *desk) {
		quic := d.open(relay.KindQUIC, false)
		quic.set(func(w *wire) { w.rate = 2e6 })
		d.fetch()
		tcp := d.open(relay.KindTCP, true)
		tcp.set(func(w *wire) { w.rate = 75e6 })
		spent(quic, tcp)
		if took := d.fetch(); took > time.Second {
			t.Errorf("a page took %v", took)
		}
		if got := spent(quic, tcp); got[0] > 0 {
			t.Errorf("%d bytes came over the worse link", got[0])
		}
	})
}

func TestBodyMovesInMidPage(t *testing.T) {
	newDesk(t, 30*mega, func(d *desk) {
		quic := d.open(relay.KindQUIC, false)
		quic.set(func(w *wire) { w.rate = 2e6 })
		body := d.body()
		at := d.take(body, 0, 3*mega, 0)
		tcp := d.open(relay.KindTCP, true)
		tcp.set(func(w *wire) { w.rate = 75e6 })
		began := time.Now()
		d.finish(body, at, 0)
		if took := time.Since(began); took > 2500*time.Millisecond {
			t.Errorf("the rest took %v", took)
		}
		if n := quic.bytes(); n > 6*mega {
			t.Errorf("%d bytes came over the worse link", n)
		}
		if n := quic.bytes() + tcp.bytes(); n > 31*mega {
			t.Errorf("%d bytes came for a page of %d", n, 30*mega)
		}
	})
}

// A short body moves too where the link keeps its browser waiting for long.
func TestShortBodyMovesFromASlowLink(t *testing.T) {
	for _, row := range []struct {
		rate  int
		moves bool
	}{{125e3, true}, {400e3, false}, {5e6, false}} {
		newDesk(t, 900_000, func(d *desk) {
			quic := d.open(relay.KindQUIC, false)
			quic.set(func(w *wire) { w.rate = row.rate })
			body := d.body()
			at := d.take(body, 0, 200_000, 0)
			tcp := d.open(relay.KindTCP, true)
			tcp.set(func(w *wire) { w.rate = 75e6 })
			d.finish(body, at, 0)
			switch moved := len(tcp.ranges()) > 0; {
			case moved != row.moves:
				t.Errorf("at %d bytes a second the body moved: %v, want %v", row.rate, moved, row.moves)
			case moved && quic.bytes() > 400_000:
				t.Errorf("%d bytes came over the worse link", quic.bytes())
			}
		})
	}
}

func TestBodyMovesBack(t *testing.T) {
	newDesk(t, 60*mega, func(d *desk) {
		quic, tcp := d.both()
		rates(quic, tcp, 20e6, 20e6)
		d.fetch()
		if got := spent(quic, tcp); got[1] < got[0] {
			t.Errorf("%d bytes came over the one link and %d over the other: equal ones, of which TCP costs less", got[0], got[1])
		}
		body := d.body()
		at := d.take(body, 0, 10*mega, 0)
		tcp.set(func(w *wire) { w.rate = 1e6 }) // lossy, and not by BBR
		began := time.Now()
		d.finish(body, at, 0)
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("the rest took %v", took)
		}
		if n := tcp.bytes(); n > 20*mega {
			t.Errorf("%d bytes came over a link that had turned bad", n)
		}
		spent(quic, tcp)
		d.fetch()
		if got := spent(quic, tcp); got[1] > 0 {
			t.Errorf("%d bytes of the next page came over the bad link", got[1])
		}
		tcp.set(func(w *wire) { w.rate = 50e6 }) // another network
		time.Sleep(estimateKept)
		d.fetch()
		if got := spent(quic, tcp); got[1] < 50*mega {
			t.Errorf("%d bytes came over the link that is better again", got[1])
		}
	})
}

// What a change of the network did to the first link that met it is no verdict on it.
func TestNetworkChanges(t *testing.T) {
	newDesk(t, 100*mega, func(d *desk) {
		quic, tcp := d.both()
		rates(quic, tcp, 100e6, 200e6)
		d.fetch()
		tcp.stalled(d) // so that the other is measured too
		d.fetch()
		time.Sleep(stallKept)
		rates(quic, tcp, 20e6, 10e6) // TCP still finds its rate
		body := d.body()
		at := d.take(body, 0, 40*mega, 0)
		tcp.set(func(w *wire) { w.rate = 40e6 })
		d.finish(body, at, 0)
		time.Sleep(companionBad)
		d.fetch()
		spent(quic, tcp)
		d.fetch()
		if got := spent(quic, tcp); got[1] < 90*mega {
			t.Errorf("%d bytes came over the link that is twice as good, %d over the other", got[1], got[0])
		}
	})
}

// Another companion is not judged by what the one before it carried.
func TestCompanionIsRenewed(t *testing.T) {
	newDesk(t, 60*mega, func(d *desk) {
		quic, old := d.both()
		rates(quic, old, 20e6, 2e6)
		d.fetch()
		d.fetch()
		spent(quic, old)
		d.fetch()
		if got := spent(quic, old); got[1] > 0 {
			t.Fatalf("%d bytes came over the bad companion", got[1])
		}
		next := d.open(relay.KindTCP, true)
		next.set(func(w *wire) { w.rate = 80e6 })
		for range 2 {
			d.fetch()
			if got := spent(quic, old, next); got[2] < 50*mega { // the link may be measured again
				t.Errorf("%v bytes came over link, companion before and companion", got)
			}
		}
	})
}

// However the links change, a body does not run to and fro.
func TestBodyMovesRarely(t *testing.T) {
	newDesk(t, 100*mega, func(d *desk) {
		quic, tcp := d.both()
		body := d.body()
		at := 0
		for i := range 19 {
			rates(quic, tcp, 1e6+i%2*8e6, 1e6+(i+1)%2*8e6)
			at = d.take(body, at, 5*mega, 0)
		}
		d.finish(body, at, 0)
		if n := len(quic.ranges()) + len(tcp.ranges()); n > 1+maxMoves {
			t.Errorf("the page was asked for %d times, want at most %d", n, 1+maxMoves)
		}
	})
}

// A browser slower than both links keeps its link.
func TestSlowBrowserStays(t *testing.T) {
	newDesk(t, 20*mega, func(d *desk) {
		quic, tcp := d.both()
		rates(quic, tcp, 50e6, 10e6)
		body := d.body()
		d.finish(body, 0, 4e6)
		d.wantRanges(quic)
		d.wantRanges(tcp, "")
	})
}

func TestCompanionTakesNoControl(t *testing.T) {
	newDesk(t, mega, func(d *desk) {
		quic := d.open(relay.KindQUIC, false)
		states := d.nodeStates()
		tcp := d.open(relay.KindTCP, true)
		if d.n.eventStreams() != 1 || d.reg.link.Link != relay.Link(quic) || d.reg.bulk.Link != relay.Link(tcp) {
			t.Fatal("the companion is not beside the link")
		}
		time.Sleep(time.Minute) // it says nothing: that is no silence
		if tcp.isGone() || d.n.eventStreams() != 1 {
			t.Fatal("the companion was given up")
		}
		for _, c := range []class{briefly, following} {
			a := &asking{g: d.g, node: d.reg, caller: d.caller(), class: c, ctx: d.ctx}
			answer, err := a.RoundTrip(d.request(d.ctx, http.MethodGet))
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
		}
		d.wantRanges(quic, "", "")
		spent(quic, tcp)
		d.fetch()
		if quic.bytes() != 0 || tcp.bytes() != mega {
			t.Error("the page did not come over the companion")
		}

		quic.Close("")
		synctest.Wait()
		if d.n.eventStreams() != 2 || d.reg.link == nil || d.reg.link.Link != relay.Link(tcp) || d.reg.bulk != nil {
			t.Fatal("the companion does not take the place of the link that is gone")
		}
		adf := d.n.scanner("ADF")
		d.n.tell(scan.Event{Type: scan.EventDeviceState, Scanner: &adf})
		synctest.Wait()
		if list, away, _ := d.g.registry.scannerPage("", 200); len(list) != 2 || len(away) != 0 {
			t.Errorf("%d scanners, away %v: the events are not followed over it", len(list), away)
		}
		for _, s := range states() {
			if s.State != scan.NodeOnline {
				t.Errorf("the node was shown as %s", s.State)
			}
		}
		d.n.mu.Lock()
		d.n.quiet = true
		d.n.mu.Unlock()
		time.Sleep(silenceLimit + time.Second)
		synctest.Wait()
		if !tcp.isGone() || d.g.registry.online(d.reg) {
			t.Error("a silent link that was a companion still stands")
		}
	})
}

func (w *wire) isGone() bool { return isDone(w.Done()) }

// nodeStates collects what clients are told of the node.
func (d *desk) nodeStates() func() []scan.Node {
	d.t.Helper()
	after := d.g.events.head()
	return func() (states []scan.Node) {
		events, _, err := d.g.events.after(after)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, e := range events {
			if e.Node != nil {
				states = append(states, *e.Node)
			}
		}
		return states
	}
}

func TestCompanionGoes(t *testing.T) {
	newDesk(t, mega, func(d *desk) {
		quic, tcp := d.both()
		tcp.Close("")
		synctest.Wait()
		if d.reg.bulk != nil || d.reg.link.Link != relay.Link(quic) {
			t.Fatal("a companion that is gone still takes bodies")
		}
		d.fetch()

		// The node opens another one, then both anew, as for a drain.
		second := d.open(relay.KindTCP, true)
		third := d.open(relay.KindTCP, true)
		if d.reg.bulk.Link != relay.Link(third) || second.isGone() {
			t.Error("the newest companion does not take the place of the one before")
		}
		next := d.open(relay.KindQUIC, false)
		if d.reg.link.Link != relay.Link(next) || d.reg.bulk != nil || quic.isGone() || third.isGone() {
			t.Error("a new link does not replace both")
		}
		third.Close("")
		quic.Close("")
		synctest.Wait()
		if d.reg.link.Link != relay.Link(next) {
			t.Error("a link that was replaced came back")
		}
		// One that comes when there is no link is no companion.
		next.Close("")
		second.Close("")
		synctest.Wait()
		only := d.open(relay.KindTCP, true)
		if d.reg.link == nil || d.reg.link.Link != relay.Link(only) || d.reg.bulk != nil {
			t.Error("the only link does not take requests")
		}
		// However many a node opens, few stand.
		for range 3 * maxLinks {
			d.open(relay.KindTCP, true)
		}
		if got := len(d.reg.links); got > maxLinks {
			t.Errorf("%d links of one node stand, want at most %d", got, maxLinks)
		}
		if d.reg.link.Link != relay.Link(only) || only.isGone() {
			t.Error("companions pushed the link out")
		}
	})
}

// Both go at once, the companion unnoticed so far.
func TestCompanionIsGoneToo(t *testing.T) {
	newDesk(t, mega, func(d *desk) {
		quic, tcp := d.both()
		tcp.Close("")
		quic.Close("")
		synctest.Wait()
		if d.g.registry.online(d.reg) {
			t.Error("a node without a link is online")
		}
	})
}

func TestGrowingPageIsNotCarried(t *testing.T) {
	newDesk(t, mega, func(d *desk) {
		quic, tcp := d.both()
		strips := make(chan string)
		d.n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "image/jpeg")
			w.Header().Set("Etag", d.etag)
			for s := range strips {
				io.WriteString(w, s)
				http.NewResponseController(w).Flush()
			}
			return nil
		})
		go func() {
			for i := range 5 {
				strips <- fmt.Sprint(i)
				time.Sleep(2 * stallAfter) // a slow scanner is no stalled link
			}
			close(strips)
		}()
		answer, err := d.ask(context.Background(), http.MethodGet)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(answer.Body); string(text) != "01234" || err != nil {
			t.Errorf("the page = %q, %v", text, err)
		}
		answer.Body.Close()
		d.wantRanges(quic)
		d.wantRanges(tcp, "")
	})
}
