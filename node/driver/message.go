package driver

import (
	"encoding/json"
	"fmt"

	"github.com/platen-scan/platen/proto/scan"
)

// protocolVersion changes when a worker and a node of different versions would
// misunderstand each other. Both come from one release, so no other is spoken.
const protocolVersion = 1

// The requests of a node to its worker.
const (
	opDevices      = "devices"
	opOpen         = "open"
	opCapabilities = "capabilities"
	opStatus       = "status"
	opScan         = "scan"
	opCancel       = "cancel"
	opFinish       = "finish"
)

type request struct {
	Op       string         `json:"op"`
	Seq      int            `json:"seq"`
	Name     string         `json:"name,omitempty"`
	Settings *scan.Settings `json:"settings,omitempty"`
}

// message is what a worker says. One member is set.
type message struct {
	Hello *hello     `json:"hello,omitempty"`
	Reply *reply     `json:"reply,omitempty"`
	Page  *PageInfo  `json:"page,omitempty"`
	Lines int        `json:"lines,omitempty"`
	End   *pageEnd   `json:"end,omitempty"`
	Fail  *wireError `json:"fail,omitempty"`
	Alive bool       `json:"alive,omitempty"`
}

type hello struct {
	Version int    `json:"version"`
	Driver  string `json:"driver"`
}

type reply struct {
	Seq          int                `json:"seq"`
	Error        *wireError         `json:"error,omitempty"`
	Devices      []DeviceInfo       `json:"devices,omitempty"`
	Capabilities *scan.Capabilities `json:"capabilities,omitempty"`
	Status       *scan.Status       `json:"status,omitempty"`
}

type pageEnd struct {
	Height  int     `json:"height"`
	Patches []Patch `json:"patches,omitempty"`
}

// Bounds of what a driver may tell, so that a reply fits a frame.
const (
	maxDevices     = 64
	maxValues      = 128
	maxDescription = 300
)

// fitDevices bounds a listing.
func fitDevices(devices []DeviceInfo) []DeviceInfo {
	devices = devices[:min(len(devices), maxDevices)]
	for i := range devices {
		d := &devices[i]
		for _, s := range []*string{&d.Stable, &d.Title, &d.Make, &d.Model} {
			*s = clip(*s, 200)
		}
	}
	return devices
}

// fitCapabilities bounds what a device says of itself until it fits a frame: texts
// are cut, then descriptions go, then the last options, as nothing depends on them.
func fitCapabilities(c scan.Capabilities) (scan.Capabilities, error) {
	const room = maxJSON - 1<<10
	c.Options = append([]scan.Option(nil), c.Options...)
	for i := range c.Options {
		o := &c.Options[i]
		o.Description = clip(o.Description, maxDescription)
		o.Title = clip(o.Title, maxDescription)
		if len(o.Values) > maxValues {
			o.Values = nil // the device itself refuses what it does not have
		}
	}
	for step := 0; ; step++ {
		b, err := json.Marshal(c)
		if err != nil {
			return c, fmt.Errorf("encoding capabilities: %w", err)
		}
		switch {
		case len(b) <= room:
			return c, nil
		case step == 0:
			for i := range c.Options {
				c.Options[i].Description = ""
			}
		case len(c.Options) > 0:
			c.Options = c.Options[:len(c.Options)/2]
		default:
			return c, fmt.Errorf("the device's capabilities take %d bytes, at most %d are allowed", len(b), room)
		}
	}
}
