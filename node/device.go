package node

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// device is the actor of one scanner. The fields of its first part belong to the
// goroutine that runs serve; others reach them with do. The view below is for readers.
type device struct {
	node  *Node
	id    string
	log   *slog.Logger
	inbox chan func()
	gone  chan struct{} // closed when serve has returned

	files *imports          // whose files are its paper; nil: it is a scanner
	info  driver.DeviceInfo // zero until the device was seen since the node's start
	seen  bool              // the last listing had it
	since time.Time         // when that changed

	settings pagestore.ScannerSettings // what people decided; Presence is "" until they were read
	wrong    []time.Time               // when wrong releases came, of the last minute

	queue   []*ticket          // jobs in state pending, next first
	parked  map[string]*ticket // jobs that wait without the device: held, interrupted
	current *ticket            // the job that holds the device
	retries []func()           // what storage refused and must be tried again
	retryAt time.Time

	busy     bool // an operation has the worker
	ops      sync.WaitGroup
	lastUse  time.Time
	crashes  []time.Time
	openFrom time.Time // do not start a worker before
	stopping bool
	// forgotten: the actor is to end, because the node does or the device is no more.
	forgotten bool

	told      scan.Status // what the device said last
	toldAt    time.Time   // zero: never
	wantsCaps []chan error
	wantsTold []chan struct{}

	mu      sync.Mutex
	worker  worker
	caps    *scan.Capabilities
	scanner scan.Scanner         // as it was announced last
	holder  string               // owner of the job that scanner.Status.Job names
	places  map[string]int       // job → position in the queue
	codes   map[string]ownerCode // job that waits for its owner → its code
	growing growth
}

// ownerCode is what releases a job, and who may see it.
type ownerCode struct{ owner, code string }

// growth is the page that is being scanned.
type growth struct {
	job string
	n   int // 0: none
}

// ticket is a job that has not ended, as its device's actor knows it.
type ticket struct {
	job   scan.Job
	owner string
	code  string    // releases it; "" for a job that need not wait for its owner
	run   *run      // the scan under way, nil while there is none
	until time.Time // when job.Deadline is, by the monotonic clock; zero: none
	tries int       // so often the device was held by another program
	again time.Time
	asked bool // the device was asked how it is since the job stopped
}

// take brings the ticket up to date. A wall clock that is set does not end a wait.
func (t *ticket) take(j scan.Job) {
	t.job, t.asked, t.until = j, false, time.Time{}
	if now := time.Now(); !j.Deadline.IsZero() {
		t.until = now.Add(j.Deadline.Sub(now))
	}
}

func (n *Node) newDevice(id string) *device {
	now := time.Now()
	d := &device{
		node: n, id: id, log: n.log.With("scanner", id),
		inbox: make(chan func()), gone: make(chan struct{}),
		since: now, lastUse: now,
		parked: map[string]*ticket{}, places: map[string]int{},
	}
	d.scanner.Status.Since = scan.At(now)
	if n.imports != nil && id == n.imports.id() {
		d.files, d.seen = n.imports, true // it is on no list, and always there
	}
	return d
}

// opens is what a worker is to open for a job.
func (d *device) opens(job string) driver.DeviceInfo {
	if d.files != nil {
		return d.files.info(job)
	}
	return d.info
}

// do runs f in the actor and waits for its end.
func (d *device) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case d.inbox <- func() { defer close(done); f(); d.refresh() }: // visible when do returns
		<-done
		return nil
	case <-d.gone:
		return problem.Unavailable.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serve is the actor. When ctx ends it ends what the worker does, leaves the jobs as
// they are for the next start, and returns.
func (d *device) serve(ctx context.Context) {
	defer close(d.gone)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		d.due(now)
		d.schedule(now)
		d.refresh()
		timer.Reset(time.Until(d.nextDue(now)))
		select {
		case f := <-d.inbox:
			f()
		case <-timer.C:
		case <-ctx.Done():
			d.forgotten = true
		}
		if d.forgotten {
			d.shutDown()
			return
		}
	}
}

// operate gives the worker to f, in a goroutine of its own. What f returns runs in
// the actor afterwards.
func (d *device) operate(ctx context.Context, f func(context.Context) (then func())) {
	d.busy = true
	d.ops.Go(func() {
		then := f(ctx)
		d.inbox <- func() { // the actor listens for as long as operations run
			d.busy = false
			d.lastUse = time.Now()
			then()
		}
	})
}

// shutDown ends the operation under way and the worker.
func (d *device) shutDown() {
	d.stopping = true
	if d.current != nil && d.current.run != nil {
		d.current.run.stop(context.Canceled)
	}
	idle := make(chan struct{})
	go func() { d.ops.Wait(); close(idle) }()
	for {
		select {
		case f := <-d.inbox:
			f()
		case <-idle:
			d.answerAll(problem.Unavailable.Error())
			d.dropWorker()
			return
		}
	}
}

// openWorker returns the device's worker and starts it where there is none. Only
// operations call it.
func (d *device) openWorker(ctx context.Context, info driver.DeviceInfo) (worker, error) {
	if w := d.hasWorker(); w != nil {
		select {
		case <-w.Done(): // it died unnoticed, or because it did not end a scan
			d.dropWorker()
		default:
			return w, nil
		}
	}
	from := d.node.workers
	if d.files != nil {
		from = d.files.workers
	}
	w, err := from.Open(ctx, info)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.worker = w
	d.mu.Unlock()
	return w, nil
}

// dropWorker ends the device's process. It blocks for as long as the process takes.
func (d *device) dropWorker() {
	d.mu.Lock()
	w := d.worker
	d.worker = nil
	d.mu.Unlock()
	if w == nil {
		return
	}
	if err := w.Close(); err != nil {
		d.log.Warn("ending the driver's process", "error", err)
	}
}

func (d *device) hasWorker() worker {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.worker
}

// refresh brings the readers' view up to date and announces what changed.
func (d *device) refresh() {
	places := make(map[string]int, len(d.queue))
	for i, t := range d.queue {
		places[t.job.ID] = i + 1
	}
	codes := map[string]ownerCode{}
	for id, t := range d.parked {
		if waitsForOwner(t.job) {
			codes[id] = ownerCode{t.owner, t.code}
		}
	}
	s, holder := d.describe()

	d.mu.Lock()
	if s.Status.State == d.scanner.Status.State {
		s.Status.Since = d.scanner.Status.Since
	}
	changed := !reflect.DeepEqual(s, d.scanner)
	moved := d.movedLocked(places)
	d.scanner, d.holder, d.places, d.codes = s, holder, places, codes
	d.mu.Unlock()

	if changed && s.Name != "" {
		d.node.hub.publish(notice{event: &scan.Event{Type: scan.EventDeviceState, Scanner: &s}, holder: holder})
	}
	for _, t := range moved {
		d.announce(t)
	}
}

// movedLocked finds the queued jobs that were announced with another position.
func (d *device) movedLocked(places map[string]int) []*ticket {
	var moved []*ticket
	for _, t := range d.queue {
		if was, ok := d.places[t.job.ID]; ok && was != places[t.job.ID] {
			moved = append(moved, t)
		}
	}
	return moved
}

// overlay adds to a stored job what only the actor knows, for subject.
func (d *device) overlay(j *scan.Job, subject string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	j.Position, j.Growing, j.ReleaseCode = 0, 0, ""
	if c, ok := d.codes[j.ID]; ok && waitsForOwner(*j) && subject != "" && c.owner == subject {
		j.ReleaseCode = c.code
	}
	if j.State == scan.JobPending {
		j.Position = d.places[j.ID]
	}
	if st := d.scanner.Status; j.State == scan.JobProcessing && st.Job == j.ID && slices.Contains(st.Reasons, scan.ReasonStorageFailed) {
		j.Reasons = []scan.Reason{scan.ReasonStorageFailed}
	}
	if j.State == scan.JobProcessing && d.growing.job == j.ID {
		j.Growing = d.growing.n
	}
}

// view is the scanner as everybody may see it but for the job, and who owns that.
func (d *device) view() (s scan.Scanner, holder string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.scanner, d.holder
}

// capabilities are those that the device told, nil before.
func (d *device) capabilities() *scan.Capabilities {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.caps
}
