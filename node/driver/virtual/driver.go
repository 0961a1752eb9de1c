// Package virtual is a scanner that is always there: a flatbed and a duplex feeder
// that scan drawn pages. Without hardware it shows people what Platen does, and every
// test and benchmark of the product scans with it.
//
// Its pages look like paper: text, a photograph, a table, a bar code, colour patches,
// a page number, and one blank back side. The same page at the same settings has the
// same samples every time. Its device options choose the pace, the sheets in the feeder
// and a fault to show. It runs in a worker like every driver, touches no file and no
// network, and holds a few rows of a page at a time.
package virtual

import (
	"context"
	"fmt"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	name       = "virtual"
	deviceName = "virtual:0"
)

// Driver is the virtual driver. Its zero value is ready.
type Driver struct{}

// New makes the driver.
func New() Driver { return Driver{} }

// Name is "virtual".
func (Driver) Name() string { return name }

// Devices lists the one device.
func (Driver) Devices(context.Context) ([]driver.DeviceInfo, error) {
	return []driver.DeviceInfo{{
		Driver: name,
		Name:   deviceName,
		Stable: deviceName,
		Title:  "Platen virtual scanner",
		Make:   "Platen",
		Model:  "Virtual scanner",
	}}, nil
}

// Open opens the device; any number of workers may have it open.
func (Driver) Open(_ context.Context, device string) (driver.Device, error) {
	if device != deviceName {
		return nil, &driver.Stop{Reason: scan.ReasonOffline, Detail: fmt.Sprintf("there is no virtual device %q", device)}
	}
	return newDevice(), nil
}
