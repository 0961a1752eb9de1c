package airscan

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// Limits of a server's jobs.
const (
	maxOpen     = 64
	maxOpenEach = 8  // of an address
	maxFinished = 10 // of an address, kept for its list
	sweepEvery  = time.Second
	settleTime  = 5 * time.Second
	tendTime    = 10 * time.Second // for canceling or deleting a job
	leaveTime   = 5 * time.Second  // for all of that when Serve ends
)

// find is the job with that name, nil where there is none. Who knows its name may use it,
// whatever address it comes from: a computer has several.
func (s *Server) find(uuid string) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.jobs, func(j *job) bool { return j.uuid == uuid }); i >= 0 {
		return s.jobs[i]
	}
	return nil
}

// jobsOf are the jobs that a client has heard of, newest first.
func (s *Server) jobsOf(client netip.Addr) []*job {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*job
	for _, j := range slices.Backward(s.jobs) {
		if j.client == client && j.isClaimed() {
			list = append(list, j)
		}
	}
	return list
}

func (j *job) isClaimed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.claim == claimed
}

// room is a refusal if a client has too many jobs that have not ended.
func (s *Server) room(client netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	open, own := 0, 0
	for _, j := range s.jobs {
		if j.finished() {
			continue
		}
		open++
		if j.client == client {
			own++
		}
	}
	if open >= maxOpen || own >= maxOpenEach {
		return unavailable(busyAgain, "too many jobs have not ended")
	}
	return nil
}

// add takes a job on; false when Serve ends.
func (s *Server) add(j *job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	j.ctx, j.end = context.WithCancel(s.ctx)
	if !s.spawnLocked(func() { s.follow(j) }) {
		j.end()
		return false
	}
	s.jobs = append(s.jobs, j)
	select {
	case s.busy <- struct{}{}:
	default:
	}
	return true
}

// reclaim finds the place in the queue that is kept for a client's order.
func (s *Server) reclaim(client netip.Addr, key string) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs {
		if j.client == client && j.key == key && j.reclaim() {
			return j
		}
	}
	return nil
}

func (j *job) reclaim() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.claim != reserved || j.ending != nil && j.count == 0 || j.tending || j.wiped {
		return false
	}
	j.claim = waiting
	return true
}

func (j *job) setClaim(c claim) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.claim, j.used, j.until = c, time.Now(), time.Now().Add(reserveTime)
}

// sweep looks after jobs whose clients do not come, as long as there are jobs.
func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	tick.Stop()
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if !s.sweepOnce(time.Now()) {
				tick.Stop()
			}
		case <-s.busy:
			tick.Reset(sweepEvery)
		case <-ctx.Done():
			return
		}
	}
}

// sweepOnce reports whether there are jobs still.
func (s *Server) sweepOnce(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	finished, surplus := map[netip.Addr]int{}, map[*job]bool{}
	for _, j := range slices.Backward(s.jobs) {
		if !j.finished() {
			continue
		}
		if finished[j.client]++; finished[j.client] > maxFinished {
			surplus[j] = true
			j.dismiss()
		}
	}
	s.jobs = slices.DeleteFunc(s.jobs, func(j *job) bool {
		if j.forgettable(now, surplus[j]) {
			j.end()
			return true
		}
		if j.due(now) {
			s.spawnLocked(func() { s.tend(j) })
		}
		return false
	})
	return len(s.jobs) > 0
}

// dismiss says that the client wants nothing more of the job. open says that this is how
// it ends.
func (j *job) dismiss() (open bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	open = j.ending == nil
	if !j.done {
		j.done = true
		j.endLocked(canceled)
	}
	return open
}

// abandon gives a job up whose client has not heard of it.
func (s *Server) abandon(j *job) {
	j.dismiss()
	if j.due(time.Now()) {
		s.spawn(func() { s.tend(j) })
	}
}

// due reports whether the job is to be canceled or deleted, and decides how it ends.
func (j *job) due(now time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.tending, j.wiped, j.users > 0, now.Before(j.tryAgain):
		return false
	case j.ending == completed && !j.endedLocked() && now.Sub(j.since) < settleTime:
		return false // the device has yet to end what its client has got already
	case j.done:
	case j.claim == waiting:
		return false
	case j.claim == reserved:
		if now.Before(j.until) {
			return false
		}
		j.done = true
		j.endLocked(expired)
	case now.Sub(j.used) < idleTime:
		return false
	default:
		if j.nextLocked().ending == nil {
			j.ending = nil // it was to end otherwise, once its pages were fetched
		}
		j.done = true
		j.endLocked(expired)
	}
	j.tending = true
	return true
}

// forgettable reports whether nothing is to be said of the job any more. surplus says
// that its client has newer ones enough.
func (j *job) forgettable(now time.Time, surplus bool) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.tending, j.users > 0:
		return false
	case j.wiped:
		return surplus || j.claim != claimed || now.Sub(j.since) >= recordTime
	}
	return j.done && now.Sub(j.used) >= forgetTime
}

// tend cancels the node's job and deletes it with its pages.
func (s *Server) tend(j *job) {
	ctx, cancel := context.WithTimeout(j.ctx, tendTime)
	defer cancel()
	err := s.remove(ctx, j)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tending = false
	if err == nil {
		j.wiped = true
		j.changeLocked()
		return
	}
	j.tryAgain = time.Now().Add(tendTime)
	if errors.Is(err, problem.JobWrongState.Error()) {
		j.tryAgain = time.Now().Add(sweepEvery) // the device has yet to let go
	} else {
		s.log.Warn("a job of an eSCL client cannot be deleted", "job", j.id, "error", err)
	}
}

func (s *Server) remove(ctx context.Context, j *job) error {
	if !j.ended() {
		if err := s.cancel(ctx, j); err != nil {
			return err
		}
	}
	err := api.Done(j.api.DeleteJob(ctx, j.id))
	if errors.Is(err, problem.NotFound.Error()) {
		return nil
	}
	return err
}

// cancel ends the node's job. One that has ended already is as good.
func (s *Server) cancel(ctx context.Context, j *job) error {
	err := api.Done(j.api.CancelJob(ctx, j.id))
	if errors.Is(err, problem.JobWrongState.Error()) || errors.Is(err, problem.NotFound.Error()) {
		return nil
	}
	return err
}

func (j *job) isWiped() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.wiped
}

// leave cancels and deletes all jobs: Serve has ended.
func (s *Server) leave() {
	s.mu.Lock()
	jobs := s.jobs
	s.jobs = nil
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), leaveTime)
	defer cancel()
	var parts sync.WaitGroup
	for _, j := range jobs {
		if j.isWiped() {
			continue
		}
		parts.Go(func() {
			if err := s.remove(ctx, j); err != nil {
				s.log.Info("a job of an eSCL client stays at its node", "job", j.id, "error", err)
			}
		})
	}
	parts.Wait()
}
