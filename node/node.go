package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/audit"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/ocr"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/node/reporting"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// Config is what a Node is made of.
type Config struct {
	Identity *identity.Identity // the node's key; needed
	Name     string             // for people, as "Reception"; needed
	Version  string             // of this program
	Location string             // of its scanners, for people; "": none
	Store    *pagestore.Store   // needed; whoever opened it closes it after Serve
	Workers  *driver.Workers    // needed
	Drivers  []string           // names of the drivers, in the order in which scanners are listed
	Keys     string             // folder of the gateway that the node joined; "": it joins none

	// Access says who may do what. New fills in Records, Service, Grants and DirectRoad, and Origins
	// that allow none where it has none.
	Access access.Config
	// Vendors are the pins of those whose licences are taken here. It is asked often and must
	// not block; nil or none: no licence is asked for.
	Vendors func() []string
	// Clock tells the time that licences go by. Serve has it write its journal. nil: the
	// system's clock does.
	Clock *license.Clock
	// Desk covers those who come without the gateway; nil: they have no licence.
	Desk *license.Desk
	// Tracking counts committed pages: this process, or the way to the server that does;
	// nil: they are reported to nobody.
	Tracking license.Tracking
	// AuditHead is the newest signed head of the audit log, which the gateway keeps; nil:
	// it is told none.
	AuditHead func() string
	// Extra are routes of the command that runs the node, as those of its setup page; may
	// be nil.
	Extra func(*access.Guard) []access.Route
	// Web answers what is not below /api/; nil: nothing is there.
	Web http.Handler
	// Encryption is whether pages go through the gateway sealed only; nil: EncryptionOff.
	// It is asked often and must not block. What names a recipient is sealed anyway.
	Encryption func() scan.Encryption
	// Dialers open links to the gateway, the preferred kind first; nil: none are opened.
	Dialers []relay.Dialer
	// Roads are for browsers that reach the node without its gateway between them; nil: there
	// are none.
	Roads *Roads

	// Texts read what is written on pages; nil: tesseract, where it is installed.
	Texts *ocr.Engine

	// Imports make pages of files; nil: none are taken.
	Imports *Imports

	// Find looks for gateways nearby: the node asks the only one there to let it in, and
	// looks where its gateway has gone when the link falls; nil: it does neither.
	Find discovery.Browser
	// Gateways, host:port each, are asked in this order in place of looking for one.
	Gateways []string
	// OnGateway hears what people are to be told while the node looks for a gateway by
	// itself. It is called one at a time and must not block; nil: nobody hears it.
	OnGateway func(GatewayNews)

	Log *slog.Logger // nil: none

	// Ways to the gateway's port; nil: relay.Meet and relay.NodeClient.
	meet   func(ctx context.Context, addr string, id *identity.Identity) (pin string, err error)
	client func(relay.Target) (*http.Client, error)
}

// Node is the local service. New makes it, Serve runs it.
type Node struct {
	id       string
	name     string
	version  string
	location string
	identity *identity.Identity
	log      *slog.Logger
	store    *pagestore.Store
	workers  workers
	// Store.Room and Store.UpdateJob, or the disk of a test.
	room   func(ctx context.Context, expected int64) error
	update func(ctx context.Context, job string, change func(*scan.Job) error) (scan.Job, error)
	guard  *access.Guard
	audit  access.Auditor // may be nil
	// auditHead is Config.AuditHead.
	auditHead func() string
	extra     func(*access.Guard) []access.Route
	grants    *access.GrantVerifier
	web       http.Handler
	hub       *hub
	finders   []*finder
	uplink    *uplink
	licences  *licences
	reporter  *reporting.Reporter // nil: pages are reported to nobody
	inside    *inside
	sealing   sealing
	roads     *roads
	texts     *ocr.Engine
	imports   *imports // nil: none

	ctx     context.Context // ends with Serve; operations and streams live in it
	end     context.CancelFunc
	running atomic.Bool // jobs of before the start were put right, requests may come
	ready   chan struct{}
	actors  sync.WaitGroup

	converting chan struct{} // slots for renditions in the making
	bodies     chan struct{} // slots for pages and documents that are being sent

	mu      sync.Mutex
	scanner map[string]*device
}

// New makes a node. It starts nothing.
func New(c Config) (*Node, error) {
	if c.Workers == nil {
		return nil, errors.New("making a node: it has no workers")
	}
	return newNode(c, processes{c.Workers})
}

func newNode(c Config, w workers) (*Node, error) {
	if c.Identity == nil || c.Store == nil || c.Name == "" {
		return nil, errors.New("making a node: it needs an identity, a store and a name")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	n := &Node{
		id: c.Identity.NodeID(), name: c.Name, version: c.Version, location: c.Location, identity: c.Identity,
		log: c.Log, store: c.Store, workers: w, room: c.Store.Room, update: c.Store.UpdateJob, web: c.Web, hub: newHub(time.Now),
		ready: make(chan struct{}), scanner: map[string]*device{},
		converting: make(chan struct{}, max(runtime.GOMAXPROCS(0), 2)), bodies: make(chan struct{}, bodiesOfNode),
		audit: c.Access.Audit, auditHead: c.AuditHead, extra: c.Extra,
		sealing: sealing{policy: c.Encryption, dir: c.Keys},
	}
	n.ctx, n.end = context.WithCancel(context.Background())
	if n.texts = c.Texts; n.texts == nil {
		n.texts = ocr.New(ocr.Config{Log: c.Log})
	}
	n.inside = newInside(n)
	n.roads = newRoads(n, c)
	n.licences = newLicences(n, c)
	if c.Tracking != nil {
		n.reporter = reporting.New(reporting.Config{
			Identity: c.Identity, Store: c.Store, Tracking: c.Tracking, Place: n.Place, Granted: n.licences.granted, Log: c.Log,
		})
	}
	var err error
	if n.imports, err = newImports(n, c.Imports); err != nil {
		return nil, fmt.Errorf("making a node: %w", err)
	}
	for _, name := range slices.Compact(slices.Clone(c.Drivers)) {
		n.finders = append(n.finders, n.newFinder(name))
	}
	if c.Access.Origins == nil {
		c.Access.Origins = access.NewOrigins()
	}
	n.grants = access.NewGrantVerifier(n.id, c.Access.Origins)
	c.Access.Origins.OnDrop(func() { n.roads.judgeOrigins(c.Access.Origins) })
	u, err := newUplink(n, c)
	if err != nil {
		return nil, fmt.Errorf("making a node: %w", err)
	}
	n.uplink = u
	c.Access.Records = c.Store.Records()
	c.Access.Service = n.service
	c.Access.Grants = n.grants
	c.Access.DirectRoad = n.roads.inForce
	if c.Desk != nil {
		c.Access.License = c.Desk
		c.Access.Origins.Licensed(c.Desk.Allows)
	}
	if c.Access.Log == nil {
		c.Access.Log = c.Log
	}
	n.guard = access.New(c.Access)
	return n, nil
}

// ID is the node's identifier, Name what people call it.
func (n *Node) ID() string   { return n.id }
func (n *Node) Name() string { return n.name }

// Ready is closed when Serve has put the jobs of before the start right and requests
// are answered. Looking for devices goes on after that.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Summary is how many scanners were found and how many jobs have not ended but for
// those that wait for their owners.
func (n *Node) Summary() (scanners, queue int) {
	all := n.scanners()
	for _, l := range all {
		queue += l.scanner.Status.Waiting
		if l.scanner.Status.Job != "" {
			queue++
		}
	}
	return len(all), queue
}

// Handler answers the HTTP API on one road, and Web's paths where there are pages.
func (n *Node) Handler(road access.Road) http.Handler {
	h := n.guard.Handler(road, n.routes(road), n.web)
	if watched(road) {
		return h
	}
	return withDeadline(h)
}

// Serve runs the node until ctx ends: it finishes what the last start left open,
// looks for devices, runs jobs, and keeps the link to the gateway. When it returns the
// workers have ended; a job that was under way can be resumed after the next start. It
// may be called once.
func (n *Node) Serve(ctx context.Context) error {
	defer n.end()
	stop := context.AfterFunc(ctx, n.end)
	defer stop()
	if err := errors.Join(n.recover(ctx), n.imports.recover(ctx)); err != nil {
		return fmt.Errorf("starting the node: %w", err)
	}
	n.running.Store(true)
	close(n.ready)
	var parts sync.WaitGroup
	for _, f := range n.finders {
		parts.Go(func() { f.serve(n.ctx) })
	}
	parts.Go(func() { n.sweep(n.ctx) })
	parts.Go(func() { n.inside.serve(n.ctx) })
	parts.Go(func() { n.roads.serve(n.ctx) })
	parts.Go(func() { n.uplink.serve(n.ctx) })
	n.serveLicences(&parts)
	<-n.ctx.Done()
	n.running.Store(false)
	parts.Wait()
	n.actors.Wait()
	return nil
}

// sweepEvery is how often retention is looked after.
const sweepEvery = time.Minute

// sweep lets the store delete what nobody may expect any more.
func (n *Node) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		swept, err := n.store.Sweep(ctx)
		if err != nil && ctx.Err() == nil {
			n.log.Error("retention failed", "error", err)
		}
		if len(swept.Pages)+len(swept.Documents)+len(swept.Jobs) > 0 {
			n.log.Info("retention ended", "pages", len(swept.Pages), "documents", len(swept.Documents), "jobs", len(swept.Jobs))
			n.recordSweep(ctx, swept)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// recordSweep is the receipt in the audit log that pages are gone.
func (n *Node) recordSweep(ctx context.Context, swept pagestore.Swept) {
	if n.audit == nil {
		return
	}
	err := n.audit.Append(context.WithoutCancel(ctx), audit.Entry{
		Action: "retention.wipe", Result: audit.OK, Who: "node", Target: n.id,
		Detail: fmt.Sprintf("pages %d, documents %d, jobs %d", len(swept.Pages), len(swept.Documents), len(swept.Jobs)),
	})
	if err != nil {
		n.log.Error("writing the audit log failed", "error", err)
	}
}

// device finds a scanner's actor, nil where there is none.
func (n *Node) device(id string) *device {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.scanner[id]
}

// devices are all actors, in no order.
func (n *Node) devices() []*device {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]*device, 0, len(n.scanner))
	for _, d := range n.scanner {
		all = append(all, d)
	}
	return all
}

// ensureDevice finds or starts a scanner's actor.
func (n *Node) ensureDevice(id string) *device {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.scanner[id]
	if d == nil {
		d = n.newDevice(id)
		n.scanner[id] = d
		n.actors.Go(func() { d.serve(n.ctx) })
	}
	return d
}

// forget takes a device off the list for good. Its actor ends.
func (n *Node) forget(d *device) {
	n.mu.Lock()
	delete(n.scanner, d.id)
	n.mu.Unlock()
	s, _ := d.view()
	n.hub.publish(notice{event: &scan.Event{Type: scan.EventDeviceGone, Scanner: &s}})
}

// driverBusy reports whether a device of the driver is at work.
func (n *Node) driverBusy(name string) bool {
	for _, d := range n.devices() {
		s, _ := d.view()
		if s.Driver == name && (s.Status.State == scan.ScannerProcessing || s.Status.Job != "") {
			return true
		}
	}
	return false
}

// Gateway is the address of the gateway that the node has joined, "" without one, and
// whether a link to it stands.
func (n *Node) Gateway() (address string, connected bool) { return n.uplink.state() }

// service is what callers with a session learn of the node.
func (n *Node) service(access.Caller) api.Service {
	s := api.Service{Role: api.ServiceRoleNode, Version: n.version, Id: n.id, Name: n.name}
	s.Gateway, s.GatewayConnected = n.uplink.state()
	return s
}
