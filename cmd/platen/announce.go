package main

import (
	"context"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/discovery/mdns"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/internal/identity"
)

// announcer announces a service, and the scanners that it shares, to the local network.
// While there is nothing to announce it speaks with nobody and has no port open.
type announcer struct {
	host string // without its domain
	log  *slog.Logger

	mu       sync.Mutex
	own      []discovery.Record // of the service
	scanners []discovery.Record
	only     string // address; "": all
	off      bool
	running  *mdns.Advertiser // nil while nothing is announced
	changed  chan struct{}
}

// announceHost is the name under which the machine's addresses are announced: one of
// Platen's own, so that no other responder of the machine has it too.
func announceHost(id string) string { return "platen-" + id[:8] }

func newAnnouncer(id string, log *slog.Logger) *announcer {
	return &announcer{host: announceHost(id), log: log, changed: make(chan struct{}, 1)}
}

// name is the host with its domain.
func (a *announcer) name() string { return a.host + ".local" }

// configure takes the configuration's word, and the address that the service is bound to.
func (a *announcer) configure(c config.Bonjour, only string) {
	a.mu.Lock()
	a.off, a.only = !c.Enable, only
	a.mu.Unlock()
	a.look()
}

// service makes these the records of the service itself.
func (a *announcer) service(own []discovery.Record) {
	a.mu.Lock()
	same := reflect.DeepEqual(a.own, own)
	a.own = own
	a.mu.Unlock()
	if !same {
		a.look()
	}
}

// share makes these the records of the scanners that are shared.
func (a *announcer) share(scanners []discovery.Record) {
	a.mu.Lock()
	a.scanners = scanners
	a.mu.Unlock()
	a.look()
}

func (a *announcer) look() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// wanted are the records to announce now.
func (a *announcer) wanted() []discovery.Record {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.off {
		return nil
	}
	list := slices.Concat(a.own, a.scanners)
	if only, err := netip.ParseAddr(a.only); err == nil {
		if only.IsLoopback() {
			return nil
		}
		for i := range list {
			list[i].Addrs = []netip.Addr{only}
		}
	}
	return list
}

// announced are the records as others see them, with their names.
func (a *announcer) announced() []discovery.Record {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running == nil {
		return nil
	}
	return a.running.Announced()
}

// Serve announces until ctx ends.
func (a *announcer) Serve(ctx context.Context) error {
	for ctx.Err() == nil {
		if len(a.wanted()) == 0 {
			select {
			case <-a.changed:
			case <-ctx.Done():
			}
			continue
		}
		if err := a.serve(ctx); err != nil {
			a.log.Error("nothing is announced to the local network", "error", err)
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// serve announces for as long as there is something to announce.
func (a *announcer) serve(ctx context.Context) error {
	m, err := mdns.NewAdvertiser(mdns.Config{Host: a.host, Log: a.log})
	if err != nil {
		return err
	}
	a.run(m)
	defer a.run(nil)
	group, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	group.Go(func() error { return m.Serve(ctx) })
	group.Go(func() error {
		defer stop()
		for {
			records := a.wanted()
			if len(records) == 0 {
				return nil
			}
			m.Announce(records)
			select {
			case <-a.changed:
			case <-ctx.Done():
				return nil
			}
		}
	})
	return group.Wait()
}

func (a *announcer) run(m *mdns.Advertiser) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running = m
}

// announceEvery is how soon others learn what has changed at a service by itself, as that
// it has a gateway now.
const announceEvery = 2 * time.Second

// keepAnnounced keeps what is announced of a service true.
func (b *base) keepAnnounced(ctx context.Context, of service) {
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	for {
		b.announcer.service(of.announces())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// record is that of the service itself, of a type and at a port.
func (b *base) record(kind string, port int, more map[string]string) discovery.Record {
	c := b.cfg.Load().Bonjour
	text := map[string]string{
		discovery.TextVersion: "1", discovery.TextID: b.self.NodeID(), discovery.TextAPI: "1",
		discovery.TextFingerprint: identity.ShortFingerprint(b.self.Pin()),
	}
	if c.Tag != "" {
		text[discovery.TextTag] = c.Tag
	}
	for k, v := range more {
		text[k] = v
	}
	name := c.Name
	if name == "" {
		name = b.name
	}
	return discovery.Record{Type: kind, Name: discovery.Instance(name), Port: uint16(port), Text: text}
}

// address of a service's ports for people: where a browser on another machine finds it.
func (b *base) address(scheme string, port int) string {
	return scheme + "://" + b.announcer.name() + ":" + strconv.Itoa(port)
}
