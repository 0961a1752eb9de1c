package access

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// liveRequests knows the requests under way of each session, so that signing out
// ends event streams and pages too.
type liveRequests struct {
	mu       sync.Mutex
	sessions map[string]map[*context.CancelFunc]struct{}
}

func newLiveRequests() *liveRequests {
	return &liveRequests{sessions: map[string]map[*context.CancelFunc]struct{}{}}
}

// enter derives the request's context. leave is to be called at its end.
func (l *liveRequests) enter(ctx context.Context, session string) (inner context.Context, leave func()) {
	if session == "" || session == SessionLoopback {
		return ctx, func() {}
	}
	inner, cancel := context.WithCancel(ctx)
	key := &cancel
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sessions[session] == nil {
		l.sessions[session] = map[*context.CancelFunc]struct{}{}
	}
	l.sessions[session][key] = struct{}{}
	return inner, func() {
		cancel()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.sessions[session], key)
		if len(l.sessions[session]) == 0 {
			delete(l.sessions, session)
		}
	}
}

// end cancels what the session has under way.
func (l *liveRequests) end(session string) {
	l.mu.Lock()
	cancels := slices.Collect(maps.Keys(l.sessions[session]))
	l.mu.Unlock()
	for _, cancel := range cancels {
		(*cancel)()
	}
}
