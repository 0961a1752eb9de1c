package memlink_test

import (
	"testing"

	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
	"github.com/platen-scan/platen/relay/relaytest"
)

func TestConformance(t *testing.T) {
	relaytest.Run(t, func(t *testing.T) relaytest.Harness {
		gateway, node := relaytest.NewIdentity(t), relaytest.NewIdentity(t)
		links := make(chan relay.Link, 8)
		gate := new(relaytest.Gate)
		g := &memlink.Gateway{
			Key:     gateway.Public(),
			Allowed: gate.Allowed,
			OnLink:  func(l relay.Link) { links <- l },
		}
		return relaytest.Harness{
			Dialer: g.Dialer(), Links: links, Gateway: gateway.Public(), Allow: gate.Allow,
			Target: relay.Target{Addr: "mem", Pin: gateway.Pin(), Identity: node},
		}
	})
}
