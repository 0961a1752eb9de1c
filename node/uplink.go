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
	meet     func(ctx context.Context, addr string, id *identity.Identity) (pin string, err error)
	client   func(relay.Target) (*http.Client, error)
	changed  chan struct{} // another gateway was joined, asked or left
	seeker   *seeker
	presence *presence
	api      *gatewayTransport

	storing  sync.Mutex // held while gateway.json, gateway and asked change
	rotating sync.Mutex // held while the node's key changes

	mu       sync.Mutex
	keeper   *relay.Keeper // nil: the node opens no links
	gateway  *joined
	asked    *asked          // the gateway whose approval is waited for; nil: none
	unwanted map[string]bool // pins and addresses of gateways that the node does not ask by itself
	dialing
}

func newUplink(n *Node, c Config) (*uplink, error) {
	u := &uplink{
		node: n, log: c.Log, identity: c.Identity, dir: c.Keys, dialers: c.Dialers,
		meet: c.meet, client: c.client, changed: make(chan struct{}, 1), unwanted: map[string]bool{},
	}
	if u.meet == nil {
		u.meet = relay.Meet
	}
	if u.client == nil {
		u.client = relay.NodeClient
	}
	u.seeker = newSeeker(u, c)
	u.presence = newPresence(u)
	u.api = &gatewayTransport{uplink: u}
	if c.Keys == "" {
		return u, nil
	}
	g, err := readJoined(c.Keys)
	if err != nil {
		return nil, err
	}
	if g != nil {
		u.gateway, u.down = g, time.Now()
		n.grants.TrustSuccessor(g.Pin, g.first())
		n.roads.follow(g.first())
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
// It is silent where there is none. That gateway, or the one that was asked for approval,
// is not asked again in this process unless somebody asks it.
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
	return u.rememberStoring(g)
}

// rememberStoring needs storing.
func (u *uplink) rememberStoring(g *joined) error {
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
	asked, before := u.asked, u.gateway
	u.gateway, u.asked, u.dialing = g, nil, dialing{down: time.Now(), links: u.links}
	if g == nil && before != nil {
		u.rejectLocked(before.Pin, before.Addresses...)
	}
	if g == nil && asked != nil {
		u.rejectLocked(asked.target.Pin, asked.target.Addr)
	}
	u.mu.Unlock()
	switch {
	case asked != nil && g != nil:
		asked.end(nil)
	case asked != nil:
		asked.end(errGatewayLeft)
	}
	u.node.roads.follow(first) // first: what is under way shall break off, not end
	u.node.grants.TrustSuccessor(pin, first)
	u.wake()
	return nil
}

// wake has serve look again at which gateway there is.
func (u *uplink) wake() {
	signal(u.changed)
	u.stir()
}

// stir tells those who follow the uplink that it has changed.
func (u *uplink) stir() {
	signal(u.seeker.changed)
	signal(u.presence.changed)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
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
	defer u.api.close()
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { u.seeker.serve(ctx) })
	parts.Go(func() { u.presence.serve(ctx) })
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
		OnDown: func(err error) { u.node.roads.refused(err); u.setUp("") },
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
	u.keeper = nil
	u.mu.Unlock()
	u.setUp("")
}

// link is the Keeper at work, nil where there is none.
func (u *uplink) link() *relay.Keeper {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.keeper
}
