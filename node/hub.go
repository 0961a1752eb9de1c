package node

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// How much the hub keeps for replay.
const (
	maxEvents = 1000
	maxAge    = time.Hour
)

// hub numbers the node's events and keeps the last of them for replay. Publishing
// never waits: readers follow the ring by sequence number, each at its own pace, and
// one that falls behind the oldest kept event is told events-gone. A page's progress
// replaces its older progress, so progress cannot push out what matters.
type hub struct {
	epoch string
	now   func() time.Time

	mu       sync.Mutex
	ring     []notice          // ascending seq
	live     int               // entries of ring that are not superseded
	last     uint64            // seq of the newest event, 0 before the first
	lost     uint64            // seq of the newest event that left the ring by number or age
	progress map[string]uint64 // page ID → seq of its progress in the ring
	changed  chan struct{}     // closed and replaced by every publish
}

// notice is an event and who may see it.
type notice struct {
	seq   uint64
	at    time.Time
	event *scan.Event // nil: superseded
	owner string      // of the job, page or document; "" for what everybody sees
	job   string      // the job that the event is about
	ends  bool        // the job's last event
	// holder owns the job that event.Scanner.Status.Job names.
	holder string
	code   string // releases event.Job; for its owner only, whom event.Job does not tell it
}

func newHub(now func() time.Time) *hub {
	return &hub{
		epoch: scan.RandomText(8), now: now,
		progress: map[string]uint64{}, changed: make(chan struct{}),
	}
}

// publish numbers the event and wakes the readers. The event must not be changed afterwards.
func (h *hub) publish(n notice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	n.seq, n.at = h.last, h.now()
	e := *n.event
	e.ID = h.idLocked(n.seq)
	n.event = &e
	if e.Page != nil {
		h.supersedeLocked(e.Page.ID)
		if e.Type == scan.EventPageProgress {
			h.progress[e.Page.ID] = n.seq
		}
	}
	h.ring = append(h.ring, n)
	h.live++
	h.trimLocked()
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *hub) idLocked(seq uint64) string { return h.epoch + "." + strconv.FormatUint(seq, 10) }

// supersedeLocked takes the page's last progress out of the ring.
func (h *hub) supersedeLocked(page string) {
	seq, ok := h.progress[page]
	if !ok {
		return
	}
	delete(h.progress, page)
	if i := h.indexLocked(seq); i < len(h.ring) && h.ring[i].seq == seq {
		h.ring[i].event = nil
		h.live--
	}
}

// indexLocked is the position of the first entry whose seq is at least seq.
func (h *hub) indexLocked(seq uint64) int {
	i, _ := slices.BinarySearchFunc(h.ring, seq, func(n notice, s uint64) int { return cmp.Compare(n.seq, s) })
	return i
}

func (h *hub) trimLocked() {
	oldest := h.now().Add(-maxAge)
	drop := 0
	for drop < len(h.ring) && (h.live > maxEvents || h.ring[drop].event == nil || h.ring[drop].at.Before(oldest)) {
		if e := h.ring[drop].event; e != nil {
			h.live--
			h.lost = h.ring[drop].seq
			if e.Type == scan.EventPageProgress {
				delete(h.progress, e.Page.ID)
			}
		}
		drop++
	}
	h.ring = slices.Delete(h.ring, 0, drop)
	if len(h.ring) > 2*maxEvents {
		h.ring = slices.DeleteFunc(h.ring, func(n notice) bool { return n.event == nil })
	}
}

// head is the sequence number of the newest event and its ID: where a reader that
// wants only what is new begins.
func (h *hub) head() (seq uint64, id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last, h.idLocked(h.last)
}

// position finds the sequence number that an event ID names, for a reader that wants
// what came after it.
func (h *hub) position(id string) (uint64, error) {
	epoch, number, ok := strings.Cut(id, ".")
	seq, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil {
		return 0, problem.New(problem.BadRequest, "It is not the ID of an event.").At("Last-Event-ID")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trimLocked()
	if epoch != h.epoch || seq > h.last || seq < h.lost {
		return 0, problem.EventsGone.Error()
	}
	return seq, nil
}

// after returns the events that came after seq, and a channel that is closed when
// there are more. A reader that has fallen behind the ring gets events-gone.
func (h *hub) after(seq uint64) ([]notice, <-chan struct{}, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if seq < h.lost {
		return nil, nil, problem.EventsGone.Error()
	}
	var out []notice
	for _, n := range h.ring[h.indexLocked(seq+1):] {
		if n.event != nil {
			out = append(out, n)
		}
	}
	return out, h.changed, nil
}

// seenBy is the event as the caller may see it, nil if not at all.
func (n notice) seenBy(c access.Caller) *scan.Event {
	if n.owner != "" && !c.Sees(n.owner) {
		return nil
	}
	if n.code != "" && c.Subject == n.owner {
		e, j := *n.event, *n.event.Job
		j.ReleaseCode = n.code
		e.Job = &j
		return &e
	}
	if n.event.Scanner != nil && n.event.Scanner.Status.Job != "" && !c.Sees(n.holder) {
		e, s := *n.event, *n.event.Scanner
		s.Status.Job = ""
		e.Scanner = &s
		return &e
	}
	return n.event
}
