package relay

import (
	"sync"
	"time"
)

// Load counts what is under way, for whoever waits for its end. The zero Load is
// ready and safe for concurrent use.
type Load struct {
	mu    sync.Mutex
	n     int
	count uint64        // of all that ever entered
	last  time.Time     // when n became 0
	empty chan struct{} // closed while n is 0; nil before the first wait
}

// Enter counts one in; Leave, called once for each, counts it out.
func (l *Load) Enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n == 0 {
		l.empty = nil
	}
	l.n++
	l.count++
}

// Leave ends what Enter began.
func (l *Load) Leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n--; l.n > 0 {
		return
	}
	l.last = time.Now()
	if l.empty != nil {
		close(l.empty)
	}
}

// quiet is since when nothing has been under way, or busy.
func (l *Load) quiet() (since time.Time, busy bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, l.n > 0
}

// Total is how many ever entered.
func (l *Load) Total() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// Idle is closed as soon as nothing is under way. What enters after that is not
// told: ask again.
func (l *Load) Idle() <-chan struct{} {
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
