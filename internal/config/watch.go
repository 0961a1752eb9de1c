package config

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"
)

// pollEvery is how often a Watcher looks at the file. Events of the file system would
// miss editors that rename, and network drives.
const pollEvery = time.Second

// Watcher notices that platen.ini was changed.
type Watcher struct {
	Path   string   // of platen.ini; it may come into being later
	Env    []string // variables over it, as from os.Environ
	Config *Config  // that runs
	Log    *slog.Logger
}

// Serve calls apply with each new configuration and what is new in it. It takes a
// content once that stood still for a second, so that half a file is not taken for a
// whole one. While the file is faulty or gone, what runs stays; the log says why.
// Serve ends with ctx.
func (w *Watcher) Serve(ctx context.Context, apply func(*Config, []Change)) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	running := w.Config
	var seen, taken *content
	for {
		now, err := w.look()
		if err == nil {
			if seen != nil && *seen == now && (taken == nil || *taken != now) {
				if now.there {
					running = w.take(running, now.text, apply)
				} else if taken != nil {
					w.Log.Warn("the configuration file is gone: what it said stays in force until a restart", "file", w.Path)
				}
				taken = &now
			}
			seen = &now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// content is what the file held at one look.
type content struct {
	text  string
	there bool
}

func (w *Watcher) look() (content, error) {
	text, err := read(w.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return content{}, nil
	}
	return content{string(text), true}, err
}

func (w *Watcher) take(running *Config, text string, apply func(*Config, []Change)) *Config {
	next, err := parse(filepath.Base(w.Path), []byte(text), w.Env)
	var faults Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			w.Log.Error("the configuration is faulty: what ran before goes on", "fault", f.String())
		}
		return running
	}
	changes := Changes(running, next)
	if len(changes) == 0 {
		return running
	}
	apply(next, changes)
	return next
}
