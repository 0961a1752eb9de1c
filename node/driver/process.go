package driver

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// process is a worker process from its node's side.
type process struct {
	cmd    *exec.Cmd
	in     *os.File // requests; closing it asks the worker to go
	out    *os.File // frames
	frames *frameReader
	send   *frameWriter
	said   *stderrLog

	done chan struct{} // closed when the process is gone
	end  error         // how it ended; after done

	mu   sync.Mutex
	gone bool // its process ID may belong to somebody else
}

// pipeTimeout bounds the writing of a request, a few hundred bytes into a pipe.
const pipeTimeout = 5 * time.Second

// start runs a worker. stdin, where not nil, takes the place of the request pipe.
func (w *Workers) start(stdin *os.File, args ...string) (*process, error) {
	if os.Getenv(depthVariable) != "" {
		return nil, fmt.Errorf("starting a worker: a worker has none")
	}
	p := &process{done: make(chan struct{})}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	fail := func(err error) (*process, error) {
		for _, f := range []*os.File{p.in, p.out} {
			if f != nil {
				f.Close()
			}
		}
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	if stdin == nil {
		r, in, err := os.Pipe()
		if err != nil {
			return fail(err)
		}
		stdin, p.in, theirs = r, in, append(theirs, r)
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	p.out, theirs = out, append(theirs, stdout)
	errOut, stderr, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	theirs = append(theirs, stderr)

	p.cmd = exec.Command(w.Path, append([]string{workerArg}, args...)...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, stdout, stderr
	p.cmd.Env = workerEnv(os.Environ(), w.Env)
	p.cmd.SysProcAttr = processAttributes()
	p.frames, p.send = newFrameReader(p.out), &frameWriter{w: p.in}
	p.said = &stderrLog{log: w.log()}

	started := make(chan error)
	go p.live(errOut, started)
	if err := <-started; err != nil {
		errOut.Close()
		return fail(err)
	}
	return p, nil
}

// live starts the process and stays until it is gone. It keeps its thread: the system
// kills the process when the thread that started it ends.
func (p *process) live(errOut *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	logged := make(chan struct{})
	go func() { defer close(logged); p.said.follow(errOut) }()

	p.reap()
	errOut.SetReadDeadline(time.Now().Add(time.Second))
	<-logged
	errOut.Close()
	close(p.done)
}

// kill ends the process, and what it started, at once.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		p.killGroup()
	}
}

// request sends a request. A worker that does not even take it is dead or stopped.
func (p *process) request(req request) error {
	p.in.SetWriteDeadline(time.Now().Add(pipeTimeout))
	return p.send.json(req)
}

// goneTimeout bounds the wait for a killed process. One that hangs in the kernel, with
// its device, stays longer; nobody can help that, and nobody waits for it.
const goneTimeout = 400 * time.Millisecond

// close asks the worker to go and kills it after the limit.
func (p *process) close(limit time.Duration) {
	if p.in != nil {
		p.in.Close()
	}
	if !p.awaitGone(limit) {
		p.kill()
		p.awaitGone(goneTimeout)
	}
	p.out.Close()
}

// awaitGone reports whether the process is gone after at most d.
func (p *process) awaitGone(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.done:
		return true
	case <-t.C:
		return false
	}
}

// failed ends a worker that cannot be used any more and makes its error.
func (p *process) failed(detail string) *WorkerError {
	p.kill()
	e := &WorkerError{Reason: scan.ReasonDriverFailed, Detail: detail}
	if !p.awaitGone(goneTimeout) {
		e.Detail += " (it does not even let itself be killed)"
	} else if p.end != nil {
		e.Detail += " (" + p.end.Error() + ")"
	}
	e.Stderr = p.said.tail()
	return e
}

// workerEnv is the node's environment without Platen's own variables, which may hold secrets.
func workerEnv(env, more []string) []string {
	var kept []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, "PLATEN_") {
			kept = append(kept, kv)
		}
	}
	return append(append(kept, more...), depthVariable+"=1")
}

// read reads a message, or data as a non-nil slice that is valid until the next read.
func (p *process) read() (*message, []byte, error) {
	kind, b, err := p.frames.next()
	if err != nil {
		return nil, nil, err
	}
	if kind == frameData {
		return nil, b, nil
	}
	m := new(message)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	return m, nil, nil
}
