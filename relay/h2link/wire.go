package h2link

import (
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/platen-scan/platen/relay"
)

// closeLimit is how long a goodbye may take on a connection that takes no bytes.
const closeLimit = 250 * time.Millisecond

// record is the most that TLS sends as one.
const record = 16 << 10

// wire is a TLS connection that knows when it is closed and why.
type wire struct {
	*tls.Conn
	stream *relay.Stream // under the TLS; nil if it is something else
	ahead  io.Reader     // read already, to be read again; nil: nothing
	done   chan struct{} // closed by Close

	closing sync.Once
	mu      sync.Mutex
	err     error // the first that ended reading
}

func newWire(c *tls.Conn) *wire {
	w := &wire{Conn: c, done: make(chan struct{})}
	if w.stream, _ = c.NetConn().(*relay.Stream); w.stream != nil {
		w.stream.StallLimit = writeLimit
	}
	return w
}

func (w *wire) Write(p []byte) (int, error) {
	if w.stream == nil || len(p) <= record {
		return w.Conn.Write(p)
	}
	w.stream.Hold()
	n, err := w.Conn.Write(p)
	if releaseErr := w.stream.Release(); err == nil && releaseErr != nil {
		n, err = 0, releaseErr
	}
	return n, err
}

func (w *wire) Read(p []byte) (int, error) {
	if w.ahead != nil {
		n, err := w.ahead.Read(p)
		if err != io.EOF {
			return n, err
		}
		w.ahead = nil
	}
	n, err := w.Conn.Read(p)
	if err != nil {
		w.fail(err)
	}
	return n, err
}

func (w *wire) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

// cause is why the connection ended.
func (w *wire) cause() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil || errors.Is(w.err, io.EOF) {
		return errClosed
	}
	return w.err
}

var errClosed = errors.New("closed by the other end")

// Close says goodbye if the other end takes it, and is quick if not.
func (w *wire) Close() (err error) {
	w.closing.Do(func() {
		force := time.AfterFunc(closeLimit, func() { w.NetConn().Close() })
		defer force.Stop()
		err = w.Conn.Close()
		close(w.done)
	})
	return err
}
