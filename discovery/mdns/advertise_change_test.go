package mdns

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
)

// lives are the TTLs of a record in what was sent, in order.
func lives(list []heard, rrtype uint16, name string) []uint32 {
	var ttls []uint32
	for _, h := range responses(list) {
		if rr := find(everywhere(h.msg), rrtype, name); rr != nil {
			ttls = append(ttls, rr.Header().Ttl)
		}
	}
	return ttls
}

func TestChangedTextNeedsNoGoodbye(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, _ *port) {
		a, stop := start(t, node, "platen-a", shared, sharedTLS)
		defer stop()
		settled()
		begin := time.Now()
		changed := shared
		changed.Text = map[string]string{"rs": "eSCL", "note": "moved"}
		a.Announce([]discovery.Record{changed, sharedTLS})
		settled()
		for _, h := range l.by(node, begin) {
			txt, _ := find(h.msg.Answer, dns.TypeTXT, scannerName).(*dns.TXT)
			if !h.msg.Response || txt == nil || !slices.Contains(txt.Txt, "note=moved") || txt.Hdr.Class&flush == 0 {
				t.Errorf("sent %v, want the new text only", h.msg)
			}
			if find(everywhere(h.msg), dns.TypeSRV, secureName) != nil {
				t.Error("the record that did not change was told again")
			}
		}
		if got := lives(l.by(node, begin), dns.TypeTXT, scannerName); !slices.Equal(got, []uint32{4500, 4500, 4500, 4500}) {
			t.Errorf("text was told with lives of %v s, want twice 4500 on two links", got)
		}
		begin = time.Now()
		a.Announce([]discovery.Record{sharedTLS, changed})
		settled()
		if got := l.by(node, begin); len(got) > 0 {
			t.Errorf("nothing has changed and %v was sent", got)
		}
	})
}

func TestGoodbyes(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, _ *port) {
		a, stop := start(t, node, "platen-a", shared, sharedTLS)
		settled()
		begin := time.Now()
		a.Announce([]discovery.Record{sharedTLS})
		settled()
		sent := l.by(node, begin)
		if got := lives(sent, dns.TypePTR, scannerList); !slices.Equal(got, []uint32{0, 0}) {
			t.Errorf("removed scanner was told with lives of %v s, want goodbyes on two links", got)
		}
		if got := lives(sent, dns.TypeA, "platen-a.local."); len(got) > 0 {
			t.Error("the host that stays was told")
		}
		if got, want := names(a.Announced()), []string{"_uscans._tcp Scanner"}; !slices.Equal(got, want) {
			t.Errorf("Announced() = %q, want %q", got, want)
		}
		begin = time.Now()
		stop()
		sent = l.by(node, begin)
		for _, rr := range []struct {
			rrtype uint16
			name   string
		}{{dns.TypePTR, "_uscans._tcp.local."}, {dns.TypeSRV, secureName}, {dns.TypeA, "platen-a.local."}} {
			if got := lives(sent, rr.rrtype, rr.name); !slices.Equal(got, []uint32{0, 0, 0, 0}) {
				t.Errorf("at the end %s was told with lives of %v s, want two goodbyes on two links", rr.name, got)
			}
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("the end took %v", took)
		}
		if got := a.Announced(); len(got) > 0 {
			t.Errorf("Announced() = %v after the end", got)
		}
	})
}

func TestInterfacesThatComeAndGo(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, _ *port) {
		node.plug()
		a, stop := start(t, node, "platen-a", shared)
		defer stop()
		settled()
		if got := l.by(node, time.Time{}); len(got) > 0 || len(a.Announced()) > 0 {
			t.Fatalf("without a network %v was sent", got)
		}
		for range 2 { // it comes, goes and returns
			begin := time.Now()
			node.plug("10.0.0.1/24")
			settled()
			if got := lives(l.by(node, begin), dns.TypePTR, scannerList); !slices.Equal(got, []uint32{4500, 4500}) {
				t.Errorf("after the cable was plugged in the scanner was told with lives of %v s, want two announcements", got)
			}
			if len(a.Announced()) != 1 {
				t.Error("the scanner is not announced")
			}
			node.plug()
			settled()
			if len(a.Announced()) != 0 {
				t.Error("without a network the scanner is announced")
			}
		}
	})
}

func TestAddressChanges(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, _ *port) {
		node.plug("169.254.3.4/16")
		a, stop := start(t, node, "platen-a", shared)
		defer stop()
		settled()
		if got := a.Announced()[0].Addrs[0].String(); got != "169.254.3.4" {
			t.Errorf("announced %s, want the only address though it is link-local", got)
		}
		begin := time.Now()
		node.plug("10.0.0.7/24", "169.254.3.4/16")
		settled()
		if got := lives(l.by(node, begin), dns.TypeA, "platen-a.local."); !slices.Equal(got, []uint32{120, 120}) {
			t.Errorf("the address was told with lives of %v s, want twice 120", got)
		}
		for _, h := range l.by(node, begin) {
			rr := find(h.msg.Answer, dns.TypeA, "platen-a.local.").(*dns.A)
			if !h.msg.Response || rr.A.String() != "10.0.0.7" || rr.Hdr.Class&flush == 0 {
				t.Errorf("sent %v, want the new address in place of the old", h.msg)
			}
		}
		if got := a.Announced()[0].Addrs; len(got) != 1 || got[0].String() != "10.0.0.7" {
			t.Errorf("announced %v, want 10.0.0.7", got)
		}
	})
}

// Each interface is told its own addresses; a record that says which is told nowhere else.
func TestAddressesOfInterfaces(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, _ *port) {
		node.have(card(1, "10.0.0.1/24"), card(2, "10.2.0.1/24"))
		inner := shared
		inner.Name, inner.Addrs = "Inner", []netip.Addr{netip.MustParseAddr("10.2.0.1")}
		nowhere := shared
		nowhere.Name, nowhere.Addrs = "Nowhere", []netip.Addr{netip.MustParseAddr("192.0.2.1")}
		a, stop := start(t, node, "platen-a", shared, inner, nowhere)
		defer stop()
		settled()
		for _, h := range responses(l.by(node, time.Time{})) {
			hasInner := find(h.msg.Answer, dns.TypeSRV, "Inner._uscan._tcp.local.") != nil
			addr := find(h.msg.Answer, dns.TypeA, "platen-a.local.").(*dns.A).A.String()
			if addr == "10.0.0.1" && hasInner || addr == "10.2.0.1" && !hasInner || strings.Contains(h.msg.String(), "Nowhere") {
				t.Errorf("told with address %s: %v", addr, h.msg)
			}
			for _, rr := range everywhere(h.msg) {
				if a, ok := rr.(*dns.A); ok && a.A.String() != addr {
					t.Errorf("address %v of another interface", a.A)
				}
			}
		}
		got := a.Announced()
		if len(got) != 2 || len(got[0].Addrs) != 2 || !slices.Equal(got[1].Addrs, inner.Addrs) {
			t.Errorf("Announced() = %+v, want the scanner with two addresses and the inner one with one", got)
		}
		if got[0].Host != "platen-a.local" || got[1].Host == got[0].Host || !strings.HasPrefix(got[1].Host, "platen-a-") {
			t.Errorf("hosts %q and %q, want the second to differ because its addresses do", got[0].Host, got[1].Host)
		}
		a.Announce([]discovery.Record{inner})
		settled()
		if got := a.Announced(); len(got) != 1 || got[0].Host != "platen-a.local" {
			t.Errorf("Announced() = %+v, want the plain host name where all records tell the same addresses", got)
		}
	})
}

func TestUnspecifiedAddresses(t *testing.T) {
	for only, want := range map[string]string{"0.0.0.0": "[10.0.0.1]", "::": "[10.0.0.1 fd00::1]", "fd00::1": "[fd00::1]", "fe80::1%eth0": "[fe80::1%eth1]", "::1": "[]"} {
		lab(t, func(t *testing.T, l *lan, node, _ *port) {
			rec := shared
			rec.Addrs = []netip.Addr{netip.MustParseAddr(only)}
			a, stop := start(t, node, "platen-a", rec)
			defer stop()
			settled()
			var got []netip.Addr
			for _, r := range a.Announced() {
				got = append(got, r.Addrs...)
			}
			if fmt.Sprint(got) != want {
				t.Errorf("a record with address %s is announced with %v, want %s", only, got, want)
			}
		})
	}
}

func TestRecordsThatCannotBeAnnounced(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, _ *port) {
		long := map[string]string{"note": strings.Repeat("x", 251)}
		a, stop := start(t, node, "platen-a",
			discovery.Record{Type: "_uscan", Name: "type", Port: 1},
			discovery.Record{Type: discovery.TypeScanner, Port: 1},
			discovery.Record{Type: discovery.TypeScanner, Name: "port"},
			discovery.Record{Type: discovery.TypeScanner, Name: "host", Port: 1, Host: "a b"},
			discovery.Record{Type: discovery.TypeScanner, Name: "text", Port: 1, Text: long},
			discovery.Record{Type: discovery.TypeScanner, Name: strings.Repeat("ü", 40), Port: 1})
		defer stop()
		settled()
		if got := names(a.Announced()); !slices.Equal(got, []string{"_uscan._tcp " + strings.Repeat("ü", 31)}) {
			t.Errorf("Announced() = %q, want only the one whose name can be cut", got)
		}
	})
	if _, err := NewAdvertiser(Config{Host: "no host"}); err == nil {
		t.Error("NewAdvertiser took a host name with a blank")
	}
}

// After a sleep the names are probed again, and questions get their answers meanwhile.
func TestWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		p := l.port("10.0.0.1")
		r := newResponder("platen-a", p, slog.New(slog.DiscardHandler))
		r.use(p.nets, time.Now())
		r.want([]discovery.Record{shared}, time.Now())
		for range 20 {
			time.Sleep(time.Until(r.step(time.Now())))
		}
		begin := time.Now()
		r.wake(begin)
		if len(r.announced()) != 1 {
			t.Error("while it is probed again the record is not announced")
		}
		for range 8 {
			time.Sleep(time.Until(r.step(time.Now())))
		}
		if got := l.by(p, begin); len(got) != probes+announces {
			t.Errorf("%d packets after waking, want %d", len(got), probes+announces)
		}
	})
}
