package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// Worker is an open device in its process. Its methods may be called by any
// goroutine; those that ask the device wait for each other, or for their context.
//
// After an error that is ErrWorker the process is gone and every further call fails
// the same way; Close it and open another one.
type Worker struct {
	p      *process
	limits Limits
	log    *slog.Logger

	turn chan struct{} // held by the call that talks with the process
	seq  int           // of the last request; needs the turn

	mu     sync.Mutex
	broken *WorkerError
	cur    *scanning // the Scan under way
}

func newWorker(p *process, limits Limits, log *slog.Logger) *Worker {
	return &Worker{p: p, limits: limits, log: log, turn: make(chan struct{}, 1)}
}

// Capabilities asks the device what it can do. It blocks while a scan is under way, and
// it ends a batch that a Stop has left open.
func (w *Worker) Capabilities(ctx context.Context) (scan.Capabilities, error) {
	r, err := w.call(ctx, request{Op: opCapabilities}, w.limits.Ask)
	if err != nil {
		return scan.Capabilities{}, fmt.Errorf("asking for capabilities: %w", err)
	}
	if r.Capabilities == nil {
		return scan.Capabilities{}, fmt.Errorf("asking for capabilities: %w", w.fail("an answer without capabilities"))
	}
	return *r.Capabilities, nil
}

// Status asks the device how it is. It blocks while a scan is under way.
func (w *Worker) Status(ctx context.Context) (scan.Status, error) {
	r, err := w.call(ctx, request{Op: opStatus}, w.limits.Ask)
	if err != nil {
		return scan.Status{}, fmt.Errorf("asking for the status: %w", err)
	}
	if r.Status == nil {
		return scan.Status{}, fmt.Errorf("asking for the status: %w", w.fail("an answer without status"))
	}
	return *r.Status, nil
}

// Done is closed when the process is gone, for whatever cause.
func (w *Worker) Done() <-chan struct{} { return w.p.done }

// Close ends a scan that is under way, closes the device and waits until the process
// is gone: at most Limits.Close, when it is killed. It may be called more than once.
func (w *Worker) Close() error {
	w.Cancel()
	w.p.close(w.limits.Close)
	return nil
}

// discard is Close for a worker without manners to keep.
func (w *Worker) discard() {
	w.p.kill()
	w.p.close(w.limits.Close)
}

// fail ends the process and makes the error of this and every later call.
func (w *Worker) fail(detail string) *WorkerError {
	w.mu.Lock()
	err := w.broken
	w.mu.Unlock()
	if err != nil {
		return err
	}
	err = w.p.failed(detail)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken == nil {
		w.broken = err
	}
	return w.broken
}

// acquire takes the turn.
func (w *Worker) acquire(ctx context.Context) error {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	w.mu.Lock()
	broken := w.broken
	w.mu.Unlock()
	if broken != nil {
		w.release()
		return broken
	}
	return nil
}

func (w *Worker) release() { <-w.turn }

// call sends a request and waits for its reply. A context that ends first leaves the
// worker as it is: a later call skips the reply. One that stays away for limit is the
// end of the worker.
func (w *Worker) call(ctx context.Context, req request, limit time.Duration) (*reply, error) {
	if err := w.acquire(ctx); err != nil {
		return nil, err
	}
	defer w.release()
	w.seq++
	req.Seq = w.seq
	if err := w.p.request(req); err != nil {
		return nil, w.fail("it takes no request: " + err.Error())
	}
	deadline := time.Now().Add(limit)
	for {
		m, _, err := w.next(ctx, deadline)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, w.fail(fmt.Sprintf("no answer to %q in %v", req.Op, limit))
		case err != nil:
			return nil, w.fail(endWords(err))
		case m != nil && m.Reply != nil && m.Reply.Seq == req.Seq:
			return m.Reply, m.Reply.Error.err()
		case m != nil && m.Reply != nil && m.Reply.Seq > req.Seq:
			return nil, w.fail("an answer to what was not asked")
		}
	}
}

// next reads a message or data, until deadline or until ctx ends.
func (w *Worker) next(ctx context.Context, deadline time.Time) (*message, []byte, error) {
	w.p.out.SetReadDeadline(deadline)
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		w.p.out.SetReadDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	m, data, err := w.p.read()
	if !stop() {
		<-interrupted // or it would hit the next read
	}
	return m, data, err
}

// read is next without a context.
func (w *Worker) read(deadline time.Time) (*message, []byte, error) {
	w.p.out.SetReadDeadline(deadline)
	return w.p.read()
}

// awaitHello checks that the process is a worker that we understand.
func (w *Worker) awaitHello(ctx context.Context) error {
	m, _, err := w.next(ctx, time.Now().Add(w.limits.Start))
	switch {
	case err != nil && ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return w.fail("it did not start in time")
	case err != nil:
		return w.fail(endWords(err))
	case m == nil || m.Hello == nil:
		return w.fail("it did not begin with hello")
	case m.Hello.Version != protocolVersion:
		return w.fail(fmt.Sprintf("it speaks version %d, not %d: platen and platen-driver are of different releases", m.Hello.Version, protocolVersion))
	}
	return nil
}

func endWords(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ended"
	}
	return err.Error()
}
