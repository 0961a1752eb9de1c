package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/relay"
)

// Config is what a gateway is made of.
type Config struct {
	Identity *identity.Identity // signs grants, the link's time and cursors
	Name     string             // for people; nodes and GET /service show it
	Version  string             // of this build
	State    *state.State       // stays the caller's to close, after Serve has returned

	Web            http.Handler  // the web app, for paths outside /api/; nil: none
	Hosts          *access.Hosts // names of this gateway beside its addresses; nil: none
	AllowPlainHTTP bool          // browsers may sign in over plain HTTP too
	AdminToken     string        // bearer token of the command line on this machine; "": none
	Addresses      []string      // host:port by which nodes dial, for join tokens; the best first
	PairingBase    func() string // as in access.Config
	CAPin          string        // as in access.Config

	Origins   *access.Origins                 // as in access.Config
	Providers []access.Provider               // as in access.Config
	Audit     access.Auditor                  // as in access.Config
	HSTS      func(*tls.ConnectionState) bool // as in access.Config
	// Extra are routes that other packages serve here: setup, audit, certificates; nil: none.
	Extra func(*access.Guard) []access.Route

	// Desk finds the licences of pages of others and of modules; nil: none is asked for.
	Desk *license.Desk
	// Tracking is the licence tracking server: this gateway's own, or another; nil: none.
	Tracking license.Tracking
	// Ledger is that of Tracking, if it is on State; nil: it is elsewhere.
	Ledger Ledger
	// ReceiptTime is how soon a page that was passed on under a licence must be counted: after
	// its end, or after its receipt was shown. 0: 30 s.
	ReceiptTime time.Duration

	Roads RoadsConfig // for browsers that reach nodes directly
	// DrainTime is how long answers of nodes may still take when Serve is told to end; 0: 10 s.
	DrainTime time.Duration

	Log *slog.Logger     // nil: discarded
	Now func() time.Time // nil: time.Now
}

// Gateway is the meeting point of nodes and browsers. Its methods are safe for
// concurrent use.
type Gateway struct {
	cfg Config
	log *slog.Logger
	now func() time.Time

	guard    *access.Guard
	tokens   *access.JoinTokens
	registry *registry
	events   *hub
	cursors  cursors
	nodes    nodeRecords
	waiting  *waitingRoom
	madeAt   *scannersOfJobs
	roads    *roadWatches
	receipts *receiptWatches
	ledger   Ledger
	marks    *marks // are the ledger; nil: they are not

	scannedUnder *jobLicenses

	browser  http.Handler
	nodeSide http.Handler
	setup    http.Handler

	announced atomic.Pointer[announced] // the key that follows; nil: none
	tell      chan struct{}             // holds a word while nodes are to hear of it

	links    chan arrival
	greeting chan struct{} // holds a word for each hello that is under way
	hearing  hearing
	snapshot *snapshots
	serve    sync.Once

	ending   context.Context // ends when Serve is told to end
	end      context.CancelFunc
	stopping <-chan struct{} // of ending
	underWay relay.Load      // requests that were passed on to nodes
	unproven unproven
}

// loadLimit bounds how long New waits for the state.
const loadLimit = 30 * time.Second

// New makes a gateway that knows what its state holds. It starts nothing.
func New(cfg Config) (*Gateway, error) {
	if cfg.Identity == nil || cfg.State == nil {
		return nil, errors.New("a gateway needs an identity and a state")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.DrainTime == 0 {
		cfg.DrainTime = 10 * time.Second
	}
	if cfg.ReceiptTime == 0 {
		cfg.ReceiptTime = receiptTime
	}
	g := &Gateway{
		cfg: cfg, log: cfg.Log, now: cfg.Now, cursors: cursors{cfg.Identity},
		tokens:   &access.JoinTokens{Records: cfg.State.Records(), Pin: cfg.Identity.Pin, Now: cfg.Now},
		events:   newHub(cfg.Now),
		nodes:    cfg.State.Nodes(),
		waiting:  &waitingRoom{records: cfg.State.Records(), identity: cfg.Identity, now: cfg.Now},
		madeAt:   newScannersOfJobs(),
		tell:     make(chan struct{}, 1),
		links:    make(chan arrival),
		greeting: make(chan struct{}, greetings),
		snapshot: newSnapshots(),
	}
	g.roads, g.receipts = newRoadWatches(g), newReceiptWatches(g)
	g.scannedUnder = &jobLicenses{records: cfg.State.Records(), now: cfg.Now, log: cfg.Log}
	if g.ledger = cfg.Ledger; g.ledger == nil {
		g.marks = &marks{records: cfg.State.Records(), now: cfg.Now, fail: func(err error) {
			cfg.Log.Warn("how far a node is counted could not be written", "error", err)
		}}
		g.ledger = g.marks
	}
	g.ending, g.end = context.WithCancel(context.Background())
	g.stopping = g.ending.Done()
	if err := g.load(); err != nil {
		return nil, err
	}
	guard := access.Config{
		Hosts: cfg.Hosts, Records: cfg.State.Records(),
		AllowPlainHTTP: cfg.AllowPlainHTTP, AdminToken: cfg.AdminToken,
		Service: g.service, PairingBase: cfg.PairingBase, CAPin: cfg.CAPin,
		Origins: cfg.Origins, Place: g.standsAt, Providers: cfg.Providers, Audit: cfg.Audit, HSTS: cfg.HSTS,
		PeerKey: relay.PeerKeyOf, PeerNode: g.enrolled, NodeMay: g.registry.presents, Log: cfg.Log, Now: cfg.Now,
	}
	if cfg.Desk != nil {
		guard.License = cfg.Desk
	}
	g.guard = access.New(guard)
	routes := g.Routes()
	g.browser = g.guard.Handler(access.RoadPublic, routes, cfg.Web)
	g.nodeSide = g.guard.Handler(access.RoadNode, routes, nil)
	g.setup = g.guard.Handler(access.RoadSetup, routes, cfg.Web)
	return g, nil
}

func (g *Gateway) load() error {
	ctx, cancel := context.WithTimeout(context.Background(), loadLimit)
	defer cancel()
	nodes, err := g.cfg.State.Nodes().List(ctx)
	if err != nil {
		return fmt.Errorf("loading the registry: %w", err)
	}
	scanners, err := g.cfg.State.Scanners().All(ctx)
	if err != nil {
		return fmt.Errorf("loading the registry: %w", err)
	}
	g.registry = newRegistry(nodes, scanners, g.events, g.now)
	for id := range scanners {
		if n, ok := g.registry.get(id); ok && n.record.Barred() != nil {
			g.remember(n) // it was barred, and the process ended before this was done
		}
	}
	return g.loadRotation(ctx)
}

// Handler answers browsers and programs. Whoever serves it watches over readers
// that take nothing (relay.Progress).
func (g *Gateway) Handler() http.Handler { return g.browser }

// NodeHandler answers what nodes ask of the gateway over mutual TLS; the peer's key
// is in the request's context (relay.WithPeerKey).
func (g *Gateway) NodeHandler() http.Handler { return g.nodeSide }

// SetupHandler answers the setup page on its own port: access.RoadSetup.
func (g *Gateway) SetupHandler() http.Handler { return g.setup }

// LinkAllowed says whether the node with this key may hold a link: nil, or the
// problem node-unknown, node-revoked or node-quarantined.
func (g *Gateway) LinkAllowed(key ed25519.PublicKey) error {
	_, err := g.registry.allowed(key)
	return err
}

// AddLink hands over a link whose peer has proven its key. It waits until Serve has taken
// it and the node has answered the hello, or is refused: so whoever lets in so many at a
// time has them come to an end before others begin. Once Serve has ended the link is
// closed.
func (g *Gateway) AddLink(link relay.Link) {
	a := newArrival(link)
	select {
	case g.links <- a:
	case <-link.Done():
		return
	case <-g.stopping:
		link.Close("")
		return
	}
	select {
	case <-a.met:
	case <-link.Done():
	}
}

// Serve runs the links that AddLink brings until ctx ends, then drains and closes them.
// All of the gateway's goroutines have ended when it returns. It runs once.
func (g *Gateway) Serve(ctx context.Context) error {
	err := errors.New("the gateway was served before")
	g.serve.Do(func() { err = g.run(ctx) })
	return err
}

func (g *Gateway) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	rest, end := context.WithCancel(context.WithoutCancel(ctx)) // ends when the links have
	group.Go(func() error {
		defer end()
		g.serveLinks(ctx)
		return nil
	})
	group.Go(func() error { return g.storeSnapshots(rest) })
	group.Go(func() error { return g.watchRegistry(rest) })
	group.Go(func() error { return g.watchRotation(rest) })
	group.Go(func() error { return g.roads.serve(rest) })
	group.Go(func() error { return g.receipts.serve(rest) })
	return group.Wait()
}

// watchRegistry takes in what other gateways on the same state write.
func (g *Gateway) watchRegistry(ctx context.Context) error {
	err := g.cfg.State.Nodes().Watch(ctx, g.applied, g.removed)
	if err != nil {
		return fmt.Errorf("following the registry: %w", err)
	}
	return nil
}

func (g *Gateway) service(access.Caller) api.Service {
	return api.Service{Role: api.ServiceRoleGateway, Version: g.cfg.Version, Id: g.cfg.Identity.NodeID(), Name: g.cfg.Name}
}
