package access

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// HeaderRequestID goes with every answer; the log has the same ID. A gateway sends it
// over a link, so that both logs can be read together.
const HeaderRequestID = "Platen-Request-Id"

const requestIDLength = 16

type requestIDKey struct{}

// RequestID is what the log calls the request that ctx belongs to; "" outside of one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// exchange is one request and its answer. It is the handlers' ResponseWriter:
// http.ResponseController finds the connection's through Unwrap.
type exchange struct {
	http.ResponseWriter
	h         *handler
	id        string
	began     time.Time
	api       bool
	tls       *tls.ConnectionState // of a browser's connection; nil: it is not encrypted
	at        Authority
	route     string     // pattern, "" before one was found
	grants    []string   // values of HeaderGrant on a link
	foreign   Origin     // of an allowed foreign page, once it is judged; zero: none
	preflight *preflight // of a foreign page; nil: it is the request itself
	ticket    string     // of the query, on routes that take tickets; "": none
	shared    bool       // pages of all sites may embed the answer: it was asked for by a ticket
	caller    Caller
	readable  bool // by every origin: the constant answer to a probe
	status    int  // 0: the answer has not begun
	bytes     int64
	err       error // of the route
	code      problem.Code
	audit     string // action of the route; "": no record is kept
	note      note   // what the handler adds to the record
}

func newExchange(h *handler, w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{ResponseWriter: w, h: h, began: h.Now(), api: strings.HasPrefix(r.URL.Path, apiPrefix)}
	if id := r.Header.Get(HeaderRequestID); h.road == RoadLink && isText(id, requestIDLength) {
		x.id = id
	} else {
		x.id = scan.RandomText(requestIDLength)
	}
	if h.road.granted() {
		x.grants = stripGranted(r.Header)
	}
	if !h.road.internal() {
		x.tls = r.TLS
	}
	return x
}

// origin is that of the foreign page that asks; "" for our own pages and programs.
func (x *exchange) origin() string {
	if x.foreign == (Origin{}) {
		return ""
	}
	return x.foreign.String()
}

func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

func (x *exchange) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		if x.status == 0 {
			x.finishHeaders()
			x.status = status
		}
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	n, err := x.ResponseWriter.Write(b)
	x.bytes += int64(n)
	return n, err
}

// ReadFrom keeps the way open for files to go out by sendfile.
func (x *exchange) ReadFrom(src io.Reader) (int64, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	n, err := io.Copy(x.ResponseWriter, src)
	x.bytes += n
	return n, err
}

// Flush is for handlers that ask for http.Flusher; ResponseController reports errors.
func (x *exchange) Flush() { x.FlushError() }

// FlushError sends what was written so far.
func (x *exchange) FlushError() error {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(x.ResponseWriter).Flush()
}

// fail answers with the problem in err. If the answer has begun, its stream is reset
// instead, so that a half body is never taken for a whole one.
func (x *exchange) fail(r *http.Request, err error) {
	if err == nil {
		return
	}
	var known *problem.Error
	if !errors.As(err, &known) {
		known = problem.Internal.Error()
		if r.Context().Err() != nil {
			known = problem.Unavailable.Error() // nobody is there to read it
		} else {
			x.h.Log.LogAttrs(r.Context(), slog.LevelError, "request failed",
				slog.String("request", x.id), slog.Any("error", err))
			var told interface{ Problem() *problem.Error } // what went wrong here has words for callers
			if errors.As(err, &told) {
				known = told.Problem()
			}
		}
	}
	x.code = known.Code
	if x.status != 0 {
		panic(http.ErrAbortHandler)
	}
	x.readable = false
	problem.Write(x, known)
}

// finish is deferred: it turns a panic into a problem and writes the log's one line.
func (x *exchange) finish(r *http.Request) {
	p := recover()
	if p != nil && p != http.ErrAbortHandler {
		x.h.Log.LogAttrs(r.Context(), slog.LevelError, "handler panicked",
			slog.String("request", x.id), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		x.code = problem.Internal
		if x.status == 0 {
			x.readable = false
			problem.Write(x, problem.Internal.Error())
			p = nil
		} else {
			p = http.ErrAbortHandler
		}
	}
	x.log(r, p != nil)
	x.record(r)
	if p != nil {
		panic(p)
	}
}

// log writes what was asked and answered: neither query nor headers, which may hold secrets.
func (x *exchange) log(r *http.Request, aborted bool) {
	level := slog.LevelDebug
	switch {
	case x.status >= http.StatusInternalServerError:
		level = slog.LevelWarn
	case aborted || x.status >= http.StatusBadRequest || changesState(r.Method):
		level = slog.LevelInfo
	}
	ctx := context.WithoutCancel(r.Context())
	if !x.h.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request", x.id),
		slog.String("road", string(x.h.road)),
		slog.String("method", cut(r.Method, 16)),
		slog.String("path", cut(r.URL.Path, 200)),
		slog.Int("status", x.status),
		slog.Int64("bytes", x.bytes),
		slog.Duration("took", x.h.Now().Sub(x.began)),
		slog.String("peer", r.RemoteAddr),
	}
	if x.caller.Session != "" {
		attrs = append(attrs, slog.String("session", x.caller.Session))
	}
	if x.code != "" {
		attrs = append(attrs, slog.String("problem", string(x.code)))
	}
	if aborted {
		attrs = append(attrs, slog.Bool("aborted", true))
	}
	x.h.Log.LogAttrs(ctx, level, "request", attrs...)
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
