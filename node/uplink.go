package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/relay"
)

// What a node speaks with its gateway.
const (
	apiVersion  = "1"
	linkVersion = 1
)

// uplink is the node's side of the gateway that it joined: one, or none.
type uplink struct {
	node     *Node
	log      *slog.Logger
	identity *identity.Identity
	dir      string
	dialers  []relay.Dialer
	changed  chan struct{} // another gateway was joined, asked or left

	storing  sync.Mutex // held while gateway.json and gateway change
	rotating sync.Mutex // held while the node's key changes

	mu      sync.Mutex
	keeper  *relay.Keeper // nil: the node opens no links
	gateway *joined
	asked   *asked     // the gateway whose approval is waited for; nil: none
	next    int        // address to try
	up      relay.Kind // "" while no link stands
}

func newUplink(n *Node, c Config) (*uplink, error) {
	u := &uplink{
		node: n, log: c.Log, identity: c.Identity, dir: c.Keys, dialers: c.Dialers,
		changed: make(chan struct{}, 1),
	}
	if c.Keys == "" {
		return u, nil
	}
	g, err := readJoined(c.Keys)
	if err != nil {
		return nil, err
	}
	if g != nil {
		u.gateway = g
		n.grants.TrustSuccessor(g.Pin, g.first())
	}
	return u, nil
}

// Join enrols the node at the gateway of a join token and remembers that gateway. The
// token works once; the same node may use it again if the answer was lost. A running
// node links to the gateway from then on.
func (n *Node) Join(ctx context.Context, token string) error {
	if err := n.uplink.join(ctx, token); err != nil {
		return fmt.Errorf("joining the gateway: %w", err)
	}
	return nil
}

func (u *uplink) join(ctx context.Context, text string) error {
	if u.dir == "" {
		return errNoFolder
	}
	token, err := access.ParseJoinToken(text)
	if err != nil {
		return err
	}
	at := &joined{Addresses: token.Addresses, Pin: token.Pin}
	address, err := u.ask(ctx, at, http.MethodPost, "/node/join", u.joinRequest(token.Credential(), ""), nil)
	if err != nil {
		return err
	}
	// The address that answered is the best one.
	rest := slices.DeleteFunc(slices.Clone(token.Addresses), func(a string) bool { return a == address })
	return u.remember(&joined{Addresses: append([]string{address}, rest...), Pin: token.Pin})
}

var errNoFolder = errors.New("this node has no folder to remember a gateway in")

func (u *uplink) joinRequest(token, commit string) api.JoinRequest {
	return api.JoinRequest{Token: token, Commit: commit, Name: u.node.name, Version: u.node.version, Chain: u.identity.Chain()}
}

// Leave has the gateway forget the node, if it can be reached, and forgets the gateway.
// It is silent where there is none.
func (n *Node) Leave(ctx context.Context) error {
	u := n.uplink
	g := u.current()
	if g == nil {
		return u.remember(nil) // it may wait for approval
	}
	if _, err := u.ask(ctx, g, http.MethodPost, "/node/leave", nil, nil); err != nil {
		u.log.Warn("the gateway was not told that the node leaves", "error", err)
	}
	if err := u.remember(nil); err != nil {
		return fmt.Errorf("leaving the gateway: %w", err)
	}
	return nil
}

// remember stores the gateway, then uses it; nil forgets it. What was asked of another
// is void.
func (u *uplink) remember(g *joined) error {
	u.storing.Lock()
	defer u.storing.Unlock()
	pin, first := "", ""
	switch {
	case g != nil:
		if err := g.write(u.dir); err != nil {
			return err
		}
		pin, first = g.Pin, g.first()
	case u.dir != "":
		if err := forgetJoined(u.dir); err != nil {
			return err
		}
	}
	u.mu.Lock()
	asked := u.asked
	u.gateway, u.asked, u.next = g, nil, 0
	u.mu.Unlock()
	switch {
	case asked != nil && g != nil:
		asked.end(nil)
	case asked != nil:
		asked.end(errGatewayLeft)
	}
	u.node.grants.TrustSuccessor(pin, first)
	u.wake()
	return nil
}

// wake has serve look again at which gateway there is.
func (u *uplink) wake() {
	select {
	case u.changed <- struct{}{}:
	default:
	}
}

// current is the gateway that was joined; nil: none.
func (u *uplink) current() *joined {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.gateway
}

// state is what GET /service tells of the gateway.
func (u *uplink) state() (address string, connected bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.gateway == nil {
		return "", false
	}
	return u.gateway.Addresses[0], u.up != ""
}

// serve keeps the link for as long as there is a gateway, and waits for the approval of
// one that was asked, until ctx ends. Joining another gateway begins anew.
func (u *uplink) serve(ctx context.Context) {
	for ctx.Err() == nil {
		u.mu.Lock()
		linked, asked := u.gateway != nil && len(u.dialers) > 0, u.asked
		u.mu.Unlock()
		keeping, cancel := context.WithCancel(ctx)
		var kept sync.WaitGroup
		if linked {
			kept.Go(func() { u.keep(keeping) })
		}
		if asked != nil {
			kept.Go(func() { u.await(keeping, asked) })
		}
		select {
		case <-u.changed:
		case <-ctx.Done():
		}
		cancel()
		kept.Wait()
	}
}

func (u *uplink) keep(ctx context.Context) {
	k, err := relay.NewKeeper(relay.Config{
		Dialers: u.dialers, Target: u.target, Handler: u.node.Handler(access.RoadLink), Log: u.log,
		OnUp:   func(k relay.Kind) { u.setUp(k) },
		OnDown: func(error) { u.setUp("") },
	})
	if err != nil {
		u.log.Error("cannot link to the gateway", "error", err)
		return
	}
	u.mu.Lock()
	u.keeper = k
	u.mu.Unlock()
	if err := k.Serve(ctx); err != nil {
		u.log.Error("the link to the gateway ended", "error", err)
	}
	u.mu.Lock()
	u.keeper, u.up = nil, ""
	u.mu.Unlock()
}

func (u *uplink) setUp(k relay.Kind) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.up = k
}

// target is the address to dial next: while no link stands, each in turn.
func (u *uplink) target(context.Context) (relay.Target, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.gateway == nil {
		return relay.Target{}, errors.New("no gateway was joined")
	}
	t := relay.Target{
		Addr: u.gateway.Addresses[u.next%len(u.gateway.Addresses)],
		Pin:  u.gateway.Pin, Next: u.gateway.next(time.Now()), Identity: u.identity,
	}
	if u.up == "" {
		u.next++
	}
	return t, nil
}

// link is the Keeper at work, nil where there is none.
func (u *uplink) link() *relay.Keeper {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.keeper
}
