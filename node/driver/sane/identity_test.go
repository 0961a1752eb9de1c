package sane

import "testing"

func TestDescribe(t *testing.T) {
	port := func(bus, device int) string {
		if bus == 1 && device == 4 {
			return "04b8:013a:X1"
		}
		return ""
	}
	for _, test := range []struct {
		in            found
		stable, title string
	}{
		{found{"epson2:libusb:001:004", "Epson", "GT-1500", ""}, "Epson/GT-1500/epson2:usb:04b8:013a:X1", "Epson GT-1500"},
		{found{"genesys:libusb:001:009", "Canon", "LiDE 220", ""}, "Canon/LiDE 220/genesys:libusb:001:009", "Canon LiDE 220"},
		{found{"net:server:genesys:libusb:001:004", "Canon", "LiDE 220", ""}, "Canon/LiDE 220/net:server:genesys:libusb", "Canon LiDE 220"},
		{found{"airscan:e3:Office", "eSCL", "Office", ""}, "eSCL/Office/airscan:e:Office", "eSCL Office"},
		{found{"hpaio:/net/HP_LaserJet?ip=10.0.0.7", "Hewlett-Packard", "HP_LaserJet", ""}, "Hewlett-Packard/HP_LaserJet/hpaio:/net/HP_LaserJet?ip=10.0.0.7", "Hewlett-Packard HP_LaserJet"},
		{found{"brother4:bus1;dev1", "Brother", "Brother DCP", ""}, "Brother/Brother DCP/brother4:bus1;dev1", "Brother DCP"},
		{found{"test:0", "Noname", "frontend-tester", ""}, "Noname/frontend-tester/test:0", "frontend-tester"},
		{found{"x:1", "", "", ""}, "//x:1", "x:1"},
	} {
		got := describe([]found{test.in}, port)
		if len(got) != 1 || got[0].Stable != test.stable || got[0].Title != test.title || got[0].Name != test.in.name {
			t.Errorf("describe(%q) = %+v, want %q, %q", test.in.name, got, test.stable, test.title)
		}
	}
	two := describe([]found{
		{"net:a:test:libusb:001:002", "V", "M", ""}, {"net:a:test:libusb:001:003", "V", "M", ""}, {"", "V", "M", ""},
	}, port)
	if len(two) != 2 || two[0].Stable == two[1].Stable {
		t.Errorf("two alike = %+v, want two with different names", two)
	}
}
