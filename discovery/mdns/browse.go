package mdns

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/platen-scan/platen/discovery"
)

const (
	// firstLook is how long a Browser waits before it says that nothing is there.
	firstLook = time.Second
	// showGap is between two lists, so that a busy network keeps nobody busy who looks.
	showGap = 100 * time.Millisecond
)

// Browser looks for services by multicast DNS. Its questions want answers for all, never
// for one: the port is shared, and another program of this machine would get those.
type Browser struct {
	log     *slog.Logger
	ignored atomic.Uint64
}

var _ discovery.Browser = (*Browser)(nil)

// NewBrowser returns one. It does not need Config.Host.
func NewBrowser(c Config) *Browser {
	log := c.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Browser{log: log}
}

// Ignored is how many packets were not looked into or made no sense: malformed ones, from
// elsewhere than the link, or too many.
func (b *Browser) Ignored() uint64 { return b.ignored.Load() }

// Browse implements discovery.Browser. It never returns an error: what cannot be opened
// now is tried again.
func (b *Browser) Browse(ctx context.Context, types []string, see func([]discovery.Record)) error {
	inner, stop := context.WithCancel(ctx)
	w := newSockets(inner)
	defer w.shut()
	interfaces := make(chan struct{}, 1)
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer stop()
	watcher.Go(func() {
		if err := watchInterfaces(inner, func() { notify(interfaces) }); err != nil {
			b.log.Debug("interfaces are looked at in intervals only", "error", err)
		}
	})
	b.run(ctx, w, networks, interfaces, types, see)
	return nil
}

// run is Browse on any wire.
func (b *Browser) run(ctx context.Context, w wire, list func() ([]network, error), interfaces <-chan struct{}, types []string, see func([]discovery.Record)) {
	s := &search{browser: b, wire: w, types: types, table: discovery.NewTable(types, nil), plans: map[string]*plan{}, failed: map[link]bool{}}
	defer s.leave()
	timer := time.NewTimer(firstLook) // for what is due next
	defer timer.Stop()
	look := newLooker(list, b.log)
	defer look.due.Stop()
	show := &shown{see: see, due: time.Now().Add(firstLook)}
	for {
		select {
		case <-ctx.Done():
			return
		case <-interfaces:
			look.soon()
			continue
		case <-look.due.C:
			now := time.Now()
			found, woke, err := look.at(now)
			if woke {
				s.wake(now)
			}
			if err != nil {
				continue
			}
			s.use(found, now)
		case in := <-w.packets():
			s.hear(in)
		case <-timer.C:
		}
		next := s.step(time.Now())
		if due := show.show(s.table.List, time.Now()); !due.IsZero() && (next.IsZero() || due.Before(next)) {
			next = due
		}
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// shown is what see was called with.
type shown struct {
	see  func([]discovery.Record)
	told bool
	last []discovery.Record
	due  time.Time // before it an empty first list, and any other list, is not shown
}

// show shows the list if it has changed, or says when it is to be called again to do so.
func (s *shown) show(list func() []discovery.Record, now time.Time) time.Time {
	early := now.Before(s.due)
	if s.told && early {
		return s.due
	}
	records := list()
	if early && len(records) == 0 {
		return s.due
	}
	s.due = now.Add(showGap)
	if !s.told || !discovery.Equal(records, s.last) {
		s.told, s.last = true, discovery.Clone(records)
		s.see(records)
	}
	return time.Time{}
}
