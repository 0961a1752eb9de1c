package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/metrics"
	"github.com/platen-scan/platen/internal/setup"
	"github.com/platen-scan/platen/internal/version"
	"github.com/platen-scan/platen/node"
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/pagestore"
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
	Join    string `help:"Join a gateway with the token that it printed; needed once." placeholder:"TOKEN" xor:"gateway"`
	Gateway string `help:"Ask the gateway at this address to be let in; a person there approves. Needed once." placeholder:"HOST:PORT" xor:"gateway"`
}

func (cmd *nodeServeCmd) Run(s *session) error {
	n, err := s.newNode(slog.LevelDebug)
	if err != nil {
		return err
	}
	defer n.close()
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
			n.announce("gateway", "none: run platen node --join TOKEN, or --gateway HOST:PORT")
		}
		return nil
	})
}

type nodeLeaveCmd struct{}

func (nodeLeaveCmd) Run(s *session) error {
	if _, err := s.running(); err == nil {
		return errors.New("the node runs: stop it first, or leave on its setup page")
	}
	n, err := s.newNode(slog.LevelWarn)
	if err != nil {
		return err
	}
	defer n.close()
	return n.node.Leave(s.ctx)
}

// nodeService is a node with its store and ports.
type nodeService struct {
	*base
	store   *pagestore.Store
	node    *node.Node
	lan     bool   // other devices are let in whatever the configuration says
	private bool   // for one command: no ports but one of loopback
	ask     string // gateway that is to be asked for approval; "": none
}

// newNode opens the data folder and makes the node. Nothing listens yet.
func (s *session) newNode(logLevel slog.Level) (*nodeService, error) {
	b, err := s.newBase(nodeEnd, logLevel)
	if err != nil {
		return nil, err
	}
	n := &nodeService{base: b}
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
	if n.node, err = n.makeNode(); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// tell adds what the setup page shows of a node.
func (n *nodeService) tell(st *setup.State) {
	st.Scanners, st.Queue = n.node.Summary()
	st.Disk, _ = n.store.Free()
	st.Gateway.Address, st.Gateway.Connected = n.node.Gateway()
	if address, check, waiting := n.node.Approval(); waiting {
		st.Gateway.Address, st.Gateway.Check, st.Gateway.Waiting = address, check, true
	}
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
	providers, err := n.providers()
	if err != nil {
		return nil, err
	}
	cfg := n.cfg.Load()
	return node.New(node.Config{
		Identity: n.self, Name: n.name, Version: version.String(), Location: cfg.Node.Location,
		Store: n.store, Workers: &workers, Drivers: cfg.Node.Drivers, Keys: n.keys(),
		Access: access.Config{
			Hosts: n.hosts, Origins: n.origins, Audit: n.audit, HSTS: n.certs.Trusted, Providers: providers,
			LoopbackTrust: cfg.Node.TrustLoopback, AllowPlainHTTP: cfg.Node.AllowPlainHTTP, MaxRole: cfg.Node.MaxRole,
			AdminToken: n.token, PairingBase: n.phoneURL, CAPin: n.ca.Pin(),
		},
		AuditHead: func() string { return n.audit.Head().String() },
		Extra:     n.routes(n),
		Web:       n.web(),
		Dialers:   []relay.Dialer{&h3link.Dialer{Log: n.log}, &h2link.Dialer{Log: n.log}},
		Log:       n.log,
	})
}

func (n *nodeService) close() {
	n.base.close()
	if err := n.store.Close(); err != nil {
		n.log.Error("closing the page store failed", "error", err)
	}
}

// serve runs node and ports until the command is told to end. Once requests are
// answered, ready prints where.
func (n *nodeService) serve(ready func() error) error {
	group, ctx := errgroup.WithContext(n.ctx)
	group.Go(func() error { return n.node.Serve(ctx) })
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
	n, err := s.newNode(slog.LevelWarn) // the command tells what goes on
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
