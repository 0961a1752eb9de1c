package driver

import (
	"context"
	"fmt"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

// Driver finds and opens devices of one kind.
type Driver interface {
	// Name is the driver's word in IDs and logs: "virtual", "sane".
	Name() string
	// Devices looks for devices; it may take seconds. A driver that cannot work here
	// (its library is missing) returns a *Missing.
	Devices(ctx context.Context) ([]DeviceInfo, error)
	// Open takes a device by its DeviceInfo.Name. Another holder: *Stop with ReasonBusyOther.
	Open(ctx context.Context, name string) (Device, error)
}

// DeviceInfo describes a device that was found.
type DeviceInfo struct {
	Driver string `json:"driver"`
	Name   string `json:"name"`   // for Driver.Open; may change between starts
	Stable string `json:"stable"` // names the device for ever: its ID is derived from it
	Title  string `json:"title"`  // for people
	Make   string `json:"make,omitempty"`
	Model  string `json:"model,omitempty"`
	// Network says that it is reached over the network: others there see it already.
	Network bool `json:"network,omitempty"`
}

// Device is an open scanner. One goroutine uses it, but Cancel may come from another.
type Device interface {
	Capabilities(ctx context.Context) (scan.Capabilities, error)
	// Status asks the device; it does not move paper.
	Status(ctx context.Context) (scan.Status, error)
	// Begin sets the device up for resolved settings.
	Begin(ctx context.Context, s scan.Settings) error
	// NextPage starts a page. io.EOF: there are no more, and at least one came since
	// Begin. A *Stop says what a person must do; NextPage may be called again afterwards.
	NextPage(ctx context.Context) (PageInfo, error)
	// Read gives the page's rows, top to bottom, without padding; then io.EOF. It waits
	// for them; 0 and nil say that the device has moved on without a row to show yet.
	// Samples are big-endian at 16 bits; at 1 bit a set bit is black, the first
	// pixel in the highest bit, rows padded to whole bytes.
	Read(p []byte) (int, error)
	// Cancel makes NextPage and Read return soon, with context.Canceled.
	Cancel()
	// End ends the batch that Begin began; the feeder is left as it is.
	End() error
	Close() error
}

// PageInfo describes a page before its first row.
type PageInfo struct {
	Mode       scan.ColorMode `json:"mode"`
	Depth      int            `json:"depth"`
	Width      int            `json:"width"`            // pixels
	Height     int            `json:"height,omitempty"` // rows; 0: not known before the end
	Resolution int            `json:"resolution"`
	Side       scan.Side      `json:"side,omitempty"`
	Format     scan.Format    `json:"format"` // what the worker encodes; filled in by it
}

// Image is the layout of the page's rows.
func (p PageInfo) Image() imaging.Image {
	return imaging.Image{Mode: p.Mode, Depth: p.Depth, Width: p.Width, Height: p.Height, Resolution: p.Resolution}
}

// Stop is a device that cannot go on until something outside changes.
type Stop struct {
	Reason scan.Reason
	Detail string // the driver's own words, for logs
}

func (s *Stop) Error() string { return fmt.Sprintf("device stopped: %s (%s)", s.Reason, s.Detail) }

// Missing is a driver that cannot work on this machine.
type Missing struct {
	Driver string
	Hint   string // what to install, for people
}

func (m *Missing) Error() string { return fmt.Sprintf("driver %s: %s", m.Driver, m.Hint) }
