package memlink

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipe is one direction of a stream: at most window bytes that nobody has read.
type pipe struct {
	window int

	mu      sync.Mutex
	changed sync.Cond
	data    bytes.Buffer
	ended   bool  // no more will come
	err     error // the stream was reset: data is void
	write   deadline
	read    deadline
}

// deadline is the writer's or the reader's.
type deadline struct {
	late  bool // it has passed
	timer *time.Timer
}

func newPipe(window int) *pipe {
	p := &pipe{window: window}
	p.changed.L = &p.mu
	return p
}

func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.data.Len() == 0 && !p.ended && p.err == nil && !p.read.late {
		p.changed.Wait()
	}
	switch {
	case p.err != nil:
		return 0, p.err
	case p.read.late:
		return 0, os.ErrDeadlineExceeded
	case p.data.Len() == 0:
		return 0, io.EOF
	}
	n, err := p.data.Read(b)
	p.changed.Broadcast()
	return n, err
}

func (p *pipe) Write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(b) > 0 {
		for p.data.Len() == p.window && p.err == nil && !p.ended && !p.write.late {
			p.changed.Wait()
		}
		switch {
		case p.err != nil:
			return n, p.err
		case p.ended:
			return n, net.ErrClosed
		case p.write.late:
			return n, os.ErrDeadlineExceeded
		}
		m := min(len(b), p.window-p.data.Len())
		p.data.Write(b[:m])
		n, b = n+m, b[m:]
		p.changed.Broadcast()
	}
	return n, p.err
}

func (p *pipe) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.changed.Broadcast()
}

// fail resets the stream; what was whole stays readable.
func (p *pipe) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && !p.ended {
		p.err = err
		p.changed.Broadcast()
	}
}

// abort is fail for a direction that may have ended: its reader is gone too.
func (p *pipe) abort(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
		p.changed.Broadcast()
	}
}

// setDeadline is the writer's.
func (p *pipe) setDeadline(t time.Time) { p.set(&p.write, t) }

func (p *pipe) setReadDeadline(t time.Time) { p.set(&p.read, t) }

func (p *pipe) set(d *deadline, t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.late = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.late = true
		p.changed.Broadcast()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if d.timer == timer { // else another deadline has been set
			d.late = true
			p.changed.Broadcast()
		}
	})
	d.timer = timer
}
