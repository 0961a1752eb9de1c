package sane

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/platen-scan/platen/node/driver"
)

// found is a device of a listing.
type found struct{ name, vendor, model, kind string }

// Parts of device names that change from one listing to the next.
var (
	usbAddress     = regexp.MustCompile(`libusb:(\d{3}):(\d{3})`)
	airscanCounter = regexp.MustCompile(`^airscan:([a-z])\d+:`)
)

// describe names devices for people, and for ever. port finds what identifies a USB
// device better than its bus address, which changes when it is plugged in again.
func describe(list []found, port func(bus, device int) string) []driver.DeviceInfo {
	used := make(map[string]int)
	var infos []driver.DeviceInfo
	for _, f := range list {
		if f.name == "" {
			continue
		}
		stable := strings.Join([]string{f.vendor, f.model, stableName(f.name, port)}, "/")
		if used[stable]++; used[stable] > 1 {
			stable += "#" + strconv.Itoa(used[stable])
		}
		infos = append(infos, driver.DeviceInfo{
			Driver: name, Name: f.name, Stable: stable, Title: title(f), Make: f.vendor, Model: f.model, Network: f.network(),
		})
	}
	return infos
}

func stableName(device string, port func(bus, device int) string) string {
	device = airscanCounter.ReplaceAllString(device, "airscan:$1:")
	if strings.HasPrefix(device, "net:") {
		return usbAddress.ReplaceAllString(device, "libusb") // the address is another computer's
	}
	return usbAddress.ReplaceAllStringFunc(device, func(s string) string {
		m := usbAddress.FindStringSubmatch(s)
		bus, _ := strconv.Atoi(m[1]) // three digits
		dev, _ := strconv.Atoi(m[2])
		if p := port(bus, dev); p != "" {
			return "usb:" + p
		}
		return s
	})
}

func title(f found) string {
	switch {
	case f.model == "":
		return f.name
	case f.vendor == "" || f.vendor == "Noname" || strings.HasPrefix(strings.ToLower(f.model), strings.ToLower(f.vendor)):
		return f.model
	}
	return f.vendor + " " + f.model
}

// usbPort is the vendor, product and serial number of a USB device, or the port it is
// plugged into when it has no serial number; "" where the system does not tell.
func usbPort(bus, device int) string {
	const devices = "/sys/bus/usb/devices"
	entries, err := os.ReadDir(devices)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		attribute := func(name string) string {
			b, err := os.ReadFile(filepath.Join(devices, e.Name(), name))
			if err != nil {
				return ""
			}
			return strings.TrimSpace(string(b))
		}
		if attribute("busnum") != strconv.Itoa(bus) || attribute("devnum") != strconv.Itoa(device) {
			continue
		}
		id := fmt.Sprintf("%s:%s:", attribute("idVendor"), attribute("idProduct"))
		if serial := attribute("serial"); serial != "" {
			return id + serial
		}
		return id + e.Name()
	}
	return ""
}
