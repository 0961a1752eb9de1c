package sane

import (
	"net/netip"
	"slices"
	"testing"
)

// The device names are as scanimage lists them: those of airscan and escl were seen, the
// others are from the back ends' manuals and from lists that people published.
func TestNetwork(t *testing.T) {
	tests := []struct {
		name, kind string
		want       bool
	}{
		{"airscan:e0:Office", "ip=192.0.2.7", true},
		{"airscan:e0:Office", "ip=192.0.2.7, fe80::1%eth0", true},
		{"airscan:w12:Office", "ip=2001:db8::7", true},
		{"airscan:e0:Office", "ip=office.example", true},
		{"airscan:e0:Office", "", true},
		{"airscan:e0:USB", "ip=127.0.0.1", false},
		{"airscan:e0:USB", "ip=::1", false},
		{"airscan:e0:USB", "ip=127.0.0.1, ::1", false},
		{"airscan:e0:USB", "ip=localhost", false},
		{"airscan:e0:Both", "ip=127.0.0.1, 192.0.2.7", true},
		{"escl:https://192.0.2.7:443", "flatbed scanner", true},
		{"escl:http://[2001:db8::7]:80", "flatbed scanner", true},
		{"escl:http://127.0.0.1:60000", "platen,adf scanner", false},
		{"escl:http://localhost:60000", "platen,adf scanner", false},
		{"escl:http://[::1]:60000", "platen scanner", false},
		{"escl:http://%zz", "", true},
		{"net:192.0.2.7:genesys:libusb:001:004", "flatbed scanner", true},
		{"net:localhost:epson2:libusb:001:004", "flatbed scanner", true},
		{"hpaio:/net/officejet_7510_series?ip=192.0.2.7&queue=false", "all-in-one", true},
		{"hpaio:/usb/HP_LaserJet?serial=X1", "all-in-one", false},
		{"epson2:net:192.0.2.7", "flatbed scanner", true},
		{"epson2:libusb:001:004", "flatbed scanner", false},
		{"epson2:/dev/sg0", "flatbed scanner", false},
		{"epsonds:net:192.0.2.7", "ESC/I-2", true},
		{"epsonds:libusb:001:004", "ESC/I-2", false},
		{"epkowa:net:192.0.2.7", "flatbed scanner", true},
		{"epkowa:interpreter:001:004", "flatbed scanner", false},
		{"magicolor:net:192.0.2.7", "flatbed scanner", true},
		{"kodakaio:net:192.0.2.7", "flatbed scanner", true},
		{"epsonscan2:networkscanner:esci2:network:192.0.2.7", "flatbed scanner", true},
		{"epsonscan2:Epson DS-80W:001:004:esci2:usb:ES0180:358", "flatbed scanner", false},
		{"utsushi:esci:networkscan://192.0.2.7:1865", "scanner", true},
		{"utsushi:esci:usb:04b8:0152", "scanner", false},
		{"imagescan:esci:networkscan://192.0.2.7:1865", "scanner", true},
		{"brother4:net1;dev0", "DCP-L2520DW", true},
		{"brother5:bus3;dev1", "USB scanner", false},
		{"pixma:MF4600_192.0.2.7", "multi-function peripheral", true},
		{"pixma:04A91749_247936", "multi-function peripheral", false},
		{"pixma:04A9173B", "multi-function peripheral", false},
		{"xerox_mfp:tcp 192.0.2.7", "multi-function peripheral", true},
		{"xerox_mfp:libusb:001:005", "multi-function peripheral", false},
		{"smfp:net;192.0.2.7", "Scanner", true},
		{"smfp:usb;04e8;346a;071UBJ", "Scanner", false},
		{"dell1600n_net:192.0.2.7", "multi-function peripheral", true},
		{"genesys:libusb:001:004", "flatbed scanner", false},
		{"test:0", "virtual device", false},
	}
	matched := make([]bool, len(networked))
	for _, tt := range tests {
		f := found{name: tt.name, vendor: "V", model: "M", kind: tt.kind}
		infos := describe([]found{f}, func(int, int) string { return "" })
		if len(infos) != 1 || infos[0].Network != tt.want {
			t.Errorf("describe(%q, %q) = %+v, want Network %t", tt.name, tt.kind, infos, tt.want)
		}
		for i, n := range networked {
			matched[i] = matched[i] || tt.want && n.name.MatchString(tt.name)
		}
	}
	for i, n := range networked {
		if !matched[i] || n.reason == "" {
			t.Errorf("networked row %v: no test matches it, or it gives no reason", n.name)
		}
	}
}

// A node must not find the scanners that it shares itself.
func TestWithout(t *testing.T) {
	own := []netip.Addr{
		netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"),
		netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("fe80::2"), netip.MustParseAddr("2001:db8::2"),
	}
	for _, tt := range []struct {
		name, kind string
		stays      bool
	}{
		{"airscan:e0:Ours", "ip=192.0.2.2", false},
		{"airscan:e0:Ours", "ip=2001:db8::2", false},
		{"airscan:e0:Ours", "ip=[2001:db8::2]", false},
		{"airscan:e0:Ours", "ip=fe80::2%eth0", false},
		{"airscan:e0:Ours", "ip=::ffff:192.0.2.2", false},
		{"airscan:e0:Ours", "ip=198.51.100.1, 192.0.2.2", false},
		{"escl:http://192.0.2.2:18630", "platen scanner", false},
		{"escl:https://[2001:db8::2]:18631", "platen scanner", false},
		{"airscan:e0:Theirs", "ip=192.0.2.20", true},
		{"airscan:e0:USB", "ip=127.0.0.1", true},
		{"airscan:e0:USB", "ip=::1", true},
		{"escl:http://127.0.0.1:60000", "flatbed scanner", true},
		{"escl:http://192.0.2.20:80", "flatbed scanner", true},
		{"net:192.0.2.2:genesys:libusb:001:004", "flatbed scanner", true}, // saned is not ours
		{"test:0", "ip=192.0.2.2", true},
	} {
		list := []found{{name: "test:1"}, {name: tt.name, kind: tt.kind}}
		got := without(list, own)
		if stays := slices.Contains(got, list[1]); stays != tt.stays || got[0] != list[0] {
			t.Errorf("without(%q, %q) = %v, want that it stays: %t", tt.name, tt.kind, got, tt.stays)
		}
	}
}

func TestOwnAddresses(t *testing.T) {
	own, err := ownAddresses()
	if err != nil || !slices.ContainsFunc(own, netip.Addr.IsLoopback) {
		t.Errorf("ownAddresses() = %v, %v, want loopback among them", own, err)
	}
}
