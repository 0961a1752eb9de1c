package driver

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/platen-scan/platen/proto/scan"
)

// ErrWorker is what every *WorkerError is.
var ErrWorker = errors.New("the driver's process failed")

// WorkerError is a worker that ended by itself, spoke nonsense, or did not answer and
// was killed. The Worker is of no more use; another can be opened.
type WorkerError struct {
	Reason scan.Reason // always ReasonDriverFailed
	Detail string      // what was seen, for logs
	Stderr string      // the last that the process said, or its words on its crash; at most 2 KiB
}

func (e *WorkerError) Error() string { return ErrWorker.Error() + ": " + e.Detail }

// Unwrap makes errors.Is(err, ErrWorker) hold.
func (e *WorkerError) Unwrap() error { return ErrWorker }

// wireError is an error on its way from the worker to the node.
type wireError struct {
	Kind   string      `json:"kind"`
	Reason scan.Reason `json:"reason,omitempty"`
	Driver string      `json:"driver,omitempty"`
	Detail string      `json:"detail,omitempty"`
}

// The kinds of wireError.
const (
	kindStop     = "stop"
	kindMissing  = "missing"
	kindCanceled = "canceled"
	kindConvert  = "convert"
)

// maxDetail bounds text that a driver made up.
const maxDetail = 500

// toWire names err for the node. What is no Stop, Missing or cancellation is an error of
// the device: drivers do not get to choose the node's error types.
func toWire(err error) *wireError {
	var stop *Stop
	var missing *Missing
	switch {
	case err == nil:
		return nil
	case errors.As(err, &stop):
		return &wireError{Kind: kindStop, Reason: stop.Reason, Detail: clip(stop.Detail, maxDetail)}
	case errors.As(err, &missing):
		return &wireError{Kind: kindMissing, Driver: missing.Driver, Detail: clip(missing.Hint, maxDetail)}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &wireError{Kind: kindCanceled}
	}
	return &wireError{Kind: kindStop, Reason: scan.ReasonDeviceError, Detail: clip(err.Error(), maxDetail)}
}

func (e *wireError) err() error {
	switch {
	case e == nil:
		return nil
	case e.Kind == kindStop:
		return &Stop{Reason: e.Reason, Detail: e.Detail}
	case e.Kind == kindMissing:
		return &Missing{Driver: e.Driver, Hint: e.Detail}
	case e.Kind == kindCanceled:
		return context.Canceled
	}
	return fmt.Errorf("the worker answered with an error of unknown kind %q", clip(e.Kind, 40))
}

// clip cuts s to n bytes, and to whole characters.
func clip(s string, n int) string {
	return strings.ToValidUTF8(s[:min(len(s), n)], "")
}
