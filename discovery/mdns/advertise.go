package mdns

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/platen-scan/platen/discovery"
)

const (
	// settleTime is how long changes of interfaces are collected: they come in bursts.
	settleTime = 100 * time.Millisecond
	// goodbyeGap is between the two goodbyes at the end: a lost one would leave the
	// records in others' caches for an hour.
	goodbyeGap = 100 * time.Millisecond
)

// Advertiser announces records by multicast DNS. It claims their names (RFC 6762, section
// 8), answers questions (6), gives way to others who had a name before (9) and says
// goodbye (10.1).
//
// One name of a host has one set of addresses. Records that tell only some of the addresses
// are told on the interfaces that have them, and if others tell all, under a host name
// with a suffix.
type Advertiser struct {
	host    string
	log     *slog.Logger
	changed chan struct{} // holds one if wanted has changed

	mu     sync.Mutex
	wanted []discovery.Record
	told   []discovery.Record
}

var _ discovery.Advertiser = (*Advertiser)(nil)

// NewAdvertiser returns one for a machine's name. The error says that it cannot be one.
func NewAdvertiser(c Config) (*Advertiser, error) {
	if !validHost(c.Host) {
		return nil, errors.New("mdns: host name of an advertiser must be one of letters, digits and hyphens")
	}
	log := c.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Advertiser{host: c.Host, log: log, changed: make(chan struct{}, 1)}, nil
}

// Announce implements discovery.Advertiser. A record that has the type and name of one
// before, or also its port if there are several such, is that one: it keeps its name, and
// changes of its text are told without a goodbye.
func (a *Advertiser) Announce(records []discovery.Record) {
	a.mu.Lock()
	a.wanted = slices.Clone(records)
	a.mu.Unlock()
	notify(a.changed)
}

// Announced implements discovery.Advertiser. A record whose name is not claimed yet, or
// for which there is no network, is not in it.
func (a *Advertiser) Announced() []discovery.Record {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.told)
}

// Serve implements discovery.Advertiser. It never returns an error: what cannot be opened
// now is tried again.
func (a *Advertiser) Serve(ctx context.Context) error {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx)) // goodbyes come after ctx
	w := newSockets(inner)
	defer w.shut()
	defer stop()

	interfaces := make(chan struct{}, 1)
	var watcher sync.WaitGroup
	defer watcher.Wait()
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	watcher.Go(func() {
		if err := watchInterfaces(watching, func() { notify(interfaces) }); err != nil {
			a.log.Debug("interfaces are looked at in intervals only", "error", err)
		}
	})
	a.run(ctx, w, networks, interfaces)
	return nil
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run is Serve on any wire.
func (a *Advertiser) run(ctx context.Context, w wire, list func() ([]network, error), interfaces <-chan struct{}) {
	r := newResponder(a.host, w, a.log)
	timer := time.NewTimer(0) // for what is due next
	defer timer.Stop()
	look := newLooker(list, a.log)
	defer look.due.Stop()
	notify(a.changed)
	for {
		select {
		case <-ctx.Done():
			a.publish(nil)
			r.leave()
			time.Sleep(goodbyeGap)
			r.leave()
			return
		case <-a.changed:
			a.mu.Lock()
			records := a.wanted
			a.mu.Unlock()
			r.want(records, time.Now())
		case <-interfaces:
			look.soon()
			continue
		case <-look.due.C:
			now := time.Now()
			found, woke, err := look.at(now)
			if woke {
				r.wake(now)
			}
			if err != nil {
				continue
			}
			r.use(found, now)
		case in := <-w.packets():
			if !r.hear(in, time.Now()) {
				continue
			}
		case <-timer.C:
		}
		timer.Reset(time.Until(r.step(time.Now())))
		if r.news {
			r.news = false
			a.publish(r.announced())
		}
	}
}

func (a *Advertiser) publish(told []discovery.Record) {
	a.mu.Lock()
	a.told = told
	a.mu.Unlock()
}
