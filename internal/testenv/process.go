package testenv

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program under test. Its output is kept, shown if the test fails,
// and can be waited for.
type Process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // why; read after done

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced with every line
}

// Start runs cmd in the background. The test's clean-up kills it.
func Start(t testing.TB, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{t: t, name: name, cmd: cmd, done: make(chan struct{}), more: make(chan struct{})}
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go p.collect(r)
	go func() { p.err = cmd.Wait(); w.Close(); close(p.done) }()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			p.mu.Lock()
			defer p.mu.Unlock()
			for _, line := range p.lines[max(0, len(p.lines)-80):] {
				t.Logf("%s| %s", name, line)
			}
		}
	})
	return p
}

func (p *Process) collect(r io.Reader) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, in.Text())
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

// Await returns the submatches of the first line that matches, waiting for it.
func (p *Process) Await(pattern string, within time.Duration) []string {
	p.t.Helper()
	re, deadline := regexp.MustCompile(pattern), time.After(within)
	for next := 0; ; {
		p.mu.Lock()
		lines, more := p.lines[next:], p.more
		next = len(p.lines)
		p.mu.Unlock()
		for _, line := range lines {
			if m := re.FindStringSubmatch(line); m != nil {
				return m
			}
		}
		select {
		case <-more:
		case <-p.done:
			p.t.Fatalf("%s ended (%v) without a line like %q", p.name, p.err, pattern)
		case <-deadline:
			p.t.Fatalf("%s: no line like %q within %v", p.name, pattern, within)
		}
	}
}

// PID of the program: behind `ip netns exec`, which becomes the program, the same.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

// Kill ends the process at once, as a crash does, and waits until it is gone.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// Wait waits for the process to end by itself.
func (p *Process) Wait(within time.Duration) error {
	p.t.Helper()
	select {
	case <-p.done:
		return p.err
	case <-time.After(within):
		p.t.Fatalf("%s has not ended within %v", p.name, within)
		return nil
	}
}

// Output is all that the process has printed.
func (p *Process) Output() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

// Root is the project's top folder.
func Root() string {
	dir, err := os.Getwd()
	for err == nil && dir != "/" {
		if _, e := os.Stat(filepath.Join(dir, "go.mod")); e == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	panic("testenv: not inside the project")
}
