package access

import (
	"sync"
	"time"
)

// cacheFor is how late an edit by another process of this end may be noticed.
const cacheFor = 2 * time.Second

// maxCached values are kept at a time.
const maxCached = 4096

// cache keeps what was just read from the Records. Its zero value is empty.
type cache[V any] struct {
	mu     sync.Mutex
	values map[string]cached[V]
	edits  int // a value that was read before an edit is not kept after it
}

type cached[V any] struct {
	value V
	read  time.Time
}

// get answers what is known under key, or else what read finds.
func (c *cache[V]) get(key string, now time.Time, read func() (V, error)) (V, error) {
	c.mu.Lock()
	known, ok := c.values[key]
	edits := c.edits
	c.mu.Unlock()
	if age := now.Sub(known.read); ok && age >= 0 && age < cacheFor {
		return known.value, nil
	}
	value, err := read()
	if err != nil {
		return value, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.edits == edits {
		if c.values == nil || len(c.values) >= maxCached {
			c.values = map[string]cached[V]{}
		}
		c.values[key] = cached[V]{value, now}
	}
	return value, nil
}

// forget is called after each edit.
func (c *cache[V]) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.edits++
	clear(c.values)
}
