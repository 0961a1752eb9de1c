package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// quiet is how long an event stream stays silent before a comment shows that it lives.
const quiet = 15 * time.Second

// getEvents streams what happens to nodes and scanners. Without a Last-Event-ID it
// begins with what is new, and says at once where that is.
func (g *Gateway) getEvents(w http.ResponseWriter, r *http.Request) error {
	at := g.events.head()
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		var err error
		if at, err = g.events.position(id); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	stream := http.NewResponseController(w)
	caller := access.CallerOf(r.Context())
	alive := time.NewTicker(quiet)
	defer alive.Stop()
	out := bytes.NewBufferString("id: " + g.events.id(at) + "\n\n")
	for {
		if out.Len() > 0 {
			if _, err := w.Write(out.Bytes()); err != nil {
				return fmt.Errorf("writing events: %w", err)
			}
			if err := stream.Flush(); err != nil {
				return fmt.Errorf("writing events: %w", err)
			}
			out.Reset()
			alive.Reset(quiet)
		}
		events, changed, err := g.events.after(at)
		if err != nil {
			return nil // the reader fell behind: it asks again and is told so
		}
		at += uint64(len(events))
		for _, e := range events {
			if err := g.writeEvent(r.Context(), out, caller, e); err != nil {
				return err
			}
		}
		if out.Len() > 0 {
			continue
		}
		select {
		case <-changed:
		case <-alive.C:
			out.WriteString(":\n\n")
		case <-r.Context().Done():
			return nil
		case <-g.stopping:
			return nil
		}
	}
}

// writeEvent writes an event as the caller may see it, or nothing.
func (g *Gateway) writeEvent(ctx context.Context, out *bytes.Buffer, caller access.Caller, e scan.Event) error {
	if e.Node != nil && !caller.May(api.RoleOperator) {
		return nil // the list of nodes is not for everybody
	}
	if e.Scanner != nil {
		seen, ok := g.asSeen(ctx, caller, *e.Scanner)
		if !ok {
			return nil
		}
		e.Scanner = &seen
	}
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	out.WriteString("id: ")
	out.WriteString(e.ID)
	out.WriteString("\ndata: ")
	out.Write(data)
	out.WriteString("\n\n")
	return nil
}
