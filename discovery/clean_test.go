package discovery

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	tests := []struct{ name, want string }{
		{"HP LaserJet (2. OG) [links]", "HP LaserJet (2. OG) [links]"},
		{"Bu\u0308ro", "Büro"},
		{" two\nlines\x00\x7f\u0085 ", "twolines"},
		{"safe\u202egnp.exe\u2066", "safegnp.exe"},
		{"broken\xff\xfe", "broken"},
		{"\x00\u202e", ""},
		{strings.Repeat("ü", 40), strings.Repeat("ü", 31)},
		{strings.Repeat("x", 10000), strings.Repeat("x", 63)},
	}
	for _, tt := range tests {
		if got := Clean(tt.name); got != tt.want {
			t.Errorf("Clean(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestParseText(t *testing.T) {
	tests := []struct {
		text []string
		want map[string]string
	}{
		{nil, map[string]string{}},
		{[]string{"txtvers=1", "TY=HP 1", "ty=second", "flag", "empty=", "=no key", "", "a=b=c"}, map[string]string{"txtvers": "1", "ty": "HP 1", "flag": "", "empty": "", "a": "b=c"}},
		{[]string{"k\x00=v", "kü=v", "v=a\x00\n\xffb\u202e", "note=Büro"}, map[string]string{"v": "ab", "note": "Büro"}},
		{[]string{"a=1", "b=" + strings.Repeat("x", MaxText), "c=3"}, map[string]string{"a": "1"}},
	}
	for _, tt := range tests {
		if got := ParseText(tt.text); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("ParseText(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestUsable(t *testing.T) {
	for a, want := range map[string]bool{
		"192.0.2.1": true, "fe80::1": true, "fe80::1%eth0": true, "169.254.1.1": true, "2001:db8::1": true,
		"127.0.0.1": false, "::1": false, "::ffff:127.0.0.1": false, "0.0.0.0": false, "::": false, "169.254.169.254": false,
		"::ffff:169.254.169.254": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "0.1.2.3": false,
	} {
		if got := Usable(netip.MustParseAddr(a)); got != want {
			t.Errorf("Usable(%s) = %v, want %v", a, got, want)
		}
	}
	if Usable(netip.Addr{}) {
		t.Error("no address at all is usable")
	}
}

func TestValidHost(t *testing.T) {
	for host, want := range map[string]bool{
		"p.local": true, "it's ü 7.local": true, "": false, "a\nb.local": false, "a/b.local": false, "a@b.local": false,
		"\u202ea.local": false, "a\xff.local": false, strings.Repeat("x", 254): false,
	} {
		if got := ValidHost(host); got != want {
			t.Errorf("ValidHost(%q) = %v, want %v", host, got, want)
		}
	}
}

func TestUnescape(t *testing.T) {
	for s, want := range map[string]string{
		`B\195\188ro\ \(2\.\)`: "Büro (2.)", `a\\b`: `a\b`, `\"x\"`: `"x"`, "plain": "plain", `end\`: `end\`, `\12`: "12", `\1234`: "{4",
	} {
		if got := Unescape(s); got != want {
			t.Errorf("Unescape(%q) = %q, want %q", s, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("txtvers=1\x00id=abc\x00flag\x00=x")
	f.Fuzz(func(t *testing.T, all string) {
		pairs := ParseText(strings.Split(all, "\x00"))
		size := 0
		for k, v := range pairs {
			size += len(k) + len(v)
			if k == "" || k != strings.ToLower(k) || !utf8.ValidString(v) {
				t.Errorf("ParseText(%q) has %q = %q", all, k, v)
			}
		}
		if size > MaxText {
			t.Errorf("%d bytes", size)
		}
		name := Clean(all)
		if len(name) > MaxName || !utf8.ValidString(name) || Clean(name) != name {
			t.Errorf("Clean(%q) = %q", all, name)
		}
	})
}
