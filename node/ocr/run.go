package ocr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

const (
	folderPattern = "platen-page-*"
	maxComplaint  = 2 << 10
	// waitAfterKill is for pipes that something else still holds.
	waitAfterKill = 2 * time.Second
)

var errTooMuch = errors.New("it said too much")

// run runs the program and answers what it said, at most so many bytes. When it returns
// the process is gone, with all that it started.
func (e *Engine) run(ctx context.Context, path string, in *os.File, most int, args ...string) ([]byte, error) {
	if e.cfg.Dir != "" {
		if err := os.MkdirAll(e.cfg.Dir, 0o700); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp(e.cfg.Dir, folderPattern)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := &bounded{most: most, full: func() { cancel(errTooMuch) }}
	complaint := &bounded{most: maxComplaint}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = dir, environment(dir)
	if in != nil {
		cmd.Stdin = in
	}
	cmd.Stdout, cmd.Stderr = out, complaint
	cmd.WaitDelay = waitAfterKill
	g := prepare(cmd)

	ended := make(chan error)
	go func() {
		// The system kills the process when the thread that started it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			confine(cmd.Process.Pid, e.cfg.Memory, e.cfg.Limit)
			err = g.wait(cmd)
		}
		ended <- err
	}()
	err = <-ended
	switch {
	case context.Cause(ctx) != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("%w: %s", err, strings.ToValidUTF8(strings.TrimSpace(complaint.String()), ""))
	}
	return out.Bytes(), nil
}

// environment is what the program needs of the node's, which may hold secrets.
func environment(dir string) []string {
	env := []string{"LC_ALL=C.UTF-8", "OMP_THREAD_LIMIT=1", "TMPDIR=" + dir, "HOME=" + dir}
	for _, name := range []string{"PATH", "TESSDATA_PREFIX", "LD_LIBRARY_PATH", "SYSTEMROOT"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// bounded keeps the first bytes that are written to it, and takes the others.
type bounded struct {
	bytes.Buffer
	most int
	full func() // called when there is more; may be nil
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.most - b.Len()
	if len(p) <= room {
		return b.Buffer.Write(p)
	}
	b.Buffer.Write(p[:room])
	if b.full != nil {
		b.full()
	}
	return len(p), nil
}
