package ocr

import (
	"math"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	niceness = 10
	maxFile  = 1 << 20 // bytes of a file that the program writes, which it need not
)

// group is a process with all that it starts.
type group struct {
	mu   sync.Mutex
	gone bool // its ID may belong to somebody else
}

// prepare puts the program into a process group of its own and lets it die with the node.
func prepare(cmd *exec.Cmd) *group {
	g := new(group)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.gone {
			return os.ErrProcessDone
		}
		return unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	}
	return g
}

// confine bounds a process that has just begun, before it has read a page. A process that
// has ended already needs no bounds.
func confine(pid int, memory uint64, limit time.Duration) {
	seconds := uint64(math.Ceil(limit.Seconds()))
	for what, most := range map[int]uint64{
		unix.RLIMIT_AS: memory, unix.RLIMIT_CPU: seconds, unix.RLIMIT_FSIZE: maxFile, unix.RLIMIT_CORE: 0,
	} {
		_ = unix.Prlimit(pid, what, &unix.Rlimit{Cur: most, Max: most}, nil)
	}
	_ = unix.Setpriority(unix.PRIO_PROCESS, pid, niceness)
}

// wait waits for the program, and kills what it left behind: until it is waited for, its
// ID names its group and no other.
func (g *group) wait(cmd *exec.Cmd) error {
	for unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	g.mu.Lock()
	_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	g.gone = true
	g.mu.Unlock()
	return cmd.Wait()
}
