package main

import (
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/platen-scan/platen/gateway"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/relay/turnserver"
)

// turnLife is how long what a browser is given for the TURN server is good: what it has open
// ends then.
const turnLife = time.Hour

// newTURN makes the gateway's TURN and STUN server, where it is enabled.
func (g *gatewayService) newTURN() (*turnserver.Server, error) {
	cfg := g.cfg.Load().TURN
	if !cfg.Enable {
		return nil, nil
	}
	first, last := cfg.Ports()
	config := turnserver.Config{
		Addr: ":" + strconv.Itoa(cfg.Port), RelayPorts: [2]uint16{first, last}, Allowed: g.gateway.Linked, Log: g.log,
	}
	if cfg.Address != "" {
		address, err := netip.ParseAddr(cfg.Address)
		if err != nil {
			return nil, err
		}
		config.Relay = address
	}
	s, err := turnserver.New(config)
	if err != nil {
		return nil, err
	}
	return s, s.Listen()
}

// roads are what browsers and nodes are told to find their way to each other with.
func (g *gatewayService) roads() gateway.RoadsConfig {
	cfg := g.cfg.Load()
	roads := gateway.RoadsConfig{TURN: g.turnServer}
	for _, server := range cfg.Roads.STUN {
		roads.STUN = append(roads.STUN, "stun:"+server)
	}
	if cfg.TURN.Enable {
		roads.STUN = append(roads.STUN, "stun:"+g.turnAddress())
	}
	return roads
}

// turnServer is what a user needs for the TURN server.
func (g *gatewayService) turnServer(user string) (server api.ICEServer, ok bool) {
	if g.turn == nil {
		return api.ICEServer{}, false
	}
	name, password := g.turn.Credentials(user, turnLife)
	address := "turn:" + g.turnAddress()
	return api.ICEServer{Urls: []string{address + "?transport=udp", address + "?transport=tcp"}, Username: name, Credential: password}, true
}

// turnAddress is host:port of the TURN server as others reach it.
func (g *gatewayService) turnAddress() string {
	cfg := g.cfg.Load()
	host := cfg.TURN.Address
	if host == "" && cfg.Gateway.PublicAddress != "" {
		host, _, _ = net.SplitHostPort(cfg.Gateway.PublicAddress) // Load has judged it
	}
	if host == "" {
		for _, ip := range lanAddresses() {
			host = ip.String()
			break
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(cfg.TURN.Port))
}
