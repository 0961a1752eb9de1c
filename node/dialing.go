package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/platen-scan/platen/relay"
)

const (
	linkLost   = 5 * time.Second // without a link: the gateway may have moved
	maxHints   = 4               // addresses that records name are tried at a time
	maxGateway = 16              // addresses of the gateway are remembered
)

// dialing is what a node knows of its link. uplink.mu guards it.
type dialing struct {
	up    relay.Kind // "" while no link stands
	down  time.Time  // since when none does
	next  int        // address of the gateway to try
	last  dialed
	at    string // address at which the link stands; "": not known
	links int    // how many stood so far

	hints  []string // addresses where records say that the gateway is; not those that it has
	hint   int      // the next of them to try
	hinted bool     // the last address tried was one of them
	nudged bool     // hints had the Keeper dial at once, since the link fell
}

// dialed is an address that was handed out, for the gateway whose first pin is of.
type dialed struct{ address, of string }

// setUp takes in that a link stands, or with "" that none does.
func (u *uplink) setUp(k relay.Kind) {
	u.mu.Lock()
	changed := u.up != k
	switch {
	case k != "":
		u.up, u.hints, u.nudged, u.at = k, nil, false, ""
		u.links++
		if u.gateway != nil && u.gateway.first() == u.last.of {
			u.at = u.last.address
		}
		changed = true
	case u.up != "":
		u.up, u.at, u.down = "", "", time.Now()
	}
	u.mu.Unlock()
	if changed {
		u.stir()
	}
	if r := u.node.reporter; k != "" && r != nil {
		r.Hurry() // a gateway that is there again counts for those who wait
	}
}

// target is the address to dial next: while no link stands, each in turn, and in between
// those that records name. Whoever is there must prove the gateway's key.
func (u *uplink) target(context.Context) (relay.Target, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	g := u.gateway
	if g == nil {
		return relay.Target{}, errors.New("no gateway was joined")
	}
	address := g.Addresses[u.next%len(g.Addresses)]
	switch {
	case u.up != "":
	case len(u.hints) > 0 && !u.hinted:
		address = u.hints[u.hint%len(u.hints)]
		u.hint++
		u.hinted = true
	default:
		u.next++
		u.hinted = false
	}
	u.last = dialed{address: address, of: g.first()}
	return u.targetAt(g, address), nil
}

// targetAt is the gateway at an address.
func (u *uplink) targetAt(g *joined, address string) relay.Target {
	return relay.Target{Addr: address, Pin: g.Pin, Next: g.next(time.Now()), Identity: u.identity}
}

// setHints makes these the addresses where records say that the gateway is. The first
// ones since the link fell are tried at once; later ones wait for their turn, so that
// nobody who announces much keeps the node from dialing.
func (u *uplink) setHints(addresses []string) {
	u.mu.Lock()
	nudge := false
	if u.up == "" {
		u.hints = addresses
		nudge = len(addresses) > 0 && !u.nudged
		u.nudged = u.nudged || nudge
	}
	u.mu.Unlock()
	if nudge {
		u.log.Info("looking for the gateway where it is announced", "addresses", addresses)
		signal(u.changed)
	}
}

// rememberAddress makes the address at which the link stands the gateway's first one, if
// the gateway was not known to be there: only now has it proven its key there.
func (u *uplink) rememberAddress() error {
	u.storing.Lock()
	defer u.storing.Unlock()
	u.mu.Lock()
	known, at := u.gateway, u.at
	u.mu.Unlock()
	if known == nil || at == "" || slices.Contains(known.Addresses, at) {
		return nil
	}
	g := *known
	g.Addresses = append([]string{at}, known.Addresses...)
	g.Addresses = g.Addresses[:min(len(g.Addresses), maxGateway)]
	if err := g.write(u.dir); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.gateway, u.next = &g, 1
	return nil
}

// where is the address for the node's own requests to its gateway, and at which link.
func (u *uplink) where() (t relay.Target, link int, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	g := u.gateway
	if g == nil {
		return relay.Target{}, 0, false
	}
	address := g.Addresses[0]
	if u.at != "" {
		address = u.at
	}
	return u.targetAt(g, address), u.links, true
}
