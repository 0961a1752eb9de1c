package pagestore

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/platen-scan/platen/proto/scan"
)

// growing is a page under way: one writer, any number of readers, who share the
// writer's file because its name changes when it is committed.
type growing struct {
	job    string
	number int
	owner  string
	served bool // its height is known, so readers may follow it

	mu     sync.Mutex
	page   scan.Page
	err    error // why it is no page after all
	done   bool  // committed or failed
	file   *os.File
	refs   int           // writer and readers; the last one closes file
	notify chan struct{} // made by whoever waits, closed at the next change
}

func (g *growing) snapshot() scan.Page {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.page
}

// change alters the page's state and wakes who waits for it.
func (g *growing) change(f func()) {
	g.mu.Lock()
	f()
	wake := g.notify
	g.notify = nil
	g.mu.Unlock()
	if wake != nil {
		close(wake)
	}
}

// grew is change for the one thing that happens often; it allocates nothing.
func (g *growing) grew(n int) {
	g.mu.Lock()
	g.page.Bytes += int64(n)
	wake := g.notify
	g.notify = nil
	g.mu.Unlock()
	if wake != nil {
		close(wake)
	}
}

// fail ends the page; the first cause counts.
func (g *growing) fail(cause error) {
	g.change(func() {
		if !g.done {
			g.done, g.err = true, cause
		}
	})
}

func (g *growing) finish(p scan.Page) {
	g.change(func() {
		if !g.done {
			g.done, g.page = true, p
		}
	})
}

// failure is why the page ended badly, nil if it did not.
func (g *growing) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failureLocked()
}

func (g *growing) failureLocked() error {
	if g.err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrPageFailed, g.err)
}

// size is how many bytes readers may have.
func (g *growing) size() (n int64, done bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.page.Bytes, g.done, g.failureLocked()
}

// wait returns once there are more than beyond bytes or the page has ended.
func (g *growing) wait(ctx context.Context, beyond int64) error {
	for {
		g.mu.Lock()
		if g.done || g.page.Bytes > beyond {
			err := g.failureLocked()
			g.mu.Unlock()
			return err
		}
		if g.notify == nil {
			g.notify = make(chan struct{})
		}
		changed := g.notify
		g.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// readAt reads what readers may have; io.EOF at its present end.
func (g *growing) readAt(p []byte, off int64) (int, error) {
	size, _, err := g.size()
	if err != nil {
		return 0, err
	}
	if off >= size {
		return 0, io.EOF
	}
	short := int64(len(p)) > size-off
	if short {
		p = p[:size-off]
	}
	n, err := g.file.ReadAt(p, off)
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

// hold keeps the file open for one more user; false if it is closed already.
func (g *growing) hold() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refs == 0 {
		return false
	}
	g.refs++
	return true
}

func (g *growing) letGo() error {
	g.mu.Lock()
	g.refs--
	last := g.refs == 0
	g.mu.Unlock()
	if last {
		return g.file.Close()
	}
	return nil
}
