package mdns

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
)

// Whoever comes second takes the next name, for all services of that name; the first
// keeps his.
func TestConflicts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		delay time.Duration
		hosts [2]string
	}{
		{"one after the other", 5 * time.Second, [2]string{"platen-a", "platen-b"}},
		{"at once", 0, [2]string{"platen-a", "platen-b"}},
		{"soon after", 600 * time.Millisecond, [2]string{"platen-a", "platen-b"}},
		{"host name too", 5 * time.Second, [2]string{"platen-a", "platen-a"}},
		{"host name too, at once", 0, [2]string{"platen-a", "platen-a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lab(t, func(t *testing.T, l *lan, node, asker *port) {
				a, stopA := start(t, node, tt.hosts[0], shared, sharedTLS)
				defer stopA()
				time.Sleep(tt.delay)
				b, stopB := start(t, l.port("10.0.0.2"), tt.hosts[1], shared, sharedTLS)
				defer stopB()
				time.Sleep(20 * time.Second)
				synctest.Wait()
				first, second := a.Announced(), b.Announced()
				if len(first) != 2 || len(second) != 2 {
					t.Fatalf("announced %v and %v", first, second)
				}
				if tt.delay < time.Second && first[0].Name != "Scanner" {
					first, second = second, first
				}
				plain, two := []string{"_uscan._tcp Scanner", "_uscans._tcp Scanner"}, []string{"_uscan._tcp Scanner (2)", "_uscans._tcp Scanner (2)"}
				if !slices.Equal(names(first), plain) || !slices.Equal(names(second), two) {
					t.Errorf("announced %q and %q, want %q and %q", names(first), names(second), plain, two)
				}
				hosts := []string{first[0].Host, second[0].Host}
				slices.Sort(hosts)
				want := []string{tt.hosts[0] + ".local", tt.hosts[1] + ".local"}
				if tt.hosts[0] == tt.hosts[1] {
					want[0] = tt.hosts[0] + "-2.local"
				}
				if !slices.Equal(hosts, want) {
					t.Errorf("hosts %q, want %q", hosts, want)
				}
			})
		})
	}
}

// Three of one name that start at once get three names.
func TestConflictOfMany(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, _, _ *port) {
		var all []*Advertiser
		for i := range 5 {
			a, stop := start(t, l.port(fmt.Sprintf("10.0.0.%d", 20+i)), fmt.Sprintf("platen-%d", i), shared)
			defer stop()
			all = append(all, a)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		var got []string
		for _, a := range all {
			got = append(got, names(a.Announced())...)
		}
		slices.Sort(got)
		if len(slices.Compact(got)) != 5 {
			t.Errorf("announced %q, want five names", got)
		}
	})
}

func TestOwnNamesDiffer(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, _ *port) {
		one, oneSecure, two, twoSecure, third := shared, sharedTLS, shared, sharedTLS, shared
		two.Port, twoSecure.Port = 18632, 18633
		third.Name, third.Port = "Scanner (2)", 18634
		a, stop := start(t, node, "platen-a", one, oneSecure, two, twoSecure, third)
		defer stop()
		settled()
		want := []string{"_uscan._tcp Scanner", "_uscans._tcp Scanner", "_uscan._tcp Scanner (2)", "_uscans._tcp Scanner (2)", "_uscan._tcp Scanner (3)"}
		if got := names(a.Announced()); !slices.Equal(got, want) {
			t.Errorf("Announced() = %q, want %q", got, want)
		}
		a.Announce([]discovery.Record{two, twoSecure})
		settled()
		if got := a.Announced(); len(got) != 2 || got[0].Name != "Scanner (2)" || got[0].Port != 18632 {
			t.Errorf("Announced() = %v, want the second scanner to keep its name when the first goes", got)
		}
	})
}

// conflict is somebody's announcement of our name with other data.
func conflict(port uint16) *dns.Msg {
	m := &dns.Msg{Answer: []dns.RR{&dns.SRV{Hdr: header(scannerName, dns.TypeSRV, 120), Port: port, Target: "other.local."}}}
	m.Response, m.Authoritative = true, true
	return m
}

// One false packet costs nothing but probes: the name stays, and questions get answers.
func TestFalseConflict(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, asker *port) {
		a, stop := start(t, node, "platen-a", shared)
		defer stop()
		settled()
		begin := time.Now()
		asker.say(t, conflict(1))
		time.Sleep(100 * time.Millisecond)
		asker.say(t, question1(scannerList, dns.TypePTR))
		time.Sleep(150 * time.Millisecond)
		synctest.Wait()
		if got := lives(l.by(node, begin), dns.TypePTR, scannerList); !slices.Equal(got, []uint32{4500}) {
			t.Errorf("while the name is in doubt the answers have lives of %v s, want one answer", got)
		}
		settled()
		if got := names(a.Announced()); !slices.Equal(got, []string{"_uscan._tcp Scanner"}) {
			t.Errorf("Announced() = %q, want the name to stay", got)
		}
	})
}

// Who gives a name up ends his data, and no listing: the other is listed under it.
func TestNameGivenUp(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, asker *port) {
		a, stop := start(t, node, "platen-a", shared, sharedTLS)
		defer stop()
		settled()
		begin := time.Now()
		for range 2 { // one to raise the doubt, one to settle it
			asker.say(t, conflict(1))
			time.Sleep(100 * time.Millisecond)
		}
		settled()
		if got := names(a.Announced()); !slices.Equal(got, []string{"_uscan._tcp Scanner (2)", "_uscans._tcp Scanner (2)"}) {
			t.Errorf("Announced() = %q, want the next name for both", got)
		}
		sent := l.by(node, begin)
		if got := lives(sent, dns.TypeSRV, scannerName); !slices.Equal(got, []uint32{0, 0}) {
			t.Errorf("the old name was told with lives of %v s, want goodbyes on two links", got)
		}
		for _, h := range sent {
			for _, rr := range everywhere(h.msg) {
				if ptr, ok := rr.(*dns.PTR); ok && ptr.Ptr == scannerName && ptr.Hdr.Ttl == 0 {
					t.Error("said goodbye for the listing of the one who keeps the name")
				}
			}
		}
	})
}

// A name that two networks had before they were joined is one's alone in the end.
func TestConflictOfJoinedNetworks(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, _ *port) {
		a, stopA := start(t, node, "platen-a", shared)
		defer stopA()
		other := l.port("10.0.0.2")
		other.have(card(2, "10.0.0.2/24"))
		b, stopB := start(t, other, "platen-a", shared)
		defer stopB()
		settled()
		other.have(card(1, "10.0.0.2/24"))
		time.Sleep(20 * time.Second)
		synctest.Wait()
		got := append(a.Announced(), b.Announced()...)
		if len(got) != 2 || got[0].Name != "Scanner" || got[1].Name != "Scanner (2)" || got[0].Host == got[1].Host {
			t.Errorf("announced %+v, want the one that was here to keep its names", got)
		}
	})
}

// Of two who probe at once the one with the lesser data waits, and whoever probes does not
// defend what he is not sure to have.
func TestProbesAtOnce(t *testing.T) {
	theirs := func(rr dns.RR) *dns.Msg {
		return &dns.Msg{Question: question1(scannerName, dns.TypeANY).Question, Ns: []dns.RR{rr}}
	}
	for _, tt := range []struct {
		name string
		msg  *dns.Msg
		wait time.Duration // until the next probe
	}{
		{"lesser", theirs(&dns.A{Hdr: header(scannerName, dns.TypeA, 120), A: []byte{9, 9, 9, 9}}), probeGap},
		{"later", theirs(&dns.SRV{Hdr: header(scannerName, dns.TypeSRV, 120), Port: 1, Target: "other.local."}), loserWait},
		{"another's name", question1("Scanner2._uscan._tcp.local.", dns.TypeANY), probeGap},
	} {
		for _, again := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				l := &lan{}
				p := l.port("10.0.0.1")
				r := newResponder("platen-a", p, slog.New(slog.DiscardHandler))
				r.want([]discovery.Record{shared}, time.Now())
				r.use(p.nets, time.Now())
				if again {
					for range 20 {
						time.Sleep(time.Until(r.step(time.Now())))
					}
					time.Sleep(time.Minute)
					r.wake(time.Now())
				}
				for l.sent = nil; len(l.sent) == 0; {
					time.Sleep(time.Until(r.step(time.Now())))
				}
				data, err := tt.msg.Pack()
				if err != nil {
					t.Fatal(err)
				}
				begin := l.sent[0].at
				r.hear(packet{link{index: 1}, netip.MustParseAddrPort("10.0.0.9:5353"), data}, time.Now())
				for range 4 {
					time.Sleep(time.Until(r.step(time.Now())))
				}
				asked := slices.IndexFunc(l.sent[1:], func(h heard) bool {
					return slices.ContainsFunc(h.msg.Question, func(q dns.Question) bool { return q.Name == scannerName })
				})
				if asked < 0 || l.sent[asked+1].at.Sub(begin) < tt.wait || l.sent[asked+1].at.Sub(begin) > tt.wait+probeGap {
					t.Errorf("%s, again %v: next probe after %v, want %v", tt.name, again, l.sent[max(asked, 0)].at.Sub(begin), tt.wait)
				}
				if got := lives(l.sent[:max(asked, 0)+1], dns.TypeSRV, scannerName); len(got) > 0 {
					t.Errorf("%s, again %v: answered while it probes", tt.name, again)
				}
			})
		}
	}
}

// A storm of conflicts cannot make us probe all the time.
func TestConflictStorm(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, asker *port) {
		a, stop := start(t, node, "platen-a", shared)
		defer stop()
		settled()
		begin := time.Now()
		for time.Since(begin) < time.Minute { // claims each name that is probed
			before := time.Now()
			time.Sleep(50 * time.Millisecond)
			for _, h := range l.by(node, before) {
				for _, q := range h.msg.Question {
					m := conflict(7)
					m.Answer[0].Header().Name = q.Name
					asker.say(t, m)
				}
			}
			asker.say(t, conflict(uint16(rand.N(1000))))
		}
		if got := len(l.by(node, begin)); got > 150 {
			t.Errorf("%d packets in a minute of conflicts", got)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if got := a.Announced(); len(got) != 1 {
			t.Errorf("after the storm Announced() = %v, want the scanner", got)
		}
	})
}

func TestFalseGoodbye(t *testing.T) {
	for _, rr := range []dns.RR{
		&dns.PTR{Hdr: header(scannerList, dns.TypePTR, 0), Ptr: scannerName},
		&dns.SRV{Hdr: header(scannerName, dns.TypeSRV, 0), Port: shared.Port, Target: "platen-a.local."},
		&dns.A{Hdr: header("platen-a.local.", dns.TypeA, 1), A: []byte{10, 0, 0, 1}},
	} {
		lab(t, func(t *testing.T, l *lan, node, asker *port) {
			_, stop := start(t, node, "platen-a", shared)
			defer stop()
			settled()
			begin := time.Now()
			m := &dns.Msg{Answer: []dns.RR{rr}}
			m.Response = true
			asker.say(t, m)
			time.Sleep(900 * time.Millisecond) // caches keep it for one second more (section 10.1)
			synctest.Wait()
			got := lives(l.by(node, begin), rr.Header().Rrtype, rr.Header().Name)
			if len(got) != 1 || got[0] < 120 {
				t.Errorf("after a false goodbye of %v lives of %v s were told, want one answer", rr, got)
			}
		})
	}
}

// We may be on one network by two interfaces, and hear ourselves.
func TestOwnEcho(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, _ *port) {
		node.have(card(1, "10.0.0.1/24"), card(2, "10.0.0.2/24"))
		a, stop := start(t, node, "platen-a", shared)
		defer stop()
		l.mu.Lock()
		l.bridged = true
		l.mu.Unlock()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		want := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}
		if got := a.Announced(); len(got) != 1 || got[0].Name != "Scanner" || got[0].Host != "platen-a.local" || !slices.Equal(got[0].Addrs, want) {
			t.Errorf("Announced() = %+v, want the names to stay", got)
		}
		if got := len(l.by(node, time.Time{})); got != 2*(probes+announces) {
			t.Errorf("%d packets, want %d", got, 2*(probes+announces))
		}
	})
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		name string
		n    int
		want string
	}{
		{"A", 1, "A"},
		{"A", 2, "A (2)"},
		{"0123456789012345678901234567890123456789012345678901234567890123"[:63], 12, "0123456789012345678901234567890123456789012345678901234567 (12)"},
	} {
		if got := numbered(tt.name, tt.n); got != tt.want || len(got) > discovery.MaxName {
			t.Errorf("numbered(%q, %d) = %q, want %q", tt.name, tt.n, got, tt.want)
		}
	}
	for _, tt := range []struct {
		name, base string
		n          int
	}{
		{"A (2)", "A", 2}, {"A (1)", "A (1)", 1}, {"A (02)", "A (02)", 1}, {"A(2)", "A(2)", 1}, {" (2)", " (2)", 1}, {"A (2. OG)", "A (2. OG)", 1},
	} {
		if base, n := numberOf(tt.name); base != tt.base || n != tt.n {
			t.Errorf("numberOf(%q) = %q, %d, want %q, %d", tt.name, base, n, tt.base, tt.n)
		}
	}
}
