package virtual

import "time"

// clock says how many rows of a page have come by.
type clock struct {
	start  time.Time
	height int
	total  time.Duration // of the page; 0: all rows are there
}

// rowsAtOnce is how finely rows are handed out: the worker encodes strips.
const rowsAtOnce = 16

func newClock(height int, total time.Duration) clock {
	return clock{start: time.Now(), height: height, total: total}
}

// ready says how many rows may be read after those that were, once wait is over.
func (c clock) ready(row int) (rows int, wait time.Duration) {
	if c.total <= 0 {
		return c.height - row, 0
	}
	elapsed := time.Since(c.start)
	there := c.height
	if elapsed < c.total {
		there = int(int64(c.height) * int64(elapsed) / int64(c.total))
	}
	if there > row {
		return there - row, 0
	}
	next := min(row+rowsAtOnce, c.height)
	due := time.Duration(int64(c.total) * int64(next) / int64(c.height))
	return next - row, max(due-elapsed, 0)
}
