package config

import (
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access"
)

func TestServers(t *testing.T) {
	for text, want := range map[string]Server{
		"lts.example:18643#" + aPin: {"lts.example:18643", aPin},
		"[fd00::1]:443#" + bPin:     {"[fd00::1]:443", bPin},
		"lts.example:18643":         {}, "lts.example#" + aPin: {}, "#" + aPin: {}, "lts.example:18643#": {}, "https://lts.example:18643#" + aPin: {},
		"lts.example:18643#" + aPin + "A": {}, "lts.example:18643#" + strings.Repeat("A", 42) + "B": {},
	} {
		got, err := parseServer(text)
		if got != want || (err == nil) != (want != Server{}) {
			t.Errorf("parseServer(%q) = %+v, %v, want %+v", text, got, err, want)
		}
		if err == nil && got.String() != text {
			t.Errorf("%+v is written %q, want %q", got, got, text)
		}
	}
	c, err := parse("platen.ini", []byte("HandshakeCode=ACME-1\n[license]\nServers=a.example:1#"+aPin+", b.example:2#"+bPin+"\n[tracking]\nMain=c.example:3#"+aPin), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := c.License.Tracking(); len(s) != 2 || s[1] != (Server{"b.example:2", bPin}) {
		t.Errorf("Tracking() = %+v", s)
	}
	if s := c.Tracking.StandsInFor(); s != (Server{"c.example:3", aPin}) || Default().Tracking.StandsInFor() != (Server{}) {
		t.Errorf("StandsInFor() = %+v", s)
	}
	if terms := c.License.Terms(); terms != (access.Terms{HandshakeCode: "ACME-1"}) {
		t.Errorf("Terms() = %+v", terms)
	}
}

func TestBuiltInVendor(t *testing.T) {
	if v := (License{Vendors: []string{aPin}}).Trusted(); len(v) != 1 || v[0] != aPin {
		t.Errorf("Trusted() = %v", v)
	}
	defer func(before func() string) { builtInVendor = before }(builtInVendor)
	builtInVendor = func() string { return bPin }
	if v := Default().License.Trusted(); len(v) != 1 || v[0] != bPin {
		t.Errorf("Trusted() with a vendor built in = %v", v)
	}
	_, err := parse("platen.ini", []byte("[license]\nVendors="+aPin), nil)
	if err == nil || !strings.HasPrefix(err.Error(), "platen.ini:2: [license] Vendors: this program takes only licences of the vendor who is built in") {
		t.Errorf("Vendors beside a vendor who is built in: %v", err)
	}
}
