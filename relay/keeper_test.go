package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
)

func TestKeeperPrefersQUIC(t *testing.T) {
	run(t, func(w *world) { w.quic.delay = 290 * time.Millisecond }, func(w *world) {
		w.pass(time.Hour)
		w.wantUps(relay.KindQUIC)
		w.wantDials(w.quic, 0)
		w.wantDials(w.tcp)
		w.answers(w.newest(w.quic))
	})
}

func TestKeeperRacesTCP(t *testing.T) {
	run(t, func(w *world) { w.quic.delay, w.tcp.delay = -1, 20*time.Millisecond }, func(w *world) {
		w.pass(321 * time.Millisecond)
		w.wantUps(relay.KindTCP)
		w.wantDials(w.tcp, 300*time.Millisecond)
		w.answers(w.newest(w.tcp))
	})
}

func TestKeeperDoesNotWaitForAFailure(t *testing.T) {
	run(t, func(w *world) { w.quic.err = errBlocked }, func(w *world) {
		w.pass(time.Millisecond)
		w.wantUps(relay.KindTCP)
		w.wantDials(w.tcp, 0)
	})
}

func TestKeeperClosesTheLoser(t *testing.T) {
	run(t, func(w *world) { w.quic.delay, w.tcp.delay = 400*time.Millisecond, 100*time.Millisecond }, func(w *world) {
		w.pass(time.Second) // both are there at 400 ms
		w.mu.Lock()
		ups := len(w.ups)
		w.mu.Unlock()
		if ups != 1 {
			w.t.Errorf("%d links came up, want 1", ups)
		}
		open := 0
		for _, r := range []*road{w.quic, w.tcp} {
			for _, l := range r.links {
				if alive(l) {
					open++
				}
			}
		}
		if open != 1 {
			w.t.Errorf("%d links are open, want 1", open)
		}
	})
}

func TestKeeperUpgradesWithoutDroppingRequests(t *testing.T) {
	goOn := make(chan struct{})
	run(t, func(w *world) {
		goOn = make(chan struct{})
		w.quic.delay, w.random = -1, 0
		w.handler = func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/page" {
				http.NewResponseController(rw).Flush()
				<-goOn
			}
			io.WriteString(rw, "pong")
		}
	}, func(w *world) {
		w.pass(time.Second)
		old := w.newest(w.tcp)
		r, _ := http.NewRequestWithContext(w.t.Context(), "GET", "http://node/page", nil)
		page, err := old.RoundTrip(r)
		if err != nil {
			w.t.Fatal(err)
		}
		defer page.Body.Close()
		const up = 300 * time.Millisecond
		w.pass(6 * time.Minute) // the probe after a minute fails, the next is due ten minutes later
		w.wantDials(w.quic, 0, up+time.Minute)
		w.set(w.quic, func(r *road) { r.delay = 0 })
		w.pass(4 * time.Minute)
		w.wantUps(relay.KindTCP)
		w.pass(2 * time.Minute)
		w.wantUps(relay.KindTCP, relay.KindQUIC)
		w.wantDials(w.quic, 0, up+time.Minute, up+time.Minute+5*time.Second+10*time.Minute)
		w.answers(w.newest(w.quic))
		if !alive(old) {
			w.t.Fatal("the old link closed with an answer under way")
		}
		close(goOn)
		if b, err := io.ReadAll(page.Body); string(b) != "pong" || err != nil {
			w.t.Errorf("the answer under way = %q, %v, want pong", b, err)
		}
		w.pass(3 * time.Second)
		if alive(old) {
			w.t.Error("the old link stays open after its last answer")
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.downs) != 0 {
			w.t.Errorf("the node was told that it has no link: %v", w.downs)
		}
	})
}

func TestKeeperRemembersThatUDPIsBad(t *testing.T) {
	run(t, func(w *world) { w.quic.delay, w.random = -1, 0 }, func(w *world) {
		w.pass(30 * time.Second)
		w.newest(w.tcp).Close("")
		w.pass(10 * time.Millisecond)
		w.wantUps(relay.KindTCP, relay.KindTCP)
		w.wantDials(w.quic, 0) // TCP was asked first this time, and answered at once
	})
}

func TestKeeperDrainsUnderALimit(t *testing.T) {
	run(t, func(w *world) {
		w.handler = func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/stream" { // that heeds no drain
				http.NewResponseController(rw).Flush()
				<-r.Context().Done()
			}
			io.WriteString(rw, "pong")
		}
	}, func(w *world) {
		first := w.newest(w.quic)
		r, _ := http.NewRequestWithContext(w.t.Context(), "GET", "http://node/stream", nil)
		stream, err := first.RoundTrip(r)
		if err != nil {
			w.t.Fatal(err)
		}
		defer stream.Body.Close()
		w.keeper.Redial(90 * time.Second)
		w.pass(89 * time.Second)
		w.wantUps(relay.KindQUIC)
		w.pass(2 * time.Second)
		w.wantUps(relay.KindQUIC, relay.KindQUIC)
		w.answers(w.newest(w.quic))
		w.answers(first) // sent before the gateway knew of the next
		w.pass(4 * time.Minute)
		if !alive(first) {
			w.t.Error("the old link closed before its limit")
		}
		w.pass(2 * time.Minute)
		if alive(first) {
			w.t.Error("an endless answer keeps the old link for ever")
		}
	})
}

func TestKeeperRetriesADrain(t *testing.T) {
	run(t, func(w *world) { w.noFallback = true }, func(w *world) {
		first := w.newest(w.quic)
		w.set(w.quic, func(r *road) { r.err = errBlocked })
		w.keeper.Redial(0)
		w.pass(time.Second)
		w.answers(first)
		w.set(w.quic, func(r *road) { r.err = nil })
		w.pass(time.Minute)
		w.wantUps(relay.KindQUIC, relay.KindQUIC)
		if alive(first) || !alive(w.newest(w.quic)) {
			w.t.Error("the old link did not give way")
		}
	})
}

func TestKeeperBacksOff(t *testing.T) {
	run(t, func(w *world) { w.noFallback, w.quic.err = true, errBlocked }, func(w *world) {
		w.pass(5 * time.Minute)
		// Full jitter at its ceiling: 200 ms doubled to 8 s for a minute, then to 60 s.
		var want []time.Duration
		for _, ms := range []int{0, 200, 400, 800, 1600, 3200, 6400, 8000, 8000, 8000, 8000, 8000, 8000, 60000, 60000, 60000} {
			at := time.Duration(ms) * time.Millisecond
			if len(want) > 0 {
				at += want[len(want)-1]
			}
			want = append(want, at)
		}
		w.wantDials(w.quic, want...)
		w.mu.Lock()
		if got := len(w.downs); got != len(want) || !errors.Is(w.downs[0], errBlocked) {
			w.t.Errorf("the node was told %d times (%v), want %d", got, w.downs, len(want))
		}
		w.mu.Unlock()
		w.set(w.quic, func(r *road) { r.err = nil })
		w.pass(time.Minute)
		w.wantUps(relay.KindQUIC)
		w.pass(time.Minute)
		w.newest(w.quic).Close("")
		w.pass(201 * time.Millisecond) // a link that held starts anew
		w.wantUps(relay.KindQUIC, relay.KindQUIC)
	})
}

func TestKeeperDoesNotSpin(t *testing.T) {
	run(t, func(w *world) { w.noFallback = true }, func(w *world) {
		for range 600 { // each link is closed as soon as it stands
			if l := w.newest(w.quic); alive(l) {
				l.Close("")
			}
			w.pass(100 * time.Millisecond)
		}
		w.quic.mu.Lock()
		defer w.quic.mu.Unlock()
		if n := len(w.quic.dialed); n > 20 {
			w.t.Errorf("%d dials in a minute to a gateway that closes at once", n)
		}
	})
}

func TestKeeperHearsNo(t *testing.T) {
	for _, row := range []struct {
		name    string
		prepare func(*world)
		want    problem.Code
	}{
		{"revoked", func(w *world) {
			w.quic.allowed, w.tcp.allowed = problem.NodeRevoked.Error(), problem.NodeRevoked.Error()
		}, problem.NodeRevoked},
		{"another key", func(w *world) { w.target.Pin = "other" }, problem.GatewayKeyChanged},
	} {
		t.Run(row.name, func(t *testing.T) {
			run(t, row.prepare, func(w *world) {
				w.pass(59 * time.Second)
				w.wantDials(w.tcp, 0)
				w.mu.Lock()
				if len(w.downs) != 1 || !errors.Is(w.downs[0], row.want.Error()) {
					w.t.Errorf("the node was told %v, want %s", w.downs, row.want)
				}
				w.mu.Unlock()
				w.pass(9 * time.Second)
				w.wantDials(w.tcp, 0, 66*time.Second)
			})
		})
	}
}

func TestKeeperIsToldOfARevocation(t *testing.T) {
	run(t, func(w *world) {}, func(w *world) {
		w.newest(w.quic).Close(string(problem.NodeRevoked))
		w.pass(time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.downs) != 1 || !errors.Is(w.downs[0], problem.NodeRevoked.Error()) {
			w.t.Errorf("the node was told %v, want %s", w.downs, problem.NodeRevoked)
		}
		w.wantDials(w.quic, 0)
	})
}

func TestKeeperLeavesASilentLink(t *testing.T) {
	run(t, func(w *world) { w.quic.traffic, w.random = new(traffic), 0 }, func(w *world) {
		for range 10 { // an idle link: a ping and its answer, then an acknowledgement that nobody answers
			w.quic.traffic.sent.Add(1)
			w.quic.traffic.heard.Add(1)
			w.pass(time.Second)
			w.quic.traffic.sent.Add(2)
			w.pass(time.Minute)
		}
		w.wantUps(relay.KindQUIC)
		w.wantDials(w.tcp)
		goesSilent := func() {
			w.quic.traffic.heard.Add(1)
			w.set(w.quic, func(r *road) { r.delay = -1 }) // UDP is dropped from here
			for i := range 8 {                            // the transport probes
				w.quic.traffic.sent.Add(1)
				w.pass(time.Duration(i) * 100 * time.Millisecond)
			}
			w.set(w.quic, func(r *road) { r.delay = 0 })
		}
		goesSilent() // for less than three seconds
		w.wantUps(relay.KindQUIC, relay.KindTCP)
		w.answers(w.newest(w.tcp))
		w.pass(50 * time.Second)
		w.wantUps(relay.KindQUIC, relay.KindTCP)
		w.pass(20 * time.Second) // it is tried again after a minute
		w.wantUps(relay.KindQUIC, relay.KindTCP, relay.KindQUIC)
		goesSilent()
		ups := []relay.Kind{relay.KindQUIC, relay.KindTCP, relay.KindQUIC, relay.KindTCP}
		w.wantUps(ups...)
		w.pass(9 * time.Minute) // and after ten, the second time
		w.wantUps(ups...)
		w.pass(2 * time.Minute)
		w.wantUps(append(ups, relay.KindQUIC)...)
	})
}

func TestKeeperForgivesASlowLink(t *testing.T) {
	run(t, func(w *world) { w.quic.traffic, w.tcp.delay = new(traffic), time.Second }, func(w *world) {
		w.set(w.quic, func(r *road) { r.delay = -1 })
		w.keeper.Suspect()
		w.pass(500 * time.Millisecond)
		w.quic.traffic.heard.Add(1) // it lives
		w.pass(2 * time.Second)
		w.wantUps(relay.KindQUIC)
		w.answers(w.newest(w.quic))
		if l := w.newest(w.tcp); alive(l) {
			w.t.Error("the link that was not needed stays open")
		}
	})
}

func TestKeeperFollowsASuspicion(t *testing.T) {
	run(t, func(w *world) {}, func(w *world) {
		w.pass(time.Second)
		w.keeper.Suspect()
		w.pass(time.Millisecond)
		w.wantUps(relay.KindQUIC, relay.KindTCP)
		w.answers(w.newest(w.tcp))
	})
}

func TestKeeperEndsWhileDialing(t *testing.T) {
	run(t, func(w *world) { w.quic.delay, w.tcp.delay = -1, -1 }, func(w *world) { w.pass(time.Second) })
}

func TestKeeperAsksForTheTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		k, err := relay.NewKeeper(relay.Config{
			Dialers: []relay.Dialer{(&memlink.Gateway{}).Dialer()}, Handler: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler),
			Target: func(context.Context) (relay.Target, error) { asked++; return relay.Target{}, fmt.Errorf("not joined") },
			Rand:   func() float64 { return 1 },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		k.Serve(ctx)
		if asked != 3 { // at 0, 200 and 600 ms
			t.Errorf("asked for the target %d times, want 3", asked)
		}
	})
}

func TestNewKeeperWantsItsParts(t *testing.T) {
	if _, err := relay.NewKeeper(relay.Config{}); err == nil {
		t.Error("NewKeeper of nothing succeeded")
	}
	if _, err := relay.NewKeeper(relay.Config{Dialers: []relay.Dialer{(&memlink.Gateway{}).Dialer()}}); err == nil {
		t.Error("NewKeeper without a handler succeeded")
	}
}
