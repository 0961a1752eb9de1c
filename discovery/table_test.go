package discovery

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

var (
	printer  = netip.MustParseAddr("192.0.2.7")
	printer6 = netip.MustParseAddr("fe80::7")
	stranger = netip.MustParseAddr("192.0.2.66")
)

func subnets(names ...string) map[string][]netip.Prefix {
	all := map[string][]netip.Prefix{}
	for _, name := range names {
		all[name] = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")}
	}
	return all
}

func table(types ...string) (*Table, *clock) {
	c := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	t := NewTable(types, c.now)
	t.SetInterfaces(subnets("eth0", "wlan0"))
	return t, c
}

func ptr(name string, ttl time.Duration) Entry {
	return Entry{Kind: PTR, Type: TypeScanner, Name: name, TTL: ttl}
}

func srv(name, host string, port uint16, ttl time.Duration) Entry {
	return Entry{Kind: SRV, Type: TypeScanner, Name: name, Host: host, Port: port, TTL: ttl, Flush: true}
}

func txt(name string, ttl time.Duration, text ...string) Entry {
	return Entry{Kind: TXT, Type: TypeScanner, Name: name, Text: text, TTL: ttl, Flush: true}
}

func addr(host, a string, ttl time.Duration) Entry {
	e := Entry{Kind: A, Host: host, Addr: netip.MustParseAddr(a), TTL: ttl, Flush: true}
	if e.Addr.Is6() {
		e.Kind = AAAA
	}
	return e
}

// all is what a device says of itself, in an order that makes it hard.
func all(name, host, a string) []Entry {
	return []Entry{addr(host, a, 2*time.Minute), txt(name, time.Hour, "txtvers=1", "ty=x"), srv(name, host, 80, 2*time.Minute), ptr(name, time.Hour)}
}

func tell(t *Table, from netip.Addr, entries ...Entry) {
	t.Take(Answer{Interface: "eth0", From: from, Entries: entries})
}

// brief is what of a list these tests look at.
func brief(t *Table) string {
	var all []string
	for _, r := range t.List() {
		all = append(all, fmt.Sprintf("%s@%s %s:%d %v %v", r.Name, r.Interface, r.Host, r.Port, r.Text["ty"], r.Addrs))
	}
	return strings.Join(all, "; ")
}

func want(t *testing.T, tab *Table, when, want string) {
	t.Helper()
	if got := brief(tab); got != want {
		t.Errorf("%s: List() = %q, want %q", when, got, want)
	}
}

const seen = "Office (2)@eth0 p.local:80 x [192.0.2.7]"

func TestRecordNeedsAll(t *testing.T) {
	whole := all("Office (2)", "p.local", "192.0.2.7")
	for skip := range whole {
		tab, c := table(TypeScanner)
		tell(tab, printer, slices.Delete(slices.Clone(whole), skip, skip+1)...)
		want(t, tab, fmt.Sprintf("without entry %d", skip), "")
		c.t = c.t.Add(5 * time.Second)
		tell(tab, printer, whole...)
		want(t, tab, "with what was missing", seen)
	}
}

func TestLifeOfARecord(t *testing.T) {
	tab, c := table(TypeScanner)
	tell(tab, printer, all("Office (2)", "p.local", "192.0.2.7")...)
	want(t, tab, "at once", seen)
	tell(tab, printer, all("OFFICE (2)", "P.LOCAL", "192.0.2.7")...)
	want(t, tab, "the same in capitals", seen)
	tab.Take(Answer{Interface: "wlan0", From: printer, Entries: all("Office (2)", "p.local", "192.0.2.7")})
	want(t, tab, "on two interfaces", seen+"; Office (2)@wlan0 p.local:80 x [192.0.2.7]")
	tab.Take(Answer{Interface: "vpn0", From: printer, Entries: all("Office (3)", "p.local", "192.0.2.7")})
	tell(tab, printer, Entry{Kind: PTR, Type: "_ssh._tcp", Name: "other", TTL: time.Hour})
	tab.SetInterfaces(subnets("eth0"))
	want(t, tab, "without the second interface", seen)

	c.t = c.t.Add(2*time.Minute - time.Millisecond)
	want(t, tab, "just before the addresses end", seen)
	c.t = c.t.Add(time.Millisecond)
	want(t, tab, "after the addresses ended", "")
	tell(tab, printer, srv("Office (2)", "p.local", 80, time.Minute), addr("p.local", "192.0.2.7", time.Minute))
	want(t, tab, "after they were said again", seen)
	c.t = c.t.Add(time.Minute)
	if tab.Next(); tab.entries != 2 {
		t.Errorf("%d entries are kept, want PTR and TXT", tab.entries)
	}
	c.t = c.t.Add(2 * time.Hour)
	if next := tab.Next(); !next.IsZero() || tab.entries != 0 || len(tab.owned) != 0 || len(tab.links["eth0"].hosts) != 0 {
		t.Errorf("long after: %d entries of %v, next look at %v, want none", tab.entries, tab.owned, next)
	}
}

func TestTTLIsBounded(t *testing.T) {
	tests := []struct{ said, want time.Duration }{
		{time.Millisecond, time.Second}, {time.Minute, time.Minute}, {100 * time.Hour, 75 * time.Minute},
	}
	for _, tt := range tests {
		tab, c := table(TypeScanner)
		tell(tab, printer, all("Office (2)", "p.local", "192.0.2.7")...)
		tell(tab, printer, addr("p.local", "192.0.2.7", tt.said), txt("Office (2)", tt.said, "txtvers=1", "ty=x"),
			srv("Office (2)", "p.local", 80, tt.said), ptr("Office (2)", tt.said))
		c.t = c.t.Add(tt.want - 1)
		want(t, tab, tt.said.String()+" before its end", seen)
		c.t = c.t.Add(1)
		want(t, tab, tt.said.String()+" at its end", "")
	}
}

func TestGoodbye(t *testing.T) {
	for i, e := range all("Office (2)", "p.local", "192.0.2.7") {
		tab, c := table(TypeScanner)
		tell(tab, printer, all("Office (2)", "p.local", "192.0.2.7")...)
		c.t = c.t.Add(5 * time.Second)
		e.TTL = 0
		tell(tab, printer, e)
		want(t, tab, fmt.Sprintf("goodbye of entry %d", i), seen)
		c.t = c.t.Add(time.Second)
		want(t, tab, fmt.Sprintf("a second after the goodbye of entry %d", i), "")
	}
	tab, c := table(TypeScanner)
	tell(tab, printer, all("Office (2)", "p.local", "192.0.2.7")...)
	tell(tab, printer, ptr("Office (2)", 0))
	c.t = c.t.Add(time.Second / 2)
	tell(tab, printer, ptr("Office (2)", time.Hour))
	c.t = c.t.Add(10 * time.Second)
	want(t, tab, "taken back", seen)
}

func TestGoodbyeOfAStranger(t *testing.T) {
	for _, answered := range []bool{true, false} {
		tab, c := table(TypeScanner)
		tell(tab, printer, all("Office (2)", "p.local", "192.0.2.7")...)
		c.t = c.t.Add(5 * time.Second)
		tell(tab, stranger, ptr("Office (2)", 0))
		asked := 0
		for range 29 { // 2.9 s
			c.t = c.t.Add(time.Second / 10)
			for _, q := range tab.Due() {
				if q != (Question{Interface: "eth0", Kind: PTR, Type: TypeScanner}) && q.Kind != AAAA {
					t.Errorf("asked for %+v", q)
				}
				if q.Kind == PTR {
					if asked++; len(tab.Known(q)) != 0 {
						t.Error("what is doubted is known")
					}
				}
			}
			want(t, tab, "while it is doubted", seen)
		}
		if asked != 3 {
			t.Errorf("asked %d times, want 3", asked)
		}
		if answered {
			tell(tab, printer, ptr("Office (2)", time.Hour))
		}
		c.t = c.t.Add(5 * time.Second)
		if answered {
			want(t, tab, "confirmed", seen)
		} else {
			want(t, tab, "not confirmed", "")
		}
	}
}

// Who repeats a false goodbye does not make us ask all the time.
func TestGoodbyesOfAStranger(t *testing.T) {
	tab, c := table(TypeScanner)
	tell(tab, printer, append(all("Office (2)", "p.local", "192.0.2.7"), addr("p.local", "fe80::7", time.Hour))...)
	asked := 0
	for range 100 { // 10 s
		c.t = c.t.Add(time.Second / 10)
		tell(tab, stranger, ptr("Office (2)", 0))
		if len(tab.Due()) > 0 {
			asked++
			tell(tab, printer, ptr("Office (2)", time.Hour))
		}
	}
	if asked > 10 {
		t.Errorf("asked %d times in 10 s, want at most once a second", asked)
	}
}

// Two names that cannot be told apart when shown are not both shown, and the second one
// says nothing of the first.
func TestNamesThatLookTheSame(t *testing.T) {
	tab, c := table(TypeScanner)
	tell(tab, printer, all("Office (2)", "p.local", "192.0.2.7")...)
	c.t = c.t.Add(5 * time.Second)
	tell(tab, printer, all("Office\u202e (2)", "q.local", "192.0.2.8")...)
	c.t = c.t.Add(5 * time.Second)
	want(t, tab, "with another name like it", seen)
}

// A device that says goodbye over IPv4 and IPv6 is believed though both are not the same
// sender.
func TestGoodbyeOfBothFamilies(t *testing.T) {
	tab, c := table(TypeScanner)
	tell(tab, printer, all("Office (2)", "p.local", "192.0.2.7")...)
	tell(tab, printer6, all("Office (2)", "p.local", "192.0.2.7")...)
	c.t = c.t.Add(5 * time.Second)
	tell(tab, printer6, ptr("Office (2)", 0))
	tell(tab, printer, ptr("Office (2)", 0))
	c.t = c.t.Add(time.Second)
	want(t, tab, "a second after both", "")
}

func TestUpdate(t *testing.T) {
	tab, c := table(TypeScanner)
	tell(tab, printer, all("Office (2)", "p.local", "192.0.2.7")...)
	c.t = c.t.Add(5 * time.Second)
	tell(tab, printer, txt("Office (2)", time.Hour, "ty=new"), srv("Office (2)", "p.local", 81, time.Hour),
		addr("p.local", "192.0.2.8", time.Hour), addr("p.local", "192.0.2.9", time.Hour))
	want(t, tab, "at once", "Office (2)@eth0 p.local:81 new [192.0.2.7 192.0.2.8 192.0.2.9]")
	c.t = c.t.Add(time.Second)
	want(t, tab, "a second later", "Office (2)@eth0 p.local:81 new [192.0.2.8 192.0.2.9]")

	c.t = c.t.Add(5 * time.Second)
	tell(tab, stranger, srv("Office (2)", "evil.local", 1, time.Hour), addr("evil.local", "192.0.2.66", time.Hour), txt("Office (2)", time.Hour, "ty=evil"))
	c.t = c.t.Add(time.Second)
	tell(tab, printer, txt("Office (2)", time.Hour, "ty=new"), srv("Office (2)", "p.local", 81, time.Hour))
	c.t = c.t.Add(time.Minute)
	want(t, tab, "a stranger's update of who is there", "Office (2)@eth0 p.local:81 new [192.0.2.8 192.0.2.9]")

	tell(tab, stranger, srv("Office (2)", "q.local", 1, time.Hour), addr("q.local", "192.0.2.66", time.Hour), txt("Office (2)", time.Hour, "ty=moved"))
	c.t = c.t.Add(3 * time.Second)
	want(t, tab, "another sender's update of who is gone", "Office (2)@eth0 q.local:1 moved [192.0.2.66]")
}

func TestAddresses(t *testing.T) {
	tab, _ := table(TypeScanner)
	tell(tab, printer, all("Office (2)", "p.local", "fe80::7")...)
	for _, a := range []string{"127.0.0.1", "::1", "224.0.0.251", "ff02::fb", "0.0.0.0", "::", "169.254.169.254", "255.255.255.255",
		"198.51.100.1", "2001:db8:1::1", "::ffff:127.0.0.1", "240.0.0.1", "0.0.0.1"} {
		tell(tab, printer, addr("p.local", a, time.Hour))
	}
	tell(tab, printer, Entry{Kind: AAAA, Host: "p.local", Addr: netip.MustParseAddr("::ffff:192.0.2.50"), TTL: time.Hour})
	tell(tab, printer, addr("q.local", "192.0.2.9", time.Hour))
	want(t, tab, "a link-local address among bad ones", "Office (2)@eth0 p.local:80 x [fe80::7%eth0]")
	tell(tab, printer, addr("p.local", "2001:db8::7", time.Hour), addr("p.local", "169.254.3.4", time.Hour), addr("P.local", "192.0.2.7", time.Hour))
	want(t, tab, "good ones", "Office (2)@eth0 p.local:80 x [192.0.2.7 2001:db8::7 169.254.3.4 fe80::7%eth0]")
	for i := range 40 {
		tell(tab, printer, addr("p.local", fmt.Sprintf("192.0.2.%d", 100+i), time.Hour))
	}
	if got := len(tab.List()[0].Addrs); got != MaxAddrs {
		t.Errorf("%d addresses, want %d", got, MaxAddrs)
	}
	tab.SetInterfaces(map[string][]netip.Prefix{"eth0": {netip.MustParsePrefix("10.0.0.1/8")}})
	want(t, tab, "with another subnet", "Office (2)@eth0 p.local:80 x [169.254.3.4 fe80::7%eth0]")
}

func TestOtherNetwork(t *testing.T) {
	for name, change := range map[string]func(*Table){
		"other subnet": func(tab *Table) {
			s := subnets("eth0")
			s["eth0"] = append(s["eth0"], netip.MustParsePrefix("10.0.0.1/8"))
			tab.SetInterfaces(s)
		},
		"sleep": func(tab *Table) { tab.Doubt() },
		"same":  func(tab *Table) { tab.SetInterfaces(subnets("eth0")) },
	} {
		tab, c := table(TypeScanner)
		tell(tab, printer, all("Office (2)", "p.local", "192.0.2.7")...)
		change(tab)
		want(t, tab, name, seen)
		c.t = c.t.Add(time.Second / 5)
		kinds := map[Kind]bool{}
		for _, q := range tab.Due() {
			kinds[q.Kind] = true
		}
		if !kinds[SRV] != (name == "same") {
			t.Errorf("%s: asked for %v", name, slices.Collect(maps.Keys(kinds)))
		}
		c.t = c.t.Add(3 * time.Second)
		if name == "same" {
			want(t, tab, name, seen)
		} else {
			want(t, tab, name+", nobody there", "")
		}
	}
}
