package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// scanRun follows one job to its end and saves its pages.
type scanRun struct {
	*session
	c       *client
	job     scan.Job
	scanner scan.Scanner
	out     output
	opener  *opener // of what comes sealed; may be nil
	quiet   bool
	saved   int // pages in files
	asked   scan.Reason
}

// follow returns the ended job once all is saved. Ctrl-C cancels the job. A stream
// that breaks is opened again: the scan goes on at the node.
func (r *scanRun) follow() (scan.Job, error) {
	wait := 200 * time.Millisecond
	for {
		err := r.events()
		if r.ctx.Err() != nil {
			return r.job, r.cancel()
		}
		if r.job.State.Terminal() && err == nil {
			return r.job, r.finish()
		}
		var p *problem.Error
		if errors.As(err, &p) && !p.Code.Retryable() && p.Code != problem.EventsGone || errors.Is(err, errSealed) {
			return r.job, err
		}
		r.say("connection lost, the scanner keeps going; trying again …")
		if err := sleep(r.ctx, wait); err != nil {
			return r.job, r.cancel()
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// events reads the job's events until the stream ends.
func (r *scanRun) events() error {
	res, err := r.c.GetJobEvents(r.ctx, r.job.ID, &api.GetJobEventsParams{})
	if err := api.Accept(res, err); err != nil {
		return err
	}
	defer res.Body.Close()
	return api.Events(res.Body, nil, r.event)
}

func (r *scanRun) event(e scan.Event) error {
	switch e.Type {
	case scan.EventJobState:
		r.job = *e.Job
		if r.job.State == scan.JobStopped {
			return r.stopped()
		}
		if r.job.ReleaseCode != "" && r.asked != scan.ReasonHeldForOwner {
			r.asked = scan.ReasonHeldForOwner
			r.say("The scan waits for you at the scanner: type %s there, or scan its sticker with your phone.", r.job.ReleaseCode)
			return nil
		}
		if r.job.State == scan.JobProcessing && slices.Contains(r.job.Reasons, scan.ReasonStorageFailed) {
			r.say("%s", stopWords[scan.ReasonStorageFailed]) // and asked once that is over
		}
		if r.job.State != scan.JobHeld {
			r.asked = ""
		}
	case scan.EventPageProgress:
		r.progress(*e.Page)
	case scan.EventPageCommitted:
		r.say("page %d: %d × %d pixels, %d KiB", e.Page.N, e.Page.Width, e.Page.Height, (e.Page.Bytes+1023)/1024)
	case scan.EventPageFailed:
		r.say("page %d was not scanned", e.Page.N)
	}
	return r.savePages()
}

// savePages saves what has been committed since the last time, in order.
func (r *scanRun) savePages() error {
	if r.out.document != "" {
		return nil
	}
	for r.saved < r.job.Pages {
		if err := r.out.savePage(r.ctx, r.c, r.opener, scan.Page{Job: r.job.ID, N: r.saved + 1}); err != nil {
			return err
		}
		r.saved++
	}
	return nil
}

func (r *scanRun) finish() error {
	if err := r.savePages(); err != nil {
		return err
	}
	if r.out.document != "" && r.job.Pages > 0 {
		if err := r.out.saveDocument(r.ctx, r.c, r.opener, r.job.Document); err != nil {
			return err
		}
	}
	whole := r.job.State == scan.JobCompleted && len(r.job.Reasons) == 0
	if whole {
		r.say("%s saved to %s", pageCount(r.job.Pages), r.out.name)
		return nil
	}
	return fmt.Errorf("the scan ended as %s (%s) with %s%s", r.job.State, reasonWords(r.job.Reasons), pageCount(r.job.Pages), savedWords(r))
}

func pageCount(n int) string {
	if n == 1 {
		return "1 page"
	}
	return fmt.Sprintf("%d pages", n)
}

func savedWords(r *scanRun) string {
	if r.job.Pages == 0 {
		return ""
	}
	return ", saved to " + r.out.name
}

// cancel tells the node that nobody waits any more. It has a moment of its own,
// because the command's context has ended.
func (r *scanRun) cancel() error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(r.ctx), 5*time.Second)
	defer stop()
	if err := api.Done(r.c.CancelJob(ctx, r.job.ID)); err != nil && !errors.Is(err, problem.JobWrongState.Error()) {
		return fmt.Errorf("stopped, but the scan could not be canceled: %w", err)
	}
	return context.Canceled
}

// stopped asks the person at a terminal to act, or ends the job where there is none.
func (r *scanRun) stopped() error {
	reason := scan.Reason("stopped")
	if len(r.job.Reasons) > 0 {
		reason = r.job.Reasons[0]
	}
	if r.asked == reason { // the same stop, told again
		return nil
	}
	r.asked = reason
	r.say("%s", stopWords[reason])
	if !isTerminal(os.Stdin) {
		if r.job.Pages > 0 {
			return api.Done(r.c.FinishJob(r.ctx, r.job.ID))
		}
		return api.Done(r.c.CancelJob(r.ctx, r.job.ID))
	}
	fmt.Fprintf(r.stderr, "Enter to go on, f to finish with %d pages: ", r.job.Pages)
	line, err := readLine(r.ctx, os.Stdin)
	if err != nil {
		return err
	}
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(line)), "f") {
		return api.Done(r.c.FinishJob(r.ctx, r.job.ID))
	}
	return api.Done(r.c.ResumeJob(r.ctx, r.job.ID))
}

var stopWords = map[scan.Reason]string{
	scan.ReasonFeederEmpty:   "The feeder is empty. Put paper in.",
	scan.ReasonJam:           "Paper jam. Clear it, then put that sheet and the rest back.",
	scan.ReasonCoverOpen:     "The cover is open. Close it.",
	scan.ReasonNextSheet:     "Put the next sheet on the glass.",
	scan.ReasonDiskLow:       "The computer with the scanner has no room for another page.",
	scan.ReasonStorageFailed: "The computer with the scanner cannot write its disk. The pages so far are safe. Once it can, put the last sheet and the rest back.",
	scan.ReasonOffline:       "The scanner does not answer. Check that it is switched on.",
	scan.ReasonInterrupted:   "The computer with the scanner was restarted. The pages so far are safe.",
	scan.ReasonBusyOther:     "Another program uses the scanner.",
}

func reasonWords(reasons []scan.Reason) string {
	words := make([]string, len(reasons))
	for i, x := range reasons {
		words[i] = string(x)
	}
	return strings.Join(words, ", ")
}
