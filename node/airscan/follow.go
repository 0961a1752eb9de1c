package airscan

import (
	"context"
	"errors"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// How a job's events are followed. A stream that breaks is opened again: the scan goes
// on at the node.
const (
	followFirst = 200 * time.Millisecond
	followLast  = 5 * time.Second
	silence     = 45 * time.Second // the node says something every 15 s
)

// follow takes a job's events until the node's job has ended.
func (s *Server) follow(j *job) {
	pause := followFirst
	for {
		heard, err := s.listen(j)
		switch {
		case j.ended():
			return
		case final(err):
			s.log.Info("a job of an eSCL client is gone", "job", j.id, "error", err)
			j.lose()
			return
		case heard:
			pause = followFirst
		}
		if !sleep(j.ctx, pause) {
			return
		}
		pause = min(2*pause, followLast)
	}
}

// listen takes events until their stream ends; heard says that there were some.
func (s *Server) listen(j *job) (heard bool, err error) {
	ctx, cancel := context.WithCancel(j.ctx)
	defer cancel()
	silent := time.AfterFunc(silence, cancel)
	defer silent.Stop()
	res, err := j.api.GetJobEvents(ctx, j.id, &api.GetJobEventsParams{})
	if err := api.Accept(res, err); err != nil {
		return false, err
	}
	defer res.Body.Close()
	err = api.Events(res.Body, func() { silent.Reset(silence) }, func(e scan.Event) error {
		heard = true
		s.hear(ctx, j, e)
		return nil
	})
	return heard, err
}

// hear takes an event. A device that has stopped is set free at once: nobody at an eSCL
// client could have it go on.
func (s *Server) hear(ctx context.Context, j *job, e scan.Event) {
	was := j.told.State // only this goroutine changes it
	j.take(e)
	if j.told.State != was || e.Type == scan.EventPageCommitted {
		s.noticed(j)
	}
	finish, cancel := j.stuck()
	if !finish && !cancel {
		return
	}
	ctx, stop := context.WithTimeout(ctx, tendTime)
	defer stop()
	var err error
	if finish {
		err = api.Done(j.api.FinishJob(ctx, j.id))
	} else {
		err = api.Done(j.api.CancelJob(ctx, j.id))
	}
	if err != nil && !errors.Is(err, problem.JobWrongState.Error()) {
		s.log.Warn("a stopped job cannot be ended", "job", j.id, "error", err)
	}
}
