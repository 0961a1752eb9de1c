package gateway

import (
	"errors"
	"io"
	"sync"
	"time"
)

// What a slow browser has not taken stays at the node. When it takes long for what was
// read, the answer that brings the rest is given up, with what the link's window holds of
// it, and the body goes on in slices, each asked for when the one before has been taken.
// They grow until one lasts for sliceTime, so that there are few requests and what is
// held is what the browser takes in that time. One that takes large slices in less is
// fast after all: it gets the rest at once.
const (
	leastSlice = 64 << 10              // bytes
	smallPiece = 16 << 10              // written at a time, until the browser is known to be fast
	mostUnread = 4 << 20               // more than any link's window
	mostSlice  = 2 << 20               // bytes; behind one that large comes the rest
	sliceTime  = time.Second           // a slice that lasts for less is followed by one twice as large
	slowFirst  = 50 * time.Millisecond // for what was read, until the browser is found to be slow
	slowAgain  = time.Second           // the same, once it was: what came in vain shall stay little
)

// errSlice ends a part that brings no more though its link is well.
var errSlice = errors.New("the rest of the body does not come")

// endLocked is where an answer ends that is asked for from an offset on.
func (c *carried) endLocked(from int64) int64 {
	if c.slice == 0 {
		return c.file.end
	}
	return min(from+c.slice, c.file.end)
}

// slowLocked runs when the browser has taken long for what was read.
func (c *carried) slowLocked() {
	if took := time.Since(c.given); took < c.slowAfter {
		c.timer.Reset(c.slowAfter - took)
		return
	}
	p := c.part
	if p.end-c.at <= leastSlice {
		return // that little may stay
	}
	c.proven()
	c.slice, c.slowAfter = leastSlice, slowAgain
	if c.opening != nil {
		c.abandon()
	}
	if c.next != nil {
		c.next.close()
		c.next = nil
	}
	p.err = errSlice // the reader, whose it is, waits for the browser
	c.working.Go(p.discard)
}

// discard gives up a part that nobody reads any more. What has come of it is read first:
// only so a link gets back the buffers that hold it, which are megabytes.
func (p *part) discard() {
	p.cancel()
	io.CopyN(io.Discard, p.body, mostUnread)
	p.close()
}

// taken chooses the next slice when the browser has taken one.
func (c *carried) taken(p *part) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(p.began.when) >= sliceTime {
		return
	}
	if c.slice *= 2; c.slice > mostSlice {
		c.slice = 0
	}
}

// small lends buffers for bodies whose browser is slow, or not known to be fast.
var small = sync.Pool{New: func() any { return new([smallPiece]byte) }}

// copyTo brings the body to the browser.
func (c *carried) copyTo(w io.Writer) (err error) {
	for err == nil {
		err = c.copyOnce(w)
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// copyOnce copies what one read gives; its error is io.EOF at the body's end.
func (c *carried) copyOnce(w io.Writer) error {
	c.mu.Lock()
	fast := c.slice == 0 && c.at-c.file.from >= moveAfter
	c.mu.Unlock()
	var b []byte
	if fast {
		c.proven()
		b = buffers.Get()
		defer buffers.Put(b)
	} else {
		array := small.Get().(*[smallPiece]byte)
		defer small.Put(array)
		b = array[:]
	}
	n, err := c.Read(b)
	if n > 0 {
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
	}
	return err
}
