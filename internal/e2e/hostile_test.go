//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/scan"
)

// trap is a port of the attacker to which records of a type lead.
type trap struct {
	port uint16
	met  atomic.Int32 // connections
}

// openTraps opens one for every type.
func openTraps(on *testenv.Host) map[string]*trap {
	traps := map[string]*trap{}
	for i, typ := range everyType {
		tr := &trap{port: uint16(7001 + i)}
		l := on.Listen(fmt.Sprintf("0.0.0.0:%d", tr.port))
		go func() { // ends with the listener
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				tr.met.Add(1)
				c.Close()
			}
		}()
		traps[typ] = tr
	}
	return traps
}

// attacker is a computer of the network with many addresses, and a second one with that of
// the node.
type attacker struct {
	t      testing.TB
	addrs  []string
	conns  []net.PacketConn // one at each
	asNode net.PacketConn   // sends from the node's address
	traps  map[string]*trap
	sent   int
}

func newAttacker(t testing.TB, on, mask *testenv.Host, own, node string) *attacker {
	t.Helper()
	a := &attacker{t: t, addrs: []string{own}, traps: openTraps(on)}
	for i := range 30 {
		a.addrs = append(a.addrs, fmt.Sprintf("10.78.1.%d", 100+i))
	}
	for _, addr := range a.addrs[1:] {
		on.Run("ip", "addr", "add", addr+"/24", "dev", "eth0")
	}
	for _, addr := range a.addrs {
		a.conns = append(a.conns, on.ListenPacket(addr+":5353"))
	}
	// It does not answer for the node's address: the node still is reached.
	mask.Run("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
	mask.Run("ip", "addr", "add", node+"/32", "dev", "lo")
	a.asNode = mask.ListenPacket(node + ":5353")
	index, err := strconv.Atoi(strings.TrimSpace(mask.Run("cat", "/sys/class/net/eth0/ifindex")))
	if err != nil {
		t.Fatal(err)
	}
	if err := ipv4.NewPacketConn(a.asNode).SetMulticastInterface(&net.Interface{Index: index}); err != nil {
		t.Fatal(err)
	}
	return a
}

// say sends from one of its addresses after the other.
func (a *attacker) say(data []byte) { a.sendOn(a.conns[a.sent%len(a.conns)], data) }

func (a *attacker) sendOn(c net.PacketConn, data []byte) {
	if _, err := c.WriteTo(data, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(multicast))); err != nil {
		a.t.Error(err)
	}
	a.sent++
}

func rrHeader(name string, typ uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: typ, Class: dns.ClassINET, Ttl: ttl}
}

// packed is an answer with these records.
func packed(t testing.TB, rrs ...dns.RR) []byte {
	t.Helper()
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}, Answer: rrs}
	data, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// instance is a service's name as DNS writes it.
func instanceOf(name, typ string) string {
	return strings.NewReplacer(" ", `\032`, ".", `\.`, "(", `\(`, ")", `\)`).Replace(name) + "." + typ + ".local."
}

// lie announces a service at the trap of its type.
func (a *attacker) lie(typ, name, addr string, text ...string) []byte {
	full, host := instanceOf(name, typ), fmt.Sprintf("lie%d.local.", a.sent)
	return packed(a.t,
		&dns.PTR{Hdr: rrHeader(typ+".local.", dns.TypePTR, 4500), Ptr: full},
		&dns.SRV{Hdr: rrHeader(full, dns.TypeSRV, 120), Port: a.traps[typ].port, Target: host},
		&dns.TXT{Hdr: rrHeader(full, dns.TypeTXT, 4500), Txt: append([]string{"txtvers=1"}, text...)},
		&dns.A{Hdr: rrHeader(host, dns.TypeA, 120), A: net.ParseIP(addr)})
}

// fake is the nth of many services that are not there.
func (a *attacker) fake(n int) []byte {
	typ := everyType[n%len(everyType)]
	id := []byte("aaaaaaaaaaaaaaaa")
	for i, rest := 0, n; rest > 0; i, rest = i+1, rest/26 {
		id[i] += byte(rest % 26)
	}
	text := []string{"id=" + string(id), "api=1", fmt.Sprintf("fp=%08x", n), "joined=F"}
	if typ == discovery.TypeScanner || typ == discovery.TypeSecureScanner {
		text = []string{"rs=eSCL", "ty=Fake", "UUID=5f0c2f4e-8c1b-8d2a-9d3e-0123456789ab"}
	}
	return a.lie(typ, fmt.Sprintf("Fake %d", n), a.addrs[n%len(a.addrs)], text...)
}

// goodbyes say in a service's name that it has ended.
func (a *attacker) goodbyes(services []testenv.Found) {
	for _, f := range services {
		full := instanceOf(f.Name, f.Type)
		data := packed(a.t,
			&dns.PTR{Hdr: rrHeader(f.Type+".local.", dns.TypePTR, 0), Ptr: full},
			&dns.SRV{Hdr: rrHeader(full, dns.TypeSRV, 0), Port: uint16(f.Port), Target: f.Host + "."},
			&dns.TXT{Hdr: rrHeader(full, dns.TypeTXT, 0), Txt: []string{""}},
			&dns.A{Hdr: rrHeader(f.Host+".", dns.TypeA, 0), A: net.ParseIP(f.Addr)})
		a.say(data)
		a.sendOn(a.asNode, data)
	}
}

// nonsense is a packet that is none, of many kinds.
func (a *attacker) nonsense(n int) []byte {
	data := make([]byte, 12+n%1400)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	switch n % 4 {
	case 0: // counts that promise much
		binary.BigEndian.PutUint16(data[2:], 0x8400)
		binary.BigEndian.PutUint16(data[6:], 0xffff)
	case 1: // a name that points at itself
		copy(data, "\x00\x00\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00\xc0\x0c")
	case 2: // an honest beginning
		fake := a.fake(n)
		copy(data, fake[:len(fake)/2])
	case 3: // too short
		data = data[:n%12]
	}
	return data
}

// storm sends all of that, and one lie again and again, until ctx ends.
func (a *attacker) storm(ctx context.Context, lie []byte, services []testenv.Found) (fakes int) {
	for ctx.Err() == nil {
		a.say(a.fake(fakes))
		a.say(a.nonsense(fakes))
		if fakes++; fakes%10 == 0 {
			a.say(lie)
			time.Sleep(5 * time.Millisecond)
		}
		if fakes%100 == 0 {
			a.goodbyes(services)
		}
	}
	return fakes
}

// cpuOf is the processor time that a process has used, without its children.
func cpuOf(t testing.TB, p *testenv.Process) time.Duration {
	t.Helper()
	return (&peer{Process: p, t: t}).cpu()
}

// While somebody on the network does all the harm that he can, scans go on, the node is
// seen as before, and nothing connects to where his records lead.
func TestHostileNetwork(t *testing.T) {
	lab := testenv.NewLab(t)
	nodeHost, gateHost, desk, evil, mask := lab.Host("node"), lab.Host("gateway"), lab.Host("desk"), lab.Host("evil"), lab.Host("mask")
	router, far := lab.Host("router"), lab.Host("far")
	addr := lab.Network(nodeHost, gateHost, desk, evil, router, mask)
	farAddr := lab.Network(far, router)
	router.Run("sysctl", "-qw", "net.ipv4.ip_forward=1")
	far.Run("ip", "route", "add", "10.78.1.0/24", "via", farAddr[1])
	nodeHost.Run("ip", "route", "add", "10.78.2.0/24", "via", addr[4])
	desk.Avahi(t)

	gateway := startService(t, gateHost, t.TempDir(), []string{"PLATEN_GATEWAY_NAME=Gateway"}, "gateway")
	gateway.Await(testenv.PhoneLine, testenv.StartTimeout)
	honest := avahiSees(t, desk, discovery.TypeGateway)[0]
	word := func(key string) string {
		i := slices.IndexFunc(honest.Text, func(s string) bool { return strings.HasPrefix(s, key+"=") })
		return honest.Text[max(i, 0)]
	}
	a := newAttacker(t, evil, mask, addr[3], addr[0])
	impostor := a.lie(discovery.TypeGateway, "Gateway", addr[3], word(discovery.TextID), word(discovery.TextAPI), "fp=00000000")
	before, done := context.WithCancel(t.Context())
	first := make(chan struct{})
	go func() { // is there from the beginning
		defer close(first)
		for before.Err() == nil {
			a.say(impostor)
			time.Sleep(50 * time.Millisecond)
		}
	}()

	data := t.TempDir()
	ini := filepath.Join(data, "platen.ini")
	configure := func(escl string) {
		if err := os.WriteFile(ini, []byte("[node]\nDrivers=virtual\nExternal=TRUE\n[bonjour]\nName=Honest node\n[escl]\nEnable=TRUE\n"+escl), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure("")
	node := startService(t, nodeHost, data, nil, "node")
	node.Await(testenv.ReadyLine, testenv.StartTimeout)
	node.Await(`there are several, so none is asked`, testenv.StartTimeout)
	client := newESCLClient(t, desk, addr[0], testenv.ESCLPort)
	client.ready(t)
	var services []testenv.Found
	for _, typ := range []string{discovery.TypeNode, discovery.TypeScanner, discovery.TypeSecureScanner} {
		services = append(services, avahiSees(t, desk, typ)...)
	}
	done()
	<-first

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	fakes := make(chan int, 1)
	begin, cpuBefore := time.Now(), cpuOf(t, node.Process)
	go func() { fakes <- a.storm(ctx, impostor, services) }()
	own := scanBeside(t, node, "--source adf -r 100 --option sheets=6")
	awaitJobs(t, node, "the scan has begun", begun(1))

	t.Run("requests", func(t *testing.T) { hostileRequests(t, node, client, newESCLClient(t, far, addr[0], testenv.ESCLPort)) })
	pages, job, err := client.pages(sheets)
	if err != nil || len(pages) != 5 {
		t.Errorf("by eSCL %d pages came, %v; want 5", len(pages), err)
	}
	if err := own.Wait(20 * time.Second); err != nil {
		t.Errorf("platen scan: %v", err)
	}
	if jobs := jobsOn(t, node); len(jobs) != 2 || jobs[0].Pages != 6 || jobs[1].Pages != 5 {
		t.Errorf("jobs are %+v, want two with 6 and 5 pages", jobs)
	}
	if err := client.delete(job); err != nil {
		t.Error(err)
	}
	took, cpu := time.Since(begin), cpuOf(t, node.Process)-cpuBefore
	stop()
	n := <-fakes
	t.Logf("%d packets with %d fake records in %v, CPU of the node with two scans: %v", a.sent, n, took.Round(time.Millisecond), cpu)
	if n < 1000 {
		t.Errorf("only %d fake records were sent", n)
	}
	if cpu > took/2 {
		t.Errorf("the node used %v of %v, want at most half", cpu, took)
	}

	t.Run("seen as before", func(t *testing.T) {
		for _, want := range services {
			t.Run(want.Type, func(t *testing.T) {
				t.Parallel() // each takes as long as it tries to resolve what is not there
				if got := desk.AvahiBrowse(t, want.Type); !slices.ContainsFunc(got, func(f testenv.Found) bool {
					return !f.V6 && f.Name == want.Name && f.Port == want.Port && f.Addr == want.Addr && slices.Equal(f.Text, want.Text)
				}) {
					t.Errorf("avahi-browse does not list %+v any more", want)
				}
			})
		}
	})
	t.Run("nothing connects", func(t *testing.T) {
		for typ, tr := range a.traps {
			if met := tr.met.Load(); met != 0 {
				t.Errorf("%d connections were made to where records of %s lead", met, typ)
			}
		}
		if list := cli[[]scan.Node](t, gateway, "gateway", "nodes", "--json"); len(list) != 0 {
			t.Errorf("the gateway was asked, among hundreds: %+v", list)
		}
		if c, err := nodeHost.Dial(t.Context(), "tcp", fmt.Sprintf("%s:%d", a.addrs[1], a.traps[discovery.TypeNode].port)); err != nil {
			t.Errorf("the traps do not work: %v", err)
		} else {
			c.Close()
		}
	})
	t.Run("allowed networks", func(t *testing.T) {
		away := newESCLClient(t, far, addr[0], testenv.ESCLPort)
		configure("Allow=10.78.2.0/24\n")
		away.ready(t)
		if pages, job, err := away.pages(one); err != nil || len(pages) != 1 {
			t.Errorf("an allowed computer behind a router got %d pages, %v", len(pages), err)
		} else if err := away.delete(job); err != nil {
			t.Error(err)
		}
		if res, _, err := client.send(http.MethodGet, client.root+"/ScannerStatus", nil, nil); err != nil || res.StatusCode != http.StatusForbidden {
			t.Errorf("a neighbour who is not allowed: %+v, %v; want 403", res, err)
		}
	})
}

// hostileRequests are those that web pages and computers of other networks make.
func hostileRequests(t *testing.T, node *service, near, far *esclClient) {
	order := one.XML()
	post := func(header http.Header) http.Header {
		header.Set("Content-Type", "text/plain") // which a browser sends without asking
		return header
	}
	before := len(jobsOn(t, node))
	for _, tt := range []struct {
		name   string
		by     *esclClient
		method string
		path   string
		header http.Header
		want   int
	}{
		{"a name that was made to lead here", near, http.MethodGet, "/ScannerStatus", http.Header{"Host": {"evil.example:18630"}}, 421},
		{"the same, a scan", near, http.MethodPost, "/ScanJobs", post(http.Header{"Host": {"evil.example"}}), 421},
		{"a page of another site", near, http.MethodPost, "/ScanJobs", post(http.Header{"Origin": {"https://evil.example"}}), 403},
		{"a sandboxed page", near, http.MethodPost, "/ScanJobs", post(http.Header{"Origin": {"null"}}), 403},
		{"a form of another site", near, http.MethodPost, "/ScanJobs", post(http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"no-cors"}}), 403},
		{"a picture of another site", near, http.MethodGet, "/ScannerStatus", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"no-cors"}}, 403},
		{"a preflight", near, http.MethodOptions, "/ScanJobs", http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"POST"}}, 403},
		{"behind a router", far, http.MethodGet, "/ScannerStatus", nil, 403},
		{"behind a router, a scan", far, http.MethodPost, "/ScanJobs", nil, 403},
		{"behind a router, by a header", far, http.MethodGet, "/ScannerStatus", http.Header{"X-Forwarded-For": {"127.0.0.1"}, "Forwarded": {"for=127.0.0.1"}}, 403},
	} {
		body := order
		if tt.method != http.MethodPost {
			body = nil
		}
		res, answer, err := tt.by.send(tt.method, tt.by.root+tt.path, tt.header, body)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if res.StatusCode != tt.want || res.Header.Get("Access-Control-Allow-Origin") != "" || res.Header.Get("Location") != "" || bytes.Contains(answer, []byte("<scan:")) {
			t.Errorf("%s: %s %v\n%s\nwant %d and nothing else", tt.name, res.Status, res.Header, answer, tt.want)
		}
	}
	if after := len(jobsOn(t, node)); after != before {
		t.Errorf("they made %d jobs", after-before)
	}
	if res, _, err := near.send(http.MethodGet, near.root+"/ScannerStatus", nil, nil); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("an honest neighbour: %+v, %v", res, err)
	}
}
