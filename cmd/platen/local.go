package main

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/version"
)

type localCmd struct {
	LAN bool `help:"Let phones and other computers of this network in, over HTTPS, once they are paired."`
}

func (cmd *localCmd) Run(s *session) error {
	n, err := s.newNode(slog.LevelDebug)
	if err != nil {
		return err
	}
	defer n.close()
	n.lan = cmd.LAN || n.cfg.Node.External
	if err := n.listen(); err != nil {
		return err
	}
	return n.serve(func() error {
		fmt.Fprintf(s.stdout, "Platen %s\n", version.String())
		n.announce("this computer", n.localURL())
		if !n.lan {
			n.announce("phone", "run: platen --lan")
			return nil
		}
		c, err := newClient(n.endpoint())
		if err != nil {
			return err
		}
		p, err := c.firstPairing(s.ctx)
		if err != nil {
			return err
		}
		s.printPairing(p)
		return nil
	})
}

// listen opens the node's ports: loopback always, the LAN's if it is wanted.
func (n *nodeService) listen() error {
	port := strconv.Itoa(n.cfg.Node.HTTPPort)
	loopback, err := listen(net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	n.loopback = loopback
	n.listeners = append(n.listeners, listener{Listener: loopback, handler: n.node.Handler(access.RoadLoopback)})
	if v6, err := listen(net.JoinHostPort("::1", strconv.Itoa(portOf(loopback)))); err == nil { // a machine may have no IPv6
		n.listeners = append(n.listeners, listener{Listener: v6, handler: n.node.Handler(access.RoadLoopback)})
	}
	if !n.lan {
		return nil
	}
	https, err := listen(net.JoinHostPort(n.cfg.Node.Address, strconv.Itoa(n.cfg.Node.HTTPSPort)))
	if err != nil {
		return err
	}
	n.https = https
	lan := n.node.Handler(access.RoadLAN)
	n.listeners = append(n.listeners, listener{Listener: https, handler: lan, tls: n.browserTLS(n.ca, n.cfg.Node.Names)})
	page := n.landingPage(n.ca, portOf(https))
	if n.cfg.Node.AllowPlainHTTP {
		n.log.Warn("devices may sign in without encryption: others on the network can read along")
		page = lan
	}
	for _, ip := range n.lanListenAddresses() {
		if l, err := listen(net.JoinHostPort(ip.String(), strconv.Itoa(portOf(loopback)))); err == nil {
			n.listeners = append(n.listeners, listener{Listener: l, handler: page})
		} else {
			n.log.Warn("no certificate page on an address", "addr", ip, "err", err)
		}
	}
	return nil
}

// lanListenAddresses are the addresses for other devices: the configured one, or all.
func (n *nodeService) lanListenAddresses() []net.IP {
	if ip := net.ParseIP(n.cfg.Node.Address); ip != nil {
		return []net.IP{ip}
	}
	return lanAddresses()
}

// localURL is the node's own page on this machine.
func (n *nodeService) localURL() string {
	return "http://localhost:" + strconv.Itoa(portOf(n.loopback))
}

// endpoint is how this machine's commands reach the node.
func (n *nodeService) endpoint() endpoint { return endpoint{URL: n.localURL(), Token: n.token} }

// phoneURL is the address that a phone on the LAN opens; "" without one.
func (n *nodeService) phoneURL() string {
	if n.https == nil {
		return ""
	}
	for _, ip := range n.lanListenAddresses() {
		return "https://" + net.JoinHostPort(ip.String(), strconv.Itoa(portOf(n.https)))
	}
	return ""
}
