package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	// roadWatchTime is how long a session is watched after a grant: the grant's life, and what
	// the node's reckoning of this gateway's clock may be out by.
	roadWatchTime  = 3 * time.Minute
	maxRoadWatches = 4096            // each of one session and one node
	closeLimit     = 3 * time.Second // for a node to close its roads
	closeAgain     = 500 * time.Millisecond
)

// roadWatches have nodes close the direct roads of sessions that end.
type roadWatches struct {
	g     *Gateway
	start chan *roadWatch // to Serve

	mu   sync.Mutex
	open map[watched]*roadWatch
}

// watched is who has a grant for what.
type watched struct{ session, node string }

// roadWatch is over one session at one node.
type roadWatch struct {
	key   watched
	node  *node
	ended <-chan struct{} // the session has
	stop  func()
	until time.Time // roadWatches.mu guards it
}

func newRoadWatches(g *Gateway) *roadWatches {
	return &roadWatches{g: g, start: make(chan *roadWatch), open: map[watched]*roadWatch{}}
}

// over reports whether the session has ended since the watch began: what was granted
// meanwhile must not be given out.
func (w *roadWatch) over() bool {
	select {
	case <-w.ended:
		return true
	default:
		return false
	}
}

// keep watches the session for as long as what is granted from now on may be good. It is
// called by a request of that session, before it grants anything.
func (r *roadWatches) keep(ctx context.Context, caller access.Caller, n *node) (*roadWatch, error) {
	key := watched{caller.Session, n.id}
	r.mu.Lock()
	w := r.open[key]
	if w != nil && w.node == n && !w.over() {
		w.until = time.Now().Add(roadWatchTime)
		r.mu.Unlock()
		return w, nil
	}
	if len(r.open) >= maxRoadWatches {
		r.mu.Unlock()
		return nil, problem.Unavailable.Error().After(roadWatchTime)
	}
	r.mu.Unlock()
	w = &roadWatch{key: key, node: n, until: time.Now().Add(roadWatchTime)}
	w.ended, w.stop = r.g.guard.Watch(caller)
	select {
	case r.start <- w:
	case <-ctx.Done():
		w.stop()
		return nil, ctx.Err()
	case <-r.g.stopping:
		w.stop()
		return nil, problem.Unavailable.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !w.over() {
		r.open[key] = w // in place of one that is over, or of another request's, which goes on by itself
	}
	return w, nil
}

func (r *roadWatches) forget(w *roadWatch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open[w.key] == w {
		delete(r.open, w.key)
	}
}

// serve watches until ctx ends. Nodes then close the roads when the grants run out.
func (r *roadWatches) serve(ctx context.Context) error {
	var watching sync.WaitGroup
	defer watching.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case w := <-r.start:
			watching.Go(func() { r.watch(ctx, w) })
		}
	}
}

func (r *roadWatches) watch(ctx context.Context, w *roadWatch) {
	defer w.stop()
	timer := time.NewTimer(roadWatchTime)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			r.forget(w)
			return
		case <-w.ended:
			r.forget(w)
			r.close(ctx, w)
			return
		case <-timer.C:
		}
		left, over := r.left(w)
		if over {
			return
		}
		timer.Reset(left)
	}
}

// left is for how long the watch goes on; it is forgotten if that is over.
func (r *roadWatches) left(w *roadWatch) (left time.Duration, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if left = time.Until(w.until); left > 0 {
		return left, false
	}
	if r.open[w.key] == w {
		delete(r.open, w.key)
	}
	return 0, true
}

// close has the node close the session's roads, over its next link if one fails, until
// it has or no grant is good any more.
func (r *roadWatches) close(ctx context.Context, w *roadWatch) {
	at := scan.At(r.g.now().Add(time.Millisecond)) // which is cut to milliseconds
	ctx, cancel := context.WithDeadline(ctx, w.until)
	defer cancel()
	again := time.NewTimer(0)
	defer again.Stop()
	var failed *held
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		if r.g.registry.record(w.node).Barred() != nil {
			return // it was told when its links were cut
		}
		link, err := r.g.registry.linkTo(ctx, w.node, failed)
		if err == nil {
			asking, done := context.WithTimeout(ctx, closeLimit)
			err = askLink(asking, link, "/api/v1/link/roads/close", api.LinkRoadsClose{Session: w.key.session, At: at}, nil, maxBrief)
			done()
			failed = link
		}
		if err == nil || problem.From(err).Code == problem.NotFound { // one without direct roads
			r.g.log.Debug("direct roads closed", "node", w.node.id, "session", w.key.session)
			return
		}
		if ctx.Err() == nil {
			r.g.log.Debug("a node did not close its direct roads yet", "node", w.node.id, "error", err)
		}
		if link == nil {
			failed = nil
		}
		again.Reset(closeAgain)
	}
}
