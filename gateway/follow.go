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
	"time"

	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// Sizes of a node's event stream. Each idle node costs one read buffer.
const (
	eventBuffer = 1 << 10
	maxEvent    = 64 << 10 // bytes of one line
)

// follow reads the node's events over a link until the link is gone, the node falls
// silent or ctx ends, whose cause it then returns. A silent node may be gone
// without a word, so its link is worth nothing.
func (g *Gateway) follow(ctx context.Context, n *node, h *held) error {
	ctx, cancel := context.WithCancelCause(relay.WithControl(ctx))
	defer cancel(nil)
	silence := time.AfterFunc(silenceLimit, func() { cancel(errSilent) })
	defer silence.Stop()

	err := g.readEvents(ctx, n, h, silence)
	// The stream can end on its own: the node ends it when its next link is up, so
	// that a newer one is about to take over here, or this one is about to go.
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-h.Done():
		return err
	}
}

func (g *Gateway) readEvents(ctx context.Context, n *node, h *held, silence *time.Timer) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, nodeURL("/api/v1/link/events"), nil)
	if err != nil {
		return err
	}
	answer, err := h.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("asking for the node's events: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("asking for the node's events: status %d", answer.StatusCode)
	}
	told := map[string]bool{} // the scanners named so far; nil once the node has named all
	lines := lineReader{bufio.NewReaderSize(answer.Body, eventBuffer), nil}
	for {
		line, err := lines.next()
		if err != nil {
			return fmt.Errorf("reading the node's events: %w", err)
		}
		silence.Reset(silenceLimit)
		line = bytes.TrimSpace(line)
		if len(line) > 0 {
			if err := g.onEvent(n, h, line, told); err != nil {
				return err
			}
			continue
		}
		if told != nil { // the first heartbeat ends the list of all scanners
			if g.registry.keepScanners(n, h, told) {
				g.remember(n)
			}
			told = nil
		}
	}
}

func (g *Gateway) onEvent(n *node, h *held, line []byte, told map[string]bool) error {
	var e scan.Event
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("decoding a node's event: %w", err)
	}
	if e.Scanner == nil {
		return nil // of a newer version, perhaps
	}
	changed := false
	switch e.Type {
	case scan.EventDeviceState:
		if told != nil {
			told[e.Scanner.ID] = true
		}
		changed = g.registry.putScanner(n, h, *e.Scanner)
	case scan.EventDeviceGone:
		changed = g.registry.removeScanner(n, h, e.Scanner.ID)
	default: // nothing that a gateway follows
	}
	if changed {
		g.remember(n)
	}
	return nil
}

// lineReader reads lines of at most maxEvent bytes through a small buffer.
type lineReader struct {
	r    *bufio.Reader
	long []byte // a line that did not fit into r's buffer
}

var errLongLine = errors.New("a line is too long")

// next is the next line; it is valid until the call after.
func (l *lineReader) next() ([]byte, error) {
	l.long = l.long[:0]
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
