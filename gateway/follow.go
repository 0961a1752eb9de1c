package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/time/rate"

	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// Limits of a node's event stream. Each idle node costs one read buffer.
const (
	eventBuffer = 256
	maxEvent    = 8 << 10 // bytes of one line
	eventRate   = 50      // events a second that go on to browsers; more wait at the node
	eventBurst  = 2 * maxScanners
)

// listening is the reading of a node's events over a link.
type listening struct {
	g       *Gateway
	n       *node
	h       *held
	ctx     context.Context
	cancel  context.CancelCauseFunc
	silence silence
	events  io.Closer
	lines   lineReader
	told    map[string]bool // the scanners named so far; nil once the node has named all
	pace    *rate.Limiter
	unread  bool // the log has that an event could not be read
}

// follow waits until the link takes requests and asks for the node's events. It returns
// when the node has named all its scanners; listen reads on, end must be called.
func (g *Gateway) follow(n *node, h *held) (*listening, error) {
	f := &listening{g: g, n: n, h: h, told: map[string]bool{}, pace: rate.NewLimiter(eventRate, eventBurst)}
	f.ctx, f.cancel = context.WithCancelCause(relay.WithControl(h.ctx))
	select {
	case <-h.chosen:
	case <-f.ctx.Done():
		return f, context.Cause(f.ctx)
	case <-h.Done():
		return f, relay.ErrLinkLost
	}
	f.silence.begin(&g.hearing, func() { f.cancel(errSilent) })
	if err := f.ask(); err != nil {
		return f, fmt.Errorf("asking for the node's events: %w", err)
	}
	for f.told != nil {
		if err := f.next(); err != nil {
			return f, err
		}
	}
	return f, nil
}

// listen reads events until the link is gone, the node falls silent or the link's ctx
// ends. A silent node may be gone without a word, so its link is worth nothing.
func (f *listening) listen() error {
	for {
		if err := f.next(); err != nil {
			return err
		}
	}
}

// end waits until the link is of no use and says why: err, or the cause of ctx. The
// stream can end on its own: the node ends it when its next link is up, so that a newer
// one is about to take over here, or this one is about to go.
func (f *listening) end(err error) error {
	defer f.cancel(nil)
	if f.events != nil {
		f.events.Close()
	}
	fell := f.ctx.Err() == nil // silent after err, and because of it
	select {
	case <-f.ctx.Done():
		if cause := context.Cause(f.ctx); fell && errors.Is(cause, errSilent) {
			err = fmt.Errorf("%w, since %w", cause, err)
		} else {
			err = cause
		}
	case <-f.h.Done():
	}
	f.silence.end()
	return err
}

func (f *listening) ask() error {
	r, err := http.NewRequestWithContext(f.ctx, http.MethodGet, nodeURL("/api/v1/link/events"), nil)
	if err != nil {
		return err
	}
	answer, err := f.h.RoundTrip(r)
	if err != nil {
		return err
	}
	f.events, f.lines = answer.Body, lineReader{bufio.NewReaderSize(answer.Body, eventBuffer), nil}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	return nil
}

// next reads one line: an event, or a heartbeat.
func (f *listening) next() error {
	line, err := f.lines.next()
	if err != nil {
		return fmt.Errorf("reading the node's events: %w", err)
	}
	f.silence.broken()
	line = bytes.TrimSpace(line)
	if len(line) > 0 {
		if err := f.pace.Wait(f.ctx); err != nil {
			return err
		}
		f.onEvent(line)
		return nil
	}
	if f.told != nil { // the first heartbeat ends the list of all scanners
		if f.g.registry.keepScanners(f.n, f.h, f.told) {
			f.g.scannersChanged(f.n)
		}
		f.told = nil
	}
	return nil
}

// onEvent takes in what the node says of a scanner. What cannot be read is of a newer
// version, perhaps, and no reason to do without the node's other scanners.
func (f *listening) onEvent(line []byte) {
	var e scan.Event
	if err := json.Unmarshal(line, &e); err != nil {
		if !f.unread {
			f.unread = true
			f.g.log.Warn("an event of a node cannot be read, and is passed over", "node", f.n.id, "error", err)
		}
		return
	}
	if e.Scanner == nil {
		return // of a newer version, perhaps
	}
	changed := false
	switch e.Type {
	case scan.EventDeviceState:
		if f.told != nil {
			f.told[e.Scanner.ID] = true
		}
		changed = f.g.registry.putScanner(f.n, f.h, *e.Scanner)
	case scan.EventDeviceGone:
		changed = f.g.registry.removeScanner(f.n, f.h, e.Scanner.ID)
	default: // nothing that a gateway follows
	}
	if changed {
		f.g.scannersChanged(f.n)
	}
}

// scannersChanged has the node's scanners stored, and tells of the node how many it has.
func (g *Gateway) scannersChanged(n *node) {
	g.remember(n)
	g.registry.publish(n)
}

// lineReader reads lines of at most maxEvent bytes through a small buffer.
type lineReader struct {
	r    *bufio.Reader
	long []byte // a line that did not fit into r's buffer
}

var errLongLine = errors.New("a line is too long")

// next is the next line; it is valid until the call after.
func (l *lineReader) next() ([]byte, error) {
	l.long = nil // long lines are rare
	for {
		part, err := l.r.ReadSlice('\n')
		switch {
		case err == nil && len(l.long) == 0:
			return part, nil
		case err == nil:
			return append(l.long, part...), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			if errors.Is(err, io.EOF) && len(part)+len(l.long) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		case len(l.long)+len(part) > maxEvent:
			return nil, errLongLine
		}
		l.long = append(l.long, part...)
	}
}
