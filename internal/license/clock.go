package license

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
)

// Clock tells the time that licences go by: the latest of the system's, what was seen
// before and what another end signed. It goes on while the system's goes back, and is
// suspect then until somebody signs the time. Its methods are safe for concurrent use.
//
// A signed time that is earlier than the clock is believed only if there is a reason to doubt
// the clock: it is suspect, or it jumped ahead. A clock that ran evenly is believed before
// the word of a gateway, which may be patched. No time before the last signed one is.
type Clock struct {
	cfg ClockConfig

	mu      sync.Mutex
	floor   time.Time     // a moment that is over
	at      time.Duration // Elapsed at that moment
	offset  time.Duration // what the system's clock was found to be wrong by
	suspect bool
	jumped  bool // ahead, since the time was signed
	// proven is the last signed time that was believed; zero: none.
	proven   time.Time
	provenAt time.Duration
	dirty    bool // something is to be written before the minute is over
}

// ClockConfig is what a clock is made of.
type ClockConfig struct {
	System  func() time.Time     // the computer's wall clock; nil: time.Now
	Elapsed func() time.Duration // time that went by, which nobody sets; nil: since NewClock
	Records access.Records       // the journal of what was seen; nil: memory alone
	Log     *slog.Logger         // nil: none
}

const (
	clockKey = "license.clock"
	// clockEvery is how often what was seen is written.
	clockEvery = time.Minute
	// longOff is for how long an end may have been switched off before its clock is doubted.
	longOff = 30 * 24 * time.Hour
)

// forEver is when the journal's record ends: a wrong clock must not end it early.
var forEver = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// journal is the record of a clock.
type journal struct {
	Seen   time.Time `json:"seen"`
	Proven time.Time `json:"proven,omitzero"`
	Jumped bool      `json:"jumped,omitempty"`
}

// NewClock makes a clock and reads its journal. Serve must run for it to be written.
func NewClock(ctx context.Context, cfg ClockConfig) (*Clock, error) {
	if cfg.System == nil {
		cfg.System = time.Now
	}
	if cfg.Elapsed == nil {
		start := time.Now()
		cfg.Elapsed = func() time.Duration { return time.Since(start) }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Clock{cfg: cfg, floor: wall(cfg.System), at: cfg.Elapsed()}
	if cfg.Records == nil {
		return c, nil
	}
	value, _, err := cfg.Records.Get(ctx, clockKey)
	if errors.Is(err, access.ErrNoRecord) {
		return c, nil
	}
	var j journal
	if err == nil {
		err = json.Unmarshal(value, &j)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what time it was last: %w", err)
	}
	switch {
	case c.floor.Before(j.Seen.Add(-skew)):
		c.doubtLocked()
	case c.floor.After(j.Seen.Add(longOff)):
		c.jumped = true
	}
	c.floor = later(c.floor, j.Seen)
	c.proven, c.provenAt = j.Proven, c.at
	c.jumped = c.jumped || j.Jumped
	return c, nil
}

// wall is a clock without the monotonic reading that time.Now adds: comparing goes by it
// else, and nobody would see that the clock was set.
func wall(clock func() time.Time) time.Time { return clock().Round(0).UTC() }

// Now is the time. It never goes back, unless a signed time shows that it was ahead.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nowLocked()
}

// Suspect reports whether the system's clock went back by more than five minutes and
// nobody has signed the time since. What has no time of its own waits then.
func (c *Clock) Suspect() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nowLocked()
	return c.suspect
}

func (c *Clock) nowLocked() time.Time {
	elapsed := c.cfg.Elapsed()
	even := c.floor.Add(elapsed - c.at)
	system := wall(c.cfg.System).Add(c.offset)
	switch {
	case system.Before(even.Add(-skew)):
		if !c.suspect {
			c.doubtLocked()
		}
		return even
	case c.suspect:
		if system.Before(even) {
			return even
		}
		c.suspect, c.dirty = false, true // it was set right, or caught up
	case system.After(even.Add(skew)):
		c.jumped, c.dirty = true, true
	}
	if system.After(even) {
		c.floor, c.at = system, elapsed
		return system
	}
	return even
}

func (c *Clock) doubtLocked() {
	c.suspect, c.dirty = true, true
}

// Signed notes the time that another end signed just now: the gateway of a node, or the
// licence tracking server.
func (c *Clock) Signed(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, elapsed := c.nowLocked(), c.cfg.Elapsed()
	t = t.Round(0).UTC()
	earlier := t.Before(now.Add(-skew))
	if !c.proven.IsZero() && t.Before(c.proven.Add(elapsed-c.provenAt-skew)) || earlier && !c.suspect && !c.jumped {
		return // an old word, or one against a clock that ran evenly
	}
	system := wall(c.cfg.System)
	if c.offset = 0; t.Sub(system).Abs() > skew {
		c.offset = t.Sub(system)
	} else {
		t = later(t, system)
	}
	if !earlier {
		t = later(t, now)
	}
	c.floor, c.at = t, elapsed
	c.proven, c.provenAt = t, elapsed
	c.suspect, c.jumped, c.dirty = false, false, true
}

// Serve writes what was seen until ctx is done: every minute, and soon after the clock
// was set. It returns nil.
func (c *Clock) Serve(ctx context.Context) error {
	every := time.NewTicker(clockEvery / 12)
	defer every.Stop()
	written := time.Now()
	for {
		if err := c.keep(ctx, time.Since(written) >= clockEvery, &written); err != nil && ctx.Err() == nil {
			c.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "cannot write what time it is", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			return c.Keep(last)
		case <-every.C:
		}
	}
}

func (c *Clock) keep(ctx context.Context, due bool, written *time.Time) error {
	c.mu.Lock()
	seen := c.nowLocked()
	due = due || c.dirty
	back := c.dirty && c.suspect
	c.mu.Unlock()
	if back {
		c.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "the computer's clock went back; licences wait for the right time", slog.Time("seen", seen))
	}
	if !due {
		return nil
	}
	*written = time.Now()
	return c.Keep(ctx)
}

// Keep writes what was seen at once.
func (c *Clock) Keep(ctx context.Context) error {
	if c.cfg.Records == nil {
		return nil
	}
	c.mu.Lock()
	j := journal{Seen: c.nowLocked(), Proven: c.proven}
	j.Jumped = c.jumped // nowLocked finds it
	c.dirty = false
	c.mu.Unlock()
	value, err := json.Marshal(j)
	if err == nil {
		err = access.Overwrite(ctx, c.cfg.Records, clockKey, value, forEver)
	}
	if err != nil {
		return fmt.Errorf("writing what time it is: %w", err)
	}
	return nil
}
