package access_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
)

func prefixes(list ...string) (all []netip.Prefix) {
	for _, text := range list {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// office is a machine with a cable, a second network, and a tunnel.
func office() []access.Link {
	return []access.Link{
		prefixes("127.0.0.1/8", "::1/128"),
		prefixes("192.0.2.10/24", "10.1.0.1/16", "2001:db8:1::10/64", "fe80::10/64"),
		prefixes("172.16.5.1/24", "fe80::11/64"),
		prefixes("10.8.0.2/32"),
		prefixes("203.0.113.5/0"),
	}
}

func TestNeighboursAdmit(t *testing.T) {
	for _, tt := range []struct {
		name, local, peer string
		allow             []netip.Prefix
		want              bool
	}{
		{"same network", "192.0.2.10", "192.0.2.77", nil, true},
		{"mapped to IPv6", "::ffff:192.0.2.10", "::ffff:192.0.2.77", nil, true},
		{"another network of the interface", "192.0.2.10", "10.1.200.7", nil, true},
		{"same IPv6 network", "2001:db8:1::10", "2001:db8:1::abcd", nil, true},
		{"link-local", "fe80::10%eth0", "fe80::abcd%eth0", nil, true},
		{"link-local to a global address", "2001:db8:1::10", "fe80::abcd%eth0", nil, true},
		{"behind a router", "192.0.2.10", "198.51.100.7", nil, false},
		{"next network", "192.0.2.10", "192.0.3.77", nil, false},
		{"IPv6 behind a router", "2001:db8:1::10", "2001:db8:2::1", nil, false},
		{"of the other interface's network", "192.0.2.10", "172.16.5.9", nil, false},
		{"to the other interface's address", "172.16.5.1", "192.0.2.77", nil, false},
		{"through the tunnel", "10.8.0.2", "10.8.0.9", nil, false},
		{"a network of everything", "203.0.113.5", "203.0.113.6", nil, false},
		{"address that is not ours", "192.0.2.11", "192.0.2.77", nil, false},
		{"this machine", "192.0.2.10", "192.0.2.10", nil, true},
		{"this machine, from another address", "192.0.2.10", "172.16.5.1", nil, true},
		{"loopback", "127.0.0.1", "127.0.0.1", nil, true},
		{"loopback, IPv6", "::1", "::1", nil, true},
		{"loopback that is no address of an interface", "127.0.0.1", "127.9.9.9", nil, true},
		{"to loopback from elsewhere", "127.0.0.1", "192.0.2.77", nil, false},
		{"nowhere", "192.0.2.10", "", nil, false},
		{"to nowhere", "", "192.0.2.77", nil, false},
		{"unspecified", "192.0.2.10", "0.0.0.0", nil, false},
		{"4 in 6 of another kind", "192.0.2.10", "64:ff9b::192.0.2.77", nil, false},

		{"in the list", "192.0.2.10", "198.51.100.7", prefixes("198.51.100.0/24"), true},
		{"in the list, mapped", "::ffff:192.0.2.10", "::ffff:198.51.100.7", prefixes("198.51.100.0/24"), true},
		{"in the list, one address", "192.0.2.10", "198.51.100.7", prefixes("10.0.0.0/8", "198.51.100.7/32"), true},
		{"in the list, IPv6", "2001:db8:1::10", "2001:db8:2::1", prefixes("2001:db8::/32"), true},
		{"in the list, link-local", "fe80::10%eth0", "fe80::7%eth0", prefixes("fe80::/10"), true},
		{"same network, not in the list", "192.0.2.10", "192.0.2.77", prefixes("198.51.100.0/24"), false},
		{"beside the list", "192.0.2.10", "198.51.101.7", prefixes("198.51.100.0/24"), false},
		{"IPv4 everywhere says nothing of IPv6", "2001:db8:1::10", "2001:db8:1::7", prefixes("0.0.0.0/0"), false},
		{"IPv6 everywhere says nothing of IPv4", "192.0.2.10", "192.0.2.77", prefixes("::/0"), false},
		{"this machine, not in the list", "192.0.2.10", "192.0.2.10", prefixes("198.51.100.0/24"), true},
		{"loopback, not in the list", "127.0.0.1", "127.0.0.1", prefixes("198.51.100.0/24"), true},
		{"an empty list", "192.0.2.10", "192.0.2.77", []netip.Prefix{}, true},
	} {
		n := &access.Neighbours{Links: office, Allow: func() []netip.Prefix { return tt.allow }}
		local, _ := netip.ParseAddr(tt.local)
		peer, _ := netip.ParseAddr(tt.peer)
		if got := n.Admits(local, peer); got != tt.want {
			t.Errorf("%s: Admits(%s, %s) = %v, want %v", tt.name, tt.local, tt.peer, got, tt.want)
		}
	}
}

// An address that the machine has just got counts at once, one that it lost for a moment.
func TestNeighboursFollowInterfaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		links, asked := office(), 0
		n := &access.Neighbours{Links: func() []access.Link { asked++; return links }}
		admits := func(local, peer string) bool { return n.Admits(netip.MustParseAddr(local), netip.MustParseAddr(peer)) }
		for range 100 {
			if !admits("192.0.2.10", "192.0.2.77") {
				t.Fatal("a neighbour is refused")
			}
		}
		if asked != 1 {
			t.Errorf("the interfaces were read %d times for 100 connections, want once", asked)
		}
		links = []access.Link{prefixes("198.51.100.4/24")}
		if !admits("198.51.100.4", "198.51.100.9") {
			t.Error("a neighbour on a new network is refused")
		}
		links = []access.Link{prefixes("192.0.2.10/24")}
		admits("192.0.2.10", "192.0.2.77")
		links = []access.Link{prefixes("192.0.2.10/30")}
		time.Sleep(5 * time.Second)
		if admits("192.0.2.10", "192.0.2.77") {
			t.Error("a network that became smaller is still believed after five seconds")
		}
	})
}

func TestNeighboursOfThisMachine(t *testing.T) {
	n := &access.Neighbours{}
	for _, peer := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1"} {
		if !n.Admits(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr(peer)) {
			t.Errorf("%s is refused", peer)
		}
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 {
			continue
		}
		for _, a := range addresses {
			ip, _ := netip.AddrFromSlice(a.(*net.IPNet).IP)
			if !n.Admits(ip, ip) {
				t.Errorf("%s to itself is refused", ip)
			}
		}
	}
	if n.Admits(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("198.51.100.200")) {
		t.Error("somebody from elsewhere is let in on loopback")
	}
}

// door is a service for neighbours at 192.0.2.10:18630 that allows the pages of the tests.
type door struct {
	*access.Neighbours
	handler http.Handler
	passed  int
}

func newDoor(t testing.TB) *door {
	t.Helper()
	hosts, err := access.NewHosts("platen-aaaaaaaa.local", "scan.example.com", "forwarded.example.com:80")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{Neighbours: &access.Neighbours{Hosts: hosts, Origins: access.NewOrigins(), Links: office}}
	accesstest.AllowPages(d.Origins)
	d.handler = d.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.passed++
		w.Header().Set("Location", "/eSCL/ScanJobs/1")
		w.WriteHeader(http.StatusCreated)
	}))
	return d
}

// request is one of a neighbour as its listener would give it.
func neighbourRequest(method, path string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	r.Host, r.RemoteAddr = "192.0.2.10:18630", "192.0.2.77:50000"
	local := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.10:18630"))
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
}

// at moves a request to another address of the machine.
func at(r *http.Request, local, peer string) *http.Request {
	r.RemoteAddr = peer
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(local)))))
}

func TestNeighboursHosts(t *testing.T) {
	for _, tt := range []struct {
		local, host string
		allow       bool
	}{
		{"192.0.2.10:18630", "192.0.2.10:18630", true},
		{"192.0.2.10:18630", "192.0.2.10", true}, // some clients leave the port out
		{"192.0.2.10:18630", "platen-aaaaaaaa.local:18630", true},
		{"192.0.2.10:18630", "platen-aaaaaaaa.local.:18630", true},
		{"192.0.2.10:18630", "PLATEN-AAAAAAAA.local", true},
		{"192.0.2.10:18630", "forwarded.example.com:80", true},
		{"192.0.2.10:18630", "forwarded.example.com:18630", false},
		{"192.0.2.10:18630", "192.0.2.10:18632", false},
		{"192.0.2.10:18630", "192.0.2.11:18630", false},
		{"192.0.2.10:18630", "localhost:18630", false},
		{"192.0.2.10:18630", "127.0.0.1:18630", false},
		{"192.0.2.10:18630", "platen-aaaaaaaa.local.evil.example:18630", false},
		{"192.0.2.10:18630", "xplaten-aaaaaaaa.local:18630", false},
		{"192.0.2.10:18630", "platen-aaaaaaaa:18630", false},
		{"192.0.2.10:18630", "evil.example:18630", false},
		{"192.0.2.10:18630", "evil.example", false},
		{"192.0.2.10:18630", "3221225994:18630", false}, // 192.0.2.10 in other spellings
		{"192.0.2.10:18630", "0xc000020a:18630", false},
		{"192.0.2.10:18630", "0300.0.2.10:18630", false},
		{"192.0.2.10:18630", "192.0.522:18630", false},
		{"192.0.2.10:18630", "192.0.2.010:18630", false},
		{"192.0.2.10:18630", "[::ffff:192.0.2.10]:18630", false},
		{"192.0.2.10:18630", "192.0.2.10:18630@evil.example", false},
		{"192.0.2.10:18630", "evil.example@192.0.2.10:18630", false},
		{"192.0.2.10:18630", "http://192.0.2.10:18630", false},
		{"192.0.2.10:18630", "", false},
		{"192.0.2.10:18630", ":18630", false},
		{"[::ffff:192.0.2.10]:18630", "192.0.2.10:18630", true},
		{"[fe80::10%eth0]:18630", "[fe80::10]:18630", true},
		{"[fe80::10%eth0]:18630", "[FE80:0::10]", true},
		{"[fe80::10%eth0]:18630", "[fe80::11]:18630", false},
		{"[fe80::10%eth0]:18630", "[fe80::10%wlan0]:18630", true},
		{"[fe80::10%eth0]:18630", "[fe80::10%25wlan0]", true},
		{"[fe80::10%eth0]:18630", "[fe80::11%eth0]:18630", false},
		{"[2001:db8:1::10]:18630", "[2001:db8:1::10%eth0]:18630", false},
		{"[2001:db8:1::10]:18630", "[2001:db8:1::10]:18630", true},
		{"127.0.0.1:18630", "localhost:18630", true},
		{"127.0.0.1:18630", "localhost", true},
		{"127.0.0.1:18630", "192.0.2.10:18630", false},
		{"127.0.0.1:18630", "evil.example:18630", false},
	} {
		d := newDoor(t)
		peer := netip.AddrPortFrom(netip.MustParseAddrPort(tt.local).Addr(), 50000).String() // the machine itself
		r := at(neighbourRequest("GET", "/eSCL/ScannerStatus"), tt.local, peer)
		r.Host = tt.host
		w := accesstest.Do(d.handler, r)
		if got := d.passed == 1; got != tt.allow {
			t.Errorf("Host %q at %s: allowed = %v, want %v", tt.host, tt.local, got, tt.allow)
		}
		if !tt.allow && (w.Code != http.StatusMisdirectedRequest || !strings.Contains(w.Body.String(), "http://")) {
			t.Errorf("Host %q at %s: status %d, %q, want 421 with an address that works", tt.host, tt.local, w.Code, w.Body)
		}
	}
	// What the guard's table says of hosts with a port holds here too.
	d := newDoor(t)
	hosts, err := access.NewHosts("scan.example.com", "forwarded.example.com:443", "fd00::7")
	if err != nil {
		t.Fatal(err)
	}
	d.Hosts = hosts
	for _, row := range hostTable {
		if _, _, err := net.SplitHostPort(row.host); err != nil || row.road != access.RoadLAN {
			continue
		}
		d.passed = 0
		r := at(neighbourRequest("GET", "/"), accesstest.LANHost, "192.0.2.77:1")
		r.Host = row.host
		accesstest.Do(d.handler, r)
		if got := d.passed == 1; got != row.allow {
			t.Errorf("Host %q: allowed = %v, want %v", row.host, got, row.allow)
		}
	}
}

func TestNeighboursOutside(t *testing.T) {
	d := newDoor(t)
	for _, peer := range []string{"198.51.100.7:1", "[2001:db8:2::1]:1", "[::ffff:198.51.100.7]:1", "192.0.2.77", "", "@"} {
		r := neighbourRequest("POST", "/eSCL/ScanJobs")
		r.RemoteAddr = peer
		r.Header.Set("Origin", accesstest.ShopOrigin)
		r.Header.Set("X-Forwarded-For", "192.0.2.77")
		w := accesstest.Do(d.handler, r)
		wantStatus(t, w, http.StatusForbidden)
		checkClosed(t, peer, w)
		if !strings.Contains(w.Body.String(), "Allow in section [escl]") {
			t.Errorf("from %q: %q does not say what to do", peer, w.Body)
		}
	}
	r := neighbourRequest("GET", "/")
	wantStatus(t, accesstest.Do(d.handler, r.WithContext(context.Background())), http.StatusForbidden) // no local address
	if d.passed != 0 {
		t.Errorf("%d requests from outside passed", d.passed)
	}
}

// checkClosed wants no page to be able to read the answer.
func checkClosed(t *testing.T, name string, w *httptest.ResponseRecorder) {
	t.Helper()
	for header := range w.Header() {
		if strings.HasPrefix(header, "Access-Control-") {
			t.Errorf("%s: the answer has %s: %q", name, header, w.Header()[header])
		}
	}
	for header, want := range map[string]string{"Vary": "Origin", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"} {
		if got := w.Header().Get(header); got != want {
			t.Errorf("%s: %s = %q, want %q", name, header, got, want)
		}
	}
}

func TestNeighboursPages(t *testing.T) {
	cross := []string{"Sec-Fetch-Site", "cross-site"}
	cors := append([]string{"Origin", shop, "Sec-Fetch-Mode", "cors"}, cross...)
	follows := []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "cross-site"}
	for _, tt := range []struct {
		name, method, path string
		header             []string
		status             int
		echo               string
	}{
		{"program", "POST", "/eSCL/ScanJobs", nil, http.StatusCreated, ""},
		{"program of an allowed page's browser", "POST", "/eSCL/ScanJobs", cors, http.StatusCreated, shop},
		{"allowed page in an old browser", "GET", "/eSCL/ScannerStatus", []string{"Origin", shop}, http.StatusCreated, shop},
		{"typed address", "GET", "/eSCL/ScannerStatus", []string{"Sec-Fetch-Site", "none"}, http.StatusCreated, ""},
		{"own page", "GET", "/eSCL/ScannerStatus", []string{"Sec-Fetch-Site", "same-origin"}, http.StatusCreated, ""},
		{"own page that posts", "POST", "/eSCL/ScanJobs", []string{"Origin", "http://192.0.2.10:18630", "Sec-Fetch-Site", "same-origin"}, http.StatusCreated, ""},
		{"link to the page for people", "GET", "/", follows, http.StatusCreated, ""},

		{"link to a document", "GET", "/eSCL/ScanJobs/1/NextDocument", follows, http.StatusForbidden, ""},
		{"frame of the page for people", "GET", "/", append([]string{"Sec-Fetch-Dest", "iframe"}, follows[4:]...), http.StatusForbidden, ""},
		{"form that posts to it", "POST", "/", follows, http.StatusForbidden, ""},
		{"foreign page", "GET", "/eSCL/ScannerStatus", []string{"Origin", "https://evil.example"}, http.StatusForbidden, ""},
		{"foreign page in a good browser", "GET", "/eSCL/ScannerStatus", append([]string{"Origin", "https://evil.example", "Sec-Fetch-Mode", "cors"}, cross...), http.StatusForbidden, ""},
		{"null", "POST", "/eSCL/ScanJobs", []string{"Origin", "null"}, http.StatusForbidden, ""},
		{"empty origin", "POST", "/eSCL/ScanJobs", []string{"Origin", ""}, http.StatusForbidden, ""},
		{"file", "POST", "/eSCL/ScanJobs", []string{"Origin", "file://"}, http.StatusForbidden, ""},
		{"another port of this machine", "POST", "/eSCL/ScanJobs", []string{"Origin", "http://192.0.2.10:18632"}, http.StatusForbidden, ""},
		{"the other scheme", "POST", "/eSCL/ScanJobs", []string{"Origin", "https://192.0.2.10:18630"}, http.StatusForbidden, ""},
		{"another name of this machine", "POST", "/eSCL/ScanJobs", []string{"Origin", "http://platen-aaaaaaaa.local:18630"}, http.StatusForbidden, ""},
		{"another spelling of an allowed one", "POST", "/eSCL/ScanJobs", []string{"Origin", "https://SHOP.example"}, http.StatusForbidden, ""},
		{"image without an origin", "GET", "/eSCL/ScanJobs/1/NextDocument", append([]string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, cross...), http.StatusForbidden, ""},
		{"cross-site without an origin", "GET", "/", cross, http.StatusForbidden, ""},
		{"same-site without an origin", "GET", "/", []string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden, ""},
		{"form without an origin", "POST", "/eSCL/ScanJobs", append([]string{"Sec-Fetch-Mode", "navigate"}, cross...), http.StatusForbidden, ""},
		{"own origin from elsewhere", "POST", "/eSCL/ScanJobs", append([]string{"Origin", "http://192.0.2.10:18630"}, cross...), http.StatusForbidden, ""},
		{"allowed page's form", "POST", "/eSCL/ScanJobs", append([]string{"Origin", shop, "Sec-Fetch-Mode", "navigate"}, cross...), http.StatusForbidden, ""},
		{"allowed page that asks blindly", "POST", "/eSCL/ScanJobs", append([]string{"Origin", shop, "Sec-Fetch-Mode", "no-cors"}, cross...), http.StatusForbidden, ""},
		{"preflight of a foreign page", "OPTIONS", "/eSCL/ScanJobs/1", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "DELETE"}, http.StatusForbidden, ""},
		{"preflight of null", "OPTIONS", "/eSCL/ScanJobs/1", []string{"Origin", "null", "Access-Control-Request-Method", "DELETE"}, http.StatusForbidden, ""},
	} {
		d := newDoor(t)
		r := neighbourRequest(tt.method, tt.path)
		for i := 0; i < len(tt.header); i += 2 {
			r.Header.Set(tt.header[i], tt.header[i+1])
		}
		w := accesstest.Do(d.handler, r)
		if w.Code != tt.status || d.passed == 1 != (tt.status == http.StatusCreated) {
			t.Errorf("%s: status %d, want %d (%s)", tt.name, w.Code, tt.status, strings.TrimSpace(w.Body.String()))
		}
		if tt.echo == "" {
			checkClosed(t, tt.name, w)
		} else if h := w.Header(); h.Get("Access-Control-Allow-Origin") != tt.echo || h.Get("Access-Control-Expose-Headers") != "Content-Location, Location" ||
			h.Get("Access-Control-Allow-Credentials") != "" || h.Get("Vary") != "Origin" {
			t.Errorf("%s: headers %v, want those for %s", tt.name, h, tt.echo)
		}
		if tt.status == http.StatusForbidden && (w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Body.Len() < 20) {
			t.Errorf("%s: %q of type %q, want a sentence", tt.name, w.Body, w.Header().Get("Content-Type"))
		}
	}
	d := newDoor(t)
	r := neighbourRequest("GET", "/")
	r.Header["Origin"] = []string{shop, "https://evil.example"}
	wantStatus(t, accesstest.Do(d.handler, r), http.StatusForbidden)
	d.Origins = nil
	r.Header["Origin"] = []string{shop}
	wantStatus(t, accesstest.Do(d.handler, r), http.StatusForbidden)
}

func TestNeighboursPreflight(t *testing.T) {
	for _, network := range []string{"", "Private", "Local"} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			d := newDoor(t)
			r := neighbourRequest("OPTIONS", "/eSCL/ScanJobs/1")
			r.Header.Set("Origin", shop)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Mode", "cors")
			r.Header.Set("Access-Control-Request-Method", method)
			if network != "" {
				r.Header.Set("Access-Control-Request-"+network+"-Network", "true")
			}
			w := accesstest.Do(d.handler, r)
			h := w.Header()
			if w.Code != http.StatusNoContent || w.Body.Len() > 0 || d.passed != 0 {
				t.Errorf("preflight for %s: status %d, %q", method, w.Code, w.Body)
			}
			if h.Get("Access-Control-Allow-Origin") != shop || !slices.Contains(strings.Split(h.Get("Access-Control-Allow-Methods"), ", "), method) ||
				!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Content-Type") || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("preflight for %s: headers %v", method, h)
			}
			for _, n := range []string{"Private", "Local"} {
				if got := h.Get("Access-Control-Allow-"+n+"-Network") == "true"; got != (n == network) {
					t.Errorf("preflight over %q: Access-Control-Allow-%s-Network is there: %v", network, n, got)
				}
			}
		}
	}
	d := newDoor(t)
	wantStatus(t, accesstest.Do(d.handler, neighbourRequest("OPTIONS", "/eSCL/ScanJobs")), http.StatusCreated) // no browser: the service's own business
}

func TestNeighboursOverTLS(t *testing.T) {
	d := newDoor(t)
	r := neighbourRequest("POST", "/eSCL/ScanJobs")
	r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	r.Header.Set("Origin", "https://192.0.2.10:18630")
	wantStatus(t, accesstest.Do(d.handler, r), http.StatusCreated)
	r.Header.Set("Origin", "http://192.0.2.10:18630")
	wantStatus(t, accesstest.Do(d.handler, r), http.StatusForbidden)
}

// FuzzNeighbours never lets in what the tables forbid, whatever the headers.
func FuzzNeighbours(f *testing.F) {
	for _, row := range hostTable {
		f.Add(row.host, "", "", "192.0.2.77:1")
	}
	for _, row := range originTable {
		f.Add("192.0.2.10:18630", row.origin[0], "cross-site", "192.0.2.77:1")
	}
	f.Add("192.0.2.10", shop, "", "[::ffff:192.0.2.77]:1")
	f.Add("192.0.2.10", shop, "cross-site", "198.51.100.7:1")
	f.Fuzz(func(t *testing.T, host, origin, site, peer string) {
		d := newDoor(t)
		r := neighbourRequest("POST", "/eSCL/ScanJobs")
		r.Host, r.RemoteAddr = host, peer
		if origin != "" {
			r.Header["Origin"] = []string{origin}
		}
		if site != "" {
			r.Header["Sec-Fetch-Site"] = []string{site}
		}
		w := accesstest.Do(d.handler, r)
		if w.Code != http.StatusCreated {
			checkClosed(t, "a refusal", w)
			return
		}
		ours := []string{"http://192.0.2.10:18630", "http://platen-aaaaaaaa.local:18630", "http://scan.example.com:18630", "http://forwarded.example.com"}
		name, _, _ := net.SplitHostPort(peer)
		if from, err := netip.ParseAddr(name); err != nil || !inOffice(from.Unmap()) {
			t.Errorf("peer %q is let in", peer)
		}
		if !slices.Contains([]string{"192.0.2.10", "platen-aaaaaaaa.local", "scan.example.com", "forwarded.example.com"}, strings.ToLower(nameIn(host))) {
			t.Errorf("Host %q is let in", host)
		}
		if echo := w.Header().Get("Access-Control-Allow-Origin"); echo != "" && (echo != origin || echo != shop && echo != accesstest.DeskOrigin) {
			t.Errorf("Origin %q may read: %q", origin, echo)
		} else if echo == "" && origin != "" && !slices.Contains(ours, origin) {
			t.Errorf("Origin %q is let in", origin)
		}
		if site != "" && site != "none" && site != "same-origin" {
			t.Errorf("Sec-Fetch-Site %q is let in without its mode", site)
		}
	})
}

func inOffice(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	for _, l := range office() {
		for _, p := range l {
			if p.Addr() == a.WithZone("") {
				return true
			}
		}
	}
	return slices.ContainsFunc(office()[1], func(p netip.Prefix) bool { return p.Masked().Contains(a.WithZone("")) })
}

// nameIn is a host without its port and the dot at its end.
func nameIn(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ".")
}
