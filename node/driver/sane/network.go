package sane

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// networked are the names of devices that back ends reach over the network. All other
// devices are taken for this machine's own.
var networked = []struct {
	name   *regexp.Regexp
	except *regexp.Regexp // nil: none
	reason string
}{
	{name: regexp.MustCompile(`^airscan:`), reason: "eSCL and WSD are spoken by devices on the network, and by ipp-usb, which listens on loopback"},
	{name: regexp.MustCompile(`^escl:`), reason: "as airscan"},
	{name: regexp.MustCompile(`^net:`), reason: "they belong to another computer, which runs saned"},
	{name: regexp.MustCompile(`^hpaio:/net/`), reason: "those on USB are hpaio:/usb/"},
	{name: regexp.MustCompile(`^(epson2|epsonds|epkowa|magicolor|kodakaio):net:`), reason: "those on USB are libusb: or interpreter:"},
	{name: regexp.MustCompile(`^epsonscan2:.*:network:`), reason: "those on USB have usb in this place"},
	{name: regexp.MustCompile(`^(utsushi|imagescan):.*networkscan:`), reason: "those on USB are usb:"},
	{name: regexp.MustCompile(`^brother\d:net\d`), reason: "those on USB are bus1"},
	{
		name: regexp.MustCompile(`^pixma:`), except: regexp.MustCompile(`^pixma:04A9[0-9A-F]{4}(_|$)`),
		reason: "those that speak BJNP have the name of their model; those on USB begin with Canon's number and theirs",
	},
	{name: regexp.MustCompile(`^xerox_mfp:tcp`), reason: "those on USB are libusb:"},
	{name: regexp.MustCompile(`^smfp:net;`), reason: "those on USB are usb;"},
	{name: regexp.MustCompile(`^dell1600n_net:`), reason: "the back end knows no other"},
}

// network reports whether the device is reached over the network.
func (f found) network() bool {
	for _, n := range networked {
		if n.name.MatchString(f.name) && (n.except == nil || !n.except.MatchString(f.name)) {
			at := f.addresses()
			return len(at) == 0 || slices.ContainsFunc(at, func(a netip.Addr) bool { return !a.IsLoopback() })
		}
	}
	return false
}

// without leaves out the devices at this machine's own addresses: they are the scanners
// that it shares itself, and found again they would be shared again. On loopback nothing
// is shared: a device there is one on USB that speaks eSCL.
func without(list []found, own []netip.Addr) []found {
	return slices.DeleteFunc(slices.Clone(list), func(f found) bool {
		return slices.ContainsFunc(f.addresses(), func(a netip.Addr) bool { return !a.IsLoopback() && slices.Contains(own, a) })
	})
}

// addresses are those at which eSCL and WSD devices are, as far as they are told: airscan
// has them in the device's type ("ip=192.0.2.7"), escl has a URL as its name.
func (f found) addresses() (all []netip.Addr) {
	var hosts []string
	if at, ok := strings.CutPrefix(f.name, "escl:"); ok {
		if u, err := url.Parse(at); err == nil {
			hosts = []string{u.Hostname()}
		}
	} else if at, ok := strings.CutPrefix(f.kind, "ip="); ok && strings.HasPrefix(f.name, "airscan:") {
		hosts = strings.FieldsFunc(at, func(r rune) bool { return r == ',' || r == ' ' })
	}
	for _, h := range hosts {
		if h == "localhost" {
			h = "127.0.0.1"
		}
		if a, err := netip.ParseAddr(strings.Trim(h, "[]")); err == nil {
			all = append(all, a.Unmap().WithZone(""))
		}
	}
	return all
}

// ownAddresses are those of this machine now.
func ownAddresses() ([]netip.Addr, error) {
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("asking for this machine's addresses: %w", err)
	}
	var own []netip.Addr
	for _, n := range nets {
		if p, err := netip.ParsePrefix(n.String()); err == nil {
			own = append(own, p.Addr().Unmap().WithZone(""))
		}
	}
	return own, nil
}
