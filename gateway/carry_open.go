package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/platen-scan/platen/relay"
)

// How long the rest of a body is waited for.
const (
	stallAfter  = 2 * time.Second        // without a byte: another link is asked
	stallAgain  = 500 * time.Millisecond // and asked again, if that came to nothing
	resumeLimit = 10 * time.Second       // after a loss, to find a link that has the rest
	openLimit   = 3 * time.Second        // for one link to begin
	openTries   = 4                      // that fail; a node that is busy is asked again
)

// onTimer runs while link or browser has kept the other waiting for long.
func (c *carried) onTimer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
	case !c.reading.IsZero():
		c.stalledLocked()
	case !c.given.IsZero():
		c.slowLocked()
	}
}

// stalledLocked runs while the reader has waited long for the present part.
func (c *carried) stalledLocked() {
	if waited := time.Since(c.reading); waited < stallAfter {
		c.timer.Reset(stallAfter - waited)
		return
	}
	p := c.part
	switch {
	case c.at == p.end || c.next != nil && c.next.from <= c.at:
		p.cancel() // nothing that is needed can come by it
		return
	case c.opening != nil:
		c.abandon() // a move, which begins behind bytes that do not come
		c.timer.Reset(stallAgain)
		return
	case c.next != nil: // as a move that was opened
		c.next.close()
		c.next = nil
	}
	to := c.a.g.registry.otherLink(c.a.node, p.link)
	if to == nil {
		c.timer.Reset(stallAgain)
		return
	}
	at := c.at
	c.openLocked(to, at, func(*part) bool {
		if c.part != p || c.at != at {
			return false // it goes on
		}
		now := time.Now()
		p.link.stall(now)
		p.flow.forget(now)
		p.cancel()
		return true
	})
}

// openLocked asks a link for the rest from an offset on. Once it has begun, use says,
// with mu held, whether it is still wanted.
func (c *carried) openLocked(to *held, from int64, use func(*part) bool) {
	ctx, abandon := context.WithCancel(c.ctx)
	done := make(chan struct{})
	c.opening, c.opensAt, c.abandon = done, from, abandon
	end := c.endLocked(from)
	c.working.Go(func() {
		defer abandon()
		next, err := c.open(ctx, to, from, end)
		c.mu.Lock()
		defer c.mu.Unlock()
		defer close(done)
		c.opening = nil
		switch {
		case err == nil && !c.closed && end == c.endLocked(from) && use(next):
			c.next = next
			return
		case err == nil:
			next.close()
		}
		if !c.closed && !c.reading.IsZero() && time.Since(c.reading) >= stallAfter {
			c.timer.Reset(stallAgain)
		}
	})
}

// resume finds the rest after a part has ended with cause. Its error is the body's.
func (c *carried) resume(p *part, cause error) error {
	c.mu.Lock()
	for c.opening != nil {
		opening := c.opening
		if c.opensAt > c.at {
			c.abandon() // what lies before that is missing
		}
		c.mu.Unlock()
		<-opening
		c.mu.Lock()
	}
	at, next := c.at, c.next
	if next != nil && next.from > at {
		c.next = nil
		next.close()
		next = nil
	}
	if cause != errSlice {
		c.losses++
	}
	many := c.losses > maxLosses
	end := c.endLocked(at)
	c.mu.Unlock()
	switch {
	case c.ctx.Err() != nil:
		return c.ctx.Err()
	case next != nil:
		return nil
	case many:
		return cause
	}

	ctx, cancel := context.WithTimeout(c.ctx, resumeLimit)
	defer cancel()
	var failed *held
	if p.link.gone() || errors.Is(cause, relay.ErrLinkLost) {
		failed = p.link
	}
	for tries := 0; tries < openTries; {
		link, err := c.a.g.registry.bodyLink(ctx, c.a.node, failed)
		if err != nil {
			return cause
		}
		next, err := c.open(ctx, link, at, end)
		if err == nil {
			c.mu.Lock()
			c.next = next
			c.mu.Unlock()
			return nil
		}
		if errors.Is(err, errOtherFile) {
			return fmt.Errorf("%w, after: %w", err, cause)
		}
		if !errors.Is(err, errBusy) {
			failed = link
			tries++
			continue
		}
		failed = nil
		select {
		case <-time.After(stallAgain):
		case <-ctx.Done():
			return cause
		}
	}
	return cause
}

// open asks a link for a stretch of the rest and checks that this is what comes. ctx ends
// the asking, not the answer.
func (c *carried) open(ctx context.Context, link *held, from, end int64) (*part, error) {
	own, cancel := context.WithCancel(c.ctx)
	limit := time.AfterFunc(openLimit, cancel)
	stop := context.AfterFunc(ctx, cancel)
	r := c.rest.WithContext(own)
	r.Header = c.rest.Header.Clone()
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, end-1))
	answer, err := c.a.send(own, link, r)
	inTime, asked := limit.Stop(), stop()
	if err != nil {
		cancel()
		return nil, err
	}
	p := &part{link: link, body: answer.Body, cancel: cancel, from: from, end: end, at: from}
	err = c.file.check(answer, from, end)
	if err == nil && (!inTime || !asked) {
		err = context.Canceled
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}
