package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/gateway"
	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/metrics"
	"github.com/platen-scan/platen/internal/setup"
	"github.com/platen-scan/platen/internal/version"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/front"
	"github.com/platen-scan/platen/relay/h2link"
	"github.com/platen-scan/platen/relay/h3link"
	"github.com/platen-scan/platen/relay/turnserver"
)

type gatewayCmd struct {
	Serve     gatewayServeCmd     `cmd:"" default:"withargs" help:"Run the gateway (the default)."`
	Token     gatewayTokenCmd     `cmd:"" help:"Make a join token for a node."`
	Nodes     gatewayNodesCmd     `cmd:"" help:"List nodes."`
	Approve   gatewayApproveCmd   `cmd:"" help:"Let a node in that waits, once its four symbols were compared."`
	Label     gatewayLabelCmd     `cmd:"" help:"Label a node."`
	Drain     gatewayDrainCmd     `cmd:"" help:"Let a node finish its scans and take no new ones."`
	Present   gatewayPresentCmd   `cmd:"" help:"Let a node show a scanner of another node to the computers around it."`
	Revoke    gatewayRevokeCmd    `cmd:"" help:"Cut a node off and refuse its key from then on."`
	Reinstate gatewayReinstateCmd `cmd:"" help:"Trust a quarantined node again."`
	RotateKey rotateKeyCmd        `cmd:"" help:"Announce a new key of the gateway to its nodes; it serves after seven days."`
}

type gatewayServeCmd struct{}

func (cmd *gatewayServeCmd) Run(s *session) error {
	g, err := s.newGateway()
	if err != nil {
		return err
	}
	defer g.close()
	group, ctx := errgroup.WithContext(s.ctx)
	group.Go(func() error { return g.gateway.Serve(ctx) })
	group.Go(func() error { return g.front.Serve(ctx) })
	group.Go(func() error { return g.tracker.serve(ctx) })
	group.Go(func() error { return tend(ctx, g.front.Handshakes) })
	if g.turn != nil {
		group.Go(func() error { return g.turn.Serve(ctx) })
	}
	g.base.serve(ctx, group, g)
	group.Go(g.introduce)
	return group.Wait()
}

// gatewayService is a gateway with its state and ports.
type gatewayService struct {
	fronted
	gateway *gateway.Gateway
	turn    *turnserver.Server // nil: none
}

func (s *session) newGateway() (*gatewayService, error) {
	b, err := s.newBase(gatewayEnd, slog.LevelDebug)
	if err != nil {
		return nil, err
	}
	g := &gatewayService{fronted: fronted{base: b}}
	if err := g.open(); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func (g *gatewayService) open() error {
	reset, err := resetKey(g.keys())
	if err != nil {
		return err
	}
	if g.state, err = state.Open(g.ctx, state.Config{Dir: filepath.Join(g.storage(), "nats"), Log: g.log}); err != nil {
		return err
	}
	if err := g.openSetup(g, nil); err != nil {
		return err
	}
	if err := g.openTracker(); err != nil {
		return err
	}
	providers, err := g.providers()
	if err != nil {
		return err
	}
	cfg := g.cfg.Load()
	g.gateway, err = gateway.New(gateway.Config{
		Identity: g.self, Name: g.name, Version: version.String(), State: g.state, Web: g.web(),
		Hosts: g.hosts, Origins: g.origins, Audit: g.audit, HSTS: g.certs.Trusted, Providers: providers, Extra: g.extra,
		Desk: g.desk, Tracking: g.tracker.tracking, Ledger: g.ledger(),
		AllowPlainHTTP: cfg.Gateway.AllowPlainHTTP, AdminToken: g.token, Addresses: g.addresses(),
		PairingBase: g.publicURL, CAPin: g.ca.Pin(), Roads: g.roads(), Log: g.log,
	})
	if err != nil {
		return err
	}
	g.front, err = front.New(front.Config{
		Addr: ":" + strconv.Itoa(cfg.Gateway.Port), Identity: g.self,
		Certificate:    g.certs.GetCertificate,
		BrowserHandler: g.gateway.Handler(), NodeHandler: g.gateway.NodeHandler(),
		LinkAllowed: g.gateway.LinkAllowed, OnLink: g.gateway.AddLink,
		QUIC: h3link.ServerConfig(), QUICLink: h3link.Accept, TCPLink: h2link.Accept,
		StatelessResetKey: reset, TellHTTP3: cfg.Gateway.HTTP3, Log: g.log,
	})
	if err != nil {
		return err
	}
	if err := g.front.Listen(); err != nil {
		return err
	}
	if g.turn, err = g.newTURN(); err != nil {
		return err
	}
	return g.ports.Set(g.wanted(cfg))
}

// wanted are the gateway's ports beside its one for browsers and links.
func (g *gatewayService) wanted(cfg *config.Config) []port {
	// Plain HTTP: the page about the certificate, unless people may sign in without encryption.
	plain := g.certs.Challenges(g.landingPage(g.port))
	if cfg.Gateway.AllowPlainHTTP {
		g.log.Warn("devices may sign in without encryption: others on the network can read along")
		plain = g.certs.Challenges(relay.Progress(g.gateway.Handler(), relay.StallLimit))
	}
	list := []port{{name: portHTTP, number: cfg.Gateway.HTTPPort, handler: plain}}
	if on, http, https := g.end.setupPage(cfg); on {
		setup := relay.Progress(g.gateway.SetupHandler(), relay.StallLimit)
		list = append(list,
			port{name: portSetup, host: "127.0.0.1", number: http, handler: setup},
			port{name: portSetup, host: "::1", number: http, handler: setup, spare: true},
			port{name: portSetupHTTPS, number: https, handler: setup, secure: g.browserTLS()})
	}
	return list
}

// tell adds what the setup page shows of a gateway.
func (g *gatewayService) tell(st *setup.State) {
	st.Licence = g.desk.License().Mode
	for _, n := range g.gateway.Summary() {
		st.Nodes += n
	}
	st.Ports = append(st.Ports,
		api.SetupPort{Name: "browsers and nodes", Address: "all", Port: g.port(), Protocol: api.SetupPortProtocolTcp, Open: true},
		api.SetupPort{Name: "browsers and nodes", Address: "all", Port: g.port(), Protocol: api.SetupPortProtocolUdp, Open: true})
}

// announces tells nodes nearby that they can ask to be let in here.
func (g *gatewayService) announces() []discovery.Record {
	return []discovery.Record{g.record(discovery.TypeGateway, g.port(), nil)}
}

// applied looks at the pages of others again: their origins may be those of a key.
func (g *gatewayService) applied(*config.Config) {
	g.desk.Reload()
	g.origins.Licensed(g.desk.Allows)
}

func (g *gatewayService) measure(m *metrics.Config) {
	// The routes are made while the gateway is.
	m.Nodes = func() map[scan.NodeState]int { return g.gateway.Summary() }
}

// introduce prints how to reach the gateway, with a first join token and pairing code.
func (g *gatewayService) introduce() error {
	c, err := g.meet()
	if err != nil {
		return err
	}
	fmt.Fprintf(g.stdout, "Platen gateway %q %s\n", g.name, version.String())
	g.announce("browsers", g.publicURL())
	g.announceSetup()
	if err := g.firstPairing(c, api.RoleUser); err != nil {
		return err
	}
	g.announceCA()
	g.announce("administrator", fmt.Sprintf("platen --data %s pair --role admin", shellWord(g.data)))
	g.announce("", "makes a link that signs you in here; as an administrator you let nodes in that are nearby")
	token, err := api.Decode[api.JoinToken](c.CreateJoinToken(g.ctx, api.JoinTokenRequest{}))
	if err != nil {
		return g.without("nodes", "gateway token", err)
	}
	g.printToken(token)
	return nil
}

// shellWord is text as a shell takes it for one word.
func shellWord(text string) string {
	if strings.ContainsAny(text, " \t'\"\\$`&;|<>()*?[]#~!{}") {
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	return text
}

// publicURL is the address that people are given.
func (g *gatewayService) publicURL() string {
	cfg := g.cfg.Load().Gateway
	if cfg.PublicAddress != "" { // with its port
		return (&url.URL{Scheme: "https", Host: cfg.PublicAddress}).String()
	}
	return publicURL(cfg.Names, g.port())
}

// publicURL is the address at which others reach a service with these names, at best.
func publicURL(names []string, port int) string {
	host := "localhost"
	if addresses := lanAddresses(); len(names) > 0 {
		host = names[0]
	} else if len(addresses) > 0 {
		host = addresses[0].String()
	}
	if _, _, err := net.SplitHostPort(host); err != nil { // a name may have the port that leads here
		host = net.JoinHostPort(host, strconv.Itoa(port))
	}
	return (&url.URL{Scheme: "https", Host: host}).String()
}

// addresses are where nodes may reach the gateway, for join tokens.
func (g *gatewayService) addresses() []string {
	cfg := g.cfg.Load().Gateway
	port := strconv.Itoa(cfg.Port)
	var all []string
	for _, name := range cfg.Names {
		all = append(all, net.JoinHostPort(name, port))
	}
	for _, ip := range lanAddresses() {
		if a := net.JoinHostPort(ip.String(), port); !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	if len(all) == 0 {
		all = append(all, net.JoinHostPort("127.0.0.1", port))
	}
	return all
}

// resetKey is the key of QUIC's stateless resets: kept, so that nodes notice at once
// that the gateway was started again.
func resetKey(keys string) (key [32]byte, err error) {
	name := filepath.Join(keys, "reset.key")
	b, err := os.ReadFile(name)
	switch {
	case err == nil && len(b) == len(key):
		return [32]byte(b), nil
	case err == nil:
		return key, fmt.Errorf("%s is damaged: delete it and start again", name)
	case !errors.Is(err, fs.ErrNotExist):
		return key, err
	}
	rand.Read(key[:])
	return key, identity.WriteSecret(name, key[:])
}
