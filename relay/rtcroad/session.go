package rtcroad

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/sctp"

	"github.com/platen-scan/platen/relay"
)

const (
	// lingering is how many times as many channels as may be served at once may exist,
	// with those that wait and those that are not yet closed at both ends. After a loss
	// there are as many as a browser makes in a second.
	lingering = 64
	// maxForgotten is how many channels a browser may leave half closed.
	maxForgotten = 64
)

// session is a peer connection.
type session struct {
	road *Road
	peer *peer

	answered chan struct{}
	done     chan struct{} // it has ended
	used     chan struct{} // a channel was opened

	existing chan struct{}  // holds one for each channel
	serving  chan struct{}  // holds one for each exchange that is served
	channels sync.WaitGroup // of goroutines

	mu        sync.Mutex
	ended     bool
	began     bool // used is closed
	reason    string
	forgotten int // channels that the browser has never closed
	remote    net.Addr
}

var _ relay.RoadSession = (*session)(nil)

func newSession(r *Road, p *peer) *session {
	s := &session{
		road: r, peer: p, answered: make(chan struct{}), done: make(chan struct{}), used: make(chan struct{}),
		existing: make(chan struct{}, lingering*r.config.Limits.Channels),
		serving:  make(chan struct{}, r.config.Limits.Channels),
		remote:   net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.IPv4Unspecified(), 0)),
	}
	p.agent.OnConnectionStateChange(func(state ice.ConnectionState) {
		if state == ice.ConnectionStateFailed {
			s.Close("the browser cannot be reached")
		}
	})
	return s
}

// run sees the session through; when it returns, all that belongs to it has ended.
func (s *session) run() {
	select {
	case <-s.answered:
		s.serve()
	case <-s.done:
	}
	<-s.done
	s.road.log.Debug("a peer connection has ended", "reason", s.reason, "remote", s.RemoteAddr())
	s.peer.close()
	s.channels.Wait()
	s.road.mu.Lock()
	defer s.road.mu.Unlock()
	delete(s.road.sessions, s)
}

// serve connects and takes channels until the session ends.
func (s *session) serve() {
	ctx, cancel := context.WithTimeout(context.Background(), s.road.timing.connect)
	defer cancel()
	s.channels.Go(func() {
		select {
		case <-s.done:
			cancel()
		case <-ctx.Done():
		}
	})
	if err := s.peer.connect(ctx, s.road); err != nil {
		s.road.log.Debug("no peer connection", "error", err)
		s.Close("the browser did not come")
		return
	}
	cancel()
	s.channels.Go(s.accept)
	timer := time.NewTimer(s.road.timing.unused)
	defer timer.Stop()
	select {
	case <-s.used:
	case <-timer.C:
		s.Close("the browser asked for nothing")
	case <-s.done:
	}
}

// accept takes each stream that the browser opens. It must not wait: SCTP would drop the
// first packet of the next stream, and nothing that comes later would count as received,
// the closing of streams included.
func (s *session) accept() {
	defer s.Close("the browser has left")
	for {
		stream, err := s.peer.sctp.AcceptStream()
		if err != nil {
			return
		}
		select {
		case s.existing <- struct{}{}:
			s.channels.Go(func() {
				s.exchange(stream)
				<-s.existing
			})
		default:
			s.Close("the browser opens more channels than it closes")
			return
		}
	}
}

// exchange is all of one channel. It returns when both ends have closed it.
func (s *session) exchange(stream *sctp.Stream) {
	c := newConn(s, stream)
	stream.SetReadDeadline(time.Now().Add(s.road.timing.connect))
	err := c.handshake()
	stream.SetReadDeadline(time.Time{})
	if err != nil {
		s.road.log.Debug("a channel is refused", "error", err)
		c.refused = true
		c.Close()
	} else {
		s.first()
	}
	s.channels.Go(c.receive)
	if err == nil && c.accepted() {
		select {
		case <-c.closed:
		case <-c.gone:
		case <-s.done:
		}
		<-s.serving
	}
	c.finish()
}

// first tells run that the session is used.
func (s *session) first() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.began {
		s.began = true
		close(s.used)
	}
}

// forget is called for a channel that the browser does not close.
func (s *session) forget() {
	s.mu.Lock()
	s.forgotten++
	tooMany := s.forgotten > maxForgotten
	s.mu.Unlock()
	if tooMany {
		s.Close("the browser does not close its channels")
	}
}

// queued is how many bytes the browser has not yet got.
func (s *session) queued() int { return s.peer.sctp.BufferedAmount() }

// Kind is relay.KindWebRTC.
func (s *session) Kind() relay.Kind { return relay.KindWebRTC }

// Origin is "": WebRTC does not tell.
func (s *session) Origin() string { return "" }

// RemoteAddr is where the browser was last seen.
func (s *session) RemoteAddr() net.Addr {
	at, ok := s.peer.remote()
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		s.remote = net.UDPAddrFromAddrPort(at)
	}
	return s.remote
}

// Done is closed when the session has ended.
func (s *session) Done() <-chan struct{} { return s.done }

// Close ends the session with every exchange.
func (s *session) Close(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended, s.reason = true, reason
		close(s.done)
	}
}
