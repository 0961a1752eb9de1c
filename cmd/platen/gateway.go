package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/gateway"
	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/version"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/front"
	"github.com/platen-scan/platen/relay/h2link"
	"github.com/platen-scan/platen/relay/h3link"
	"github.com/platen-scan/platen/web"
)

type gatewayCmd struct {
	Serve  gatewayServeCmd  `cmd:"" default:"withargs" help:"Run the gateway (the default)."`
	Token  gatewayTokenCmd  `cmd:"" help:"Make a join token for a node."`
	Nodes  gatewayNodesCmd  `cmd:"" help:"List nodes."`
	Revoke gatewayRevokeCmd `cmd:"" help:"Cut a node off and refuse its key from then on."`
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
	group.Go(func() error { return g.serveHTTP(ctx, g.plain, g.plainHandler(), nil) })
	group.Go(g.introduce)
	return group.Wait()
}

// gatewayService is a gateway with its state and ports.
type gatewayService struct {
	*base
	ca      *identity.CA
	state   *state.State
	gateway *gateway.Gateway
	front   *front.Front
	plain   net.Listener
}

func (s *session) newGateway() (g *gatewayService, err error) {
	b, err := s.newBase(slog.LevelDebug)
	if err != nil {
		return nil, err
	}
	g = &gatewayService{base: b}
	b.name = nameOr(b.cfg.Gateway.Name)
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if g.ca, err = identity.LoadCA(g.keys(), g.name); err != nil {
		return nil, err
	}
	reset, err := resetKey(g.keys())
	if err != nil {
		return nil, err
	}
	if g.state, err = state.Open(s.ctx, state.Config{Dir: filepath.Join(s.storage(), "nats"), Log: g.log}); err != nil {
		return nil, err
	}
	hosts, err := access.NewHosts(ownNames(g.cfg.Gateway.Names)...)
	if err != nil {
		return nil, err
	}
	g.gateway, err = gateway.New(gateway.Config{
		Identity: g.self, Name: g.name, Version: version.String(), State: g.state, Web: web.Handler(),
		Hosts: hosts, AllowPlainHTTP: g.cfg.Gateway.AllowPlainHTTP, AdminToken: g.token, CAPin: g.ca.Pin(),
		PairingBase: g.publicURL, Addresses: g.addresses(), Log: g.log,
	})
	if err != nil {
		return nil, err
	}
	g.front, err = front.New(front.Config{
		Addr: ":" + strconv.Itoa(g.cfg.Gateway.Port), Identity: g.self,
		Certificate:    g.browserTLS(g.ca, g.cfg.Gateway.Names).GetCertificate,
		BrowserHandler: g.gateway.Handler(), NodeHandler: g.gateway.NodeHandler(),
		LinkAllowed: g.gateway.LinkAllowed, OnLink: g.gateway.AddLink,
		QUIC: h3link.ServerConfig(), QUICLink: h3link.Accept, TCPLink: h2link.Accept,
		StatelessResetKey: reset, Log: g.log,
	})
	if err != nil {
		return nil, err
	}
	if err := g.front.Listen(); err != nil {
		return nil, err
	}
	g.plain, err = listen(":" + strconv.Itoa(g.cfg.Gateway.HTTPPort))
	return g, err
}

// plainHandler answers plain HTTP: with the page about the certificate, unless people
// may sign in without encryption.
func (g *gatewayService) plainHandler() http.Handler {
	if g.cfg.Gateway.AllowPlainHTTP {
		g.log.Warn("devices may sign in without encryption: others on the network can read along")
		return relay.Progress(g.gateway.Handler(), relay.StallLimit)
	}
	return g.landingPage(g.ca, g.port())
}

func (g *gatewayService) close() {
	if g.plain != nil {
		g.plain.Close()
	}
	if g.state != nil {
		if err := g.state.Close(); err != nil {
			g.log.Error("closing the gateway's state failed", "error", err)
		}
	}
}

// introduce prints how to reach the gateway, with a first join token and pairing code.
func (g *gatewayService) introduce() error {
	e := endpoint{URL: "https://127.0.0.1:" + strconv.Itoa(g.port()), Token: g.token, CA: g.ca.Pin()}
	if err := writeEndpoint(g.data, e); err != nil {
		return err
	}
	c, err := newClient(e)
	if err != nil {
		return err
	}
	pairing, err := c.firstPairing(g.ctx)
	if err != nil {
		return err
	}
	token, err := decode[api.JoinToken](c.CreateJoinToken(g.ctx, api.JoinTokenRequest{}))
	if err != nil {
		return err
	}
	fmt.Fprintf(g.stdout, "Platen gateway %q %s\n", g.name, version.String())
	g.announce("browsers", g.publicURL())
	g.printPairing(pairing)
	g.printToken(token)
	return nil
}

// port is the gateway's one port for browsers and links.
func (g *gatewayService) port() int {
	_, port, _ := net.SplitHostPort(g.front.Addr().String())
	n, _ := strconv.Atoi(port)
	return n
}

// publicURL is the address that people are given.
func (g *gatewayService) publicURL() string {
	host := g.cfg.Gateway.PublicAddress // with its port
	if host == "" {
		host = "localhost"
		if addresses := lanAddresses(); len(g.cfg.Gateway.Names) > 0 {
			host = g.cfg.Gateway.Names[0]
		} else if len(addresses) > 0 {
			host = addresses[0].String()
		}
		host = net.JoinHostPort(host, strconv.Itoa(g.port()))
	}
	return (&url.URL{Scheme: "https", Host: host}).String()
}

// addresses are where nodes may reach the gateway, for join tokens.
func (g *gatewayService) addresses() []string {
	port := strconv.Itoa(g.cfg.Gateway.Port)
	var all []string
	for _, name := range g.cfg.Gateway.Names {
		all = append(all, net.JoinHostPort(name, port))
	}
	for _, ip := range lanAddresses() {
		all = append(all, net.JoinHostPort(ip.String(), port))
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
	return key, writePrivate(name, key[:])
}
