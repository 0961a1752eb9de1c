package gateway

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/platen-scan/platen/relay"
)

// A body that can be had from any offset (file) comes to the browser in one piece, by
// whatever links it comes here: when its link is lost or gives nothing, or when another
// one carries clearly more, the rest is asked for over that one, with a grant of its
// own. Nothing is kept here but what the copy's buffer and the links' windows hold, and
// for a browser that is slow only the former: see carry_slice.go.
const (
	maxLosses = 16                     // links that a body may lose
	maxMoves  = 3                      // times that it goes to a better one
	moveAfter = 1 << 20                // bytes, before it looks for one
	moveSlow  = time.Second            // or so long, however little has come
	moveEvery = 250 * time.Millisecond // how often it looks, or each moveAfter bytes
	moveWorth = 4 << 20                // bytes left, else it stays
	moveLong  = 2 * time.Second        // or so long for the rest at its rate, however little is left
	moveLead  = relay.StreamWindow     // bytes that it still takes by the link that it leaves: they are on their way; fewer where moveEvery brings fewer
)

// carried is the body of an answer as the browser gets it. One goroutine reads it.
type carried struct {
	a      *asking
	rest   *http.Request // asks for the rest, but for the range
	file   file
	ctx    context.Context // of the requests for the rest
	cancel context.CancelFunc
	timer  *time.Timer // runs while the reader waits for the link, and while the browser takes what it read

	mu        sync.Mutex
	part      *part              // is read
	next      *part              // is read from its first byte on; nil: none
	at        int64              // offset of the next byte for the browser
	reading   time.Time          // since when the reader waits for part; zero: it does not
	given     time.Time          // since when the browser takes what was read; zero: it does not
	slice     int64              // bytes that are asked for at a time; 0: all the rest
	slowAfter time.Duration      // the browser is slow that takes so long
	proven    func()             // it has shown that it reads, or that it does not
	opening   chan struct{}      // closed when next, or the failure to open it, is there; nil: none is being opened
	opensAt   int64              // offset of its first byte
	abandon   context.CancelFunc // gives it up
	losses    int
	moves     int
	looked    mark // when it looked for a better link
	closed    bool

	working sync.WaitGroup // what opens next
}

// part is one answer of the node, over one link.
type part struct {
	link    *held
	body    io.ReadCloser
	cancel  context.CancelFunc // of its request
	from    int64              // offset of its first byte
	end     int64              // the one behind its last
	at      int64              // of the next
	closing sync.Once

	// of the reader
	flow   *flow // nil until it is read
	began  mark
	waited time.Duration // for the link
	err    error         // that ended it
}

// mark is a point of a body.
type mark struct {
	at   int64
	when time.Time
}

// carry makes the answer's body one that outlives its link, if it is of that kind.
// proven is called once the browser has shown whether it reads.
func (a *asking) carry(r *http.Request, b opening, proven func()) *http.Response {
	f, ok := fileOf(r, b.answer)
	if !ok {
		proven()
		b.answer.Body = &canceling{b.answer.Body, b.cancel}
		return b.answer
	}
	c := a.carried(r, b, f)
	c.proven = proven
	return b.answer
}

// carried has the answer bring a file of which it has the beginning, at least.
func (a *asking) carried(r *http.Request, b opening, f file) *carried {
	c := &carried{a: a, rest: restOf(r, f), file: f, at: f.from, slowAfter: slowFirst, proven: func() {}}
	c.ctx, c.cancel = context.WithCancel(a.ctx)
	c.timer = time.AfterFunc(stallAfter, c.onTimer)
	c.timer.Stop()
	c.part = &part{link: b.link, body: b.answer.Body, cancel: b.cancel, from: f.from, end: f.end, at: f.from}
	c.beginLocked()
	b.answer.Body = c
	return c
}

// canceling is a body whose request ends with it.
type canceling struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c *canceling) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}

// beginLocked begins to read c.part.
func (c *carried) beginLocked() {
	p := c.part
	p.began = mark{c.at, time.Now()}
	p.flow = c.a.node.flows.of(p.link.Kind())
	p.flow.enter(p.began.when)
	c.looked = p.began
}

// close lets the node stop sending.
func (p *part) close() {
	p.closing.Do(func() {
		if p.flow != nil {
			p.flow.leave(time.Now())
		}
		p.cancel()
		p.body.Close()
	})
}

// Read gives the next bytes. Its error is final: the body broke off.
func (c *carried) Read(b []byte) (int, error) {
	for {
		p, room, skip := c.turn()
		if room == 0 {
			c.pull(p, make([]byte, 1)) // its end, else the node takes the answer for broken off
			if p.end == c.file.end {
				return 0, io.EOF
			}
			c.taken(p)
			if err := c.resume(p, errSlice); err != nil {
				return 0, err
			}
			continue
		}
		n, err := c.pull(p, b[:min(int64(len(b)), room)])
		c.mu.Lock()
		p.at += int64(n)
		c.at = max(c.at, p.at)
		if n > 0 && !skip {
			c.given = time.Now()
			c.timer.Reset(c.slowAfter)
		}
		c.mu.Unlock()
		switch {
		case n > 0 && !skip:
			c.look(p)
			return n, nil
		case n > 0 || err == nil:
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
			fallthrough
		default:
			if err := c.resume(p, err); err != nil {
				return 0, err
			}
		}
	}
}

// turn is the part to read, and how many bytes of it. Those to skip came by another
// part while this one was opened.
func (c *carried) turn() (p *part, room int64, skip bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.given = time.Time{}
	if c.at == c.file.end {
		return c.part, 0, false
	}
	if c.next != nil && c.next.from <= c.at {
		c.part.close()
		c.part, c.next = c.next, nil
		c.beginLocked()
	}
	p = c.part
	switch {
	case p.at < c.at:
		return p, c.at - p.at, true
	case c.next != nil:
		return p, min(c.next.from, p.end) - c.at, false
	}
	return p, p.end - c.at, false
}

// pull reads from a part and measures how long that took.
func (c *carried) pull(p *part, b []byte) (n int, err error) {
	if p.err != nil {
		return 0, p.err
	}
	began := time.Now()
	p.flow.wait(began)
	c.mu.Lock()
	c.reading = began
	c.timer.Reset(stallAfter)
	c.mu.Unlock()

	n, p.err = p.body.Read(b)

	c.mu.Lock()
	c.reading = time.Time{}
	c.timer.Stop()
	c.mu.Unlock()
	now := time.Now()
	p.waited += now.Sub(began)
	p.flow.got(n, now)
	return n, p.err
}

// look moves the body to a better link, if the present one keeps the browser waiting.
func (c *carried) look(p *part) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slice != 0 || c.moves >= maxMoves || c.opening != nil || c.next != nil {
		return
	}
	now := time.Now()
	got, left, took := c.at-p.began.at, c.file.end-c.at, now.Sub(p.began.when)
	rate := float64(got) / took.Seconds()
	if got < moveAfter && took < moveSlow || left < moveWorth && float64(left) < rate*moveLong.Seconds() ||
		c.at-c.looked.at < moveAfter && now.Sub(c.looked.when) < moveEvery {
		return
	}
	c.looked = mark{c.at, now}
	if 2*p.waited < took {
		return
	}
	if to := c.a.g.registry.rivalOf(c.a.node, p.link, took); to != nil {
		c.moves++
		lead := int64(min(moveLead, rate*moveEvery.Seconds()))
		c.openLocked(to, c.at+lead, func(next *part) bool { return c.at-next.from <= moveLead })
	}
}

// Close ends the requests to the node. What they still open has ended when it returns.
func (c *carried) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.proven()
	next := c.next
	c.next = nil
	c.timer.Stop()
	c.mu.Unlock()
	c.cancel()
	if next != nil {
		next.close()
	}
	c.part.close()
	c.working.Wait()
	return nil
}
