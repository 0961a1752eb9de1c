package driver

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/platen-scan/platen/node/imaging"
)

const (
	workerArg   = "worker"
	convertArg  = "convert"
	barcodesArg = "barcodes"

	// depthVariable counts how deep in workers a process is.
	depthVariable = "PLATEN_WORKER_DEPTH"
)

// Exit statuses of a worker.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// IsWorker reports whether a program with these arguments (without its name) is to be
// a worker and nothing else.
func IsWorker(args []string) bool { return len(args) > 0 && args[0] == workerArg }

// WorkerMain is the whole life of a worker process; see the package documentation for
// its arguments. It returns the status to exit with, at once and by os.Exit.
func WorkerMain(args []string, drivers []Driver, codecs imaging.Codecs) int {
	if !IsWorker(args) || len(args) < 2 || os.Getenv(depthVariable) != "1" {
		fmt.Fprintln(os.Stderr, "workers are started by platen, with their arguments and environment; see platen --help")
		return exitUsage
	}
	in, out, err := saveDescriptors()
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting a worker:", err)
		return exitFailed
	}
	guardProcess()
	frames := &frameWriter{w: out}
	if args[1] == convertArg || args[1] == barcodesArg {
		return taskMain(args[1], args[2:], in, frames, codecs)
	}
	// Native drivers want one thread; some of their systems want it to be the first.
	runtime.LockOSThread()
	s := &server{frames: frames, codecs: codecs, driver: find(drivers, args[1])}
	if err := s.serve(in); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return exitFailed
	}
	return exitOK
}

func find(drivers []Driver, name string) Driver {
	for _, d := range drivers {
		if d.Name() == name {
			return d
		}
	}
	return absent(name)
}

// absent stands for a driver that this program does not have.
type absent string

func (a absent) Name() string { return string(a) }

func (a absent) Devices(context.Context) ([]DeviceInfo, error) { return nil, a.missing() }

func (a absent) Open(context.Context, string) (Device, error) { return nil, a.missing() }

func (a absent) missing() error {
	return &Missing{Driver: string(a), Hint: "this driver is part of platen-driver; install platen-driver beside platen"}
}
