package memlink

import (
	"bytes"
	"io"
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
	late    bool  // the writer's deadline has passed
	timer   *time.Timer
}

func newPipe(window int) *pipe {
	p := &pipe{window: window}
	p.changed.L = &p.mu
	return p
}

func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.data.Len() == 0 && !p.ended && p.err == nil {
		p.changed.Wait()
	}
	switch {
	case p.err != nil:
		return 0, p.err
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
		for p.data.Len() == p.window && p.err == nil && !p.late {
			p.changed.Wait()
		}
		switch {
		case p.err != nil:
			return n, p.err
		case p.late:
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

func (p *pipe) setDeadline(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.late = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		p.late = true
		p.changed.Broadcast()
		return
	}
	p.timer = time.AfterFunc(wait, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.late = true
		p.changed.Broadcast()
	})
}
