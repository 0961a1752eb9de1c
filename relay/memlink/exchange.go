package memlink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"time"

	"github.com/platen-scan/platen/relay"
)

var (
	errLost  = errors.New("link closed")
	errReset = errors.New("stream reset")
)

// RoundTrip runs the node's handler and waits for its header.
func (c *conn) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	select {
	case <-c.serving:
	case <-c.ctx.Done():
		return nil, errLost
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if t := httptrace.ContextClientTrace(ctx); t != nil && t.WroteHeaders != nil {
		t.WroteHeaders()
	}
	handlerCtx, cancel := context.WithCancelCause(context.Background())
	w := &writer{
		answered: make(chan struct{}), header: http.Header{}, head: r.Method == http.MethodHead,
		body: newPipe(relay.StreamWindow), length: -1,
	}
	abort := func(err error) {
		cancel(err)
		w.body.fail(err)
	}
	stopLink := context.AfterFunc(c.ctx, func() { abort(errLost) })
	stopCaller := context.AfterFunc(ctx, func() { abort(ctx.Err()) })
	stop := func() { stopLink(); stopCaller() }

	in := r.Clone(handlerCtx)
	in.RequestURI = r.URL.RequestURI()
	in.URL.Scheme, in.URL.Host = "", ""
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/2.0", 2, 0
	in.RemoteAddr = address{}.String()
	switch {
	case in.Body == nil || in.Body == http.NoBody:
		in.Body, in.ContentLength = http.NoBody, 0
	case in.ContentLength == 0:
		in.ContentLength = -1
	}
	if in.Header.Get("User-Agent") == "" {
		in.Header.Del("User-Agent")
	}
	in.Body = &requestBody{ReadCloser: in.Body, ctx: handlerCtx}
	w.cancel = func() { cancel(errReset) }

	if !c.begin(func(h http.Handler) {
		defer stop()
		defer cancel(nil)
		w.run(h, in)
	}) {
		stop()
		return nil, errLost
	}
	select {
	case <-w.answered:
	case <-handlerCtx.Done():
		select {
		case <-w.answered: // and ended at once
		default:
			return nil, context.Cause(handlerCtx)
		}
	}
	if w.status == 0 {
		return nil, errReset
	}
	return &http.Response{
		StatusCode: w.status, Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		Proto: "HTTP/2.0", ProtoMajor: 2, Header: w.sent, ContentLength: w.length, Body: responseBody{w},
	}, nil
}

// requestBody ends with its request.
type requestBody struct {
	io.ReadCloser
	ctx context.Context
}

func (b *requestBody) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	return b.ReadCloser.Read(p)
}

// responseBody is what the gateway reads; closing it early aborts the handler.
type responseBody struct{ w *writer }

func (b responseBody) Read(p []byte) (int, error) { return b.w.body.Read(p) }

func (b responseBody) Close() error {
	b.w.cancel()
	b.w.body.fail(errReset)
	return nil
}

// writer is the handler's ResponseWriter.
type writer struct {
	answered chan struct{} // closed with status, sent and length set; or with status 0 after a panic
	status   int
	sent     http.Header
	length   int64
	header   http.Header
	head     bool
	written  bool // WriteHeader was called
	flushed  bool // answered is closed
	small    []byte
	body     *pipe
	cancel   func()
}

func (w *writer) run(h http.Handler, r *http.Request) {
	defer func() {
		if recover() != nil { // relay.Answering has told the log
			w.body.fail(errReset)
			if !w.flushed {
				w.status = 0
				close(w.answered)
			}
		}
	}()
	h.ServeHTTP(w, r)
	if !w.written {
		w.WriteHeader(http.StatusOK)
	}
	if !w.flushed && w.header.Get("Content-Length") == "" && bodyAllowed(w.status) && !w.head {
		w.header.Set("Content-Length", strconv.Itoa(len(w.small)))
	}
	if w.FlushError() == nil {
		w.body.end()
	}
}

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) {
	if w.written || status < 200 {
		return
	}
	w.written, w.status = true, status
}

const smallBody = 4096 // held back, so that a short answer has a length

func (w *writer) Write(p []byte) (int, error) {
	if !w.written {
		w.WriteHeader(http.StatusOK)
	}
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if w.head {
		return len(p), nil
	}
	if !w.flushed && len(w.small)+len(p) <= smallBody {
		w.small = append(w.small, p...)
		return len(p), nil
	}
	if err := w.FlushError(); err != nil {
		return 0, err
	}
	return w.body.Write(p)
}

func (w *writer) Flush() { w.FlushError() }

func (w *writer) FlushError() error {
	if !w.written {
		w.WriteHeader(http.StatusOK)
	}
	if !w.flushed {
		w.flushed = true
		w.sent = w.header.Clone()
		if n, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64); err == nil {
			w.length = n
		}
		close(w.answered)
	}
	small := w.small
	w.small = nil
	_, err := w.body.Write(small)
	return err
}

func (w *writer) SetWriteDeadline(t time.Time) error {
	w.body.setDeadline(t)
	return nil
}
