package driver

import (
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// What a process that reads a page may take. A page of 70 megapixels from a device's own
// progressive JPEG takes about 450 MB, and our own files a tenth of that.
const (
	taskMemory  = 768 << 20
	taskSeconds = 60 // of processor time
)

// limitProcess bounds what the process takes from here on. Data counts and not address
// space, of which Go reserves more than it uses. At its limit it is killed.
func limitProcess() {
	debug.SetMemoryLimit(taskMemory / 2)
	unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: taskMemory, Max: taskMemory})
	unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: taskSeconds, Max: taskSeconds})
	unix.Setpriority(unix.PRIO_PROCESS, 0, 5) // scanning goes first
}
