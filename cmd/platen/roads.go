package main

import (
	"context"
	"net"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/node"
	"github.com/platen-scan/platen/relay/front"
	"github.com/platen-scan/platen/relay/rtcroad"
	"github.com/platen-scan/platen/relay/wtroad"
)

// directRoads are the ways by which browsers that a gateway vouches for reach a node
// without it. Their ports are opened once the node has joined a gateway.
type directRoads struct {
	node         *nodeService
	certificates *wtroad.Certificates
	web          *wtroad.Road
	rtc          *rtcroad.Road
	rtcAddr      string
}

func (n *nodeService) newDirectRoads() (*directRoads, error) {
	d := &directRoads{node: n}
	var err error
	if d.certificates, err = wtroad.OpenCertificates(wtroad.CertificatesConfig{Dir: n.keys(), Log: n.log}); err != nil {
		return nil, err
	}
	if d.web, err = wtroad.New(wtroad.Config{Certificates: d.certificates, Log: n.log}); err != nil {
		return nil, err
	}
	cfg := n.cfg.Load()
	d.rtcAddr = net.JoinHostPort(cfg.Node.Address, strconv.Itoa(cfg.Roads.WebRTCPort))
	d.rtc, err = rtcroad.New(rtcroad.Config{Addr: d.rtcAddr, Dir: n.keys(), Log: n.log})
	return d, err
}

// forNode is what the node serves.
func (d *directRoads) forNode() *node.Roads {
	if d == nil {
		return nil
	}
	return &node.Roads{WebTransport: d.web, WebRTC: d.rtc, Addresses: d.addresses}
}

// addresses are those at which other devices reach WebTransport.
func (d *directRoads) addresses() []string {
	port := d.node.ports.number(portHTTPS)
	if only := d.node.cfg.Load().Node.Address; only != "" {
		return []string{net.JoinHostPort(only, strconv.Itoa(port))}
	}
	var list []string
	for _, ip := range lanAddresses() {
		list = append(list, net.JoinHostPort(ip.String(), strconv.Itoa(port)))
	}
	return list
}

// joinedEvery is how soon the ports are opened after the node has joined a gateway.
const joinedEvery = time.Second

// serve lets browsers in by the roads, from when the node has a gateway until ctx ends. A
// port that cannot be had costs its road and nothing else: everything passes the gateway too.
func (d *directRoads) serve(ctx context.Context) error {
	tick := time.NewTicker(joinedEvery)
	defer tick.Stop()
	for {
		if gateway, _ := d.node.node.Gateway(); gateway != "" {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	open := func(kind, addr string, listen func() error, serve func(context.Context) error) {
		if err := listen(); err != nil {
			d.node.log.Error("browsers cannot reach this node by one of the direct roads", "road", kind, "error", front.Explain(err, "udp", addr))
			return
		}
		group.Go(func() error { return serve(ctx) })
	}
	group.Go(func() error { return d.certificates.Serve(ctx) })
	web := net.JoinHostPort(d.node.cfg.Load().Node.Address, strconv.Itoa(d.node.ports.number(portHTTPS)))
	open("WebTransport", web, func() error { return d.web.Listen(web) }, d.web.Serve)
	open("WebRTC", d.rtcAddr, d.rtc.Listen, d.rtc.Serve)
	return group.Wait()
}
