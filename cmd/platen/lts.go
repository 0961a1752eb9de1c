package main

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/internal/metrics"
	"github.com/platen-scan/platen/internal/setup"
	"github.com/platen-scan/platen/internal/version"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/front"
	"github.com/platen-scan/platen/relay/h2link"
	"github.com/platen-scan/platen/relay/h3link"
)

type ltsCmd struct {
	Serve   ltsServeCmd   `cmd:"" default:"withargs" help:"Run a licence tracking server by itself (the default). A gateway has one inside."`
	Add     ltsAddCmd     `cmd:"" help:"Hand keys to the licence tracking server."`
	Items   ltsItemsCmd   `cmd:"" help:"List the keys that it hands out, and what is used of them."`
	Project ltsProjectCmd `cmd:"" help:"Make a handshake code, by which web pages and gateways find their licences."`
	Usage   ltsUsageCmd   `cmd:"" help:"What was used of each key in each period."`
}

type ltsServeCmd struct{}

func (ltsServeCmd) Run(s *session) error {
	l, err := s.newLTS()
	if err != nil {
		return err
	}
	defer l.close()
	group, ctx := errgroup.WithContext(s.ctx)
	group.Go(func() error { return l.front.Serve(ctx) })
	group.Go(func() error { return l.tracker.serve(ctx) })
	l.base.serve(ctx, group, l)
	group.Go(l.introduce)
	return group.Wait()
}

// ltsService is a licence tracking server by itself, with its state and port.
type ltsService struct {
	fronted
	setupPage http.Handler
}

func (s *session) newLTS() (*ltsService, error) {
	b, err := s.newBase(trackingEnd, slog.LevelDebug)
	if err != nil {
		return nil, err
	}
	l := &ltsService{fronted: fronted{base: b}}
	if err := l.open(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *ltsService) open() error {
	reset, err := resetKey(l.keys())
	if err != nil {
		return err
	}
	if l.state, err = state.Open(l.ctx, state.Config{Dir: filepath.Join(l.storage(), "nats"), Log: l.log}); err != nil {
		return err
	}
	if err := l.openSetup(l, nil); err != nil {
		return err
	}
	if l.tracker, err = l.newTracker(trackerConfig{records: l.state.Records(), ledger: l.state.Ledger(), place: l.gatewayPlace, lone: true}); err != nil {
		return err
	}
	l.desk = l.tracker.newDesk(l.gatewayPlace, nil)
	browsers, nodes, err := l.handlers()
	if err != nil {
		return err
	}
	cfg := l.cfg.Load()
	l.front, err = front.New(front.Config{
		Addr: ":" + strconv.Itoa(cfg.Tracking.Port), Identity: l.self, Certificate: l.certs.GetCertificate,
		BrowserHandler: browsers, NodeHandler: nodes,
		LinkAllowed: func(ed25519.PublicKey) error {
			return problem.New(problem.NodeUnknown, "This is a licence tracking server. Nodes join gateways.")
		},
		OnLink: func(link relay.Link) { link.Close("") },
		QUIC:   h3link.ServerConfig(), QUICLink: h3link.Accept, TCPLink: h2link.Accept,
		StatelessResetKey: reset, Log: l.log,
	})
	if err != nil {
		return err
	}
	if err := l.front.Listen(); err != nil {
		return err
	}
	return l.ports.Set(l.wanted(cfg))
}

// handlers judge and answer browsers, gateways and nodes, and the setup page.
func (l *ltsService) handlers() (browsers, nodes http.Handler, err error) {
	providers, err := l.providers()
	if err != nil {
		return nil, nil, err
	}
	guard := access.New(access.Config{
		Hosts: l.hosts, Records: l.state.Records(), AdminToken: l.token, Service: l.service, PairingBase: l.publicURL, CAPin: l.ca.Pin(),
		Origins: l.origins, Providers: providers, Audit: l.audit, HSTS: l.certs.Trusted, PeerKey: relay.PeerKeyOf, Log: l.log,
	})
	routes := slices.Concat(access.SignInRoutes(guard), l.tracker.routes(l.desk), l.routes(l)(guard))
	app := l.web()
	l.setupPage = guard.Handler(access.RoadSetup, routes, app)
	return guard.Handler(access.RoadPublic, routes, app), guard.Handler(access.RoadNode, routes, nil), nil
}

func (l *ltsService) service(access.Caller) api.Service {
	return api.Service{Role: api.ServiceRoleTracking, Version: version.String(), Id: l.self.NodeID(), Name: l.name}
}

// wanted are the ports of the setup page: all else comes by the one of front.
func (l *ltsService) wanted(cfg *config.Config) []port {
	on, http, https := l.end.setupPage(cfg)
	if !on {
		return nil
	}
	page := relay.Progress(l.setupPage, relay.StallLimit)
	return []port{
		{name: portSetup, host: "127.0.0.1", number: http, handler: page},
		{name: portSetup, host: "::1", number: http, handler: page, spare: true},
		{name: portSetupHTTPS, number: https, handler: page, secure: l.browserTLS()},
	}
}

func (l *ltsService) tell(st *setup.State) {
	st.Licence = l.desk.License().Mode
	st.Ports = append(st.Ports, api.SetupPort{Name: "browsers, gateways and nodes", Address: "all", Port: l.port(), Protocol: api.SetupPortProtocolTcp, Open: true})
}

func (l *ltsService) measure(*metrics.Config)       {}
func (l *ltsService) announces() []discovery.Record { return nil } // who is to find it is told its key too
func (l *ltsService) applied(*config.Config)        { l.desk.Reload() }

// introduce prints where the server is, its key, and a first pairing code.
func (l *ltsService) introduce() error {
	c, err := l.meet()
	if err != nil {
		return err
	}
	base, err := url.Parse(l.publicURL())
	if err != nil {
		return err
	}
	fmt.Fprintf(l.stdout, "Platen licence tracking server %q %s\n", l.name, version.String())
	l.announce("browsers", l.publicURL())
	l.announceSetup()
	if err := l.firstPairing(c, api.RoleOperator); err != nil {
		return err
	}
	l.announceCA()
	l.announce("administrator", fmt.Sprintf("platen --data %s pair --role admin", shellWord(l.data)))
	l.announce("key", l.self.Pin())
	l.announce("", "for the vendor: platen license issue --gateway="+l.self.Pin())
	l.announce("at gateways", "[license] Servers="+base.Host+"#"+l.self.Pin())
	if main := l.tracker.main; main != "" {
		l.announce("stands in for", main)
	}
	return nil
}

// publicURL is the address that people are given.
func (l *ltsService) publicURL() string { return publicURL(l.cfg.Load().Tracking.Names, l.port()) }
