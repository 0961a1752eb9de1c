package memlink_test

import (
	"context"
	"net"
	"testing"

	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
	"github.com/platen-scan/platen/relay/relaytest"
)

func TestRoadConformance(t *testing.T) {
	const origin = "https://app.example"
	relaytest.RunRoad(t, func(t *testing.T) relaytest.RoadHarness {
		road := memlink.NewRoad("")
		t.Cleanup(func() { road.Close() })
		return relaytest.RoadHarness{
			Listener: road, Kind: relay.KindMem, Origin: origin,
			Join: func(*testing.T) relaytest.RoadClient { return road.Join(origin) },
		}
	})
}

func TestRoadOpenGivenUp(t *testing.T) {
	road := memlink.NewRoad(relay.KindWebRTC)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if conn, err := road.Join("").Open(ctx); err == nil {
		conn.Close()
		t.Error("Open was accepted by nobody")
	}
	var l net.Listener = road
	l.Close()
	if conn, err := road.Join("").Open(t.Context()); err == nil {
		conn.Close()
		t.Error("Open over a closed road")
	}
}
