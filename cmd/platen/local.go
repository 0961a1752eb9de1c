package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/internal/version"
	"github.com/platen-scan/platen/proto/api"
)

type localCmd struct {
	LAN  bool `help:"Let phones and other computers of this network in, over HTTPS, once they are paired."`
	ESCL bool `help:"With --lan, let every computer of this network scan by eSCL, without sign-in." negatable:"" default:"true"`
}

func (cmd *localCmd) Run(s *session) error {
	n, err := s.newNode(slog.LevelDebug, nodeMode{})
	if err != nil {
		return err
	}
	defer n.close()
	n.lan, n.escl = cmd.LAN, cmd.LAN && cmd.ESCL
	if err := n.ports.Set(n.wanted(n.cfg.Load())); err != nil {
		return err
	}
	return n.serve(func() error {
		fmt.Fprintf(s.stdout, "Platen %s\n", version.String())
		n.announce("this computer", n.localURL())
		n.announceSetup()
		if !n.external() {
			n.announce("phone", "run: platen --lan")
			return nil
		}
		c, err := newClient(n.endpoint())
		if err != nil {
			return err
		}
		if err := s.firstPairing(c, api.RoleUser); err != nil {
			return err
		}
		n.announceCA()
		n.announceSharing()
		return nil
	})
}

// The names of a service's ports.
const (
	portHTTP       = "HTTP"
	portHTTPS      = "HTTPS"
	portSetup      = "the setup page"
	portSetupHTTPS = "the setup page over HTTPS"
)

// wanted are the ports that the node is to have: loopback always, the network's where
// other devices are let in.
func (n *nodeService) wanted(cfg *config.Config) []port {
	open := n.lan || cfg.Node.External
	here, lan := n.node.Handler(access.RoadLoopback), n.node.Handler(access.RoadLAN)
	landing := n.certs.Challenges(n.landingPage(func() int { return n.ports.number(portHTTPS) }))
	plain := byPeer(here, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.cfg.Load().Node.AllowPlainHTTP {
			lan.ServeHTTP(w, r)
			return
		}
		landing.ServeHTTP(w, r)
	}))
	hosts := []string{"127.0.0.1", "::1"}
	if open && cfg.Node.Address == "" {
		hosts = []string{""}
	} else if open {
		hosts = append(hosts, cfg.Node.Address)
	}
	var list []port
	add := func(name string, number int, h http.Handler, secure *tls.Config, hosts []string) {
		for _, host := range hosts {
			list = append(list, port{name: name, host: host, number: number, handler: h, secure: secure, spare: host == "::1"})
		}
	}
	add(portHTTP, cfg.Node.HTTPPort, plain, nil, hosts)
	if !n.private {
		add(portHTTPS, cfg.Node.HTTPSPort, byPeer(here, lan), n.browserTLS(), hosts)
	}
	if on, http, https := n.end.setupPage(cfg); on && !n.private {
		setup := n.node.Handler(access.RoadSetup)
		add(portSetup, http, setup, nil, []string{"127.0.0.1", "::1"})
		if open {
			add(portSetupHTTPS, https, setup, n.browserTLS(), hosts)
		}
	}
	return list
}

// external reports whether other devices are let in.
func (n *nodeService) external() bool { return n.lan || n.cfg.Load().Node.External }

// localURL is the node's own page on this machine.
func (n *nodeService) localURL() string {
	return "http://localhost:" + strconv.Itoa(n.ports.number(portHTTP))
}

// endpoint is how this machine's commands reach the node.
func (n *nodeService) endpoint() endpoint {
	return endpoint{URL: n.localURL(), Token: n.token, Setup: n.setupURL()}
}

// phoneURL is the address that a phone on the LAN opens; "" without one.
func (n *nodeService) phoneURL() string {
	if !n.external() {
		return ""
	}
	host := n.cfg.Load().Node.Address
	if host == "" {
		for _, ip := range lanAddresses() {
			host = ip.String()
			break
		}
	}
	if host == "" {
		return ""
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(n.ports.number(portHTTPS)))
}
