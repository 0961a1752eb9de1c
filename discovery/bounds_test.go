package discovery

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// check fails if a table is beyond its bounds, or counts wrong.
func check(t *testing.T, tab *Table) {
	t.Helper()
	entries, owned, types := 0, map[netip.Addr]int{}, map[string]int{}
	for _, l := range tab.links {
		for key := range l.instances {
			types[key.typ]++
		}
		l.each(func(s *set) {
			if len(s.values) > s.limit {
				t.Errorf("%d values in a set of %d", len(s.values), s.limit)
			}
			for _, v := range s.values {
				entries++
				owned[v.owner]++
			}
		})
	}
	if entries != tab.entries || entries > maxEntries {
		t.Errorf("%d entries, counted %d, at most %d", entries, tab.entries, maxEntries)
	}
	for who, n := range owned {
		if n != tab.owned[who] || n > maxOwned {
			t.Errorf("%d entries of %v, counted %d, at most %d", n, who, tab.owned[who], maxOwned)
		}
	}
	if len(owned) != len(tab.owned) {
		t.Errorf("%d senders, counted %d", len(owned), len(tab.owned))
	}
	for typ, n := range types {
		if n > MaxSeen {
			t.Errorf("%d instances of %s, at most %d", n, typ, MaxSeen)
		}
	}
	for _, r := range tab.List() {
		size := 0
		for k, v := range r.Text {
			size += len(k) + len(v)
		}
		if r.Name == "" || len(r.Name) > MaxName || !utf8.ValidString(r.Name) || strings.ContainsAny(r.Name, "\x00\n\u202e") ||
			len(r.Addrs) == 0 || len(r.Addrs) > MaxAddrs || size > MaxText || r.Port == 0 || r.Host == "" {
			t.Errorf("List() has %+v", r)
		}
		for _, a := range r.Addrs {
			if !Usable(a) || a.Is6() && a.IsLinkLocalUnicast() && a.Zone() != r.Interface {
				t.Errorf("List() has the address %v on %s", a, r.Interface)
			}
		}
	}
}

func honest(i int) []Entry {
	return all(fmt.Sprintf("Honest %d", i), fmt.Sprintf("h%d.local", i), fmt.Sprintf("192.0.2.%d", i+1))
}

// A storm of fakes, however many senders it has, leaves alone what is there; and one of a
// single sender leaves room for others.
func TestStorm(t *testing.T) {
	for _, senders := range []int{1, 2, 1000} {
		tab, c := table(TypeScanner)
		for i := range 10 {
			tell(tab, netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), honest(i)...)
		}
		for i := range 1000 {
			c.t = c.t.Add(time.Millisecond)
			from := netip.AddrFrom4([4]byte{10, 0, byte(i % senders >> 8), byte(i % senders)})
			tell(tab, from, all(fmt.Sprintf("Fake %d", i), fmt.Sprintf("f%d.local", i), "192.0.2.200")...)
		}
		check(t, tab)
		if senders < 3 {
			for i := 10; i < 20; i++ {
				tell(tab, netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), honest(i)...)
			}
			check(t, tab)
		}
		there := 0
		for _, r := range tab.List() {
			if strings.HasPrefix(r.Name, "Honest") {
				there++
			}
		}
		if want := map[bool]int{true: 20, false: 10}[senders < 3]; there != want {
			t.Errorf("%d senders of fakes: %d honest records, want %d", senders, there, want)
		}
	}
}

// One sender cannot fill what is known of somebody else's host.
func TestFullSet(t *testing.T) {
	tab, _ := table(TypeScanner)
	tell(tab, printer, ptr("Office (2)", time.Hour), srv("Office (2)", "p.local", 80, time.Hour), txt("Office (2)", time.Hour, "ty=x"))
	for i := range 40 {
		e := addr("p.local", fmt.Sprintf("192.0.2.%d", 100+i), time.Hour)
		e.Flush = false
		tell(tab, stranger, e)
	}
	tell(tab, printer, addr("p.local", "192.0.2.7", time.Hour))
	if got := tab.List()[0].Addrs; len(got) != MaxAddrs || got[0] != printer {
		t.Errorf("addresses: %v, want %v among %d", got, printer, MaxAddrs)
	}
	check(t, tab)
}

func TestOneSenderWithMuchToSay(t *testing.T) {
	tab, _ := table(TypeScanner)
	for i := range 100 {
		tell(tab, printer, all(fmt.Sprintf("Scanner %d", i), "p.local", "192.0.2.7")...)
	}
	check(t, tab)
	if got := len(tab.List()); got != MaxSeen {
		t.Errorf("%d records, want %d: there was nobody else", got, MaxSeen)
	}
}

func TestOneSenderOfEverything(t *testing.T) {
	types := []string{TypeScanner, TypeSecureScanner, TypeNode, TypeGateway, "_a._tcp", "_b._tcp"}
	tab, _ := table(types...)
	for i := range 100 * len(types) {
		one := all(fmt.Sprintf("Scanner %d", i), fmt.Sprintf("h%d.local", i), "192.0.2.7")
		for j := range one {
			one[j].Type = types[i%len(types)]
		}
		tell(tab, printer, one...)
	}
	check(t, tab)
	tell(tab, printer, ptr("one", time.Hour), ptr("two", time.Hour), ptr("three", time.Hour))
	check(t, tab)
	if tab.entries != maxOwned {
		t.Errorf("%d entries of one sender, want %d", tab.entries, maxOwned)
	}
}

func TestLongText(t *testing.T) {
	tab, _ := table(TypeScanner)
	long := []string{"ty=x"}
	for i := range 100 {
		long = append(long, fmt.Sprintf("k%d=%s", i, strings.Repeat("v", 240)))
	}
	tell(tab, printer, all("Office (2)", "p.local", "192.0.2.7")...)
	tell(tab, printer, txt("Office (2)", time.Hour, long...))
	tab.now = func() time.Time { return time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC) }
	tell(tab, printer, txt("Office (2)", time.Hour, long...), srv("Office (2)", "p.local", 80, time.Hour), addr("p.local", "192.0.2.7", time.Hour))
	check(t, tab)
	want(t, tab, "with a long text", seen)
}

func TestAdmit(t *testing.T) {
	tab, c := table(TypeScanner)
	tell(tab, printer, all("Office (2)", "p.local", "192.0.2.7")...)
	count := func(from netip.Addr) int {
		n := 0
		for range 1000 {
			if tab.Admit(from) {
				n++
			}
		}
		return n
	}
	if got := count(stranger); got != perSource {
		t.Errorf("%d packets of a stranger in a second, want %d", got, perSource)
	}
	total := perSource
	for i := range 100 {
		total += count(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	if total != forStrangers {
		t.Errorf("%d packets of strangers in a second, want %d", total, forStrangers)
	}
	if got := count(netip.MustParseAddr("::ffff:192.0.2.7")); got != perSource {
		t.Errorf("%d packets of a known sender amid a storm, want %d", got, perSource)
	}
	c.t = c.t.Add(time.Second)
	if got := count(stranger); got != perSource {
		t.Errorf("%d packets in the next second, want %d", got, perSource)
	}
}

// FuzzTable makes packets of bytes: whatever they are, the table stays within its bounds.
func FuzzTable(f *testing.F) {
	f.Add([]byte("\x01\x05\x01\x10name\x02\x05\x01\x10\x03\x05\x01\x10\x04\x05\x01\x10"))
	f.Add([]byte{1, 1, 1, 200, 0, 2, 1, 1, 200, 0, 3, 1, 1, 200, 0, 4, 1, 1, 200, 0, 1, 1, 2, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		tab, c := table(TypeScanner, TypeNode)
		types := []string{TypeScanner, TypeNode, "_USCAN._tcp", "_other._tcp"}
		names := []string{"a", "A", "b\x00", "\xff\xfe", strings.Repeat("ü", 40), "", "c\u202ed", string(data[:min(len(data), 70)])}
		hosts := []string{"p.local", "P.local", "q.local", "bad host", "", strings.Repeat("x", 300)}
		addrs := []string{"192.0.2.7", "fe80::1", "127.0.0.1", "2001:db8::1", "198.51.100.1", "169.254.169.254", "ff02::1"}
		for len(data) >= 5 {
			a := Answer{Interface: []string{"eth0", "wlan0", "gone0"}[int(data[0]>>4)%3], From: netip.AddrFrom4([4]byte{192, 0, 2, data[1]})}
			for n := int(data[0]&15) + 1; n > 0 && len(data) >= 5; n-- {
				bits := binary.BigEndian.Uint32(data[1:5])
				e := Entry{
					Kind: Kind(bits%6) + 1, Type: types[bits>>3%4], Name: names[bits>>5%8], Host: hosts[bits>>8%6], Port: uint16(bits >> 11 % 3),
					Text: strings.Split(string(data[:min(len(data), 4)]), "="), Addr: netip.MustParseAddr(addrs[bits>>13%7]),
					TTL: time.Duration(bits>>16%4) * time.Duration(bits>>18%100) * time.Minute, Flush: bits>>25%2 == 1,
				}
				if bits>>26%4 == 0 {
					e.Name = fmt.Sprint(bits)
				}
				a.Entries = append(a.Entries, e)
				data = data[5:]
			}
			tab.Admit(a.From)
			tab.Take(a)
			for range 3 {
				next := tab.Next()
				if next.IsZero() || len(data) > 0 && data[0]%2 == 0 {
					break
				}
				if c.t.Before(next) {
					c.t = next
				}
				for _, q := range tab.Due() {
					tab.Known(q)
				}
				if again := tab.Next(); !again.IsZero() && !again.After(c.t) {
					t.Fatalf("Next() = %v right after everything that was due at %v", again, c.t)
				}
			}
			check(t, tab)
		}
	})
}
