package relay

import (
	"io"
	"net/http"
	"slices"
	"time"
)

// A companion is a link of another kind beside the present one, to carry bodies. The
// present link is QUIC where UDP passes: it notices a new address of the node and
// never mixes up control and pages. But one lost packet in a hundred makes a page
// over it forty times as slow as over TCP with the kernel's BBR, and it costs three
// times the CPU. Which of the two carries a body is the gateway's choice; the node
// says in the companion's hello what it is for (Bulk).
//
// It is dialed when a large body has begun over the present link, or one waits long for
// it, and drained when it was not used for companionIdle, so that an idle node has one
// link: not sooner, for pages come minutes apart, and the first over a new connection is
// slow. One that such bodies pass by has shown the gateway that it carries less. That may
// be due to what its connection went through: when a road becomes longer, BBR sends a
// fortieth for ten seconds, and is as slow to find back. A new one knows nothing of that.
// When the present link falls it takes its place. When a new link takes that place both
// are drained. A present link of the last kind has no companion.

// company is what a keeping knows of the companion.
type company struct {
	beside  *held         // nil: none
	joining bool          // it is being dialed
	target  Target        // of the present link: a companion goes to the same address
	apart   time.Time     // no dial before that
	refused int           // dials that failed, one after the other
	asked   time.Time     // when it was wanted last
	past    time.Duration // bodies may pass it by for so long

	wanted chan struct{}
	joined chan joined
	idle   *time.Timer // it may have become useless
}

// joined is the end of a companion's dial.
type joined struct {
	of   *held // the link that it was dialed beside
	conn Conn
	err  error
}

func newCompany() company {
	c := company{wanted: make(chan struct{}, 1), joined: make(chan joined), idle: time.NewTimer(0)}
	c.idle.Stop()
	return c
}

// want says that a body is under way that is a reason for a companion. Any goroutine may
// call it; it returns at once.
func (s *keeping) want() {
	select {
	case s.wanted <- struct{}{}:
	default:
	}
}

// alone begins with a new present link, which went to t.
func (s *keeping) alone(t Target) {
	s.target, s.apart, s.refused, s.past = t, time.Time{}, 0, companionPast
}

// accompany dials a companion, unless there is one or none can be.
func (s *keeping) accompany() {
	now := time.Now()
	s.asked = now
	s.renew(now)
	if s.current == nil || s.beside != nil || s.joining || now.Before(s.apart) {
		return
	}
	at := slices.IndexFunc(s.config.Dialers, func(d Dialer) bool { return d.Kind() == s.current.kind })
	others := s.config.Dialers[at+1:]
	if len(others) == 0 {
		return
	}
	s.joining = true
	j, target := joined{of: s.current}, s.target
	s.running.Go(func() {
		j.conn, j.err = race(s.ctx, &s.running, others, target, raceStagger)
		select {
		case s.joined <- j:
		case <-s.ctx.Done():
			if j.conn != nil {
				j.conn.Close()
			}
		}
	})
}

// renew drains a companion that such bodies have passed by for a while.
func (s *keeping) renew(now time.Time) {
	if s.beside == nil {
		return
	}
	last, busy := s.beside.load.quiet()
	if last.Before(s.beside.since) {
		last = s.beside.since
	}
	if busy || now.Sub(last) < s.past {
		return
	}
	s.past = min(2*s.past, companionPastMost)
	if last.Sub(s.beside.since) > companionPastMost {
		s.past = companionPast // it was of use before
	}
	s.dismiss()
}

func (s *keeping) onJoined(j joined) {
	s.joining = false
	now := time.Now()
	switch {
	case j.of != s.current:
		if j.conn != nil {
			j.conn.Close()
		}
	case j.err != nil:
		s.part(now)
		s.config.Log.Info("no second link to the gateway", "error", j.err, "again", s.apart.Sub(now))
	default:
		s.beside = s.hold(j.conn, now, true)
		s.idle.Reset(companionIdle)
		s.config.Log.Info("second link to the gateway stands", "kind", s.beside.kind)
	}
}

// part puts the next dial off: a network that lets nothing else pass is asked rarely.
func (s *keeping) part(now time.Time) {
	wait := verdictKept
	if s.refused == 0 {
		wait = verdictFirst
	}
	s.refused++
	s.apart = now.Add(wait)
}

// onParted takes in that the companion is gone. It comes back when it is wanted.
func (s *keeping) onParted(e ended, now time.Time) {
	s.beside = nil
	s.idle.Stop()
	if now.Sub(e.held.since) < backoffSettle {
		s.part(now)
	} else {
		s.refused = 0
	}
	s.config.Log.Info("second link to the gateway is gone", "kind", e.held.kind, "error", e.err)
}

// promote puts the companion in the place of the link that has ended.
func (s *keeping) promote(e ended, now time.Time) {
	s.config.Log.Warn("link to the gateway is gone", "kind", e.held.kind, "error", e.err)
	h := s.beside
	s.beside = nil
	s.idle.Stop()
	h.bulk.Store(false)
	s.judge(toConnect, h.kind, now)
	s.alone(s.target)
	s.present(h, true)
	s.planProbe(now)
}

// dismissIdle drains a companion that was not of use for long enough.
func (s *keeping) dismissIdle() {
	if s.beside == nil {
		return
	}
	last, busy := s.beside.load.quiet()
	if last.Before(s.asked) {
		last = s.asked
	}
	switch wait := companionIdle - time.Since(last); {
	case busy:
		s.idle.Reset(companionIdle)
	case wait > 0:
		s.idle.Reset(wait)
	default:
		s.dismiss()
	}
}

// dismiss drains the companion, if there is one.
func (s *keeping) dismiss() {
	h := s.beside
	if h == nil {
		return
	}
	s.beside = nil
	s.idle.Stop()
	s.running.Go(func() { h.drain(s.ctx) })
}

// A body is a reason for a companion from largeBody on, or from slowBody on if it has
// waited for slowLink: for the link, for no browser keeps what fits into a window waiting.
// All that within largeWithin: a stream of events gets there too, in hours.
const (
	largeBody   = 1 << 20
	slowBody    = 64 << 10
	slowLink    = time.Second
	largeWithin = time.Minute
)

// sizing is an answer that tells once when it has become a reason for a companion.
type sizing struct {
	http.ResponseWriter
	want func()
	told bool

	began  time.Time
	bytes  int           // since then
	waited time.Duration // for the link, since then
}

// Unwrap is for http.ResponseController.
func (s *sizing) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// Flush is http.Flusher.
func (s *sizing) Flush() { http.NewResponseController(s.ResponseWriter).Flush() }

func (s *sizing) Write(p []byte) (int, error) {
	if s.told {
		return s.ResponseWriter.Write(p)
	}
	began := time.Now()
	if began.Sub(s.began) > largeWithin {
		s.began, s.bytes, s.waited = began, 0, 0
	}
	if s.bytes+len(p) >= slowBody { // a link that has lost much gives nothing for seconds
		defer time.AfterFunc(slowLink-s.waited, s.want).Stop()
	}
	n, err := s.ResponseWriter.Write(p)
	s.bytes += n
	s.waited += time.Since(began)
	if s.bytes >= largeBody || s.bytes >= slowBody && s.waited >= slowLink {
		s.told = true
		s.want()
	}
	return n, err
}

// ReadFrom watches the beginning; the rest is the writer's own business.
func (s *sizing) ReadFrom(src io.Reader) (n int64, err error) {
	for !s.told {
		m, err := s.piece(src)
		n += m
		if err != nil || m < BufferSize {
			return n, err
		}
	}
	m, err := io.Copy(s.ResponseWriter, src)
	return n + m, err
}

func (s *sizing) piece(src io.Reader) (int64, error) {
	buf := copyBuffers.Get()
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{s}, io.LimitReader(src, BufferSize), buf)
}
