package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// scanning is a Scan under way.
type scanning struct {
	seq     int
	sink    Sink
	page    PageSink // the page under way, or nil
	dropped bool     // something was not given to the sink any more

	// These need the worker's mu.
	cause error       // why the scan is to end early; the first one counts
	kill  *time.Timer // for a worker that does not end it
	due   time.Time   // of kill
}

// stoodStill is how much too late a deadline is heard of when it was this process that did
// nothing for a while: it was stopped, or its virtual machine was.
const stoodStill = time.Second

// errSilent is the cause of a scan that the watchdog ends.
var errSilent = errors.New("the device was silent for too long")

// Scan scans a batch into sink and blocks until it has ended. The settings are resolved
// ones; Settings.Pages is how many pages this call is to bring, 0 all that the feeder has.
//
// nil: the batch is complete. *Stop: somebody must act first, or the device failed, as
// its Reason says; pages that were committed are with the sink. After feeder-empty, jam,
// cover-open and offline the batch stays open, and Scan with the same settings (but for
// Pages) goes on with the next page; next-sheet is what Scan of more than one page from
// the glass ends with, and the next call brings the next sheet. Cancel gives up what is
// open. An error of the sink ends the scan and comes back wrapped.
//
// context.Canceled: ctx ended or Cancel was called; within 2 s in any case but that of a
// sink that blocks. A worker that did not end its scan in that time was killed, which
// Done tells. ErrWorker: the process ended, or went silent and was killed. A page that
// was under way was aborted in all these cases.
func (w *Worker) Scan(ctx context.Context, settings scan.Settings, sink Sink) error {
	if err := w.acquire(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Canceled
		}
		return err
	}
	defer w.release()
	s := w.register(sink)
	defer w.unregister(s)
	if err := w.p.request(request{Op: opScan, Seq: s.seq, Settings: &settings}); err != nil {
		return w.fail("it takes no request: " + err.Error())
	}
	stop := context.AfterFunc(ctx, func() { w.interrupt(s, context.Canceled, w.limits.Cancel) })
	defer stop()
	err := w.follow(s)
	if s.page != nil {
		s.page.Abort(err)
	}
	return err
}

// FinishAfterPage ends the scan under way after its present sheet, with nil.
func (w *Worker) FinishAfterPage() {
	if s := w.current(); s != nil {
		w.p.request(request{Op: opFinish, Seq: s.seq}) // a worker that is gone shows in Scan
	}
}

// Cancel ends the scan under way; Scan returns context.Canceled. Without a scan it gives
// up the batch that a Stop has left open.
func (w *Worker) Cancel() {
	if s := w.current(); s != nil {
		w.interrupt(s, context.Canceled, w.limits.Cancel)
		return
	}
	w.p.request(request{Op: opCancel}) // as in FinishAfterPage
}

func (w *Worker) current() *scanning {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cur
}

// interrupt asks the worker to end a scan and kills it when it has not after limit.
func (w *Worker) interrupt(s *scanning, cause error, limit time.Duration) {
	w.mu.Lock()
	if w.cur != s {
		w.mu.Unlock()
		return
	}
	first := s.cause == nil
	if first {
		s.cause = cause
	}
	switch due := time.Now().Add(limit); {
	case s.kill == nil:
		s.kill, s.due = time.AfterFunc(limit, w.p.kill), due
	case due.Before(s.due):
		s.kill.Reset(limit)
		s.due = due
	}
	w.mu.Unlock()
	if first {
		w.p.request(request{Op: opCancel, Seq: s.seq}) // the timer stands behind it
	}
}

func (w *Worker) register(sink Sink) *scanning {
	w.seq++
	s := &scanning{seq: w.seq, sink: sink}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cur = s
	return s
}

func (w *Worker) unregister(s *scanning) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cur = nil
	if s.kill != nil {
		s.kill.Stop()
	}
}

func (w *Worker) causeOf(s *scanning) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return s.cause
}

// follow hands what the worker says to the sink until the scan's reply.
func (w *Worker) follow(s *scanning) error {
	for {
		due := time.Now().Add(w.limits.Silent)
		m, data, err := w.read(due)
		cause := w.causeOf(s)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && cause == nil && time.Since(due) > stoodStill:
			// Nobody has listened: what the worker said may be in the pipe.
		case errors.Is(err, os.ErrDeadlineExceeded) && cause == nil:
			w.interrupt(s, errSilent, w.limits.Grace)
		case err != nil:
			return w.broke(cause, endWords(err))
		case m != nil && m.Reply != nil && m.Reply.Seq == s.seq:
			return w.ended(s, cause, m.Reply.Error.err())
		default:
			err := s.take(m, data, cause != nil)
			if errors.Is(err, errFrame) {
				return w.broke(cause, err.Error())
			}
			if err != nil {
				w.interrupt(s, err, w.limits.Grace)
			}
		}
	}
}

// broke is the result of a scan whose worker has failed.
func (w *Worker) broke(cause error, detail string) error {
	switch {
	case cause == nil:
		return w.fail(detail)
	case errors.Is(cause, errSilent):
		return w.fail(fmt.Sprintf("the device was silent for %v", w.limits.Silent))
	}
	w.fail("it did not end its scan in time: " + detail)
	return cause
}

// ended is the result of a scan that the worker ended with err.
func (w *Worker) ended(s *scanning, cause, err error) error {
	switch {
	case cause == nil:
		return err
	case errors.Is(cause, errSilent):
		// It let itself be canceled, but a fresh process is the way back to a sane device.
		return w.broke(cause, "")
	case err == nil && !s.dropped:
		return nil // it was complete before the cause could stop it
	}
	return cause
}

// take hands one message or data to the sink. A deaf one only minds the page's end.
func (s *scanning) take(m *message, data []byte, deaf bool) error {
	switch {
	case m == nil:
		return s.write(data, deaf)
	case m.Page != nil:
		return s.start(*m.Page, deaf)
	case m.Lines > 0 && s.page != nil && !deaf:
		s.page.Progress(m.Lines)
	case m.Fail != nil && s.page != nil:
		s.page.Abort(m.Fail.err())
		s.page = nil
	case m.End != nil:
		return s.commit(m.End, deaf)
	}
	return nil
}

func (s *scanning) start(info PageInfo, deaf bool) error {
	if s.page != nil {
		return fmt.Errorf("%w: a page within a page", errFrame)
	}
	if deaf {
		s.dropped = true
		return nil
	}
	page, err := s.sink.PageStarted(info)
	if err != nil {
		s.dropped = true
		return fmt.Errorf("starting a page: %w", err)
	}
	s.page = page
	return nil
}

func (s *scanning) write(data []byte, deaf bool) error {
	if deaf || s.page == nil {
		s.dropped = true
		return nil
	}
	if _, err := s.page.Write(data); err != nil {
		s.dropped = true
		return fmt.Errorf("writing a page: %w", err)
	}
	return nil
}

// commit is for a page of which nothing was dropped; any other is none.
func (s *scanning) commit(end *pageEnd, deaf bool) error {
	page := s.page
	s.page = nil
	switch {
	case page == nil:
		return nil
	case s.dropped || deaf:
		s.dropped = true
		page.Abort(context.Canceled)
		return nil
	}
	if err := page.Commit(end.Height, end.Patches...); err != nil {
		s.dropped = true
		return fmt.Errorf("committing a page: %w", err)
	}
	return nil
}
