package relay_test

import (
	"cmp"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

// sends makes the world's node answer /hello with what its link is for, and
// /body?size=…&every=…&piece=… with a body in pieces, of 64 KiB if it says no other, the
// second way as io.Copy does.
func (w *world) sends() {
	w.handler = func(rw http.ResponseWriter, r *http.Request) {
		size, _ := strconv.ParseInt(r.URL.Query().Get("size"), 10, 64)
		every, _ := time.ParseDuration(r.URL.Query().Get("every"))
		piece, _ := strconv.ParseInt(r.URL.Query().Get("piece"), 10, 64)
		switch r.URL.Path {
		case "/hello":
			io.WriteString(rw, map[bool]string{false: "present", true: "bulk"}[relay.Bulk(r.Context())])
		case "/body":
			for piece = cmp.Or(piece, 64<<10); size > 0; size -= piece {
				rw.Write(make([]byte, min(size, piece)))
				time.Sleep(every)
			}
		case "/file":
			io.Copy(rw, io.LimitReader(zeros{}, size))
		case "/events":
			http.NewResponseController(rw).Flush()
			<-relay.Draining(r.Context())
		default:
			io.WriteString(rw, "pong")
		}
	}
}

func (w *world) fetch(l relay.Link, path string) string {
	w.t.Helper()
	r, _ := http.NewRequestWithContext(w.t.Context(), "GET", "http://node"+path, nil)
	answer, err := l.RoundTrip(r)
	if err != nil {
		w.t.Fatalf("RoundTrip(%s): %v", path, err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatalf("GET %s: %v", path, err)
	}
	return string(b)
}

func (w *world) wantRole(l relay.Link, want string) {
	w.t.Helper()
	if got := w.fetch(l, "/hello"); got != want {
		w.t.Errorf("the hello over %s says %q, want %q", l.Kind(), got, want)
	}
}

const (
	large = "/body?size=2000000"
	small = "/body?size=1000000"
)

func TestKeeperOpensACompanionOnDemand(t *testing.T) {
	for _, path := range []string{large, "/file?size=2000000"} {
		run(t, (*world).sends, func(w *world) {
			w.fetch(w.newest(w.quic), small)
			w.fetch(w.newest(w.quic), "/body?size=2000000&every=5s") // a stream of events, as it were
			w.pass(time.Hour)
			w.wantDials(w.tcp)
			at := time.Since(w.began)
			w.fetch(w.newest(w.quic), path)
			w.pass(time.Second)
			w.wantDials(w.tcp, at)
			w.wantUps(relay.KindQUIC) // the node hears of its present link only
			w.wantRole(w.newest(w.quic), "present")
			w.wantRole(w.newest(w.tcp), "bulk")
		})
	}
}

// On a slow link a short body is enough, but not one that the node itself is slow to make.
func TestKeeperOpensACompanionOverASlowLink(t *testing.T) {
	for _, row := range []struct {
		path  string
		write time.Duration // for which the link keeps each
		dials []time.Duration
	}{
		{"/body?size=900000", 150 * time.Millisecond, []time.Duration{time.Second}},
		{"/file?size=900000", 400 * time.Millisecond, []time.Duration{time.Second}},
		{"/body?size=900000&piece=300000", 5 * time.Second, []time.Duration{time.Second}},
		{"/body?size=900000", 50 * time.Millisecond, nil},
		{"/file?size=900000", 200 * time.Millisecond, nil},
		{"/body?size=900000&every=1s", 0, nil},
		{"/body?size=50000&piece=5000", time.Second, nil},
		{"/body?size=150000&piece=100&every=2s", 10 * time.Millisecond, nil}, // events
	} {
		run(t, func(w *world) { w.sends(); w.quic.write = row.write }, func(w *world) {
			w.fetch(w.newest(w.quic), row.path)
			w.pass(time.Second)
			w.wantDials(w.tcp, row.dials...)
		})
	}
}

func TestKeeperClosesAnIdleCompanion(t *testing.T) {
	run(t, (*world).sends, func(w *world) {
		w.fetch(w.newest(w.quic), large)
		w.pass(9 * time.Minute)
		first := w.newest(w.tcp)
		w.fetch(first, "/ping")
		w.pass(9 * time.Minute)
		if !alive(first) {
			t.Fatal("a companion in use was closed")
		}
		body := make(chan string)
		go func() { body <- w.fetch(first, "/body?size=200000&every=10m") }()
		w.pass(30 * time.Minute)
		if !alive(first) {
			t.Fatal("a companion with a body under way was closed")
		}
		<-body
		w.pass(10*time.Minute - time.Second)
		if !alive(first) {
			t.Error("the companion was closed early")
		}
		w.pass(10*time.Minute + 4*time.Second)
		if alive(first) {
			t.Error("an idle companion stays open")
		}
		w.answers(w.newest(w.quic))
		w.wantUps(relay.KindQUIC)
		w.fetch(w.newest(w.quic), large)
		w.pass(time.Second)
		if next := w.newest(w.tcp); next == first || !alive(next) {
			t.Error("it does not come back when it is wanted")
		}
	})
}

// A companion that bodies pass by makes place for another, ever more rarely.
func TestKeeperRenewsACompanion(t *testing.T) {
	run(t, (*world).sends, func(w *world) {
		passBy := func(times int) {
			for range times {
				w.fetch(w.newest(w.quic), large)
				w.pass(time.Second)
			}
		}
		passBy(60)
		if n := len(w.tcp.links); n != 4 {
			t.Errorf("%d companions in a minute in which bodies passed them by, want 4", n)
		}
		w.pass(10 * time.Second)
		for _, l := range w.tcp.links[:len(w.tcp.links)-1] {
			if alive(l) {
				t.Error("a companion that was replaced stays open")
			}
		}
		for range 100 { // of use
			w.fetch(w.newest(w.tcp), small)
			w.pass(time.Second)
		}
		last := w.newest(w.tcp)
		w.fetch(w.newest(w.quic), large) // by a body that began before
		w.pass(time.Second)
		if w.newest(w.tcp) != last {
			t.Error("a companion in use was replaced")
		}
		n := len(w.tcp.links)
		passBy(70)
		if got := len(w.tcp.links) - n; got < 2 {
			t.Errorf("one that was of use for long was replaced %d times in the minute after", got)
		}
	})
}

func TestKeeperPromotesTheCompanion(t *testing.T) {
	run(t, func(w *world) { w.sends(); w.random = 0 }, func(w *world) {
		w.fetch(w.newest(w.quic), large)
		w.pass(30 * time.Second)
		w.set(w.quic, func(r *road) { r.delay = -1 })
		w.newest(w.quic).Close("")
		w.pass(time.Millisecond)
		w.wantUps(relay.KindQUIC, relay.KindTCP)
		w.wantDials(w.tcp, 0) // no other
		tcp := w.newest(w.tcp)
		w.wantRole(tcp, "present")
		w.fetch(tcp, large) // the last kind has no companion
		w.pass(10 * time.Minute)
		if !alive(tcp) {
			t.Fatal("the link was closed as an idle companion")
		}
		w.set(w.quic, func(r *road) { r.delay = 0 })
		w.pass(10 * time.Minute)
		w.wantUps(relay.KindQUIC, relay.KindTCP, relay.KindQUIC) // the better kind is tried again
		w.pass(3 * time.Second)
		if alive(tcp) {
			t.Error("the link that was replaced stays open")
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.downs) != 0 {
			t.Errorf("the node was told that it has no link: %v", w.downs)
		}
	})
}

func TestKeeperDrainsBoth(t *testing.T) {
	run(t, (*world).sends, func(w *world) {
		w.fetch(w.newest(w.quic), large)
		w.pass(time.Second)
		old := []relay.Link{w.newest(w.quic), w.newest(w.tcp)}
		events := make(chan string)
		go func() { events <- w.fetch(old[1], "/events") }()
		w.pass(time.Second)
		w.keeper.Redial(0)
		w.pass(time.Second)
		w.wantUps(relay.KindQUIC, relay.KindQUIC)
		<-events // that of the companion heard of the drain
		w.pass(5 * time.Second)
		if slices.ContainsFunc(old, alive) {
			t.Error("a drained link stays open")
		}
		w.fetch(w.newest(w.quic), large)
		w.pass(time.Second)
		w.wantRole(w.newest(w.tcp), "bulk")
	})
}

func TestKeeperAsksRarelyForACompanion(t *testing.T) {
	run(t, func(w *world) { w.sends(); w.tcp.err = errBlocked }, func(w *world) {
		for range 60 { // a page a minute, in a network without TCP
			w.fetch(w.newest(w.quic), large)
			w.pass(time.Minute)
		}
		w.wantUps(relay.KindQUIC)
		w.wantDials(w.tcp, 0, time.Minute, 11*time.Minute, 21*time.Minute, 31*time.Minute, 41*time.Minute, 51*time.Minute)
		w.set(w.tcp, func(r *road) { r.err = nil })
		w.keeper.Redial(0) // another link may stand in another network
		w.pass(time.Second)
		w.fetch(w.newest(w.quic), large)
		w.pass(time.Second)
		w.wantRole(w.newest(w.tcp), "bulk")
	})
}

// A companion that is closed at once is not dialed for each page.
func TestKeeperDoesNotSpinOnCompanions(t *testing.T) {
	run(t, (*world).sends, func(w *world) {
		for range 100 {
			w.fetch(w.newest(w.quic), large)
			w.pass(time.Second)
			if l := w.newest(w.tcp); alive(l) {
				l.Close("")
			}
			w.pass(time.Second)
		}
		w.tcp.mu.Lock()
		defer w.tcp.mu.Unlock()
		if n := len(w.tcp.dialed); n != 2 {
			t.Errorf("%d dials, want 2", n)
		}
	})
}

func TestKeeperHasNoCompanionOfTheLastKind(t *testing.T) {
	run(t, func(w *world) { w.sends(); w.quic.err = errBlocked }, func(w *world) {
		w.fetch(w.newest(w.tcp), large)
		w.pass(30 * time.Second)
		w.tcp.mu.Lock()
		defer w.tcp.mu.Unlock()
		if n := len(w.tcp.links); n != 1 {
			t.Errorf("%d links over TCP, want 1", n)
		}
	})
	run(t, func(w *world) { w.sends(); w.noFallback = true }, func(w *world) {
		w.fetch(w.newest(w.quic), large)
		w.pass(time.Second)
		w.wantDials(w.tcp)
	})
}

func TestKeeperDropsACompanionThatComesLate(t *testing.T) {
	run(t, func(w *world) { w.sends(); w.tcp.delay = 2 * time.Second }, func(w *world) {
		w.fetch(w.newest(w.quic), large)
		w.pass(time.Second)
		w.keeper.Redial(0)
		w.pass(5 * time.Second)
		if alive(w.newest(w.tcp)) {
			t.Error("a companion of the link before stays open")
		}
		w.answers(w.newest(w.quic))
	})
	run(t, func(w *world) { w.sends(); w.tcp.delay = 2 * time.Second }, func(w *world) {
		w.fetch(w.newest(w.quic), large)
		w.pass(time.Second) // and then Serve ends
	})
}

// A gateway that bars the node closes both, in any order.
func TestKeeperHearsNoOverBoth(t *testing.T) {
	for _, first := range []int{0, 1} {
		run(t, (*world).sends, func(w *world) {
			w.fetch(w.newest(w.quic), large)
			w.pass(time.Second)
			links := []relay.Link{w.newest(w.quic), w.newest(w.tcp)}
			links[first].Close(string(problem.NodeRevoked))
			w.pass(time.Millisecond)
			links[1-first].Close(string(problem.NodeRevoked))
			w.pass(time.Second)
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(w.downs) != 1 || !strings.Contains(w.downs[0].Error(), string(problem.NodeRevoked)) {
				t.Errorf("the node was told %v, want %s once", w.downs, problem.NodeRevoked)
			}
		})
	}
}
