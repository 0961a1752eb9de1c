package gateway

import (
	"sync"
	"sync/atomic"
	"time"
)

// Where more links are late than these, it is not the nodes.
const (
	lateFew   = 32
	lateShare = 8 // one of so many
	lateAgain = time.Second
)

// hearing counts the links whose nodes are listened to, and those of them from which a
// heartbeat is overdue. Many at a time are late when the gateway itself is: it was stopped,
// or has too little of the processor, and what they sent waits to be read. If it cut them
// they all would come again at once, and make it later still. So it reads on, and leaves
// links that are gone to their transports, which notice within relay.IdleTimeout.
type hearing struct{ links, late atomic.Int64 }

// itself reports whether it is the gateway that is.
func (h *hearing) itself() bool {
	return h.late.Load() > max(lateFew, h.links.Load()/lateShare)
}

// silence watches over the heartbeats of one link. The zero silence watches nothing.
type silence struct {
	hearing *hearing
	cut     func()

	mu    sync.Mutex
	timer *time.Timer
	late  bool // counted in hearing
	ended bool
}

func (s *silence) begin(h *hearing, cut func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hearing, s.cut = h, cut
	h.links.Add(1)
	s.timer = time.AfterFunc(silenceLimit-lateAgain, s.check)
}

// broken waits for the next heartbeat from here on.
func (s *silence) broken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Reset(silenceLimit - lateAgain)
	s.setLocked(false)
}

// check runs when a heartbeat is overdue, and again after lateAgain: by then what waits
// is read, and who else is late is known.
func (s *silence) check() {
	if s.gone() {
		s.cut()
	}
}

func (s *silence) gone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return false
	case s.late && !s.hearing.itself():
		return true
	}
	s.setLocked(true)
	s.timer.Reset(lateAgain)
	return false
}

func (s *silence) setLocked(late bool) {
	switch {
	case late && !s.late:
		s.hearing.late.Add(1)
	case s.late && !late:
		s.hearing.late.Add(-1)
	}
	s.late = late
}

// end stops the watch.
func (s *silence) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer == nil {
		return
	}
	s.ended = true
	s.timer.Stop()
	s.setLocked(false)
	s.hearing.links.Add(-1)
}
