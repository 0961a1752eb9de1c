package setup

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
)

// Faults passes a log on and remembers its last error, for the page.
type Faults struct {
	slog.Handler
	last *atomic.Pointer[string] // shared with the handlers that With made of this one
}

// NewFaults makes Faults of a log.
func NewFaults(to slog.Handler) *Faults {
	return &Faults{to, &atomic.Pointer[string]{}}
}

// Last is the last error with its time; "" if there was none.
func (f *Faults) Last() string {
	if last := f.last.Load(); last != nil {
		return *last
	}
	return ""
}

// Handle implements slog.Handler.
func (f *Faults) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		text := r.Time.Format("2006-01-02 15:04:05 ") + r.Message
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "error" {
				text += ": " + strings.TrimSpace(a.Value.String())
			}
			return true
		})
		f.last.Store(&text)
	}
	return f.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (f *Faults) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Faults{f.Handler.WithAttrs(attrs), f.last}
}

// WithGroup implements slog.Handler.
func (f *Faults) WithGroup(name string) slog.Handler {
	return &Faults{f.Handler.WithGroup(name), f.last}
}
