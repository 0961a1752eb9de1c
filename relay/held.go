package relay

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// held is a link that the Keeper serves.
type held struct {
	conn     Conn
	kind     Kind
	since    time.Time
	load     load
	draining chan struct{} // closed when the link takes no new requests
	gone     chan struct{} // closed when Serve has returned
}

// hearing is a Conn that counts the packets that it sent and heard.
type hearing interface{ Traffic() (sent, heard uint64) }

func (h *held) traffic() (sent, heard uint64, counts bool) {
	c, counts := h.conn.(hearing)
	if counts {
		sent, heard = c.Traffic()
	}
	return sent, heard, counts
}

// hold serves a new link; its end comes over s.ended.
func (s *keeping) hold(c Conn, now time.Time) *held {
	h := &held{conn: c, kind: c.Kind(), since: now, draining: make(chan struct{}), gone: make(chan struct{})}
	s.running.Go(func() {
		err := c.Serve(s.ctx, h.counted(s.config.Handler))
		close(h.gone)
		select {
		case s.ended <- ended{h, err}:
		case <-s.ctx.Done():
		}
	})
	return h
}

type drainingKey struct{}

// Draining is closed when the link that brought a request is about to be closed.
// Answers without an end of their own (event streams) end then; the other side
// asks again over the next link. It is nil, and never closed, on other roads.
func Draining(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(drainingKey{}).(<-chan struct{})
	return c
}

// counted counts requests under way and tells them of a drain.
func (h *held) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.load.enter()
		defer h.load.leave()
		ctx := context.WithValue(r.Context(), drainingKey{}, (<-chan struct{})(h.draining))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// drain closes the link after its last answer. It lingers: a request that the
// gateway sent before it knew of the next link may still be on its way.
func (h *held) drain(ctx context.Context) {
	defer h.conn.Close()
	close(h.draining)
	limit := time.NewTimer(drainLimit)
	defer limit.Stop()
	linger := time.NewTimer(drainLinger)
	defer linger.Stop()
	for {
		select {
		case <-h.load.idle():
		case <-limit.C:
			return
		case <-h.gone:
			return
		case <-ctx.Done():
			return
		}
		before := h.load.total()
		linger.Reset(drainLinger)
		select {
		case <-linger.C:
			if h.load.total() == before {
				return
			}
		case <-limit.C:
			return
		case <-h.gone:
			return
		case <-ctx.Done():
			return
		}
	}
}

// load counts what is under way.
type load struct {
	mu    sync.Mutex
	n     int
	count uint64        // of all that ever entered
	empty chan struct{} // closed while n is 0; nil before the first wait
}

func (l *load) enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n == 0 {
		l.empty = nil
	}
	l.n++
	l.count++
}

func (l *load) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n--; l.n == 0 && l.empty != nil {
		close(l.empty)
	}
}

func (l *load) total() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// idle is closed as soon as nothing is under way.
func (l *load) idle() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.empty == nil {
		l.empty = make(chan struct{})
		if l.n == 0 {
			close(l.empty)
		}
	}
	return l.empty
}
