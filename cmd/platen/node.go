package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/version"
	"github.com/platen-scan/platen/node"
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/h2link"
	"github.com/platen-scan/platen/relay/h3link"
	"github.com/platen-scan/platen/web"
)

type nodeCmd struct {
	Join string `help:"Join a gateway with the token that it printed; needed once." placeholder:"TOKEN"`
}

func (cmd *nodeCmd) Run(s *session) error {
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
	n.lan = n.cfg.Node.External
	if err := n.listen(); err != nil {
		return err
	}
	return n.serve(func() error {
		fmt.Fprintf(s.stdout, "Platen node %q %s\n", n.name, version.String())
		n.announce("this computer", n.localURL())
		if gateway := n.node.Gateway(); gateway != "" {
			n.announce("gateway", gateway)
		} else {
			n.announce("gateway", "none: run platen node --join TOKEN")
		}
		return nil
	})
}

// nodeService is a node with its store and listeners.
type nodeService struct {
	*base
	store     *pagestore.Store
	node      *node.Node
	lan       bool
	ca        *identity.CA
	loopback  net.Listener
	https     net.Listener
	listeners []listener
}

type listener struct {
	net.Listener
	handler http.Handler
	tls     *tls.Config
}

// newNode opens the data folder and makes the node. Nothing listens yet.
func (s *session) newNode(logLevel slog.Level) (*nodeService, error) {
	b, err := s.newBase(logLevel)
	if err != nil {
		return nil, err
	}
	n := &nodeService{base: b}
	b.name = nameOr(b.cfg.Node.Name)
	if n.ca, err = identity.LoadCA(n.keys(), n.name); err != nil {
		return nil, err
	}
	var found pagestore.Recovery
	n.store, found, err = pagestore.Open(s.ctx, pagestore.Config{Dir: s.data, NodeID: n.self.NodeID(), Log: n.log, Reserve: n.cfg.Storage.Reserve})
	if err != nil {
		return nil, err
	}
	if len(found.Lost) > 0 {
		n.log.Error("stored pages are damaged or missing", "pages", found.Lost)
	}
	if n.node, err = n.makeNode(); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	return n, nil
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
	hosts, err := access.NewHosts(ownNames(n.cfg.Node.Names)...)
	if err != nil {
		return nil, err
	}
	return node.New(node.Config{
		Identity: n.self, Name: n.name, Version: version.String(), Location: n.cfg.Node.Location,
		Store: n.store, Workers: &workers, Drivers: n.cfg.Node.Drivers, Keys: n.keys(),
		Access: access.Config{
			Hosts: hosts, LoopbackTrust: n.cfg.Node.TrustLoopback, AllowPlainHTTP: n.cfg.Node.AllowPlainHTTP,
			AdminToken: n.token, MaxRole: api.Role(n.cfg.Node.MaxRole), PairingBase: n.phoneURL, CAPin: n.ca.Pin(),
		},
		Web:     web.Handler(),
		Dialers: []relay.Dialer{&h3link.Dialer{Log: n.log}, &h2link.Dialer{Log: n.log}},
		Log:     n.log,
	})
}

func (n *nodeService) close() {
	for _, l := range n.listeners {
		l.Close()
	}
	if err := n.store.Close(); err != nil {
		n.log.Error("closing the page store failed", "error", err)
	}
}

// serve runs node and listeners until the command is told to end. Once requests are
// answered, ready prints where.
func (n *nodeService) serve(ready func() error) error {
	group, ctx := errgroup.WithContext(n.ctx)
	group.Go(func() error { return n.node.Serve(ctx) })
	for _, l := range n.listeners {
		group.Go(func() error { return n.serveHTTP(ctx, l.Listener, l.handler, l.tls) })
	}
	group.Go(func() error {
		select {
		case <-n.node.Ready():
		case <-ctx.Done():
			return nil
		}
		if err := writeEndpoint(n.data, n.endpoint()); err != nil {
			return err
		}
		return ready()
	})
	return group.Wait()
}

// startPrivateNode runs a node inside this command, for one command.
func (s *session) startPrivateNode() (*client, func(), error) {
	n, err := s.newNode(slog.LevelWarn) // the command tells what goes on
	if err != nil {
		return nil, nil, err
	}
	n.cfg.Node.HTTPPort = 0
	if err := n.listen(); err != nil {
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
