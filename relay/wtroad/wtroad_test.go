package wtroad_test

import (
	"testing"

	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/relaytest"
)

func TestConformance(t *testing.T) {
	relaytest.RunRoad(t, func(t *testing.T) relaytest.RoadHarness {
		e := newEnd(t, nil)
		return relaytest.RoadHarness{
			Listener: e, Kind: relay.KindWebTransport, Origin: origin,
			Join: func(t *testing.T) relaytest.RoadClient { return e.mustJoin(t) },
		}
	})
}
