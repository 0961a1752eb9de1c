package config

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// record is a log that is read while it is written.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

// take answers what was written since it was called last.
func (r *record) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.text.Reset()
	return r.text.String()
}

func TestWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "platen.ini")
		var log record
		w := &Watcher{Path: path, Env: []string{"PLATEN_NODE_LOCATION=hall"}, Config: Default(), Log: slog.New(slog.NewTextHandler(&log, nil))}
		w.Config.Node.Location = "hall"
		var applied []string
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- w.Serve(ctx, func(c *Config, changes []Change) {
				for _, change := range changes {
					applied = append(applied, change.Name()+"="+change.After)
				}
			})
		}()
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		rename := func(text string) {
			t.Helper()
			if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}
		for i, step := range []struct {
			do   func()
			wait time.Duration
			want string // what is applied, with commas
			log  string
		}{
			{func() {}, 3 * pollEvery, "", ""},
			{func() { write("[node]\nName=a\n") }, 3 * pollEvery, "[node] Name=a", ""},
			{func() { write("[node]\nNa") }, pollEvery, "", ""}, // half a file
			{func() { write("[node]\nName=b\nMaxRole=user\n") }, 3 * pollEvery, "[node] Name=b,[node] MaxRole=user", ""},
			{func() { rename("[node]\nName=b\nMaxRole=user\n; words\n") }, 3 * pollEvery, "", ""},
			{func() { rename("[node]\nName=c\nMaxRole=root\nX=1\n") }, 3 * pollEvery, "", "MaxRole"},
			{func() { os.Remove(path) }, 3 * pollEvery, "", "gone"},
			{func() { write("") }, 3 * pollEvery, "[node] Name=,[node] MaxRole=operator", ""},
			{func() { write("[node]\nLocation=file\n") }, 3 * pollEvery, "", ""},
			{func() { write("Access-Control-Allow-Origin=*\n") }, 3 * pollEvery, "[node] Access-Control-Allow-Origin=*,[gateway] Access-Control-Allow-Origin=*", ""},
		} {
			applied = nil
			step.do()
			time.Sleep(step.wait) // of the fake clock
			synctest.Wait()
			if got := strings.Join(applied, ","); got != step.want {
				t.Errorf("step %d: applied %q, want %q", i, got, step.want)
			}
			if got := log.take(); step.log == "" && got != "" || !strings.Contains(got, step.log) {
				t.Errorf("step %d: log %q, want %q", i, got, step.log)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
