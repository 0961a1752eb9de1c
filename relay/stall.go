package relay

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A body is written in pieces: a reader that takes less than one in the limit
// counts as stalled. Pieces begin small, as a large one could take a slow line, or its
// share of one, longer than the limit; and they grow with what went without a halt, for
// speed: buffers take much at once from which a slow reader then reads for long.
const (
	smallPiece = 4 << 10
	pieceShare = 8 // of what went without a halt
	slowWrite  = time.Second

	shortLimits = 6 // in which an answer of one piece must have had its turn on a slow line
)

// Progress makes h reset an answer whose reader takes nothing for limit: else a
// phone that went away in mid-page holds a request slot, and a goroutine in a
// write, for ever. A handler that stays silent for longer is none of its business.
// An answer that could not be written to its end never looks whole: its stream is
// reset even if h ignores the error.
func Progress(h http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &progressWriter{ResponseWriter: w, control: http.NewResponseController(w), limit: limit, piece: smallPiece}
		if p.stream = streamOf(r.Context()); p.stream != nil && r.ProtoMajor == 1 {
			p.limit, p.piece = 0, BufferSize
		}
		defer p.end()
		h.ServeHTTP(p, r)
		p.finish()
	})
}

// progressWriter watches writes with one timer for the whole answer: a deadline
// for each write would cost two messages to HTTP/2's connection loop each time.
type progressWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration // 0: the stream alone is watched, by itself
	stream  *Stream       // below it; nil: not known
	failed  atomic.Bool
	began   atomic.Int64 // when the write under way began, nanoseconds since start; 0: none
	waited  atomic.Int64 // what the stream had waited then
	piece   int
	written int64
	flowed  int64 // written since a write was slow

	mu    sync.Mutex
	start time.Time
	timer *time.Timer // nil before the first write
	ended bool
}

// Unwrap is for http.ResponseController.
func (p *progressWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *progressWriter) Write(b []byte) (n int, err error) {
	for first := true; first || len(b) > 0; first = false {
		p.writing()
		m, err := p.ResponseWriter.Write(b[:min(len(b), p.piece)])
		p.wrote(m, err)
		n += m
		if err != nil {
			return n, err
		}
		b = b[m:]
	}
	return n, nil
}

// ReadFrom lets io.Copy and http.ServeContent write large pieces. What a slow
// source gives is written at once: nothing is collected.
func (p *progressWriter) ReadFrom(src io.Reader) (n int64, err error) {
	buf := copyBuffers.Get()
	defer copyBuffers.Put(buf)
	for {
		m, err := src.Read(buf)
		if m > 0 {
			w, err := p.Write(buf[:m])
			n += int64(w)
			if err != nil {
				return n, err
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// FlushError is what http.ResponseController calls.
func (p *progressWriter) FlushError() error {
	p.writing()
	err := p.control.Flush()
	p.wrote(0, err)
	return err
}

// Flush is http.Flusher.
func (p *progressWriter) Flush() { p.FlushError() }

func (p *progressWriter) writing() {
	if p.limit == 0 {
		return
	}
	if p.timer == nil {
		p.mu.Lock()
		p.start = time.Now()
		p.timer = time.AfterFunc(p.limit, p.check)
		p.mu.Unlock()
	}
	if p.stream != nil {
		p.waited.Store(int64(p.stream.waits()))
	}
	p.began.Store(max(int64(time.Since(p.start)), 1))
}

func (p *progressWriter) wrote(n int, err error) {
	p.written += int64(n)
	if p.limit > 0 {
		p.flowed += int64(n)
		if time.Since(p.start)-time.Duration(p.began.Swap(0)) >= slowWrite {
			p.flowed = 0
		}
		p.piece = int(min(max(p.flowed/pieceShare, smallPiece), BufferSize))
	}
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) && !errors.Is(err, http.ErrContentLength) && !errors.Is(err, http.ErrNotSupported) {
		p.failed.Store(true)
	}
}

// check runs in the timer's goroutine. It sets the write under way a deadline in
// the past, or looks again when that write would be too old. Time in which a slow
// connection of many answers took nothing does not count.
func (p *progressWriter) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	wait, waited := p.limit, time.Duration(p.waited.Load()) // before began: of that write, or one before
	if began := p.began.Load(); began != 0 {
		wait = time.Duration(began) + p.limit - time.Since(p.start)
		if p.stream != nil {
			wait += p.stream.waits() - waited
		}
	}
	if wait > 0 {
		p.timer.Reset(wait)
		return
	}
	p.failed.Store(true)
	p.control.SetWriteDeadline(p.start)
}

// finish runs when the handler has returned: what a long answer has left in a
// buffer is watched too, and an answer that failed is reset. A short one leaves after
// its end, when its length is known: HTTP/2 would hold it for as long as the reader likes.
func (p *progressWriter) finish() {
	if p.limit > 0 && !p.failed.Load() {
		if p.written > smallPiece {
			p.FlushError()
		} else if p.written > 0 && p.stream != nil {
			p.control.SetWriteDeadline(time.Now().Add(shortLimits * p.limit))
		}
	}
	p.end()
	if p.failed.Load() {
		panic(http.ErrAbortHandler)
	}
}

// end stops the watch; after it returns the response writer is not touched.
func (p *progressWriter) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.timer != nil {
		p.timer.Stop()
	}
}
