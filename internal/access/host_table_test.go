package access_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/problem"
)

// Reasons for which we take a Host that rs/cors refuses as the end of an origin.
const (
	dotAtEnd    = "a name with a dot at its end is the same name"
	otherIPv6   = "an IPv6 address may be written in several ways"
	defaultPort = "443 is the port of https"
	exactOnLink = "over a link our own other end sends one spelling"
)

// roadHosts are the Hosts of each road in their usual spelling, as the guard of the
// table has them: by its addresses and by names.
var roadHosts = map[access.Road][]string{
	access.RoadLoopback: {"127.0.0.1:18622", "localhost:18622", "[::1]:18622", "scan.example.com:18622", "[fd00::7]:18622", "forwarded.example.com:443"},
	access.RoadLAN:      {"192.0.2.10:18623", "scan.example.com:18623", "[fd00::7]:18623", "forwarded.example.com:443"},
	access.RoadPublic:   {"192.0.2.10:18623", "scan.example.com:18623", "[fd00::7]:18623", "forwarded.example.com:443"},
	access.RoadSetup:    {"192.0.2.10:18623", "scan.example.com:18623", "[fd00::7]:18623", "forwarded.example.com:443"},
	access.RoadLink:     {"node.platen.internal"},
}

// hostTable says of each Host header whether it is allowed. rs/cors agrees, asked for
// it as an origin, except where differs says why it does not.
var hostTable = []struct {
	road    access.Road
	host    string
	allow   bool
	differs string
}{
	{access.RoadLoopback, "127.0.0.1:18622", true, ""},
	{access.RoadLoopback, "localhost:18622", true, ""},
	{access.RoadLoopback, "LOCALHOST:18622", true, ""},
	{access.RoadLoopback, "LocalHost:18622", true, ""},
	{access.RoadLoopback, "localhost.:18622", true, dotAtEnd},
	{access.RoadLoopback, "LOCALHOST.:18622", true, dotAtEnd},
	{access.RoadLoopback, "[::1]:18622", true, ""},
	{access.RoadLoopback, "[0::1]:18622", true, otherIPv6},
	{access.RoadLoopback, "[0:0:0:0:0:0:0:1]:18622", true, otherIPv6},
	{access.RoadLoopback, "scan.example.com:18622", true, ""},
	{access.RoadLoopback, "SCAN.example.COM:18622", true, ""},
	{access.RoadLoopback, "localhost", false, ""},
	{access.RoadLoopback, "localhost:80", false, ""},
	{access.RoadLoopback, "localhost:18623", false, ""},
	{access.RoadLoopback, "localhost:018622", false, ""},
	{access.RoadLoopback, "localhost:1862", false, ""},
	{access.RoadLoopback, "localhost:186220", false, ""},
	{access.RoadLoopback, "localhost:84158", false, ""}, // 18622 + 65536
	{access.RoadLoopback, "localhost:", false, ""},
	{access.RoadLoopback, "localhost..:18622", false, ""},
	{access.RoadLoopback, ".localhost:18622", false, ""},
	{access.RoadLoopback, "127.0.0.2:18622", false, ""},
	{access.RoadLoopback, "127.0.0.1.:18622", false, ""},
	{access.RoadLoopback, "127.1:18622", false, ""},
	{access.RoadLoopback, "127.000.000.001:18622", false, ""},
	{access.RoadLoopback, "0177.0.0.1:18622", false, ""},
	{access.RoadLoopback, "0x7f.0.0.1:18622", false, ""},
	{access.RoadLoopback, "0x7f000001:18622", false, ""},
	{access.RoadLoopback, "2130706433:18622", false, ""},
	{access.RoadLoopback, "0.0.0.0:18622", false, ""},
	{access.RoadLoopback, "0:18622", false, ""},
	{access.RoadLoopback, "[::]:18622", false, ""},
	{access.RoadLoopback, "[::2]:18622", false, ""},
	{access.RoadLoopback, "[::ffff:127.0.0.1]:18622", false, ""},
	{access.RoadLoopback, "[::1%25lo]:18622", false, ""},
	{access.RoadLoopback, "[::1%lo]:18622", false, ""},
	{access.RoadLoopback, "::1:18622", false, ""},
	{access.RoadLoopback, "[::1]", false, ""},
	{access.RoadLoopback, "[::1]18622", false, ""},
	{access.RoadLoopback, "[localhost]:18622", false, ""},
	{access.RoadLoopback, "[127.0.0.1]:18622", false, ""},
	{access.RoadLoopback, "x.localhost:18622", false, ""},
	{access.RoadLoopback, "localhost.evil.example:18622", false, ""},
	{access.RoadLoopback, "127.0.0.1.evil.example:18622", false, ""},
	{access.RoadLoopback, "evil.example:18622", false, ""},
	{access.RoadLoopback, "evillocalhost:18622", false, ""},
	{access.RoadLoopback, "localhostevil:18622", false, ""},
	{access.RoadLoopback, "localhost:18622@evil.example", false, ""},
	{access.RoadLoopback, "evil.example@localhost:18622", false, ""},
	{access.RoadLoopback, "localhost:18622/", false, ""},
	{access.RoadLoopback, "localhost:18622,evil.example", false, ""},
	{access.RoadLoopback, "localhost:18622 evil.example", false, ""},
	{access.RoadLoopback, " localhost:18622", false, ""},
	{access.RoadLoopback, "localhost:18622\t", false, ""},
	{access.RoadLoopback, "localhost:18622\x00", false, ""},
	{access.RoadLoopback, "local\u017fost:18622", false, ""}, // long s: upper case is S
	{access.RoadLoopback, "ｌocalhost:18622", false, ""},
	{access.RoadLoopback, "%6cocalhost:18622", false, ""},
	{access.RoadLoopback, "http://localhost:18622", false, ""},
	{access.RoadLoopback, "", false, ""},
	{access.RoadLoopback, ":18622", false, ""},
	{access.RoadLoopback, "192.0.2.10:18622", false, ""},
	{access.RoadLoopback, "node.platen.internal", false, ""},
	{access.RoadLAN, "192.0.2.10:18623", true, ""},
	{access.RoadLAN, "scan.example.com:18623", true, ""},
	{access.RoadLAN, "Scan.Example.Com.:18623", true, dotAtEnd},
	{access.RoadLAN, "forwarded.example.com", true, defaultPort},
	{access.RoadLAN, "forwarded.example.com:443", true, ""},
	{access.RoadLAN, "[fd00::7]:18623", true, ""},
	{access.RoadLAN, "[FD00:0::7]:18623", true, otherIPv6},
	{access.RoadLAN, "[fd00::8]:18623", false, ""},
	{access.RoadLAN, "forwarded.example.com:18623", false, ""},
	{access.RoadLAN, "forwarded.example.com:80", false, ""},
	{access.RoadLAN, "scan.example.com", false, ""},
	{access.RoadLAN, "scan.example.com:443", false, ""},
	{access.RoadLAN, "192.0.2.10", false, ""},
	{access.RoadLAN, "192.0.2.11:18623", false, ""},
	{access.RoadLAN, "192.0.2.10:18622", false, ""},
	{access.RoadLAN, "[::ffff:192.0.2.10]:18623", false, ""},
	{access.RoadLAN, "localhost:18623", false, ""},
	{access.RoadLAN, "127.0.0.1:18623", false, ""},
	{access.RoadLAN, "evil.example:18623", false, ""},
	{access.RoadLAN, "xscan.example.com:18623", false, ""},
	{access.RoadLAN, "scan.example.com.evil.example:18623", false, ""},
	{access.RoadLAN, "scan.example.co:18623", false, ""},
	{access.RoadLAN, "xn--scan-example:18623", false, ""},
	{access.RoadPublic, "192.0.2.10:18623", true, ""},
	{access.RoadPublic, "localhost:18623", false, ""},
	{access.RoadSetup, "192.0.2.10:18623", true, ""},
	{access.RoadSetup, "scan.example.com:18623", true, ""},
	{access.RoadSetup, "localhost:18623", false, ""},
	{access.RoadSetup, "evil.example:18623", false, ""},
	{access.RoadLink, "node.platen.internal", true, ""},
	{access.RoadLink, "node.platen.internal:443", false, ""},
	{access.RoadLink, "node.platen.internal.", false, ""},
	{access.RoadLink, "NODE.platen.internal", false, exactOnLink},
	{access.RoadLink, "scan.example.com", false, ""},
	{access.RoadLink, "localhost", false, ""},
}

// hostOracle asks rs/cors about a host as the end of an origin.
func hostOracle(road access.Road, host string) bool {
	var list []string
	for _, h := range roadHosts[road] {
		list = append(list, "https://"+h)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header["Origin"] = []string{"https://" + host}
	return oracle(list...).OriginAllowed(r)
}

func TestHostTable(t *testing.T) {
	e := newEnd(t, names(t))
	for _, row := range hostTable {
		for _, path := range []string{"/api/v1/service", "/api/v1/nothing", "/"} {
			r := accesstest.NewRequest(row.road, "GET", path, "")
			r.Host = row.host
			w := accesstest.Do(e.on(row.road), r)
			if got := accesstest.Code(w) != problem.HostNotAllowed; got != row.allow {
				t.Errorf("%s: Host %q, %s: allowed = %v, want %v", row.road, row.host, path, got, row.allow)
			}
			if !row.allow && w.Code != http.StatusMisdirectedRequest {
				t.Errorf("%s: Host %q, %s: status %d, want 421", row.road, row.host, path, w.Code)
			}
		}
		if other := hostOracle(row.road, row.host); (other != row.allow) != (row.differs != "") {
			t.Errorf("%s: Host %q: rs/cors says %v; the row says it differs because %q", row.road, row.host, other, row.differs)
		}
	}
}

// usual writes a host as roadHosts does, by other means than the guard's.
func usual(host string) string {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return host
	}
	if ip, err := netip.ParseAddr(name); err == nil && strings.HasPrefix(host, "[") {
		name = ip.String()
	}
	return net.JoinHostPort(strings.TrimSuffix(name, "."), port)
}

// FuzzHost never takes what rs/cors refuses in its usual spelling.
func FuzzHost(f *testing.F) {
	for _, row := range hostTable {
		f.Add(row.host)
	}
	hosts, err := access.NewHosts("scan.example.com", "forwarded.example.com:443", "fd00::7")
	if err != nil {
		f.Fatal(err)
	}
	e := newEnd(f, func(c *access.Config) { c.Hosts, c.Log = hosts, nil })
	h := e.on(access.RoadLoopback)
	f.Fuzz(func(t *testing.T, host string) {
		r := accesstest.NewRequest(access.RoadLoopback, "GET", "/api/v1/service", "")
		r.Host = host
		got := accesstest.Code(accesstest.Do(h, r)) != problem.HostNotAllowed
		if got && !hostOracle(access.RoadLoopback, usual(host)) {
			t.Errorf("Host %q is taken", host)
		}
		if !got && slices.Contains(roadHosts[access.RoadLoopback], host) {
			t.Errorf("Host %q is refused", host)
		}
	})
}
