package node

import (
	"context"
	"io"
	"os"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// workers is what a node has done by worker processes: driver.Workers, or a double
// whose devices do what a test says.
type workers interface {
	Devices(ctx context.Context, driver string) ([]driver.DeviceInfo, error)
	Open(ctx context.Context, d driver.DeviceInfo) (worker, error)
	Convert(ctx context.Context, src *os.File, from scan.Format, spec imaging.Spec, dst io.Writer) error
	Barcodes(ctx context.Context, src *os.File, from scan.Format, only api.BarcodeFormat, dst io.Writer) error
}

// worker is one device's process; see driver.Worker.
type worker interface {
	Capabilities(ctx context.Context) (scan.Capabilities, error)
	Status(ctx context.Context) (scan.Status, error)
	Scan(ctx context.Context, s scan.Settings, sink driver.Sink) error
	FinishAfterPage()
	Cancel()
	Done() <-chan struct{}
	Close() error
}

// processes makes driver.Workers a workers.
type processes struct{ *driver.Workers }

func (p processes) Open(ctx context.Context, d driver.DeviceInfo) (worker, error) {
	w, err := p.Workers.Open(ctx, d)
	if err != nil {
		return nil, err // not a nil *driver.Worker in an interface
	}
	return w, nil
}
