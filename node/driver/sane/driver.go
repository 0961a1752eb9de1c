package sane

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"github.com/platen-scan/platen/node/driver"
)

const name = "sane"

// Driver is the SANE driver.
type Driver struct {
	load      func() (*library, error) // once
	addresses func() ([]netip.Addr, error)
}

// New makes the driver. libsane is loaded by the first call of Devices or Open, and
// stays loaded for the life of the process.
func New() *Driver { return &Driver{load: sync.OnceValues(load), addresses: ownAddresses} }

// Name is "sane".
func (*Driver) Name() string { return name }

// Devices asks all back ends of the configuration for their devices. With the back ends
// that distributions enable it takes seconds. What this machine itself offers to its
// network is left out.
func (d *Driver) Devices(context.Context) ([]driver.DeviceInfo, error) {
	lib, err := d.load()
	if err != nil {
		return nil, err
	}
	list, err := lib.list()
	if err != nil {
		return nil, err
	}
	own, err := d.addresses()
	if err != nil {
		return nil, fmt.Errorf("listing devices: %w", err)
	}
	return describe(without(list, own), usbPort), nil
}

// Open opens a device by the name that SANE gave it, without listing first.
func (d *Driver) Open(_ context.Context, device string) (driver.Device, error) {
	lib, err := d.load()
	if err != nil {
		return nil, err
	}
	b, err := lib.openDevice(device)
	if err != nil {
		return nil, err
	}
	dev, err := newDevice(b)
	if err != nil {
		b.close()
		return nil, err
	}
	return dev, nil
}
