package mdns

import (
	"log/slog"
	"time"
)

// looker looks at the interfaces now and then, and soon after one of them has changed.
type looker struct {
	list func() ([]network, error)
	log  *slog.Logger
	due  *time.Timer // says when to call at
	last time.Time
}

func newLooker(list func() ([]network, error), log *slog.Logger) *looker {
	return &looker{list: list, log: log, due: time.NewTimer(0), last: time.Now()}
}

// soon has due say it once a change of the interfaces has settled.
func (l *looker) soon() { l.due.Reset(settleTime) }

// at lists the interfaces, and reports whether the machine slept since the last time.
func (l *looker) at(now time.Time) (found []network, woke bool, err error) {
	l.due.Reset(pollEvery)
	woke = slept(now.Round(0).Sub(l.last.Round(0)), now.Sub(l.last))
	l.last = now
	if found, err = l.list(); err != nil {
		l.log.Debug("interfaces cannot be listed", "error", err)
	}
	return found, woke, err
}

// slept reports whether the machine slept: the clock on the wall goes on then, the other
// one stands still.
func slept(wall, steady time.Duration) bool { return wall-steady > 5*time.Second }
