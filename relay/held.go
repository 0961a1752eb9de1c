package relay

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// held is a link that the Keeper serves.
type held struct {
	conn     Conn
	kind     Kind
	since    time.Time
	load     Load
	bulk     atomic.Bool   // it stands beside another
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
func (s *keeping) hold(c Conn, now time.Time, bulk bool) *held {
	h := &held{conn: c, kind: c.Kind(), since: now, draining: make(chan struct{}), gone: make(chan struct{})}
	h.bulk.Store(bulk)
	s.running.Go(func() {
		err := c.Serve(s.ctx, h.counted(s.config.Handler, s.want))
		close(h.gone)
		select {
		case s.ended <- ended{h, err}:
		case <-s.ctx.Done():
		}
	})
	return h
}

type heldKey struct{}

// Draining is closed when the link that brought a request is about to be closed.
// Answers without an end of their own (event streams) end then; the other side
// asks again over the next link. It is nil, and never closed, on other roads.
func Draining(ctx context.Context) <-chan struct{} {
	if h, ok := ctx.Value(heldKey{}).(*held); ok {
		return h.draining
	}
	return nil
}

// Bulk reports whether the link that brought a request stands beside another one, to
// carry bodies: the node's hello says so (LinkWelcome.bulk).
func Bulk(ctx context.Context) bool {
	h, ok := ctx.Value(heldKey{}).(*held)
	return ok && h.bulk.Load()
}

// counted counts requests under way, tells them of a drain, and calls want for each
// body that is a reason for a companion.
func (h *held) counted(next http.Handler, want func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.load.Enter()
		defer h.load.Leave()
		w = &sizing{ResponseWriter: w, want: want, began: time.Now()}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), heldKey{}, h)))
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
		case <-h.load.Idle():
		case <-limit.C:
			return
		case <-h.gone:
			return
		case <-ctx.Done():
			return
		}
		before := h.load.Total()
		linger.Reset(drainLinger)
		select {
		case <-linger.C:
			if h.load.Total() == before {
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
