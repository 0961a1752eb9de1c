package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/discovery/mdns"
	"github.com/platen-scan/platen/discovery/unicast"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/metrics"
	"github.com/platen-scan/platen/internal/setup"
	"github.com/platen-scan/platen/internal/version"
	"github.com/platen-scan/platen/node"
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/driver/pdfium"
	"github.com/platen-scan/platen/node/ocr"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/h2link"
	"github.com/platen-scan/platen/relay/h3link"
)

type nodeCmd struct {
	Serve     nodeServeCmd `cmd:"" default:"withargs" help:"Run the node (the default)."`
	Leave     nodeLeaveCmd `cmd:"" help:"Leave the gateway."`
	RotateKey rotateKeyCmd `cmd:"" help:"Change the node's key; its ID stays."`
}

type nodeServeCmd struct {
	Join    string   `help:"Join a gateway with the token that it printed; needed once." placeholder:"TOKEN" xor:"gateway"`
	Gateway string   `help:"Ask the gateway at this address to be let in; a person there approves. Needed once, and not where a gateway nearby is found." placeholder:"HOST:PORT" xor:"gateway"`
	Present []string `help:"Show this scanner of another node to the computers nearby; the gateway has to allow it. May be repeated." placeholder:"SCANNER"`
}

func (cmd *nodeServeCmd) Run(s *session) error {
	n, err := s.newNode(slog.LevelDebug, nodeMode{gateway: true, finds: cmd.Gateway == ""})
	if err != nil {
		return err
	}
	defer n.close()
	if err := n.presents(cmd.Present); err != nil {
		return err
	}
	if cmd.Join != "" {
		if err := n.node.Join(s.ctx, cmd.Join); err != nil {
			return err
		}
	}
	n.ask = cmd.Gateway
	if err := n.ports.Set(n.wanted(n.cfg.Load())); err != nil {
		return err
	}
	return n.serve(func() error {
		fmt.Fprintf(s.stdout, "Platen node %q %s\n", n.name, version.String())
		n.announce("this computer", n.localURL())
		n.announceSetup()
		gateway, _ := n.node.Gateway()
		switch {
		case gateway != "":
			n.announce("gateway", gateway)
		case n.ask == "":
			n.announce("gateway", n.lookingWords())
		}
		n.announceSharing()
		return nil
	})
}

type nodeLeaveCmd struct{}

func (nodeLeaveCmd) Run(s *session) error {
	if _, err := s.running(); err == nil {
		return errors.New("the node runs: stop it first, or leave on its setup page")
	}
	n, err := s.newNode(slog.LevelWarn, nodeMode{})
	if err != nil {
		return err
	}
	defer n.close()
	joined := exists(filepath.Join(s.keys(), "gateway.json"))
	if err := n.node.Leave(s.ctx); err != nil {
		return err
	}
	if joined {
		fmt.Fprintln(s.stdout, "This node has left its gateway.")
	} else {
		fmt.Fprintf(s.stdout, "The node of the data folder %s has no gateway to leave.\n", s.data)
	}
	return nil
}

// nodeService is a node with its store and ports.
type nodeService struct {
	*base
	store   *pagestore.Store
	node    *node.Node
	lan     bool   // other devices are let in whatever the configuration says
	escl    bool   // scanners are shared by eSCL whatever the configuration says
	private bool   // for one command: no ports but one of loopback
	ask     string // gateway that is to be asked for approval; "": none
	nodeMode
	present []string // scanners of other nodes that the command line asks to present
	shares  *shares
	direct  *directRoads // nil: none
	clock   *license.Clock
	tracker *tracker
	desk    *license.Desk
}

// nodeMode says what a node does beside its own work.
type nodeMode struct {
	gateway bool // it may link to a gateway that it has joined, and browsers reach it directly then
	finds   bool // it looks for a gateway nearby
}

// newNode opens the data folder and makes the node. Nothing listens yet.
func (s *session) newNode(logLevel slog.Level, mode nodeMode) (*nodeService, error) {
	b, err := s.newBase(nodeEnd, logLevel)
	if err != nil {
		return nil, err
	}
	n := &nodeService{base: b, nodeMode: mode}
	var found pagestore.Recovery
	n.store, found, err = pagestore.Open(s.ctx, pagestore.Config{Dir: s.data, NodeID: n.self.NodeID(), Log: n.log, Reserve: n.cfg.Load().Storage.Reserve})
	if err != nil {
		b.close()
		return nil, err
	}
	if len(found.Lost) > 0 {
		n.log.Error("stored pages are damaged or missing", "pages", found.Lost)
	}
	if err := n.openSetup(n, n); err != nil {
		n.close()
		return nil, err
	}
	if mode.gateway && n.cfg.Load().Roads.Direct {
		if n.direct, err = n.newDirectRoads(); err != nil {
			n.close()
			return nil, err
		}
	}
	if err := n.openTracker(); err != nil {
		n.close()
		return nil, err
	}
	if n.node, err = n.makeNode(); err == nil {
		n.shares, err = n.newShares()
	}
	if err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// tell adds what the setup page shows of a node.
func (n *nodeService) tell(st *setup.State) {
	st.Licence = n.desk.License().Mode
	st.Scanners, st.Queue = n.node.Summary()
	st.Disk, _ = n.store.Free()
	st.Gateway.Address, st.Gateway.Connected = n.node.Gateway()
	if address, check, waiting := n.node.Approval(); waiting {
		st.Gateway.Address, st.Gateway.Check, st.Gateway.Waiting = address, check, true
	}
	for _, g := range n.node.FoundGateways() {
		st.Gateway.Found = append(st.Gateway.Found, api.SetupFound{Name: g.Name, Address: g.Address, Fingerprint: g.Fingerprint})
	}
	st.Shared = n.shares.shared()
}

// announces tells phones nearby where the node's page is, if they may open it.
func (n *nodeService) announces() []discovery.Record {
	port := n.ports.number(portHTTPS)
	if n.private || !n.external() || port == 0 {
		return nil
	}
	joined := "F"
	if gateway, _ := n.node.Gateway(); gateway != "" {
		joined = "T"
	}
	return []discovery.Record{n.record(discovery.TypeNode, port, map[string]string{discovery.TextJoined: joined})}
}

// applied looks at the pages of others again: their origins may be those of a key.
func (n *nodeService) applied(cfg *config.Config) {
	n.shares.configure(cfg)
	n.desk.Reload()
	n.origins.Licensed(n.desk.Allows)
}

func (n *nodeService) measure(m *metrics.Config) {
	m.Scanners = func() int { scanners, _ := n.node.Summary(); return scanners }
	m.JobsWaiting = func() int { _, queue := n.node.Summary(); return queue }
}

// workerGrace bounds how long a worker may take to end, so that a node ends in time.
const workerGrace = 3 * time.Second

func (n *nodeService) makeNode() (*node.Node, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	workers := driver.FindWorkers(self, "")
	workers.Log = n.log
	workers.Limits.Close = workerGrace
	files := filepath.Join(n.data, "imports")
	cache := filepath.Join(n.data, "cache", "pdfium") // compiled once, in seconds
	providers, err := n.providers()
	if err != nil {
		return nil, err
	}
	cfg := n.cfg.Load()
	var find discovery.Browser
	var gateways []string
	if n.finds {
		find, gateways = n.browser(cfg), cfg.Node.Gateways
	}
	return node.New(node.Config{
		Identity: n.self, Name: n.name, Version: version.String(), Location: cfg.Node.Location,
		Store: n.store, Workers: &workers, Drivers: cfg.Node.Drivers, Keys: n.keys(),
		Access: access.Config{
			Hosts: n.hosts, Origins: n.origins, Audit: n.audit, HSTS: n.certs.Trusted, Providers: providers,
			LoopbackTrust: cfg.Node.TrustLoopback, AllowPlainHTTP: cfg.Node.AllowPlainHTTP, MaxRole: cfg.Node.MaxRole,
			AdminToken: n.token, PairingBase: n.phoneURL, CAPin: n.ca.Pin(),
		},
		AuditHead: func() string { return n.audit.Head().String() },
		Extra:     n.extra,
		Vendors:   n.vendors, Clock: n.clock, Desk: n.desk, Tracking: n.tracker.tracking,
		Web:     n.web(),
		Dialers: []relay.Dialer{&h3link.Dialer{Log: n.log}, &h2link.Dialer{Log: n.log}},
		Roads:   n.direct.forNode(),
		Texts:   ocr.New(ocr.Config{Dir: filepath.Join(n.data, "ocr"), Log: n.log}),
		Imports: &node.Imports{Dir: files, Workers: &driver.Workers{
			Path: self, Env: []string{pdfium.EnvCache + "=" + cache}, Limits: workers.Limits, Log: n.log,
		}},
		Find: find, Gateways: gateways, OnGateway: n.tellNews,
		Encryption: func() scan.Encryption { return n.cfg.Load().Node.Encryption },
		Log:        n.log,
	})
}

// browser looks for gateways as the configuration says; nil: nowhere.
func (n *nodeService) browser(cfg *config.Config) discovery.Browser {
	if !cfg.Node.FindGateway {
		return nil
	}
	near := mdns.NewBrowser(mdns.Config{Log: n.log})
	if cfg.Bonjour.Domain == "" {
		return near
	}
	return discovery.Merge(near, unicast.New(unicast.Config{Domain: cfg.Bonjour.Domain, Log: n.log}))
}

func (n *nodeService) close() {
	n.base.close()
	if n.tracker != nil {
		n.tracker.close()
	}
	if err := n.store.Close(); err != nil {
		n.log.Error("closing the page store failed", "error", err)
	}
}

// serve runs node and ports until the command is told to end. Once requests are
// answered, ready prints where.
func (n *nodeService) serve(ready func() error) error {
	group, ctx := errgroup.WithContext(n.ctx)
	nodeCtx, endNode := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return n.node.Serve(nodeCtx) })
	group.Go(func() error { return n.tracker.serve(ctx) })
	group.Go(func() error {
		defer endNode() // after the shares, which take back what they asked it for
		if n.private {
			<-ctx.Done()
			return nil
		}
		return n.shares.serve(ctx)
	})
	if n.direct != nil {
		group.Go(func() error { return n.direct.serve(ctx) })
	}
	n.base.serve(ctx, group, n)
	group.Go(func() error {
		select {
		case <-n.node.Ready():
		case <-ctx.Done():
			return nil
		}
		if err := writeEndpoint(n.data, n.endpoint()); err != nil {
			return err
		}
		if err := ready(); err != nil || n.ask == "" {
			return err
		}
		return n.awaitApproval(ctx)
	})
	return group.Wait()
}

// startPrivateNode runs a node inside this command, for one command.
func (s *session) startPrivateNode() (*client, func(), error) {
	n, err := s.newNode(slog.LevelWarn, nodeMode{}) // the command tells what goes on
	if err != nil {
		return nil, nil, err
	}
	n.private = true
	cfg := *n.cfg.Load()
	cfg.Node.HTTPPort, cfg.Node.External = 0, false
	if err := n.ports.Set(n.wanted(&cfg)); err != nil {
		n.close()
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.ctx)) // the command may still cancel its job
	ended := make(chan error, 1)
	inner := *n.session
	inner.ctx = ctx
	n.base.session = &inner
	up := make(chan struct{})
	go func() { ended <- n.serve(func() error { close(up); return nil }) }()
	stop := func() {
		cancel()
		<-ended
		n.close()
		os.Remove(ownEndpoint(n.data))
	}
	select {
	case <-up:
		c, err := newClient(n.endpoint())
		if err != nil {
			stop()
		}
		return c, stop, err
	case err := <-ended:
		cancel()
		n.close()
		return nil, nil, err
	}
}
