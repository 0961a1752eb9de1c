package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/node/sharing"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// presents takes the scanners of the command line.
func (n *nodeService) presents(scanners []string) error {
	for _, id := range scanners {
		if _, kind, err := scan.ParseID(id); err != nil || kind != scan.KindScanner {
			return fmt.Errorf("%w: %q is not the ID of a scanner; platen devices --gateway URL lists them", errUsage, id)
		}
	}
	n.present = scanners
	return nil
}

// shares says which scanners a node shares by eSCL: its own, and those of other nodes
// that the gateway lets it present.
type shares struct {
	node    *nodeService
	sharing *sharing.Sharing

	bringing sync.Mutex // so that what was seen last is shared last

	mu      sync.Mutex
	own     []scan.Scanner
	allowed []string // of other nodes
}

func (n *nodeService) newShares() (*shares, error) {
	door := &access.Neighbours{Hosts: n.hosts, Origins: n.origins, Allow: func() []netip.Prefix { return n.cfg.Load().ESCL.Allow }, Log: n.log}
	s := &shares{node: n}
	var err error
	s.sharing, err = sharing.New(sharing.Config{
		FirstPort: n.cfg.Load().ESCL.Port, Records: n.store.Records(),
		Address: func() string { return n.cfg.Load().Node.Address }, Listen: listen,
		Answer: n.serveHTTP, TLS: n.browserTLS(), Door: door.Handler,
		Announce: n.announcer.share, Host: n.announcer.name(), Page: s.page, Spool: n.storage(), Log: n.log,
	})
	return s, err
}

// sharesOwn reports whether the node's own scanners are shared.
func (n *nodeService) sharesOwn() bool { return n.escl || n.cfg.Load().ESCL.Enable }

// announceSharing prints who may scan without a sign-in.
func (n *nodeService) announceSharing() {
	if n.sharesOwn() {
		n.announce("any computer", "of this network finds the shared scanners by itself (eSCL), without sign-in")
	}
}

// page is where people find out about a scanner of this node: in the app, if other
// devices may open it.
func (s *shares) page(scanner string) string {
	if prefix, _, err := scan.ParseID(scanner); err != nil || prefix != scan.Prefix(s.node.node.ID()) {
		return "" // the app does not know those of other nodes
	}
	if port := s.node.ports.number(portHTTPS); s.node.external() && port != 0 {
		return s.node.address("https", port) + "/scanners/" + scanner
	}
	return ""
}

// serve keeps what is shared what it should be, until ctx ends.
func (s *shares) serve(ctx context.Context) error {
	n := s.node.node
	s.configure(s.node.cfg.Load())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.sharing.Serve(ctx) })
	group.Go(func() error {
		n.FollowScanners(ctx, func(list []scan.Scanner) {
			s.mu.Lock()
			s.own = list
			s.mu.Unlock()
			s.bring(ctx)
		})
		return nil
	})
	group.Go(func() error {
		n.FollowPresented(ctx, func(allowed, waiting []string) {
			for _, id := range waiting {
				s.node.log.Warn("the gateway does not let this node present a scanner yet; an administrator allows it with the node's row in the app, or by: platen gateway present",
					"node", n.ID(), "scanner", id)
			}
			s.mu.Lock()
			s.allowed = allowed
			s.mu.Unlock()
			s.bring(ctx)
		})
		return nil
	})
	return group.Wait()
}

// bring shares what is to be shared now.
func (s *shares) bring(ctx context.Context) {
	s.bringing.Lock()
	defer s.bringing.Unlock()
	n := s.node.node
	s.mu.Lock()
	own, allowed := s.own, s.allowed
	s.mu.Unlock()
	var list []sharing.Scanner
	if s.node.sharesOwn() {
		for _, sc := range own {
			if sc.Shared && n.OpenToAll(ctx, sc.ID) {
				list = append(list, sharing.Scanner{ID: sc.ID, Name: sc.Name, Location: sc.Location, API: n.API})
			}
		}
	}
	for _, id := range allowed {
		list = append(list, sharing.Scanner{ID: id, Remote: true, API: func(netip.Addr) *api.Client { return n.GatewayAPI() }})
	}
	s.sharing.Share(list)
}

// configure takes in that the configuration has changed.
func (s *shares) configure(cfg *config.Config) {
	s.node.node.Present(append(slices.Clone(s.node.present), cfg.ESCL.Present...))
	s.bring(s.node.ctx)
}

// shared is what the setup page shows, with the names that others see.
func (s *shares) shared() []api.SetupShared {
	list := s.sharing.Shared()
	announced := s.node.announcer.announced()
	for i := range list {
		at := slices.IndexFunc(announced, func(r discovery.Record) bool { return r.Type == discovery.TypeScanner && int(r.Port) == list[i].Port })
		if list[i].Announced = at >= 0; list[i].Announced {
			list[i].Name = announced[at].Name
		}
	}
	return list
}
