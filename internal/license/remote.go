package license

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const (
	remoteLease  = 4 * time.Second  // for one server: a desk waits for two
	remoteReport = 15 * time.Second // a batch has up to 500 receipts
	remoteReturn = 30 * time.Second // for so long the server that answered goes before the main one
)

// Address is where a licence tracking server is reached, and its key.
type Address struct {
	Host string // host:port
	Pin  string
}

func (a Address) String() string { return a.Host + "#" + a.Pin }

// RemoteConfig is what a Remote is made of.
type RemoteConfig struct {
	Servers  []Address          // the main one first, then its standby
	Identity *identity.Identity // who asks
	// Client makes the client for one server: mutual TLS by the identity, the server's key
	// pinned, whatever host the URL names (relay.NodeClient).
	Client func(Address) (*http.Client, error)
	Now    func() time.Time // nil: time.Now
}

// Remote is a licence tracking server that is asked over mutual TLS. If the main one does
// not answer its standby is asked, and stays the first to be asked for a while, so that
// not every question waits for the one that is away. Its methods are safe for concurrent
// use.
type Remote struct {
	cfg RemoteConfig

	mu      sync.Mutex
	clients map[clientFor]*http.Client
	last    int       // server that answered last
	reached time.Time // when it did; zero: none did
}

var _ Tracking = (*Remote)(nil)

// clientFor is what a client is made for: a key that was changed needs another.
type clientFor struct{ server, own string }

// NewRemote makes a Remote. It asks nobody yet.
func NewRemote(cfg RemoteConfig) (*Remote, error) {
	if len(cfg.Servers) == 0 || cfg.Identity == nil || cfg.Client == nil {
		return nil, errors.New("a remote licence tracking server needs an address, an identity and a client")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Remote{cfg: cfg, clients: map[clientFor]*http.Client{}}, nil
}

// Lease implements Tracking. What a gateway passes on for a node that asks by itself it asks
// for as the gateway: the connection proves nothing else.
func (r *Remote) Lease(ctx context.Context, place Place, wish api.LeaseRequest) (api.LeaseAnswer, error) {
	wish.By, wish.Chain = "", r.cfg.Identity.Chain()
	if place.Node == r.cfg.Identity.NodeID() {
		wish.By = place.Node
	}
	return ask(ctx, r, remoteLease, func(ctx context.Context, c *api.Client) (api.LeaseAnswer, error) {
		return api.Decode[api.LeaseAnswer](c.LeaseLicense(ctx, wish, repeatable))
	})
}

// Report implements Tracking. The server takes who passes the batch on from the connection,
// and the node's key from what it signed.
func (r *Remote) Report(ctx context.Context, _ Place, _ string, batch api.ReceiptBatch) (api.ReceiptMark, error) {
	return ask(ctx, r, remoteReport, func(ctx context.Context, c *api.Client) (api.ReceiptMark, error) {
		return api.Decode[api.ReceiptMark](c.ReportPages(ctx, batch, repeatable))
	})
}

// Pin implements Tracking: it is that of the server which answered last, the main one's
// before any did.
func (r *Remote) Pin() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cfg.Servers[r.last].Pin
}

// Reached is the server that answered last and when it did; zero: none did yet.
func (r *Remote) Reached() (Address, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cfg.Servers[r.last], r.reached
}

// Close closes connections that nobody uses.
func (r *Remote) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.clients {
		c.CloseIdleConnections()
	}
	clear(r.clients)
}

// repeatable lets the client send a request again that a connection lost which the server
// had closed meanwhile: leases and reports may come twice.
func repeatable(_ context.Context, r *http.Request) error {
	r.Header["Idempotency-Key"] = []string{} // net/http's word for it; it is not sent
	return nil
}

// ask asks the servers in turn until one answers. What a server refuses is refused, but
// for a standby's word that it does not stand in.
func ask[T any](ctx context.Context, r *Remote, within time.Duration, call func(context.Context, *api.Client) (T, error)) (T, error) {
	var none T
	var tried []string
	for _, i := range r.order() {
		server := r.cfg.Servers[i]
		answer, err := askAt(ctx, r, server, within, call)
		if err == nil || decided(err) {
			r.answered(i)
			return answer, err
		}
		if ctx.Err() != nil {
			return none, fmt.Errorf("asking the licence tracking server: %w", ctx.Err())
		}
		tried = append(tried, server.Host+" ("+reason(err)+")")
	}
	return none, problem.New(problem.TrackingOffline, "Asked: %s.", strings.Join(tried, ", "))
}

func askAt[T any](ctx context.Context, r *Remote, server Address, within time.Duration, call func(context.Context, *api.Client) (T, error)) (none T, err error) {
	client, err := r.client(server)
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return call(ctx, &api.Client{Server: "https://" + server.Host + "/api/v1/", Client: client})
}

// decided reports whether an error is a server's own word.
func decided(err error) bool {
	var p *problem.Error
	return errors.As(err, &p) && p.Code != problem.TrackingOffline
}

// reason is why a server gave no answer, in words that name no addresses of connections.
func reason(err error) string {
	var p *problem.Error
	var timeout net.Error
	switch {
	case errors.As(err, &p):
		return "it does not stand in for the main server"
	case errors.Is(err, identity.ErrWrongPeer):
		return "it has another key than is set"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer"
	}
	return "not reached"
}

// order is in which the servers are asked.
func (r *Remote) order() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := 0
	if r.cfg.Now().Sub(r.reached) < remoteReturn {
		first = r.last
	}
	list := []int{first}
	for i := range r.cfg.Servers {
		if i != first {
			list = append(list, i)
		}
	}
	return list
}

func (r *Remote) answered(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i == 0 || i != r.last || r.cfg.Now().Sub(r.reached) >= remoteReturn {
		r.reached = r.cfg.Now() // not at each answer of a standby: then the main one would never be asked again
	}
	r.last = i
}

func (r *Remote) client(server Address) (*http.Client, error) {
	want := clientFor{server.String(), r.cfg.Identity.Pin()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.clients[want]; c != nil {
		return c, nil
	}
	for made, c := range r.clients {
		if made.server == want.server {
			c.CloseIdleConnections()
			delete(r.clients, made)
		}
	}
	c, err := r.cfg.Client(server)
	if err == nil {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		r.clients[want] = c
	}
	return c, err
}
