package ocr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/platen-scan/platen/internal/testenv"
)

func TestState(t *testing.T) {
	s := engine(t, Config{Command: fake(t, "")}).State(t.Context())
	if s.Version != "9.9" || fmt.Sprint(s.Languages) != "[deu eng]" || !s.Turns || !filepath.IsAbs(s.Path) {
		t.Errorf("state = %+v", s)
	}
	if s := engine(t, Config{Command: filepath.Join(t.TempDir(), "none")}).State(t.Context()); s.Path != "" {
		t.Errorf("without the program: %+v", s)
	}
	broken := filepath.Join(t.TempDir(), "tesseract")
	need(t, os.WriteFile(broken, []byte("#!/bin/sh\nexit 1\n"), 0o700))
	if s := engine(t, Config{Command: broken}).State(t.Context()); s.Path != "" {
		t.Errorf("with one that does not work: %+v", s)
	}
}

func TestMissing(t *testing.T) {
	e := engine(t, Config{Command: fake(t, "exit 1")})
	none := engine(t, Config{Command: filepath.Join(t.TempDir(), "none")})
	for _, c := range []struct {
		engine    *Engine
		languages string
		hint      string
	}{
		{e, "eng", ""},
		{e, "deu+eng", ""},
		{e, "fra", "tesseract-ocr-fra"},
		{e, "eng+chi_sim", "tesseract-ocr-chi-sim"},
		{e, "osd", "osd"},
		{e, "", "language"},
		{e, "../eng", "language"},
		{none, "eng", "tesseract-ocr"},
	} {
		_, err := c.engine.Check(t.Context(), c.languages)
		var missing *Missing
		if c.hint == "" && err != nil || c.hint != "" && (!errors.As(err, &missing) || !strings.Contains(missing.Hint, c.hint)) {
			t.Errorf("Check(%q) = %v, want %q", c.languages, err, c.hint)
		}
	}
}

const table = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n"

func TestFailures(t *testing.T) {
	for name, script := range map[string]string{
		"it fails":          "echo 'no such file' >&2; exit 1",
		"it crashes":        "kill -SEGV $$",
		"it says nonsense":  "echo hello",
		"it says nothing":   "exit 0",
		"it says too much":  "yes a line of output that does not end",
		"it takes too long": "exec sleep 600",
		"it leaves a child": "sleep 600 & exit 1",
	} {
		t.Run(name, func(t *testing.T) {
			e := engine(t, Config{Command: fake(t, script), Limit: 2 * time.Second})
			if _, err := e.Read(t.Context(), empty(t), "eng"); !errors.Is(err, ErrFailed) {
				t.Errorf("Read() = %v, want %v", err, ErrFailed)
			}
		})
	}
}

// TestConfined looks at what a process may do, and at what it knows.
func TestConfined(t *testing.T) {
	t.Setenv("PLATEN_SECRET", "x")
	out := filepath.Join(t.TempDir(), "seen")
	e := engine(t, Config{Command: fake(t, fmt.Sprintf("sleep 0.2; { ulimit -v; ulimit -t; ulimit -c; env; pwd; } > %s; nice >> %s; printf '%s'",
		out, out, strings.ReplaceAll(strings.ReplaceAll(table, "\t", `\t`), "\n", `\n`))), Memory: 1 << 30, Limit: 30 * time.Second})
	_, err := e.Read(t.Context(), empty(t), "eng")
	need(t, err)
	b, err := os.ReadFile(out)
	need(t, err)
	seen := string(b)
	if !strings.HasPrefix(seen, "1048576\n30\n0\n") || strings.Contains(seen, "PLATEN_SECRET") || !strings.Contains(seen, "\n"+e.cfg.Dir) || !strings.HasSuffix(seen, "\n10\n") {
		t.Errorf("it saw:\n%s", seen)
	}
}

// TestCanceled ends readings in the middle: nobody is left, not even children, and the
// next one has its turn.
func TestCanceled(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	need(t, unix.Mkfifo(pids, 0o600))
	e := engine(t, Config{Command: fake(t, fmt.Sprintf("sleep 600 & echo $$ $! > %s; wait", pids)), AtOnce: 1})
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, err := e.Read(ctx, empty(t), "eng")
			ended <- err
		}()
		b, err := os.ReadFile(pids)
		need(t, err)
		waiting, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, err := e.Read(waiting, empty(t), "eng"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second one: %v", err)
		}
		stop()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Read() = %v, want canceled", err)
		}
		var parent, child int
		_, err = fmt.Sscan(string(b), &parent, &child)
		need(t, err)
		for _, pid := range []int{parent, child} {
			testenv.Eventually(t, "a killed process is gone", 10*time.Second, func() bool { return !alive(pid) })
		}
	}
}

// alive reports whether a process runs; one that is dead and was not waited for does not.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

// TestLeftovers finds folders of a process that was killed.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	need(t, os.MkdirAll(filepath.Join(dir, "platen-page-123", "x"), 0o700))
	need(t, os.WriteFile(filepath.Join(dir, "keep"), nil, 0o600))
	New(Config{Dir: dir})
	left, err := os.ReadDir(dir)
	need(t, err)
	if len(left) != 1 || left[0].Name() != "keep" {
		t.Errorf("left: %v", left)
	}
}
