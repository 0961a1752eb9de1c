package front

import (
	"io"
	"net/http"
	"time"
)

// Browsers send small bodies (what a scan shall be like, how a document is put together),
// and now and then a file of many megabytes over a slow line: it has bodyTimeout for each
// bodyPiece.
const (
	bodyTimeout = 30 * time.Second
	bodyPiece   = 64 << 10 // bytes
)

// timed ends the reading of a request whose body does not come to its end, or comes too
// slowly. HTTP/3 has no other limit for that, and a request without a body looks there
// like one whose body is still to come.
func timed(h http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			control := http.NewResponseController(w)
			if control.SetReadDeadline(time.Now().Add(limit)) == nil {
				// net/http looks at the body of its own request: one that it does not know it
				// reads before it lets the answer go, and a refusal would wait for the upload.
				own := *r
				own.Body = &timedBody{ReadCloser: r.Body, control: control, limit: limit}
				r = &own
			}
		}
		h.ServeHTTP(w, r)
	})
}

// timedBody moves the deadline with each piece, and lifts it at the body's end: with
// HTTP/1.1 it is the connection's, on which the server then waits for the browser to go
// away.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	limit   time.Duration
	came    int // bytes of the piece
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.control == nil {
		return n, err
	}
	b.came += n
	switch {
	case err == io.EOF:
		b.control.SetReadDeadline(time.Time{})
		b.control = nil
	case b.came >= bodyPiece:
		b.came = 0
		b.control.SetReadDeadline(time.Now().Add(b.limit))
	}
	return n, err
}
