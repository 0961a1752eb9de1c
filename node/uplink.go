package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
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
	keeper   *relay.Keeper // nil: the node opens no links
	changed  chan struct{} // a gateway was joined

	mu      sync.Mutex
	gateway *joined
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
		n.grants.Trust(g.Pin)
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
		return errors.New("this node has no folder to remember a gateway in")
	}
	token, err := access.ParseJoinToken(text)
	if err != nil {
		return err
	}
	var tried []error
	for i, address := range token.Addresses {
		err := u.enrol(ctx, address, token)
		if err == nil {
			// The address that answered is the best one.
			addresses := append([]string{address}, token.Addresses[:i]...)
			return u.remember(&joined{Addresses: append(addresses, token.Addresses[i+1:]...), Pin: token.Pin})
		}
		var refused *problem.Error
		if errors.As(err, &refused) || ctx.Err() != nil {
			return err
		}
		tried = append(tried, fmt.Errorf("%s: %w", address, err))
	}
	return errors.Join(tried...)
}

const (
	joinTime      = 20 * time.Second // for one address
	maxJoinAnswer = 64 << 10
)

// enrol asks the gateway at one address.
func (u *uplink) enrol(ctx context.Context, address string, token access.JoinToken) error {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	client, err := relay.NodeClient(relay.Target{Addr: address, Pin: token.Pin, Identity: u.identity})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	body, err := json.Marshal(api.JoinRequest{Token: token.Credential(), Name: u.node.name, Version: u.node.version})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+"/api/v1/node/join", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, maxJoinAnswer))
	if err != nil {
		return fmt.Errorf("reading the gateway's answer: %w", err)
	}
	if answer.StatusCode == http.StatusCreated {
		return nil
	}
	var refused problem.Error
	if json.Unmarshal(said, &refused) == nil && refused.Code != "" {
		return &refused
	}
	return fmt.Errorf("the gateway answered with status %d", answer.StatusCode)
}

// remember stores the gateway, then uses it.
func (u *uplink) remember(g *joined) error {
	if err := g.write(u.dir); err != nil {
		return err
	}
	u.mu.Lock()
	u.gateway, u.next = g, 0
	u.mu.Unlock()
	u.node.grants.Trust(g.Pin)
	select {
	case u.changed <- struct{}{}:
	default:
	}
	return nil
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

// serve keeps the link for as long as there is a gateway, until ctx ends. Joining
// another gateway begins anew.
func (u *uplink) serve(ctx context.Context) {
	if len(u.dialers) == 0 {
		return
	}
	for ctx.Err() == nil {
		u.mu.Lock()
		linked := u.gateway != nil
		u.mu.Unlock()
		keeping, cancel := context.WithCancel(ctx)
		var kept sync.WaitGroup
		if linked {
			kept.Go(func() { u.keep(keeping) })
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
	t := relay.Target{Addr: u.gateway.Addresses[u.next%len(u.gateway.Addresses)], Pin: u.gateway.Pin, Identity: u.identity}
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
