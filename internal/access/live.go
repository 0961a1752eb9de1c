package access

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/platen-scan/platen/proto/problem"
)

// liveRequests knows the requests under way of each session, so that signing out
// ends event streams and pages too.
type liveRequests struct {
	ends     atomic.Int64 // how often something was ended
	mu       sync.Mutex
	sessions map[string]*liveSession
}

type liveSession struct {
	origin   string // of the foreign page that the session is bound to; "" for none
	requests map[*context.CancelFunc]struct{}
}

func newLiveRequests() *liveRequests {
	return &liveRequests{sessions: map[string]*liveSession{}}
}

// enter derives the request's context. leave is to be called at its end.
func (l *liveRequests) enter(ctx context.Context, c Caller) (inner context.Context, leave func()) {
	if c.Session == "" || c.Session == SessionLoopback {
		return ctx, func() {}
	}
	inner, cancel := context.WithCancel(ctx)
	key := &cancel
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[c.Session]
	if s == nil {
		s = &liveSession{origin: c.Origin, requests: map[*context.CancelFunc]struct{}{}}
		l.sessions[c.Session] = s
	}
	s.requests[key] = struct{}{}
	return inner, func() {
		cancel()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(s.requests, key)
		if len(s.requests) == 0 {
			delete(l.sessions, c.Session)
		}
	}
}

// end cancels what the session has under way.
func (l *liveRequests) end(session string) {
	l.endEach(func(id, _ string) bool { return id == session })
}

// EndNode cancels what the node has under way by Policy.Nodes: it was barred, or may not use
// a scanner any more. What it still may it can ask again. It does not block.
func (g *Guard) EndNode(id string) { g.live.end(nodeSession(id)) }

// Watch reports the end of a caller's session, or of its page's permission: ended is closed
// when what the session has under way would be. stop is to be called once. What has ended
// before is not reported: call it while a request of the session is under way, whose
// context tells.
func (g *Guard) Watch(c Caller) (ended <-chan struct{}, stop func()) {
	ctx, leave := g.live.enter(context.Background(), c)
	return ctx.Done(), leave
}

// endEach cancels what the sessions have under way that which names, by their ID and
// their foreign origin. It must not block.
func (l *liveRequests) endEach(which func(session, origin string) bool) {
	l.ends.Add(1) // before looking: who enters after the look sees that it was done
	var cancels []*context.CancelFunc
	l.mu.Lock()
	for id, s := range l.sessions {
		if which(id, s.origin) {
			for cancel := range s.requests {
				cancels = append(cancels, cancel)
			}
		}
	}
	l.mu.Unlock()
	for _, cancel := range cancels {
		(*cancel)()
	}
}

// origins are the foreign origins that have requests under way.
func (l *liveRequests) origins() map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := map[string]bool{}
	for _, s := range l.sessions {
		if s.origin != "" {
			found[s.origin] = true
		}
	}
	return found
}

// again judges a request anew that was let in while something ended, which may have
// missed it: is its session still there, and its origin allowed?
func (h *handler) again(ctx context.Context, c Caller) (Caller, error) {
	if c.Origin != "" {
		if o, err := ParseOrigin(c.Origin); err != nil || !h.Origins.Allows(ctx, o) {
			return Caller{}, problem.OriginNotAllowed.Error()
		}
	}
	switch {
	case c.Session == "" || c.Session == SessionLoopback || c.Gateway != "" || c.Road == RoadESCL:
		return c, nil
	case c.Road == RoadNode:
		return h.identifyEnrolled(ctx)
	}
	s, _, err := h.readSession(ctx, c.Session)
	if err != nil {
		return Caller{}, err
	}
	return h.speaksFor(ctx, s)
}
