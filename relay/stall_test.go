package relay_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/relay"
)

// slowWriter is an answer's way to a reader that takes bytes at a rate.
type slowWriter struct {
	header  http.Header
	rate    int // bytes a second; 0: none
	room    int // bytes that buffers take at once
	late    chan struct{}
	got     bytes.Buffer
	writes  []int
	flushes int
	ends    time.Time // when a write must have ended
}

func newSlowWriter(rate int) *slowWriter {
	return &slowWriter{header: http.Header{}, rate: rate, late: make(chan struct{})}
}

func (w *slowWriter) Header() http.Header { return w.header }
func (w *slowWriter) WriteHeader(int)     {}
func (w *slowWriter) Flush()              { w.flushes++ }

func (w *slowWriter) SetWriteDeadline(t time.Time) error {
	w.ends = t
	if !t.After(time.Now()) {
		close(w.late)
	}
	return nil
}

func (w *slowWriter) Write(p []byte) (int, error) {
	w.writes = append(w.writes, len(p))
	var taken <-chan time.Time
	if w.rate > 0 {
		wait := max(len(p)-w.room, 0)
		w.room = max(w.room-len(p), 0)
		taken = time.After(time.Duration(wait) * time.Second / time.Duration(w.rate))
	}
	select {
	case <-taken:
		return w.got.Write(p)
	case <-w.late:
		return 0, os.ErrDeadlineExceeded
	}
}

// serve runs a handler under Progress and reports its panic, if any.
func serve(w http.ResponseWriter, h http.HandlerFunc) (panicked any) {
	defer func() { panicked = recover() }()
	relay.Progress(h, 10*time.Second).ServeHTTP(w, new(http.Request))
	return nil
}

func TestProgressStopsAStalledAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSlowWriter(0)
		began := time.Now()
		var failed error
		panicked := serve(w, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(3 * time.Second)
			began = time.Now()
			_, failed = w.Write(make([]byte, 1<<20))
		})
		if took := time.Since(began).Round(time.Millisecond); took != 10*time.Second {
			t.Errorf("a stalled write ended after %v, want 10s", took)
		}
		if !errors.Is(failed, os.ErrDeadlineExceeded) {
			t.Errorf("Write = %v, want %v", failed, os.ErrDeadlineExceeded)
		}
		if panicked != http.ErrAbortHandler {
			t.Errorf("the handler ended with %v: the answer could look whole", panicked)
		}
	})
}

func TestProgressBearsASlowReader(t *testing.T) {
	for _, room := range []int{0, 64 << 10, 200 << 10} {
		synctest.Test(t, func(t *testing.T) {
			w := newSlowWriter(4 << 10)
			w.room = room
			if p := serve(w, func(w http.ResponseWriter, r *http.Request) {
				if n, err := w.Write(make([]byte, 600_000)); n != 600_000 || err != nil {
					t.Errorf("with room for %d: Write = %d, %v, want 600000 bytes", room, n, err)
				}
			}); p != nil {
				t.Errorf("with room for %d the answer was aborted: %v", room, p)
			}
			if last := w.writes[len(w.writes)-2]; last > 8<<10 {
				t.Errorf("pieces for a slow reader are %d bytes, want 8 KiB at most", last)
			}
		})
	}
}

func TestProgressBearsASilentHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSlowWriter(1 << 30)
		if p := serve(w, func(w http.ResponseWriter, r *http.Request) {
			for range 5 {
				io.WriteString(w, "event")
				http.NewResponseController(w).Flush()
				time.Sleep(time.Minute)
			}
		}); p != nil {
			t.Errorf("the answer was aborted: %v", p)
		}
		if got := w.got.String(); got != strings.Repeat("event", 5) || w.flushes != 5 {
			t.Errorf("reader got %q and %d flushes", got, w.flushes)
		}
	})
}

func TestProgressCopiesInLargePieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSlowWriter(1 << 30)
		serve(w, func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(w, io.LimitReader(zeros{}, 3<<20))
			if n != 3<<20 || err != nil {
				t.Errorf("io.Copy = %d, %v, want 3 MiB", n, err)
			}
		})
		if n := len(w.writes); n > 64 || w.got.Len() != 3<<20 {
			t.Errorf("3 MiB went out in %d writes (%d bytes)", n, w.got.Len())
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A short answer must reach the server unflushed, which then knows its length.
func TestProgressLeavesShortAnswersAlone(t *testing.T) {
	w := newSlowWriter(1 << 30)
	serve(w, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}") })
	if w.flushes != 0 || w.got.String() != "{}" {
		t.Errorf("%d flushes of %q, want none of {}", w.flushes, w.got.String())
	}
}

// A short answer leaves after its handler's end: over HTTP/2 that too comes to an end.
func TestProgressEndsShortAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for major, want := range map[int]time.Duration{1: 0, 2: time.Minute} {
			w := newSlowWriter(1 << 30)
			r := (&http.Request{ProtoMajor: major}).WithContext(relay.WithStream(t.Context(), relay.NewStream(nil)))
			relay.Progress(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}") }), 10*time.Second).ServeHTTP(w, r)
			var got time.Duration
			if !w.ends.IsZero() {
				got = time.Until(w.ends)
			}
			if got != want || w.flushes != 0 {
				t.Errorf("a short answer of HTTP/%d has %v and %d flushes, want %v and none", major, got, w.flushes, want)
			}
		}
	})
}

func TestProgressCostsNoGoroutine(t *testing.T) {
	h := relay.Progress(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(nil) }), time.Second)
	w, r := newSlowWriter(1<<30), new(http.Request)
	w.rate = 1 << 40
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(discard{w.header}, r) }); n > 4 {
		t.Errorf("Progress allocates %v times an answer, want at most 4", n)
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) WriteHeader(int)             {}
func (d discard) Write(p []byte) (int, error) { return len(p), nil }

func TestBuffers(t *testing.T) {
	var b relay.Buffers
	p := b.Get()
	if len(p) != relay.BufferSize {
		t.Fatalf("Get() has %d bytes, want %d", len(p), relay.BufferSize)
	}
	b.Put(p)
	b.Put(make([]byte, 10)) // not ours: dropped
	if n := len(b.Get()); n != relay.BufferSize {
		t.Errorf("Get() after a foreign Put has %d bytes, want %d", n, relay.BufferSize)
	}
}
