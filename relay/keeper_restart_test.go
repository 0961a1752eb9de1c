package relay_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/platen-scan/platen/relay"
)

// A gateway that was started again has all its nodes to take in: it is slow, and is not
// asked for a second link by another kind as long as the first may get through.
func TestKeeperGivesARestartedGatewayTime(t *testing.T) {
	for _, row := range []struct {
		name string
		slow time.Duration // the handshake over QUIC
		want relay.Kind
	}{
		{"a slow gateway", 2900 * time.Millisecond, relay.KindQUIC},
		{"UDP is blocked just then", -1, relay.KindTCP},
	} {
		t.Run(row.name, func(t *testing.T) {
			run(t, func(w *world) { w.quic.end, w.random = relay.ErrForgotten, 0 }, func(w *world) {
				w.pass(time.Minute)
				w.set(w.quic, func(r *road) { r.delay = row.slow })
				w.newest(w.quic).Close("")
				w.pass(2990 * time.Millisecond)
				w.wantDials(w.tcp)
				w.pass(time.Second)
				w.wantUps(relay.KindQUIC, row.want)
			})
		})
	}
}

// Without that word of the gateway UDP may be what failed.
func TestKeeperRacesAfterALostLink(t *testing.T) {
	run(t, func(w *world) { w.random = 0 }, func(w *world) {
		w.pass(time.Minute)
		w.set(w.quic, func(r *road) { r.delay = -1 })
		w.newest(w.quic).Close("")
		w.pass(310 * time.Millisecond)
		w.wantUps(relay.KindQUIC, relay.KindTCP)
	})
}

// A node that thought its link silent while the gateway was away comes back over what is
// there, and is over QUIC again soon: it was not UDP that failed.
func TestKeeperForgivesTheSilenceOfARestart(t *testing.T) {
	run(t, func(w *world) {
		w.quic.end, w.random = relay.ErrForgotten, 0
		w.tcp.delay = time.Second
	}, func(w *world) {
		w.pass(time.Minute)
		w.keeper.Suspect()
		w.pass(10 * time.Millisecond)
		w.set(w.quic, func(r *road) { r.delay = -1 })
		w.newest(w.quic).Close("")
		w.pass(2 * time.Second)
		w.wantUps(relay.KindQUIC, relay.KindTCP)
		w.set(w.quic, func(r *road) { r.delay = 0 })
		w.pass(time.Minute)
		w.wantUps(relay.KindQUIC, relay.KindTCP, relay.KindQUIC)
	})
}

// Who is told that the gateway is busy comes again later, and does not try its luck at
// the other door.
func TestKeeperBelievesABusyGateway(t *testing.T) {
	run(t, func(w *world) { w.quic.err = fmt.Errorf("dialing: %w", relay.ErrBusy) }, func(w *world) {
		w.pass(650 * time.Millisecond)
		w.wantDials(w.quic, 0, 200*time.Millisecond, 600*time.Millisecond)
		w.wantDials(w.tcp)
		w.set(w.quic, func(r *road) { r.err = nil })
		w.pass(time.Second)
		w.wantUps(relay.KindQUIC)
	})
}
