package tracking

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/license"
)

// table is what a server knows of the seats of an item: a hint where to look, which is
// right as soon as a record says otherwise.
type table struct {
	item string

	mu      sync.Mutex
	seats   map[int64]seat
	holders map[string]int64
	read    time.Time // all of them; zero: never
	swept   time.Time // of those whose time is over
}

const (
	sweepEvery = 10 * time.Second
	sweepSmall = 1000 // seats that are swept whenever they are counted
)

func (s *Server) table(k license.Key) *table {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[k.ID]
	if t == nil {
		t = &table{item: k.ID, seats: map[int64]seat{}, holders: map[string]int64{}}
		s.tables[k.ID] = t
	}
	return t
}

func (t *table) recent(now time.Time, within time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.read.IsZero() && !now.Before(t.read) && now.Sub(t.read) < within
}

func (t *table) of(holder string) (number int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	number, ok = t.holders[holder]
	return number, ok
}

func (t *table) holds(holder string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seats[t.holders[holder]].live(now)
}

func (t *table) set(held seat) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgetLocked(held.Number)
	t.setLocked(held)
}

func (t *table) setLocked(held seat) {
	t.seats[held.Number] = held
	t.holders[held.Holder] = held.Number
}

func (t *table) forget(number int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgetLocked(number)
}

func (t *table) forgetLocked(number int64) {
	held, ok := t.seats[number]
	if !ok {
		return
	}
	delete(t.seats, number)
	if t.holders[held.Holder] == number {
		delete(t.holders, held.Holder)
	}
}

// replace takes over all seats as they were read from a moment on; what was stored since
// stays. again are the seats of those who have another one that they used later.
func (t *table) replace(seats []seat, started time.Time) (again []seat) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for number, held := range t.seats {
		if held.Seen.Before(started) {
			t.forgetLocked(number)
		}
	}
	for _, held := range seats {
		if _, newer := t.seats[held.Number]; newer {
			continue
		}
		if other, twice := t.seats[t.holders[held.Holder]]; twice && other.Holder == held.Holder {
			if held.Seen.After(other.Seen) {
				other, held = held, other
				t.holders[other.Holder] = other.Number
				t.seats[other.Number] = other
			} else {
				t.seats[held.Number] = held
			}
			again = append(again, held)
			continue
		}
		t.setLocked(held)
	}
	t.read, t.swept = started, started
	return again
}

// count is how many seats are held.
func (t *table) count(now time.Time) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweepLocked(now)
	return int64(len(t.seats))
}

func (t *table) sweepLocked(now time.Time) {
	if len(t.seats) > sweepSmall && !now.Before(t.swept) && now.Sub(t.swept) < sweepEvery {
		return
	}
	for number, held := range t.seats {
		if !held.live(now) {
			t.forgetLocked(number)
		}
	}
	t.swept = now
}

// free is the first seat on the holder's way that nobody seems to hold; its own one if it
// got that from another request meanwhile.
func (t *table) free(k license.Key, holder string, now time.Time) (number int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweepLocked(now)
	if own, ok := t.holders[holder]; ok && own <= k.Quantity+k.Over() {
		return own, true
	}
	if t.fullLocked(k.Quantity+k.Over(), now) {
		return 0, false
	}
	for number := range way(holder, k.Quantity, k.Over()) {
		if !t.seats[number].live(now) {
			return number, true
		}
	}
	return 0, false
}

// fullLocked saves going all the way to learn that there is nothing.
func (t *table) fullLocked(most int64, now time.Time) bool {
	if int64(len(t.seats)) < most {
		return false
	}
	held := int64(0)
	for number, seat := range t.seats {
		if number <= most && seat.live(now) {
			held++
		}
	}
	return held == most
}

// all are the seats that are held, in the order of their numbers.
func (t *table) all(now time.Time) []seat {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []seat
	for _, held := range t.seats {
		if held.live(now) {
			all = append(all, held)
		}
	}
	slices.SortFunc(all, func(a, b seat) int { return cmp.Compare(a.Number, b.Number) })
	return all
}

// way yields the numbers of all seats in the order in which a holder tries them: those of
// the quantity first, and those beyond it when these are taken.
func way(holder string, quantity, over int64) iter.Seq[int64] {
	sum := sha256.Sum256([]byte("platen-seat/1\x00" + holder))
	begin, step := binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])
	return func(yield func(int64) bool) {
		for _, part := range [][2]int64{{0, quantity}, {quantity, over}} {
			for number := range around(begin, step, part[1]) {
				if !yield(part[0] + number + 1) {
					return
				}
			}
		}
	}
}

// around yields each number below n once, in steps that have no divisor in common with n.
func around(begin, step uint64, n int64) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		if n <= 0 {
			return
		}
		at, by := int64(begin%uint64(n)), int64(step%uint64(n))
		for by = max(by, 1); divisor(by, n) != 1; by++ {
		}
		for range n {
			if !yield(at) {
				return
			}
			if at += by; at >= n {
				at -= n
			}
		}
	}
}

func divisor(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
