package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

const (
	commentEvery   = 15 * time.Second
	maxLastEventID = 64
)

// eventStream is an answer of server-sent events (HTML standard, section 9.2).
type eventStream struct {
	*stream
	buf bytes.Buffer
}

// newEventStream begins the answer. The first block tells the ID to resume from, even
// if no event comes.
func newEventStream(w http.ResponseWriter, r *http.Request, id string) *eventStream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies that know it pass events on at once
	s := &eventStream{stream: newStream(w, r)}
	fmt.Fprintf(&s.buf, "id: %s\n\n", id)
	return s
}

func (s *eventStream) add(e *scan.Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	fmt.Fprintf(&s.buf, "id: %s\ndata: %s\n\n", e.ID, data)
	return nil
}

// send writes what was added, or a comment if nothing was.
func (s *eventStream) send() error {
	if s.buf.Len() == 0 {
		s.buf.WriteString(":\n\n")
	}
	defer s.buf.Reset()
	if _, err := s.Write(s.buf.Bytes()); err != nil {
		return fmt.Errorf("sending events: %w", err)
	}
	if err := s.flush(); err != nil {
		return fmt.Errorf("sending events: %w", err)
	}
	return nil
}

// getEvents follows everything that the caller may see.
func (n *Node) getEvents(w http.ResponseWriter, r *http.Request) error {
	seq, id, _, err := n.startOf(r)
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/event-stream")
		return nil
	}
	return n.followEvents(newEventStream(w, r, id), r, seq, "")
}

// startOf is where a stream begins: after Last-Event-ID, or now.
func (n *Node) startOf(r *http.Request) (seq uint64, id string, resumed bool, err error) {
	values := r.Header.Values("Last-Event-ID")
	if len(values) == 0 {
		seq, id = n.hub.head()
		return seq, id, false, nil
	}
	id = values[0]
	if len(values) > 1 || len(id) > maxLastEventID {
		return 0, "", false, problem.New(problem.BadRequest, "It is the ID of one event.").At("Last-Event-ID")
	}
	seq, err = n.hub.position(id)
	return seq, id, true, err
}

// getJobEvents follows one job from its present state to its end.
func (n *Node) getJobEvents(w http.ResponseWriter, r *http.Request) error {
	seq, id, resumed, err := n.startOf(r)
	if err != nil {
		return err
	}
	job, _, err := n.jobOf(r) // after the position: what happens in between is told twice, never lost
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/event-stream")
		return nil
	}
	s := newEventStream(w, r, id)
	ended := job.State.Terminal()
	if resumed && ended {
		missed, _, err := n.hub.after(seq)
		if err != nil {
			return err
		}
		ended = !slices.ContainsFunc(missed, func(m notice) bool { return m.job == job.ID && m.ends })
	}
	if resumed && !ended {
		return n.followEvents(s, r, seq, job.ID)
	}
	_, now := n.hub.head()
	if !ended {
		now = id
	}
	if err := s.add(&scan.Event{ID: now, Type: scan.EventJobState, Job: &job}); err != nil {
		return err
	}
	if ended {
		return s.send()
	}
	return n.followEvents(s, r, seq, job.ID)
}

// followEvents sends the events after seq as they come: those of one job until its
// last, or for "" all that the caller may see until the caller goes away. A caller who
// is too slow is cut off and comes back with Last-Event-ID.
func (n *Node) followEvents(s *eventStream, r *http.Request, seq uint64, job string) error {
	caller := access.CallerOf(r.Context())
	tick := time.NewTicker(commentEvery)
	defer tick.Stop()
	for {
		notices, more, err := n.hub.after(seq)
		if err != nil {
			if s.buf.Len() > 0 {
				return s.send()
			}
			return nil
		}
		last := false
		for _, m := range notices {
			seq = m.seq
			if job != "" && m.job != job {
				continue
			}
			if e := n.eventFor(r.Context(), caller, m); e != nil {
				if err := s.add(e); err != nil {
					return err
				}
			}
			last = last || job != "" && m.ends
		}
		if s.buf.Len() > 0 {
			if err := s.send(); err != nil {
				return err
			}
			tick.Reset(commentEvery)
		}
		if last {
			return nil
		}
		select {
		case <-more:
		case <-tick.C:
			if err := s.send(); err != nil {
				return err
			}
		case <-relay.Draining(r.Context()): // it goes on over the next link
			return nil
		case <-r.Context().Done():
			return nil
		case <-n.ctx.Done():
			return nil
		}
	}
}

// eventFor is the event as the caller may see it, nil if not at all. What becomes of a
// scanner is told to those who may see it; what becomes of a job, to its owner anyway.
func (n *Node) eventFor(ctx context.Context, c access.Caller, m notice) *scan.Event {
	e := m.seenBy(c)
	if e == nil || e.Scanner == nil {
		return e
	}
	s, ok := n.permitted(ctx, c, *e.Scanner)
	if !ok {
		return nil
	}
	told := *e
	told.Scanner = &s
	return &told
}
