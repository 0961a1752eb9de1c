//go:build linux || darwin || freebsd

package driver

import (
	"os/signal"

	"golang.org/x/sys/unix"
)

// guardProcess keeps a crash of native code from writing somebody's page into a core
// file, and the broken pipes between a back end's own threads from ending the worker.
// A failure changes nothing else.
func guardProcess() {
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	signal.Ignore(unix.SIGPIPE)
}
