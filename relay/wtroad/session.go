package wtroad

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"

	"github.com/platen-scan/platen/relay"
)

// visit is a connection, from its first packet to its end.
type visit struct {
	*ticket
	conn   *quic.Conn // once there is one to serve
	once   sync.Once
	joined chan struct{} // closed when it asks for its one session
}

type visitKey struct{}

// admit runs at a browser's first packet. The context it gets ends with the connection,
// also with one whose handshake fails.
func (r *Road) admit(ctx context.Context, from *quic.ClientInfo) (context.Context, error) {
	t := r.gate.admit(from.RemoteAddr)
	if t == nil {
		return nil, errTooMany
	}
	context.AfterFunc(ctx, t.leave)
	return context.WithValue(ctx, visitKey{}, &visit{ticket: t, joined: make(chan struct{})}), nil
}

// join reports whether this is the connection's first session. There is no second: a
// browser that pins a certificate uses a connection for each.
func (v *visit) join() (first bool) {
	v.once.Do(func() { first = true; close(v.joined) })
	return first
}

func (v *visit) close(reason string) {
	v.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), reason)
}

// originOf is the one origin that a request tells, or "": then it is not a page that asks.
// Whether the page may have anything is told by its grant.
func originOf(q *http.Request) string {
	origins := q.Header.Values("Origin")
	if len(origins) != 1 || origins[0] == "null" {
		return ""
	}
	return origins[0]
}

// join answers the only request that there is, for as long as the session lasts.
func (s *serving) join(w http.ResponseWriter, q *http.Request) {
	v := q.Context().Value(visitKey{}).(*visit)
	switch {
	case q.Method != http.MethodConnect || !strings.HasPrefix(q.Proto, "webtransport") || q.URL.Path != Path:
		w.WriteHeader(http.StatusNotFound)
		return
	case originOf(q) == "":
		w.WriteHeader(http.StatusForbidden)
		return
	case !v.join():
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	wt, err := s.browsers.Upgrade(w, q)
	if err != nil {
		s.config.Log.Debug("a browser did not join the WebTransport road", "error", err)
		v.close("")
		return
	}
	session := &session{wt: wt, origin: originOf(q), remote: wt.RemoteAddr()}
	s.carry(session)
	session.Close("")
	session.drained()
	// The browser hears of the session's end, and why, before the connection's.
	bye := time.NewTimer(farewell)
	defer bye.Stop()
	select {
	case <-v.conn.Context().Done():
	case <-bye.C:
	case <-s.ctx.Done():
	}
	v.close("")
}

// carry hands out a session's streams until it ends. One that opens none is of no use.
func (s *serving) carry(from *session) {
	first, cancel := context.WithTimeout(s.ctx, joinLimit)
	defer cancel()
	for ctx := first; ; ctx = s.ctx {
		stream, err := from.wt.AcceptStream(ctx)
		if err != nil {
			return
		}
		c := &conn{stream: stream, session: from}
		select {
		case s.accept <- c:
		case <-from.Done():
			c.Close()
		case <-s.ctx.Done():
			c.Close()
		}
	}
}

// session is a browser's.
type session struct {
	wt     *webtransport.Session
	origin string
	remote net.Addr

	mu       sync.Mutex
	ended    bool
	draining sync.WaitGroup
}

var _ relay.RoadSession = (*session)(nil)

func (s *session) Kind() relay.Kind      { return relay.KindWebTransport }
func (s *session) Origin() string        { return s.origin }
func (s *session) RemoteAddr() net.Addr  { return s.remote }
func (s *session) Done() <-chan struct{} { return s.wt.Context().Done() }

func (s *session) Close(reason string) {
	reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
	s.wt.CloseWithError(0, reason)
}

// drainLimit is how long a browser may take to end a request whose answer has ended.
const drainLimit = 5 * time.Second

// drain drops the rest of a stream's request.
func (s *session) drain(stream *webtransport.Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.draining.Go(func() {
		stream.SetReadDeadline(time.Now().Add(drainLimit))
		if _, err := io.Copy(io.Discard, stream); err != nil {
			stream.CancelRead(codeDone)
		}
	})
}

// drained waits until nothing of the session runs any more.
func (s *session) drained() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.draining.Wait()
}
