package pagestore

import (
	"context"
	"errors"
	"sync"
)

// flights lets one caller at a time do the work for a key while the others wait
// for its outcome.
type flights struct {
	mu      sync.Mutex
	current map[string]*flight
}

type flight struct {
	done chan struct{}
	err  error // valid once done is closed
}

// do runs work in the caller's goroutine, or waits for the one that runs. Work that
// ended only because its caller went away is done again by one that waits.
func (f *flights) do(ctx context.Context, key string, work func() error) error {
	for {
		f.mu.Lock()
		other := f.current[key]
		if other == nil {
			mine := &flight{done: make(chan struct{}), err: errors.New("work did not return")}
			if f.current == nil {
				f.current = map[string]*flight{}
			}
			f.current[key] = mine
			f.mu.Unlock()
			return f.fly(key, mine, work)
		}
		f.mu.Unlock()
		select {
		case <-other.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !errors.Is(other.err, context.Canceled) && !errors.Is(other.err, context.DeadlineExceeded) {
			return other.err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// fly lands even if work panics.
func (f *flights) fly(key string, mine *flight, work func() error) error {
	defer func() {
		f.mu.Lock()
		delete(f.current, key)
		f.mu.Unlock()
		close(mine.done)
	}()
	mine.err = work()
	return mine.err
}
