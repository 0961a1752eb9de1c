package driver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
)

// Workers starts worker processes. It holds none of them and may be copied; Path is
// the only field that must be set.
type Workers struct {
	Path   string       // the program to run; it must be one that dispatches to WorkerMain
	Env    []string     // added to the environment, as NAME=VALUE
	Limits Limits       // how long to wait
	Log    *slog.Logger // nil: no log
}

// FindWorkers finds the program for workers: platen-driver in the folder dir, or, where
// there is none, self, which is the running program. An empty dir is the folder of self.
func FindWorkers(self, dir string) Workers {
	if dir == "" {
		dir = filepath.Dir(self)
	}
	name := "platen-driver"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path := filepath.Join(dir, name)
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0) {
		return Workers{Path: path}
	}
	return Workers{Path: self}
}

func (w *Workers) log() *slog.Logger {
	if w.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return w.Log
}

// Devices lists the devices of a driver, in a process of its own that a hang or crash
// takes down alone. A driver that cannot work here, or that the program does not have,
// is a *Missing; a process that failed or took too long is a *WorkerError.
func (w *Workers) Devices(ctx context.Context, driver string) ([]DeviceInfo, error) {
	limits := w.Limits.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, limits.List)
	defer cancel()
	worker, err := w.hello(ctx, driver)
	if err != nil {
		return nil, fmt.Errorf("listing devices of driver %s: %w", driver, err)
	}
	defer worker.discard() // it has nothing open that deserves manners
	r, err := worker.call(ctx, request{Op: opDevices}, limits.List)
	if errors.Is(err, context.DeadlineExceeded) {
		err = worker.fail("the listing took too long")
	}
	if err != nil {
		return nil, fmt.Errorf("listing devices of driver %s: %w", driver, err)
	}
	for i := range r.Devices {
		r.Devices[i].Driver = driver
	}
	return r.Devices, nil
}

// Open starts a worker and opens the device in it. Whoever gets it closes it. A device
// that is held by another program, or that is not there, is a *Stop.
func (w *Workers) Open(ctx context.Context, device DeviceInfo) (*Worker, error) {
	worker, err := w.hello(ctx, device.Driver)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", device.Title, err)
	}
	if _, err := worker.call(ctx, request{Op: opOpen, Name: device.Name}, worker.limits.Open); err != nil {
		worker.discard()
		return nil, fmt.Errorf("opening %s: %w", device.Title, err)
	}
	return worker, nil
}

// hello starts a worker and waits for its first word.
func (w *Workers) hello(ctx context.Context, driver string) (*Worker, error) {
	p, err := w.start(nil, driver)
	if err != nil {
		return nil, err
	}
	worker := newWorker(p, w.Limits.withDefaults(), w.log())
	if err := worker.awaitHello(ctx); err != nil {
		worker.discard()
		return nil, err
	}
	return worker, nil
}
