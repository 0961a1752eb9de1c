package gateway

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// How much the hub keeps for replay.
const (
	maxEvents = 1000
	maxAge    = time.Hour
)

// hub numbers the gateway's events and keeps the last of them for replay.
// Publishing never waits: each reader follows at its own pace, and one that falls
// behind the oldest event that is kept is told events-gone.
type hub struct {
	epoch string // of this process
	now   func() time.Time

	mu      sync.Mutex
	ring    []published // the last events, oldest first, without gaps
	last    uint64      // number of the newest event, 0 before the first
	changed chan struct{}
}

type published struct {
	at    time.Time
	event scan.Event
}

func newHub(now func() time.Time) *hub {
	return &hub{epoch: scan.RandomText(8), now: now, changed: make(chan struct{})}
}

// publish numbers an event and wakes the readers. What it points to must not be
// changed afterwards.
func (h *hub) publish(e scan.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	e.ID = h.id(h.last)
	h.ring = append(h.ring, published{h.now(), e})
	h.trimLocked()
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *hub) id(number uint64) string { return h.epoch + "." + strconv.FormatUint(number, 10) }

func (h *hub) trimLocked() {
	oldest, drop := h.now().Add(-maxAge), 0
	for drop < len(h.ring) && (len(h.ring)-drop > maxEvents || h.ring[drop].at.Before(oldest)) {
		drop++
	}
	clear(h.ring[:drop]) // the array stays until append outgrows it; what it points to does not
	h.ring = h.ring[drop:]
}

// head is the number of the newest event: where a reader that wants only what is
// new begins.
func (h *hub) head() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// position is the number of the event with this ID, for a reader that wants what
// came after it.
func (h *hub) position(id string) (uint64, error) {
	epoch, digits, ok := strings.Cut(id, ".")
	number, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil {
		return 0, problem.New(problem.BadRequest, "It is not the ID of an event.").At("Last-Event-ID")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trimLocked()
	if epoch != h.epoch || number > h.last || number+uint64(len(h.ring)) < h.last {
		return 0, problem.EventsGone.Error()
	}
	return number, nil
}

// after are the events after a number, and a channel that is closed when there are
// more; events-gone if some are no longer kept.
func (h *hub) after(number uint64) ([]scan.Event, <-chan struct{}, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	behind := h.last - number
	if behind > uint64(len(h.ring)) {
		return nil, nil, problem.EventsGone.Error()
	}
	events := make([]scan.Event, 0, behind)
	for _, p := range h.ring[uint64(len(h.ring))-behind:] {
		events = append(events, p.event)
	}
	return events, h.changed, nil
}
