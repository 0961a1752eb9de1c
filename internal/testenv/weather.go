package testenv

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// Weather is what a cable does to the frames of one direction. The zero value is a good
// cable.
type Weather struct {
	Delay     time.Duration // one way
	Jitter    time.Duration // each frame's delay is so much shorter or longer at most; frames stay in order
	Loss      float64       // share of frames that are lost, 0 to 1
	Reorder   float64       // share of frames that are held back, so that later ones overtake them
	Duplicate float64       // share of frames that arrive twice
	Rate      float64       // Mbit/s; 0: no limit
	Queue     int           // full frames that wait for a line with a Rate; more are lost; 0: 256
}

const (
	fullFrame    = 1514 // bytes
	defaultQueue = 256
	mostHeld     = 1 << 15 // frames under way in a direction; more are lost, whatever the weather
)

// heldBack is how much longer a reordered frame takes.
func (w Weather) heldBack() time.Duration { return max(w.Delay/2, 2*w.Jitter, 3*time.Millisecond) }

// line turns weather into times. It is of one direction, and not safe for concurrent use.
type line struct {
	free time.Time // when a line with a rate has sent what is before the next frame
	last time.Time // when the last frame that keeps its place arrives
}

// take says when the copies of a frame arrive that came at now. None: it is lost.
func (l *line) take(w Weather, now time.Time, bytes int) (arrive [2]time.Time, copies int) {
	if w.Loss > 0 && rand.Float64() < w.Loss {
		return arrive, 0
	}
	due := now
	if w.Rate > 0 {
		queue := w.Queue
		if queue == 0 {
			queue = defaultQueue
		}
		sending := func(bytes int) time.Duration { return time.Duration(float64(bytes) * 8e3 / w.Rate) }
		if l.free.Before(now) {
			l.free = now
		}
		if l.free.Sub(now) > sending(queue*fullFrame) {
			return arrive, 0
		}
		l.free = l.free.Add(sending(bytes))
		due = l.free
	}
	due = due.Add(w.Delay)
	if w.Jitter > 0 {
		due = due.Add(time.Duration((rand.Float64()*2 - 1) * float64(w.Jitter)))
	}
	if w.Reorder > 0 && rand.Float64() < w.Reorder {
		due = due.Add(w.heldBack())
	} else {
		if due.Before(l.last) {
			due = l.last
		}
		l.last = due
	}
	arrive[0], arrive[1], copies = due, due, 1
	if w.Duplicate > 0 && rand.Float64() < w.Duplicate {
		copies = 2
	}
	return arrive, copies
}

// frame is under way.
type frame struct {
	due   time.Time
	order uint64 // among frames that are due at one time
	bytes []byte
}

// frames are ordered by when they are due.
type frames []frame

func (f frames) Len() int { return len(f) }

func (f frames) Less(i, j int) bool {
	if !f[i].due.Equal(f[j].due) {
		return f[i].due.Before(f[j].due)
	}
	return f[i].order < f[j].order
}

func (f frames) Swap(i, j int) { f[i], f[j] = f[j], f[i] }

// Push is heap.Interface's.
func (f *frames) Push(x any) { *f = append(*f, x.(frame)) }

// Pop is heap.Interface's.
func (f *frames) Pop() any {
	last := len(*f) - 1
	x := (*f)[last]
	(*f)[last] = frame{}
	*f = (*f)[:last]
	return x
}

var _ heap.Interface = (*frames)(nil)
