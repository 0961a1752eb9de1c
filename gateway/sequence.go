package gateway

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// Each link has a number. The gateway's hello brings it, signed; the node stores it and
// gives back the one it had stored before. Of two machines with a copy of one key the
// second to link gives back an old number: the node is quarantined until a person has
// said which machine is the right one.
//
// Either end may be killed at any moment. So a number is stored here as Offer before it
// leaves, and as Sequence once the node has answered. While an offer stands the node may
// have stored it or not: the same number is offered again, both answers are right, and a
// second hello with a new number makes the two cases one. Numbers grow by random steps,
// so that who holds a copied key cannot guess the one he would have to give back.
const (
	maxStep    = 1 << 31
	maxNumber  = 1 << 62
	greetTries = 4
	greetings  = 256         // at once
	greetTurn  = time.Second // for which one counts
	greetLimit = time.Minute // for all hellos, and for the state, which all nodes write to when they come back at once
)

// greet introduces the gateway over a link until the node's number is beyond doubt. One
// hello of a node is under way at a time: its QUIC and TCP links may come together. Of
// all nodes' only so many are as end in time: where more have come than the processor can
// serve, and all were greeted at once, each would be too late, and come again. A node that
// does not answer counts for greetTurn.
func (g *Gateway) greet(ctx context.Context, n *node, link relay.Link, signer *identity.Identity) (api.LinkWelcome, error) {
	for _, turns := range []chan struct{}{n.greeting, g.greeting} {
		select {
		case turns <- struct{}{}:
			end := sync.OnceFunc(func() { <-turns })
			defer end()
			if turns == g.greeting {
				defer time.AfterFunc(greetTurn, end).Stop()
			}
		case <-link.Done():
			return api.LinkWelcome{}, relay.ErrLinkLost
		case <-ctx.Done():
			return api.LinkWelcome{}, ctx.Err()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, greetLimit)
	defer cancel()
	for range greetTries {
		offered, doubt, err := g.offer(ctx, n)
		if err != nil {
			return api.LinkWelcome{}, err
		}
		welcome, err := g.hello(ctx, n, link, signer, offered.Offer)
		if err != nil {
			return api.LinkWelcome{}, err
		}
		settled, err := g.settle(ctx, n, link, offered, doubt, welcome)
		if err != nil || settled && !doubt {
			return welcome, err
		}
	}
	return api.LinkWelcome{}, problem.Unavailable.Error().After(time.Second)
}

// offer stores the number for the next hello. doubt says that it was offered before, so
// that the node may have it already.
func (g *Gateway) offer(ctx context.Context, n *node) (record state.Node, doubt bool, err error) {
	record, err = g.editNode(ctx, n, func(r *state.Node) {
		if doubt = r.Offer != 0; !doubt {
			r.Offer = r.Sequence + 1 + rand.Int64N(maxStep)
		}
	})
	if err == nil {
		err = record.Barred()
	}
	return record, doubt, err
}

// settle judges what the node gave back, and stores it with what else the link has
// told. It is not settled if the record was changed in the meantime.
func (g *Gateway) settle(ctx context.Context, n *node, link relay.Link, offered state.Node, doubt bool, welcome api.LinkWelcome) (settled bool, err error) {
	gave := welcome.Sequence
	next := g.announced.Load()
	var cloned bool
	record, err := g.editNode(ctx, n, func(r *state.Node) {
		settled, cloned = false, false
		switch {
		case r.Sequence != offered.Sequence || r.Offer != offered.Offer || r.Trust != offered.Trust:
			return // another gateway was faster
		case r.Trust && gave >= r.Offer && gave < maxNumber:
			r.Sequence, r.Offer = gave, 0 // it stores greater numbers only: ours was none
			return
		case r.Trust, gave == r.Sequence, doubt && gave == r.Offer:
			r.Sequence, r.Offer, r.Trust = r.Offer, 0, false
			settled = true
		default:
			r.Quarantined = scan.At(g.now())
			cloned = true
			return
		}
		r.Version = clean(welcome.Version, maxVersion)
		if r.Heard = ""; next != nil && welcome.NextKey == next.Pin {
			r.Heard = next.Pin
		}
		if link.Peer().Equal(r.NextKey) {
			r.Key, r.NextKey = r.NextKey, nil
		}
	})
	switch {
	case err != nil:
		return false, err
	case cloned:
		g.log.Warn("two computers use one node's key, or one of both ends was restored from a backup: the node is quarantined",
			"node", n.id, "name", record.Name, "remote", link.RemoteAddr().String(), "ahead", gave > offered.Offer)
		return false, problem.NodeQuarantined.Error()
	case !admits(record, link.Peer()):
		return false, errors.Join(errOldKey, problem.NodeUnknown.Error())
	}
	return settled, record.Barred()
}

var errOldKey = errors.New("the node has changed its key")
