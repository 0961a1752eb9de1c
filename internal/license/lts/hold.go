package lts

import (
	"context"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// holdTime is how long a main server that was started waits for its standby. A standby
// that stands in looks for it every few seconds.
const holdTime = 20 * time.Second

// Main is a main server with a standby. From its start on it refuses to hand out or count
// anything until the standby has told what it did meanwhile, or the time for it is over: so
// nothing is handed out twice. Who asks is answered by the standby as long.
type Main struct {
	license.Tracking
	standby func() string
	now     func() time.Time
	start   time.Time

	mu   sync.Mutex
	seen bool
}

var _ license.Tracking = (*Main)(nil)

// NewMain makes a Main. standby is the pin of the standby; "": there is none, and nothing
// waits. now is nil or time.Now in other times.
func NewMain(t license.Tracking, standby func() string, now func() time.Time) *Main {
	if now == nil {
		now = time.Now
	}
	return &Main{Tracking: t, standby: standby, now: now, start: now()}
}

// Seen notes that the standby has told all: ReplicaConfig.Seen.
func (m *Main) Seen() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = true
}

func (m *Main) waits() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen = m.seen || m.standby() == "" || m.now().Sub(m.start) >= holdTime; m.seen {
		return nil
	}
	return problem.New(problem.TrackingOffline, "The licence tracking server was started a moment ago and waits for its standby.").After(holdTime)
}

// Waits reports whether the standby may have done what is not known here yet.
func (m *Main) Waits() bool { return m.waits() != nil }

// Lease implements license.Tracking.
func (m *Main) Lease(ctx context.Context, place license.Place, wish api.LeaseRequest) (api.LeaseAnswer, error) {
	if err := m.waits(); err != nil {
		return api.LeaseAnswer{}, err
	}
	return m.Tracking.Lease(ctx, place, wish)
}

// Report implements license.Tracking. The standby's own batches are what is waited for.
func (m *Main) Report(ctx context.Context, by license.Place, pin string, batch api.ReceiptBatch) (api.ReceiptMark, error) {
	if by.Pin != m.standby() {
		if err := m.waits(); err != nil {
			return api.ReceiptMark{}, err
		}
	}
	return m.Tracking.Report(ctx, by, pin, batch)
}
