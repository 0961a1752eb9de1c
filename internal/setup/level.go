package setup

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// Level is the level of a service's log: the configured one, or for a time another. It
// is the Level of slog.HandlerOptions, and goes back without anybody's doing.
type Level struct{ now atomic.Pointer[level] }

type level struct {
	configured slog.Level
	least      slog.Level // nothing below it is logged
	passing    slog.Level
	until      time.Time // zero: there is no passing level
}

// NewLevel makes a Level that begins with the configured one, but lets nothing below
// least through.
func NewLevel(configured, least slog.Level) *Level {
	l := &Level{}
	l.now.Store(&level{configured: configured, least: least})
	return l
}

// Level is the level at this moment.
func (l *Level) Level() slog.Level {
	now := l.now.Load()
	if now.passes() {
		return max(now.passing, now.least)
	}
	return max(now.configured, now.least)
}

func (l level) passes() bool { return !l.until.IsZero() && time.Now().Before(l.until) }

// Configure changes the level that platen.ini says; a passing one goes on.
func (l *Level) Configure(configured slog.Level) {
	l.change(func(n *level) { n.configured = configured })
}

// Hold sets a level until a time. The zero time ends one that is there.
func (l *Level) Hold(passing slog.Level, until time.Time) {
	l.change(func(n *level) { n.passing, n.until = passing, until })
}

func (l *Level) change(f func(*level)) {
	for {
		old := l.now.Load()
		next := *old
		f(&next)
		if l.now.CompareAndSwap(old, &next) {
			return
		}
	}
}

// held is when a passing level ends; zero if there is none.
func (l *Level) held() time.Time {
	if now := l.now.Load(); now.passes() {
		return now.until
	}
	return time.Time{}
}
