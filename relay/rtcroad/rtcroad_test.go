package rtcroad

import (
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/relaytest"
)

var discard = slog.New(slog.DiscardHandler)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	relaytest.RunRoad(t, func(t *testing.T) relaytest.RoadHarness {
		r := start(t, Config{}, nil)
		return relaytest.RoadHarness{
			Listener: r, Kind: relay.KindWebRTC, Large: 4 << 20,
			Join: func(t *testing.T) relaytest.RoadClient { return join(t, r, engine()) },
		}
	})
}
