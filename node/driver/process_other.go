//go:build !linux

package driver

import "syscall"

// processAttributes are the system's own. A worker whose node has gone sees the end of
// its standard input.
func processAttributes() *syscall.SysProcAttr { return nil }

// reap waits until the process has ended.
func (p *process) reap() {
	end := p.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end, p.gone = end, true
}

// killGroup kills the process. One that has ended meanwhile is not mistaken: os.Process knows.
func (p *process) killGroup() { p.cmd.Process.Kill() }
