package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// How often drivers look for devices.
const (
	lookEvery   = time.Minute      // by themselves
	lookAgain   = 10 * time.Second // because somebody asks for the list, not more often
	lookBusy    = 5 * time.Second  // until a device of the driver has ended its work
	forgetAfter = 10 * time.Minute // a device that no listing had since then is gone
)

// finder keeps the list of one driver's devices.
type finder struct {
	node   *Node
	driver string
	wake   chan struct{}

	mu      sync.Mutex
	looking bool // for the first time, or because somebody asked
	looked  time.Time
	fault   string // why the last listing failed, for people
}

func (n *Node) newFinder(name string) *finder {
	return &finder{node: n, driver: name, wake: make(chan struct{}, 1), looking: true}
}

// serve lists the devices now and then until ctx ends.
func (f *finder) serve(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		case <-timer.C:
		}
		if f.node.driverBusy(f.driver) {
			timer.Reset(lookBusy) // listing may disturb a scan
			continue
		}
		f.look(ctx)
		timer.Reset(lookEvery)
	}
}

// refresh has the driver look again soon, for somebody who asks for the list.
func (f *finder) refresh() {
	f.mu.Lock()
	due := !f.looking && time.Since(f.looked) >= lookAgain
	f.looking = f.looking || due
	f.mu.Unlock()
	if !due {
		return
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *finder) look(ctx context.Context) {
	found, err := f.node.workers.Devices(ctx, f.driver)
	if ctx.Err() != nil {
		return
	}
	fault := ""
	if err != nil {
		fault = faultWords(err)
		f.node.log.Warn("looking for scanners failed", "driver", f.driver, "error", err)
	} else {
		f.node.found(ctx, f.driver, found)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looking, f.looked, f.fault = false, time.Now(), fault
}

// state is whether the driver is looking, and its fault as the list of scanners shows it.
func (f *finder) state() (looking bool, fault *api.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault != "" {
		fault = &api.Fault{Driver: f.driver, Node: f.node.id, Reason: f.fault}
	}
	return f.looking, fault
}

func faultWords(err error) string {
	var missing *driver.Missing
	switch {
	case errors.As(err, &missing):
		return missing.Hint
	case errors.Is(err, driver.ErrWorker):
		return "The driver stopped working while it looked for scanners. It looks again in a minute."
	}
	return "Looking for scanners failed. The log of this computer says more."
}

// found brings the devices of a driver up to date with a listing.
func (n *Node) found(ctx context.Context, name string, infos []driver.DeviceInfo) {
	listed := map[string]bool{}
	for _, info := range infos {
		info.Driver = name
		id := scan.DerivedID(n.id, scan.KindScanner, name+"/"+info.Stable)
		if info.Stable == "" || listed[id] {
			n.log.Warn("device without a name of its own", "driver", name, "device", info.Name)
			continue
		}
		listed[id] = true
		d := n.ensureDevice(id)
		d.do(ctx, func() { d.appeared(ctx, info) }) // fails only when the node stops
	}
	for _, d := range n.devices() {
		d.do(ctx, func() {
			if d.info.Driver == name && !listed[d.id] {
				d.disappeared()
			}
		})
	}
}

// appeared runs in the actor: a listing has the device.
func (d *device) appeared(ctx context.Context, info driver.DeviceInfo) {
	if d.settings.Presence == "" {
		if err := d.learnSettings(ctx); err != nil {
			d.log.Error("scanner is left out until its settings can be read", "error", err)
			return
		}
	}
	back := !d.seen
	if back {
		d.seen, d.since = true, time.Now()
		d.crashes, d.told, d.toldAt = nil, scan.Status{}, time.Time{}
	}
	if back || d.info != info {
		d.log.Info("scanner found", "driver", info.Driver, "title", info.Title)
		d.setCapabilities(nil) // it may have been changed while it was away
		d.retire()
	}
	d.info = info
}

// disappeared runs in the actor: a listing does not have the device. One at work is
// there all the same.
func (d *device) disappeared() {
	if d.busy || d.current != nil || len(d.queue) > 0 {
		return
	}
	if d.seen {
		d.seen, d.since = false, time.Now()
		d.log.Info("scanner not found any more")
		d.retire()
		return
	}
	if time.Since(d.since) >= forgetAfter && len(d.queue)+len(d.parked) == 0 {
		d.forgotten = true
		d.node.forget(d)
	}
}
