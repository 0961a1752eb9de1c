package front

import (
	"io"
	"net/http"
	"time"
)

// bodyTimeout is the longest that a browser's body may be on its way. Browsers send
// small ones: what a scan shall be like, how a document is put together.
const bodyTimeout = 30 * time.Second

// timed ends the reading of a request whose body does not come to its end. HTTP/3 has
// no other limit for that, and a request without a body looks there like one whose body
// is still to come.
func timed(h http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			control := http.NewResponseController(w)
			if control.SetReadDeadline(time.Now().Add(limit)) == nil {
				r.Body = &timedBody{r.Body, control}
			}
		}
		h.ServeHTTP(w, r)
	})
}

// timedBody lifts the deadline at its end: with HTTP/1.1 it is the connection's, on
// which the server then waits for the browser to go away.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && b.control != nil {
		b.control.SetReadDeadline(time.Time{})
		b.control = nil
	}
	return n, err
}
