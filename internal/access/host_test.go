package access_test

import (
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/problem"
)

func TestParseAuthority(t *testing.T) {
	tests := []struct {
		in   string
		want string // "" for refused
	}{
		{"localhost", "localhost:80"},
		{"LocalHost:18622", "localhost:18622"},
		{"localhost.", "localhost:80"},
		{"localhost.:18622", "localhost:18622"},
		{"localhost..", ""},
		{".localhost", ""},
		{"a..b", ""},
		{"127.0.0.1:1", "127.0.0.1:1"},
		{"127.0.0.1.", ""},
		{"127.1", ""},
		{"2130706433", ""},
		{"0x7f000001", ""},
		{"0x7f.0.0.1", ""},
		{"0177.0.0.1", ""},
		{"127.0.0.01", ""},
		{"1.2.3.256", ""},
		{"name.0x", ""},
		{"scan-1.example.com:65535", "scan-1.example.com:65535"},
		{"scan_1.local", "scan_1.local:80"},
		{"[::1]", "[::1]:80"},
		{"[::1]:18622", "[::1]:18622"},
		{"[0:0:0:0:0:0:0:1]:18622", "[::1]:18622"},
		{"[FE80::1]", "[fe80::1]:80"},
		{"[fe80::1%25eth0]", ""},
		{"[fe80::1%eth0]", ""},
		{"[::ffff:127.0.0.1]", ""},
		{"[127.0.0.1]", ""},
		{"[localhost]", ""},
		{"[::1", ""},
		{"[::1]x", ""},
		{"[::1]x:80", ""},
		{"::1", ""},
		{"localhost:", ""},
		{"localhost:0", ""},
		{"localhost:080", ""},
		{"localhost:65536", ""},
		{"localhost:+80", ""},
		{"localhost:80:80", ""},
		{"localhost:8 0", ""},
		{"user@localhost", ""},
		{"localhost/", ""},
		{"localhost#x", ""},
		{"local host", ""},
		{"löcalhost", ""},
		{"localhost\x00", ""},
		{"localhost\r\nX: y", ""},
		{"%6cocalhost", ""},
		{"", ""},
		{":80", ""},
		{strings.Repeat("a", 63) + ".example", strings.Repeat("a", 63) + ".example:80"},
		{strings.Repeat("a", 64) + ".example", ""},
		{strings.Repeat("a.", 127) + "b", ""},
	}
	for _, tt := range tests {
		a, err := access.ParseAuthority(tt.in, 80)
		got := ""
		if err == nil {
			got = a.String()
		}
		if got != tt.want {
			t.Errorf("ParseAuthority(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func FuzzParseAuthority(f *testing.F) {
	for _, s := range []string{"localhost:18622", "[::1]:1", "127.0.0.1", "a.b.", "0x7f.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := access.ParseAuthority(s, 80)
		if err != nil {
			return
		}
		again, err := access.ParseAuthority(a.String(), 1)
		if err != nil || again != a {
			t.Errorf("ParseAuthority(%q) = %v, and of its text %v, %v", s, a, again, err)
		}
		if a.Host != strings.ToLower(a.Host) || strings.HasSuffix(a.Host, ".") || a.Port == 0 {
			t.Errorf("ParseAuthority(%q) = %v is not normal", s, a)
		}
	})
}

func TestParseOrigin(t *testing.T) {
	tests := []struct{ in, want string }{
		{"http://192.168.8.212", "http://192.168.8.212"},
		{"http://192.168.8.126:8033", "http://192.168.8.126:8033"},
		{"https://www.example.com", "https://www.example.com"},
		{"https://www.example.com:443", "https://www.example.com"},
		{"http://www.example.com:443", "http://www.example.com:443"},
		{"HTTPS://WWW.Example.com", "https://www.example.com"},
		{"https://[::1]", "https://[::1]"},
		{"https://[::1]:8443", "https://[::1]:8443"},
		{"null", ""},
		{"*", ""},
		{"", ""},
		{"www.example.com", ""},
		{"//www.example.com", ""},
		{"https:/www.example.com", ""},
		{"https://", ""},
		{"https://www.example.com/", ""},
		{"https://www.example.com/path", ""},
		{"https://www.example.com?x", ""},
		{"https://www.example.com#x", ""},
		{"https://user@www.example.com", ""},
		{"https://www.example.com.", ""},
		{"https://www.example.com.:8443", ""},
		{"https://*.example.com", ""},
		{"https://exämple.com", ""},
		{"https://www.example.com, https://b.example", ""},
		{"https://www.example.com https://b.example", ""},
		{"file://", ""},
		{"chrome-extension://abcdef", ""},
		{"ws://www.example.com", ""},
		{"javascript://www.example.com", ""},
	}
	for _, tt := range tests {
		o, err := access.ParseOrigin(tt.in)
		got := ""
		if err == nil {
			got = o.String()
		}
		if got != tt.want {
			t.Errorf("ParseOrigin(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func FuzzParseOrigin(f *testing.F) {
	for _, s := range []string{"https://a.example", "http://[::1]:80", "null", "https://a.example:8443"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := access.ParseOrigin(s)
		if err != nil {
			return
		}
		if again, err := access.ParseOrigin(o.String()); err != nil || again != o {
			t.Errorf("ParseOrigin(%q) = %v, and of its text %v, %v", s, o, again, err)
		}
	})
}

// names are configured for the host tests.
func names(t *testing.T) func(*access.Config) {
	hosts, err := access.NewHosts("scan.example.com", "forwarded.example.com:443", "fd00::7")
	if err != nil {
		t.Fatal(err)
	}
	return func(c *access.Config) { c.Hosts = hosts }
}

func TestNewHostsSaysAllFaults(t *testing.T) {
	_, err := access.NewHosts("good.example", "bad host", "https://x", "::1")
	if err == nil || !strings.Contains(err.Error(), "bad host") || !strings.Contains(err.Error(), "https://x") || strings.Contains(err.Error(), "::1") {
		t.Errorf("NewHosts error = %v, want one that names the two faults", err)
	}
}

func TestHostWithoutAConnection(t *testing.T) {
	e := newEnd(t)
	r := accesstest.NewRequest(access.RoadLAN, "GET", "/api/v1/service", "")
	r = r.WithContext(t.Context()) // no local address
	wantCode(t, accesstest.Do(e.on(access.RoadLAN), r), problem.HostNotAllowed)
}

func TestOwnPage(t *testing.T) {
	e := newEnd(t, names(t))
	tests := []struct {
		road         access.Road
		host, origin string
		own          bool
	}{
		{access.RoadLAN, "192.0.2.10:18623", "https://192.0.2.10:18623", true},
		{access.RoadLAN, "scan.example.com:18623", "https://scan.example.com:18623", true},
		{access.RoadLAN, "forwarded.example.com", "https://forwarded.example.com", true},
		{access.RoadLAN, "scan.example.com:18623", "https://192.0.2.10:18623", false}, // our other name is another origin
		{access.RoadLAN, "192.0.2.10:18623", "http://192.0.2.10:18623", false},
		{access.RoadLAN, "192.0.2.10:18623", "https://192.0.2.10", false},
		{access.RoadLAN, "192.0.2.10:18623", "https://192.0.2.10:18623/", false},
		{access.RoadLAN, "192.0.2.10:18623", "null", false},
		{access.RoadLoopback, "localhost:18622", "http://localhost:18622", true},
		{access.RoadLoopback, "[::1]:18622", "http://[::1]:18622", true},
		{access.RoadLoopback, "localhost:18622", "http://127.0.0.1:18622", false},
		{access.RoadLoopback, "localhost:18622", "http://localhost:3000", false},
		{access.RoadLoopback, "localhost:18622", "https://localhost:18622", false},
		{access.RoadLoopback, "localhost:18622", "http://localhost.:18622", false},
		{access.RoadLoopback, "localhost:18622", "http://localhost:18622, http://evil.example", false},
	}
	for _, tt := range tests {
		r := accesstest.NewRequest(tt.road, "POST", "/api/v1/sessions", "{}")
		r.Host = tt.host
		r.Header.Set("Origin", tt.origin)
		w := accesstest.Do(e.on(tt.road), r)
		if got := accesstest.Code(w) != problem.OriginNotAllowed; got != tt.own {
			t.Errorf("%s: Host %q, Origin %q: own page = %v, want %v", tt.road, tt.host, tt.origin, got, tt.own)
		}
		if v := w.Header().Values("Vary"); len(v) != 1 || v[0] != "Origin" {
			t.Errorf("Vary = %q, want Origin once", v)
		}
	}
}

func TestHostsChange(t *testing.T) {
	hosts, err := access.NewHosts("old.example")
	if err != nil {
		t.Fatal(err)
	}
	h := newEnd(t, func(c *access.Config) { c.Hosts = hosts }).on(access.RoadLAN)
	check := func(when string, wantOld, wantNew bool) {
		t.Helper()
		for host, want := range map[string]bool{"old.example": wantOld, "new.example": wantNew} {
			r := accesstest.NewRequest(access.RoadLAN, "GET", "/api/v1/service", "")
			r.Host = host + ":18623"
			if got := accesstest.Code(accesstest.Do(h, r)) != problem.HostNotAllowed; got != want {
				t.Errorf("%s: %s allowed = %v", when, host, got)
			}
		}
	}
	check("at first", true, false)
	if err := hosts.Set("new.example"); err != nil {
		t.Fatal(err)
	}
	check("changed", false, true)
	if err := hosts.Set("old.example", "bad host"); err == nil {
		t.Error("a bad name is taken")
	}
	check("after a fault", false, true)
	if err := hosts.Set(); err != nil {
		t.Fatal(err)
	}
	check("without names", false, false)
}

// The loopback listener of the setup page knows loopback names and no other, even where
// a configured name leads to it.
func TestSetupHostOnLoopback(t *testing.T) {
	h := newEnd(t, names(t)).on(access.RoadSetup)
	for host, want := range map[string]bool{
		"127.0.0.1:18622": true, "localhost:18622": true, "[::1]:18622": true,
		"scan.example.com:18622": false, "forwarded.example.com:443": false, "192.0.2.10:18622": false, "localhost:18625": false,
	} {
		r := accesstest.NewRequest(access.RoadLoopback, "GET", "/api/v1/service", "")
		r.Host = host
		if got := accesstest.Code(accesstest.Do(h, r)) != problem.HostNotAllowed; got != want {
			t.Errorf("Host %q: allowed = %v, want %v", host, got, want)
		}
	}
}
