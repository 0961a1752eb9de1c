package airscan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// How long a request for the next page is held until there is one. Clients wait 25 s and
// more for the answer.
const (
	holdNext        = 15 * time.Second
	holdNextPatient = 120 * time.Second
)

// getNext hands out the next page, or says how the job has ended. The page counts as
// handed out when its last byte was taken: until then the next request gets it again.
func (s *Server) getNext(w http.ResponseWriter, r *http.Request, at target) error {
	j := at.job
	hold := holdNext
	if j.patient {
		hold = holdNextPatient
	}
	ctx, cancel := context.WithTimeout(r.Context(), hold)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	if !j.takeTurn(ctx) {
		return notYet(r)
	}
	defer j.giveTurn()
	switch next := j.await(ctx); {
	case next.ending != nil:
		return next.ending.answer()
	case next.n > 0:
		return s.handOut(w, r, j, next.n)
	}
	return notYet(r)
}

func notYet(r *http.Request) error {
	if err := r.Context().Err(); err != nil {
		return err
	}
	return unavailable(busyAgain, "the next page is not ready yet")
}

// handOut sends a file whole.
func (s *Server) handOut(w http.ResponseWriter, r *http.Request, j *job, n int) error {
	f, err := s.open(r.Context(), j, n)
	if err != nil {
		return s.notOpened(r, j, err)
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", j.order.Format)
	h.Set("Content-Location", j.path()+"/"+strconv.Itoa(n))
	h.Set("Accept-Ranges", "bytes")
	if f.size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(f.size, 10))
	}
	w.WriteHeader(http.StatusOK)
	if err := send(w, f); err != nil {
		j.brokeOff()
		s.log.Info("a page was not taken to its end", "job", j.id, "page", n, "error", err)
		return errBroken
	}
	j.gave(n)
	s.acknowledge(j, n)
	return nil
}

// acknowledge tells the node that a page has arrived, so that it knows how long the others
// are still asked for. Nothing is lost if it does not hear that.
func (s *Server) acknowledge(j *job, n int) {
	if j.order.Concat {
		return // it went in one piece, and the job is deleted soon
	}
	s.spawn(func() {
		ctx, cancel := context.WithTimeout(j.ctx, tendTime)
		defer cancel()
		page, err := s.page(ctx, j, n)
		if err == nil {
			err = api.Done(j.api.AckPage(ctx, j.id, n, scan.PageAck{Digest: page.Digest}))
		}
		if err != nil && ctx.Err() == nil {
			s.log.Info("the node was not told that a page has arrived", "job", j.id, "page", n, "error", err)
		}
	})
}

// send copies a file to the client, all of it.
func send(w http.ResponseWriter, f *file) error {
	sent, err := io.Copy(w, f)
	if err == nil && f.size >= 0 && sent != f.size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = http.NewResponseController(w).Flush()
	}
	if err != nil {
		return fmt.Errorf("sending a page: %w", err)
	}
	return nil
}

// notOpened says why a page that is there cannot be sent. What may pass is told as such.
func (s *Server) notOpened(r *http.Request, j *job, err error) error {
	if left := r.Context().Err(); left != nil {
		return left
	}
	p := problemOf(err)
	switch {
	case p == nil && errors.Is(err, errSpool), p != nil && !p.Code.Retryable():
	default:
		s.log.Info("a page cannot be fetched now", "job", j.id, "error", err)
		return unavailable(busyAgain, "the page cannot be reached now")
	}
	e := failed("", 0)
	if p != nil && (p.Code == problem.NotFound || p.Code == problem.PageGone) {
		e = gone
	}
	s.log.Warn("a page cannot be had", "job", j.id, "error", err)
	j.fail(e)
	return e.answer()
}

// getDocument sends a file that the client has got before, or a part of it.
func (s *Server) getDocument(w http.ResponseWriter, r *http.Request, at target) error {
	j := at.job
	j.mu.Lock()
	there := !j.done && at.n <= j.filesLocked()
	j.mu.Unlock()
	if !there {
		return &refusal{status: http.StatusNotFound, text: "there is no such page"}
	}
	w.Header().Set("Content-Location", j.path()+"/"+strconv.Itoa(at.n))
	if err := s.sendPart(w, r, j, at.n); err != nil {
		return s.partNotSent(w, r, err)
	}
	return nil
}

func (s *Server) partNotSent(w http.ResponseWriter, r *http.Request, err error) error {
	p := problemOf(err)
	switch {
	case r.Context().Err() != nil:
		return r.Context().Err()
	case errors.Is(err, errBroken):
		return err
	case p == nil || p.Code.Retryable():
		return unavailable(busyAgain, "the page cannot be reached now")
	case p.Code == problem.RangeNotSatisfiable:
		return &refusal{status: http.StatusRequestedRangeNotSatisfiable, text: "the range begins after the end"}
	}
	return &refusal{status: http.StatusNotFound, text: "the page is not there any more"}
}
