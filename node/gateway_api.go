package node

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

// GatewayAPI is the HTTP API of the gateway that the node has joined, whichever that is
// when it is asked, with the node's own key in place of a session. Without a gateway, and
// where it does not answer, a request fails with node-offline. What the gateway answers
// comes as it is, problems too, and takes as long as it takes.
func (n *Node) GatewayAPI() *api.Client {
	return &api.Client{Server: "https://" + relay.Host + "/api/v1/", Client: &http.Client{
		Transport:     n.uplink.api,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// GatewayPin is that of the key of the gateway that the node has joined; "": it has none.
func (n *Node) GatewayPin() string {
	if g := n.uplink.current(); g != nil {
		return g.Pin
	}
	return ""
}

// Place is the node as an end that uses licences.
func (n *Node) Place() license.Place {
	place := license.Place{Node: n.id, Pin: n.identity.Pin()}
	if g := n.uplink.current(); g != nil {
		place.Gateway = append(g.earlier(), g.Pin)
	}
	return place
}

// gatewayTransport sends requests to the gateway that is joined now. Connections are kept
// for as long as address and keys stay.
type gatewayTransport struct {
	uplink *uplink

	mu     sync.Mutex
	made   madeFor
	client *http.Client // nil: none yet
}

// madeFor is what a client is made for.
type madeFor struct {
	target relay.Target
	own    string // pin of the node's key
	link   int    // a gateway that links anew may have restarted: its old connections are dead
}

func (t *gatewayTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	client, target, err := t.now()
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	out := r.Clone(r.Context())
	out.URL.Host, out.Host = urlHost(target.Addr), ""
	answer, err := client.Transport.RoundTrip(out)
	if err != nil && r.Context().Err() == nil {
		return nil, fmt.Errorf("%w: %w", problem.New(problem.NodeOffline, "The gateway does not answer."), err)
	}
	return answer, err
}

// now is the client for the gateway as it is now.
func (t *gatewayTransport) now() (*http.Client, relay.Target, error) {
	target, link, ok := t.uplink.where()
	if !ok {
		return nil, target, problem.New(problem.NodeOffline, "This node has no gateway.")
	}
	want := madeFor{target: target, own: t.uplink.identity.Pin(), link: link}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.client != nil && t.made == want {
		return t.client, target, nil
	}
	client, err := t.uplink.client(target)
	if err != nil {
		return nil, target, err
	}
	t.closeLocked()
	t.client, t.made = client, want
	return client, target, nil
}

// close closes connections that nobody uses.
func (t *gatewayTransport) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closeLocked()
}

func (t *gatewayTransport) closeLocked() {
	if t.client != nil {
		t.client.CloseIdleConnections()
	}
	t.client = nil
}

// present tells the gateway which scanners of other nodes this one wants to present.
func (u *uplink) present(ctx context.Context, scanners []string) (said api.PresentAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	answer, err := u.node.GatewayAPI().PresentScanners(ctx, api.PresentRequest{Scanners: scanners})
	if err == nil {
		_, err = readAnswer(answer, &said)
	}
	if err != nil {
		return said, fmt.Errorf("asking the gateway what may be presented: %w", err)
	}
	return said, nil
}
