//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/testenv"
)

const multicast = "224.0.0.251:5353"

// odd is a name with all that names of instances have and names of hosts have not.
const odd = "Büro (2. OG) [links], Fr. Müller-Ö"

func ours() []discovery.Record {
	escl := map[string]string{"txtvers": "1", "rs": "eSCL", "ty": "Virtual scanner", "note": "ground floor", "UUID": "5f0c2f4e-8c1b-8d2a-9d3e-0123456789ab"}
	return []discovery.Record{
		{Type: discovery.TypeNode, Name: "Platen node1", Port: 18623, Text: map[string]string{"txtvers": "1", "id": "k7x2b4qd", "api": "1", "joined": "F"}},
		{Type: discovery.TypeGateway, Name: "Gateway. Main", Port: 18603, Text: map[string]string{"txtvers": "1", "id": "gw", "fp": "0123abcd"}},
		{Type: discovery.TypeScanner, Name: odd, Port: 18630, Text: escl},
		{Type: discovery.TypeSecureScanner, Name: odd, Port: 18631, Text: escl},
	}
}

// desks are a network with a node, a desk computer with Avahi, and one more.
type desks struct {
	lab               *testenv.Lab
	node, desk, third *testenv.Host
	addr, addr6       []string // in this order
}

func newDesks(t *testing.T) *desks {
	t.Helper()
	lab := testenv.NewLab(t)
	d := &desks{lab: lab, node: lab.Host("node"), desk: lab.Host("desk"), third: lab.Host("third")}
	d.addr, d.addr6 = lab.NetworkV6(d.node, d.desk, d.third)
	d.desk.Avahi(t)
	return d
}

func TestDiscovery(t *testing.T) {
	d := newDesks(t)
	stream := testenv.Start(t, "avahi-browse", d.desk.Command(context.Background(), "avahi-browse", "-rpk", discovery.TypeScanner))
	begin := time.Now()
	us := startPeer(t, d.node, "platen-node1")
	us.announce(ours()...)
	stream.Await(`^=;eth0;IPv4;.*;18630;`, 15*time.Second)
	t.Logf("from the start of the process to the scanner resolved by avahi-browse: %v", time.Since(begin).Round(time.Millisecond))
	us.settles("all records are announced", func(got []discovery.Record) bool { return len(got) == 4 })
	beside := startPeer(t, d.desk, "platen-desk") // on one host with Avahi

	t.Run("avahi sees all", func(t *testing.T) { avahiSeesAll(t, d) })
	t.Run("one answer", func(t *testing.T) { oneAnswer(t, d) })
	t.Run("browser", func(t *testing.T) {
		for name, p := range map[string]*peer{"on another host": beside, "on its own host": us} {
			p.sees("all four records, by the browser "+name, func(got []discovery.Record) bool {
				for _, want := range ours() {
					if !slices.ContainsFunc(got, func(r discovery.Record) bool {
						return sameService(r, want) && r.Host == "platen-node1.local" && slices.Contains(r.Addrs, netip.MustParseAddr(d.addr[0]))
					}) {
						return false
					}
				}
				return len(got) == 4
			})
		}
	})
	t.Run("avahi-publish", func(t *testing.T) {
		seesOthers(t, us, beside, func(t *testing.T) *testenv.Process {
			p, _ := d.desk.AvahiPublish(t, others.Name, others.Type, int(others.Port), "ty=Other", "note=cellar")
			return p
		})
	})
	t.Run("python3-zeroconf", func(t *testing.T) {
		seesOthers(t, us, beside, func(t *testing.T) *testenv.Process {
			return d.third.Zeroconf(t, others.Name, others.Type, d.addr[2], int(others.Port), "ty=Other", "note=cellar")
		})
	})
	t.Run("conflicts", func(t *testing.T) { conflicts(t, d, us, beside) })
	t.Run("cable", func(t *testing.T) { cable(t, d, us) })
	t.Run("goodbye", func(t *testing.T) {
		stream := testenv.Start(t, "avahi-browse", d.desk.Command(context.Background(), "avahi-browse", "-rpk", discovery.TypeScanner))
		stream.Await(`^=;eth0;IPv4;.*;18630;`, 15*time.Second)
		begin := time.Now()
		us.Signal(syscall.SIGTERM)
		stream.Await(`^-;eth0;IPv4;B`, 10*time.Second)
		t.Logf("from SIGTERM to removed by avahi-browse: %v", time.Since(begin).Round(time.Millisecond))
		if err := us.Wait(5 * time.Second); err != nil {
			t.Errorf("the peer ended with %v", err)
		}
		beside.sees("nothing", func(got []discovery.Record) bool { return len(got) == 0 })
	})
}

func sameService(a, b discovery.Record) bool {
	return a.Type == b.Type && a.Name == b.Name && a.Port == b.Port && fmt.Sprint(lower(a.Text)) == fmt.Sprint(lower(b.Text))
}

func lower(text map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range text {
		out[strings.ToLower(k)] = v
	}
	return out
}

func avahiSeesAll(t *testing.T, d *desks) {
	for _, want := range ours() {
		var text []string
		for k, v := range want.Text {
			text = append(text, k+"="+v)
		}
		slices.Sort(text)
		got := d.desk.AvahiBrowse(t, want.Type)
		if len(got) != 2 {
			t.Errorf("avahi-browse %s: %+v, want one by IPv4 and one by IPv6", want.Type, got)
			continue
		}
		for i, f := range got {
			addr := []string{d.addr[0], d.addr6[0]}
			if f.Name != want.Name || f.Port != int(want.Port) || f.Host != "platen-node1.local" || !slices.Contains(addr, f.Addr) || f.V6 != (i == 1) || !slices.Equal(f.Text, text) {
				t.Errorf("avahi-browse %s: %+v, want %+v at one of %v", want.Type, f, want, addr)
			}
		}
	}
}

// asks sends a question from a host to all and collects the answers from another for a while.
func asks(t *testing.T, on *testenv.Host, card, from, name string) []*dns.Msg {
	t.Helper()
	conn := on.ListenMulticast(card, multicast)
	defer conn.Close()
	send(t, conn, &dns.Msg{Question: []dns.Question{{Name: name, Qtype: dns.TypePTR, Qclass: dns.ClassINET}}})
	conn.SetReadDeadline(time.Now().Add(1500 * time.Millisecond))
	var got []*dns.Msg
	buf := make([]byte, 9000)
	for {
		n, at, err := conn.ReadFromUDP(buf)
		if err != nil {
			return got
		}
		if m := new(dns.Msg); at.IP.String() == from && m.Unpack(buf[:n]) == nil && m.Response {
			got = append(got, m)
		}
	}
}

func send(t testing.TB, conn *net.UDPConn, m *dns.Msg) {
	t.Helper()
	data, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	sendRaw(t, conn, data)
}

func sendRaw(t testing.TB, conn *net.UDPConn, data []byte) {
	t.Helper()
	if _, err := conn.WriteToUDPAddrPort(data, netip.MustParseAddrPort(multicast)); err != nil {
		t.Fatal(err)
	}
}

// types are how many records of each type a message has in its answer, and beside it.
func types(m *dns.Msg) string {
	count := map[string]int{}
	for i, section := range [][]dns.RR{m.Answer, m.Extra} {
		for _, rr := range section {
			count[[]string{"", "+"}[i]+dns.TypeToString[rr.Header().Rrtype]]++
		}
	}
	return fmt.Sprint(count)
}

func oneAnswer(t *testing.T, d *desks) {
	got := asks(t, d.third, "eth0", d.addr[0], discovery.TypeScanner+".local.")
	if len(got) == 0 || len(got) > 2 { // two if somebody else has just asked
		t.Fatalf("%d packets answer one question, want 1", len(got))
	}
	for _, m := range got {
		if has, want := types(m), "map[+A:1 +AAAA:1 +NSEC:2 +SRV:1 +TXT:1 PTR:1]"; has != want {
			t.Errorf("answer has %s, want %s", has, want)
		}
	}
}

// others has no dot in its name: python3-zeroconf makes two labels of it.
var others = discovery.Record{Type: discovery.TypeScanner, Name: "Other's ünit (1)", Port: 8080, Text: map[string]string{"ty": "Other", "note": "cellar"}}

// seesOthers lets another program announce, and both browsers see that and its end.
func seesOthers(t *testing.T, us, beside *peer, publish func(t *testing.T) *testenv.Process) {
	p := publish(t)
	has := func(got []discovery.Record) bool {
		return slices.ContainsFunc(got, func(r discovery.Record) bool { return sameService(r, others) && len(r.Addrs) > 0 })
	}
	us.sees("the other's service", has)
	beside.sees("the other's service, beside avahi", has)
	p.Signal(syscall.SIGTERM)
	gone := func(got []discovery.Record) bool {
		return !slices.ContainsFunc(got, func(r discovery.Record) bool { return r.Name == others.Name })
	}
	us.sees("the end of the other's service", gone)
	beside.sees("the end of the other's service, beside avahi", gone)
}

func announcedAs(typ, name string) func([]discovery.Record) bool {
	return func(got []discovery.Record) bool {
		return slices.ContainsFunc(got, func(r discovery.Record) bool { return r.Type == typ && r.Name == name })
	}
}

// conflicts: whoever comes second gets another name, whichever of the two programs he is.
func conflicts(t *testing.T, d *desks, us, beside *peer) {
	theirs, got := d.desk.AvahiPublish(t, "Reception", discovery.TypeScanner, 9999)
	if got != "Reception" {
		t.Fatalf("avahi-publish got the name %q", got)
	}
	mine := discovery.Record{Type: discovery.TypeScanner, Name: "Reception", Port: 18632}
	us.announce(append(ours(), mine)...)
	us.settles("Reception (2)", announcedAs(mine.Type, "Reception (2)"))
	beside.announce(mine)
	beside.settles("Reception (3), beside avahi", announcedAs(mine.Type, "Reception (3)"))
	var names []string
	for _, f := range d.desk.AvahiBrowse(t, discovery.TypeScanner) {
		if !f.V6 && f.Interface == "eth0" && strings.HasPrefix(f.Name, "Reception") {
			names = append(names, fmt.Sprint(f.Name, ":", f.Port))
		}
	}
	if want := []string{"Reception:9999", "Reception (2):18632", "Reception (3):18632"}; !slices.Equal(names, want) {
		t.Errorf("avahi-browse lists %q, want %q", names, want)
	}
	theirs.Signal(syscall.SIGTERM)
	beside.announce()
	beside.settles("nothing", func(got []discovery.Record) bool { return len(got) == 0 })

	second, got := d.desk.AvahiPublish(t, odd, discovery.TypeScanner, 9998)
	if got == odd {
		t.Errorf("avahi-publish got our name %q", got)
	}
	if !announcedAs(discovery.TypeScanner, odd)(us.announced()) {
		t.Errorf("we announce %v, want to keep %q", us.announced(), odd)
	}
	second.Signal(syscall.SIGTERM)
	us.announce(ours()...)
	us.settles("four", func(got []discovery.Record) bool { return len(got) == 4 })
}

// cable: a cable that is out and in again, a new card with another network, an address
// that changes, a card that goes.
func cable(t *testing.T, d *desks, us *peer) {
	d.node.Unplug("eth0")
	us.settles("nothing without a network", func(got []discovery.Record) bool { return len(got) == 0 })
	begin := time.Now()
	d.node.Plug("eth0")
	us.settles("all again", func(got []discovery.Record) bool { return len(got) == 4 })
	t.Logf("from the cable plugged in to announced: %v", time.Since(begin).Round(time.Millisecond))
	if got := asks(t, d.third, "eth0", d.addr[0], discovery.TypeNode+".local."); len(got) == 0 {
		t.Error("after the cable is in again no question is answered")
	}

	second, _ := d.lab.NetworkV6(d.third, d.node)
	at := func(addrs ...string) func([]discovery.Record) bool {
		return func(got []discovery.Record) bool {
			if len(got) != 4 {
				return false
			}
			var v4 []string
			for _, a := range got[0].Addrs {
				if a.Is4() {
					v4 = append(v4, a.String())
				}
			}
			slices.Sort(v4)
			slices.Sort(addrs)
			return slices.Equal(v4, addrs)
		}
	}
	us.settles("addresses of both networks", at(d.addr[0], second[1]))
	for card, addr := range map[string]string{"eth0": d.addr[0], "eth1": second[1]} {
		got := asks(t, d.third, card, addr, discovery.TypeNode+".local.")
		if len(got) == 0 {
			t.Errorf("no answer on %s", card)
		}
		for _, m := range got {
			for _, rr := range m.Extra {
				if a, ok := rr.(*dns.A); ok && a.A.String() != addr {
					t.Errorf("on %s address %v is told, want %s", card, a.A, addr)
				}
			}
		}
	}
	d.node.Run("ip", "addr", "add", "10.99.0.1/24", "dev", "eth1")
	d.node.Run("ip", "addr", "del", second[1]+"/24", "dev", "eth1")
	us.settles("the new address", at(d.addr[0], "10.99.0.1"))
	d.node.Run("ip", "link", "del", "eth1")
	us.settles("the first network only", at(d.addr[0]))
}

// Another host sends all the nonsense that it can. The list of the browser stays within
// its limit and keeps the honest record, and none of us works much.
func TestDiscoveryStorm(t *testing.T) {
	const length = 5 * time.Second
	lab := testenv.NewLab(t)
	node, desk, third := lab.Host("node"), lab.Host("desk"), lab.Host("third")
	addr, _ := lab.NetworkV6(node, desk, third)
	us, beside := startPeer(t, node, "platen-node1"), startPeer(t, desk, "platen-desk")
	us.announce(ours()...)
	beside.sees("all four records", func(got []discovery.Record) bool { return len(got) == 4 })
	conn := third.ListenMulticast("eth0", multicast)
	begin, before, beforeUs := time.Now(), beside.cpu(), us.cpu()
	sent := 0
	for time.Since(begin) < length {
		fake := &dns.Msg{}
		fake.Response = true
		name := fmt.Sprintf("Fake\\032%d._uscan._tcp.local.", sent)
		h := func(name string, t uint16, ttl uint32) dns.RR_Header {
			return dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassINET, Ttl: ttl}
		}
		fake.Answer = []dns.RR{
			&dns.PTR{Hdr: h("_uscan._tcp.local.", dns.TypePTR, 4500), Ptr: name},
			&dns.SRV{Hdr: h(name, dns.TypeSRV, 120), Port: 80, Target: "fake.local."},
			&dns.TXT{Hdr: h(name, dns.TypeTXT, 4500), Txt: []string{"rs=eSCL"}},
			&dns.A{Hdr: h("fake.local.", dns.TypeA, 120), A: net.ParseIP(addr[2])},
		}
		send(t, conn, fake)
		goodbye := &dns.Msg{}
		goodbye.Response = true
		for _, o := range us.announced() {
			if o.Type == discovery.TypeNode { // a false goodbye for an honest record
				goodbye.Answer = append(goodbye.Answer, &dns.PTR{Hdr: h(o.Type+".local.", dns.TypePTR, 0), Ptr: strings.ReplaceAll(o.Name, " ", `\032`) + "." + o.Type + ".local."})
			}
		}
		send(t, conn, goodbye)
		send(t, conn, &dns.Msg{Question: []dns.Question{{Name: "_uscan._tcp.local.", Qtype: dns.TypePTR, Qclass: dns.ClassINET}}})
		sendRaw(t, conn, append([]byte("\x00\x00\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00\xc0\x0c"), make([]byte, sent%1400)...))
		if sent++; sent%50 == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	took := time.Since(begin)
	cpu, cpuUs := beside.cpu()-before, us.cpu()-beforeUs
	t.Logf("%d packets in %v; CPU of the peers: %v and %v", 4*sent, took.Round(time.Millisecond), cpu, cpuUs)
	if sent < 1000 {
		t.Errorf("only %d fake records were sent", sent)
	}
	if limit := took / 3; cpu > limit || cpuUs > limit {
		t.Errorf("CPU of the peers %v and %v in %v, want at most %v", cpu, cpuUs, took, limit)
	}
	if got := us.announced(); len(got) != 4 || !announcedAs(discovery.TypeScanner, odd)(got) {
		t.Errorf("after the storm %v is announced", got)
	}
	beside.sees("the honest node, and not more scanners than the limit", func(got []discovery.Record) bool {
		scanners := 0
		for _, r := range got {
			if r.Type == discovery.TypeScanner {
				scanners++
			}
		}
		return announcedAs(discovery.TypeNode, "Platen node1")(got) && announcedAs(discovery.TypeScanner, odd)(got) && scanners <= discovery.MaxSeen
	})
}
