package node

import (
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
)

// Deadlines of answers on the node's own listeners.
const (
	answerTime = 3 * time.Minute  // for an answer that is no stream; a device may take its time to answer
	stallTime  = 10 * time.Second // for a reader to take one piece of a stream
	slowPiece  = 32 << 10
	fastPiece  = 512 << 10
	fastEnough = time.Second / 2 // a piece that went so fast may be followed by a larger one
)

// watched reports whether somebody else has deadlines for a road: package relay for links
// and direct roads (relay.Progress), the listener behind the client inside of this process.
func watched(road access.Road) bool {
	return road == access.RoadLink || road == access.RoadESCL || road == access.RoadDirect
}

// withDeadline gives every answer on a listener of the node a deadline, which streams
// move on: a deadline stays with its connection and would hit the next answer.
func withDeadline(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A writer without deadlines is a test's.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
		h.ServeHTTP(w, r)
	})
}

const pieceBuffer = 256 << 10

// pieces are buffers for bodies.
var pieces = sync.Pool{New: func() any { return new([pieceBuffer]byte) }}

// stream writes a body so that a reader who takes nothing for stallTime is cut off, to
// come back with a Range, and a slow one is not. It is the ResponseWriter to give to
// http.ServeContent.
type stream struct {
	http.ResponseWriter
	control *http.ResponseController
	watched bool // deadlines are somebody else's
	kernel  bool // the connection can take a file without copying
	refused bool // ServeContent answered 416; the problem document comes instead
}

func newStream(w http.ResponseWriter, r *http.Request) *stream {
	return &stream{
		ResponseWriter: w, control: http.NewResponseController(w),
		watched: watched(access.CallerOf(r.Context()).Road), kernel: r.TLS == nil && r.ProtoMajor == 1,
	}
}

// Unwrap is for http.ResponseController.
func (s *stream) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *stream) WriteHeader(status int) {
	if status == http.StatusRequestedRangeNotSatisfiable {
		s.refused = true
		return
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *stream) Write(b []byte) (n int, err error) {
	switch {
	case s.refused:
		return len(b), nil
	case s.watched:
		return s.ResponseWriter.Write(b)
	}
	for {
		piece := b[:min(len(b), slowPiece)]
		s.extend()
		m, err := s.ResponseWriter.Write(piece)
		n += m
		if b = b[m:]; err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// ReadFrom takes a file to the connection in pieces that grow with the reader's speed.
func (s *stream) ReadFrom(src io.Reader) (n int64, err error) {
	if s.watched {
		return io.Copy(s.ResponseWriter, src)
	}
	if !s.kernel {
		buf := pieces.Get().(*[pieceBuffer]byte)
		defer pieces.Put(buf)
		return io.CopyBuffer(onlyWriter{s}, src, buf[:])
	}
	left := int64(-1)
	if l, ok := src.(*io.LimitedReader); ok { // as http.ServeContent makes it: sendfile sees through one only
		src, left = l.R, l.N
		defer func() { l.N = left }()
	}
	for size := int64(slowPiece); left != 0; {
		piece := &io.LimitedReader{R: src, N: size}
		if left > 0 {
			piece.N = min(piece.N, left)
		}
		asked, began := piece.N, time.Now()
		s.extend()
		m, err := io.Copy(s.ResponseWriter, piece)
		n += m
		if left > 0 {
			left -= m
		}
		if err != nil || m < asked {
			return n, err
		}
		switch took := time.Since(began); {
		case took < fastEnough:
			size = min(2*size, fastPiece)
		case took > 2*fastEnough:
			size = max(size/2, slowPiece)
		}
	}
	return n, nil
}

// onlyWriter hides ReadFrom.
type onlyWriter struct{ io.Writer }

// flush sends what was written so far. What comes next may take its time: HTTP/2 would
// end a silent answer by the last deadline.
func (s *stream) flush() error {
	s.extend()
	err := s.control.Flush()
	if !s.watched {
		_ = s.control.SetWriteDeadline(time.Time{})
	}
	return err
}

func (s *stream) extend() {
	if !s.watched {
		_ = s.control.SetWriteDeadline(time.Now().Add(stallTime)) // as in withDeadline
	}
}
