package driver

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// processAttributes put a worker into a process group of its own, so that a Ctrl-C
// meant for the node does not hit it, and let it die with its node.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// reap waits until the process has ended. What it started goes with it: until it is
// waited for, its ID still names its group and no other.
func (p *process) reap() {
	for unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killGroup()
	p.end = p.cmd.Wait()
	p.gone = true
}

// killGroup kills a process that was not waited for yet, with its children.
func (p *process) killGroup() { unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL) }
